//! This crate runs the production core and driver over a simulated kernel, in virtual time: seeded
//! histories with faults, deaths of process 1 and hostile peers, watched by an independent model.
//!
//! A history is a script of lines (`script`), made from a seed (`generate`) or written by hand,
//! performed (`run`) on a simulated machine (`world`) and, if a rule of the `model` is broken,
//! shortened (`shrink`). The same script always gives the same history.
#![forbid(unsafe_code)]

pub mod campaign;
pub mod command;
pub mod exchange;
pub mod facts;
pub mod generate;
pub mod graph;
pub mod model;
pub mod product;
pub mod random;
pub mod rules;
pub mod run;
pub mod script;
pub mod shrink;
pub(crate) mod world;

pub use world::frame;

use std::cell::RefCell;

thread_local! {
    static WORDS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what panics say for [`panic_words`] instead of printing it.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        WORDS.with(|words| *words.borrow_mut() = info.to_string());
    }));
}

/// What this thread's last panic said.
pub fn panic_words() -> String {
    WORDS.with(|words| words.borrow().replace('\n', " "))
}
