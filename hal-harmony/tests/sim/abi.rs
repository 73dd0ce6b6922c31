//! This file is where the simulated kernel is called, and where it touches the memory of the test
//! that is its root task. All that is unsafe in it is here.

use super::Sim;
use super::machine::{Code, Doing, State, Turn};
use super::memory::size;
use hal_harmony::abi::Kernel;
use hal_harmony::abi::number::Number;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;
use std::time::Duration;

/// What threads of the host unwind with when they are no more.
const OVER: [&str; 2] = ["the test is over", "the process is over"];

thread_local! {
    /// Which of the root task's threads this is.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// A thread of the root task: what it is given arrives in its first register.
type Entry = extern "C-unwind" fn(u64);

impl Sim {
    /// Makes a call; returns when the kernel would.
    fn trap(&self, number: Number, words: [u64; 6]) -> i64 {
        let own = OWN.get();
        let mut state = self.state();
        state.call(own, number, words);
        state = leave_if_given_up(state, own);
        if let Some((thread, code, argument)) = state.newborn.take() {
            self.bear(thread, code, argument);
        }
        if number == Number::YIELD {
            state = self.give_way(state, own);
        }
        if state.threads[own].group != 0 {
            state = self.spend(state, own);
        }
        let mut turns = 0;
        while state.threads[own].doing != Doing::Runs {
            if state.threads[own].doing == Doing::Gone {
                self.go(state, own);
            }
            state = match state.turn(own, 0) {
                Turn::Ran => state,
                Turn::Baton(to) => self.hand(state, own, to),
                Turn::Nobody => {
                    assert!(state.pass_time(), "all sleep, for ever: {number:?}");
                    state
                }
            };
            turns += 1;
            assert!(turns < 10_000_000, "the root task starves in {number:?}");
        }
        i64::from_le_bytes(state.threads[own].x[0].to_le_bytes())
    }

    /// A service has made a call: its time passes, and whoever is more important runs first.
    fn spend<'a>(&'a self, mut state: MutexGuard<'a, State>, own: usize) -> MutexGuard<'a, State> {
        state.now_ns += CALL_NS;
        state.time_out();
        state.bury();
        while state.threads[own].doing == Doing::Runs && state.is_preempted(own) {
            let above = state.floor(own) + 1;
            state = match state.turn(own, above) {
                Turn::Ran => state,
                Turn::Baton(to) => self.hand(state, own, to),
                Turn::Nobody => return state,
            };
        }
        state.slices += 1;
        if !state.slices.is_multiple_of(SLICE_CALLS) || state.threads[own].doing != Doing::Runs {
            return state;
        }
        // Its time is over: others that are as important have their turn.
        let floor = state.floor(own);
        match state.turn(own, floor) {
            Turn::Ran | Turn::Nobody => state,
            Turn::Baton(to) => self.hand(state, own, to),
        }
    }

    /// A service's thread is no more: somebody else gets the baton, and it ends.
    fn go(&self, mut state: MutexGuard<'_, State>, own: usize) -> ! {
        loop {
            match state.turn(own, 0) {
                Turn::Ran => {}
                Turn::Baton(to) => {
                    state.pass_baton(to);
                    drop(state);
                    std::panic::resume_unwind(Box::new(OVER[1]));
                }
                Turn::Nobody => assert!(state.pass_time(), "all sleep, for ever"),
            }
        }
    }

    /// All that may run do, once each, the more important first.
    fn give_way<'a>(&'a self, state: MutexGuard<'a, State>, own: usize) -> MutexGuard<'a, State> {
        let mut state = state;
        let floor = state.floor(own);
        for _ in 0..state.threads.len() {
            state = match state.turn(own, floor) {
                Turn::Ran => state,
                Turn::Baton(to) => self.hand(state, own, to),
                Turn::Nobody => {
                    // What others do with their time is no affair of the machine's.
                    state.now_ns += NOBODY_NS;
                    break;
                }
            };
        }
        state
    }

    /// Lets another thread of the root task run until the baton comes back.
    fn hand<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        own: usize,
        to: usize,
    ) -> MutexGuard<'a, State> {
        state.pass_baton(to);
        self.wait_for_baton(state, own)
    }

    fn wait_for_baton<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        own: usize,
    ) -> MutexGuard<'a, State> {
        state.hosts.insert(own, std::thread::current());
        while state.baton != own {
            if state.is_over && own != 0 {
                drop(state);
                std::panic::resume_unwind(Box::new(OVER[0]));
            }
            if state.threads[own].doing == Doing::Gone {
                // Killed while it waited for its turn, which will not come.
                drop(state);
                std::panic::resume_unwind(Box::new(OVER[1]));
            }
            drop(state);
            // Woken by who passes the baton; looks by itself whether it is still wanted.
            std::thread::park_timeout(Duration::from_millis(100));
            state = self.state();
        }
        assert!(!state.is_failed || own != 0, "a service's program panicked");
        leave_if_given_up(state, own)
    }

    /// Starts another thread of the host; it runs when it is its turn.
    fn bear(&self, thread: usize, code: Code, argument: u64) {
        let sim = self.clone();
        std::thread::spawn(move || {
            OWN.set(thread);
            drop(sim.wait_for_baton(sim.state(), thread));
            match code {
                Code::At(pc) => {
                    let code = core::ptr::with_exposed_provenance::<()>(size(pc));
                    // SAFETY: the root task says that a function of this form begins there.
                    let entry: Entry = unsafe { core::mem::transmute::<*const (), Entry>(code) };
                    entry(argument);
                }
                Code::Native(native) => {
                    let run = AssertUnwindSafe(|| {
                        native(sim.clone(), argument);
                        // A program that returns has come to its end.
                        sim.trap(Number::EXIT_GROUP, [0; 6])
                    });
                    let Err(why) = catch_unwind(run) else { return };
                    if !why
                        .downcast_ref::<&str>()
                        .is_some_and(|why| OVER.contains(why))
                    {
                        // A test's own assertion, in the program: the test is to fail, not to hang.
                        let mut state = sim.state();
                        state.is_failed = true;
                        state.pass_baton(0);
                    }
                }
            }
        });
    }
}

