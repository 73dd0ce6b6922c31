//! This file is a model of the kernel on the host: deterministic, in virtual time, for one root
//! task that is a test and for processes that are machine code. It shares nothing with the HAL but
//! the profile of numbers and the trait that it is called by. What the real kernel dies of is a
//! panic here, which fails the test.

#![allow(dead_code, reason = "not every test uses every side of the model")]

mod abi;
mod channel;
mod cpu;
mod fortune;
mod machine;
mod memory;
mod process;

#[allow(unused_imports, reason = "not every test twists the kernel")]
pub use fortune::{Deed, Fact, Fortune};
#[allow(unused_imports, reason = "not every test twists the kernel")]
pub use machine::{Fate, Moment, Native, Strike, Twist};

use hal_harmony::abi::number::Number;
use machine::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A machine; its clones are the same machine. The root task's threads are threads of the test, of
/// which one runs at a time: the one that has the baton.
#[derive(Clone)]
pub struct Sim(Arc<Mutex<State>>);

impl Sim {
    /// A machine whose root task has this priority.
    pub fn new(priority: u32) -> Self {
        Self(Arc::new(Mutex::new(State::new(priority))))
    }

    /// All of it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("a thread of the root task panicked")
    }

    /// The test is over: the root task's other threads end.
    pub fn end(&self) {
        let state = self.0.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.is_over = true;
        for host in state.hosts.values() {
            host.unpark();
        }
    }

    /// Whoever calls gives up all its capabilities from this one on but that, with all copies.
    pub fn revoke_all_but(&self, first: u64, spared: i32) {
        let mut state = self.state();
        let group = state.threads[state.baton].group;
        let end = u64::try_from(state.groups[group].caps.len()).expect("few");
        for cap in (first..end).filter(|cap| i64::try_from(*cap) != Ok(spared.into())) {
            let _ = state.revoke(group, cap, true);
        }
    }

    /// What was printed.
    pub fn console(&self) -> String {
        let state = self.0.lock();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&state.console).into_owned()
    }

    /// Processes that were made and not recycled.
    pub fn undisposed(&self) -> usize {
        let state = self.state();
        let groups = state.groups.iter().skip(1);
        groups.filter(|group| !group.recycled).count()
    }

    /// Processes of this name that got a thread.
    pub fn starts_of(&self, name: &[u8]) -> u32 {
        let state = self.state();
        let mut starts = 0;
        for (index, _) in (0..).zip(&state.groups).filter(|(_, one)| one.name == name) {
            starts += u32::from(state.threads.iter().any(|thread| thread.group == index));
        }
        starts
    }

    /// Calls that the root task made of this kind.
    pub fn count(&self, number: Number) -> usize {
        let state = self.state();
        let of_root = state.trace.iter().filter(|call| call.0 == 0);
        of_root.filter(|call| call.1 == number).count()
    }
}
