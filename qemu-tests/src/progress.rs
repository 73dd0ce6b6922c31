//! This file tells the user what is being done, on stderr, one line a step.
//!
//! On a terminal a running step rewrites its line; elsewhere only its first line is written, so
//! that logs stay short.

use std::io::{IsTerminal, Write};

/// Says one thing.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// A step that takes a while; the line is finished when it is dropped.
#[derive(Debug)]
pub struct Step {
    text: String,
    terminal: bool,
}

impl Step {
    /// Begins a step and says so.
    #[must_use]
    pub fn begin(text: impl Into<String>) -> Self {
        let text = text.into();
        let terminal = std::io::stderr().is_terminal();
        if terminal {
            eprint!("{text} ..");
        } else {
            eprintln!("{text}");
        }
        Self { text, terminal }
    }

    /// Shows how far the step is.
    pub fn percent(&self, percent: u8) {
        if self.terminal {
            eprint!("\r{} .. {:>3} %", self.text, percent.min(100));
            // Progress is a courtesy: a stderr that cannot be written has nobody to tell.
            let _ = std::io::stderr().flush();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.terminal {
            eprintln!();
        }
    }
}