/// The thread that began the machine leaves it, if it is to.
fn leave_if_given_up(state: MutexGuard<'_, State>, own: usize) -> MutexGuard<'_, State> {
    if state.is_given_up && own == 0 {
        drop(state);
        std::panic::resume_unwind(Box::new(OVER[0]));
    }
    state
}

/// What a service does between two calls takes.
const CALL_NS: u64 = 20_000;

/// Calls of services' programs until somebody else has a turn.
const SLICE_CALLS: u64 = 64;

/// What giving way takes when nobody is there who runs.
const NOBODY_NS: u64 = 100_000;

impl Kernel for Sim {
    unsafe fn call(&self, number: Number, arguments: [u64; 6]) -> u64 {
        // The kernel's handlers return an int: the upper half says nothing.
        let low = i32::try_from(self.trap(number, arguments)).expect("an int");
        u64::from(low.cast_unsigned()) | 0xdead_0000_0000_0000
    }

    fn counter(&self) -> u64 {
        let mut state = self.state();
        state.now_ns += 160;
        state.now_ns / 16
    }

    fn frequency(&self) -> u64 {
        62_500_000
    }
}

/// The root task's memory, where it has said that there is some.
pub fn read(at: u64, length: usize) -> Vec<u8> {
    let from = core::ptr::with_exposed_provenance::<u8>(size(at));
    let mut bytes = vec![0; length];
    // SAFETY: who calls the kernel vouches for its addresses, as `Kernel::call` asks.
    unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), length) };
    bytes
}

/// Writes there.
pub fn write(at: u64, bytes: &[u8]) {
    let to = core::ptr::with_exposed_provenance_mut::<u8>(size(at));
    // SAFETY: who calls the kernel vouches for its addresses, as `Kernel::call` asks.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
}
