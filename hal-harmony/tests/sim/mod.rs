//! This file is a model of the kernel on the host: deterministic, in virtual time, for one root
//! task that is a test and for processes that are machine code. It shares nothing with the HAL but
//! the profile of numbers and the trait that it is called by. What the real kernel dies of is a
//! panic here, which fails the test.

#![allow(dead_code, reason = "not every test uses every side of the model")]

mod abi;
mod channel;
mod cpu;
mod machine;
mod memory;
mod process;

#[allow(unused_imports, reason = "not every test twists the kernel")]
pub use machine::Twist;

use hal_harmony::abi::number::Number;
use machine::State;
use std::cell::RefCell;
use std::rc::Rc;

/// A machine; its clones are the same machine.
#[derive(Clone)]
pub struct Sim(pub Rc<RefCell<State>>);

impl Sim {
    /// A machine whose root task has this priority.
    pub fn new(priority: u32) -> Self {
        Self(Rc::new(RefCell::new(State::new(priority))))
    }

    /// What was printed.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow().console).into_owned()
    }

    /// Processes that were made and not recycled.
    pub fn undisposed(&self) -> usize {
        let state = self.0.borrow();
        let groups = state.groups.iter().skip(1);
        groups.filter(|group| !group.recycled).count()
    }

    /// Calls that the root task made of this kind.
    pub fn count(&self, number: Number) -> usize {
        let state = self.0.borrow();
        let of_root = state.trace.iter().filter(|call| call.0 == 0);
        of_root.filter(|call| call.1 == number).count()
    }
}
