//! This file decides when cores end: where the script says, and never so often in a row that the
//! keeper is right to do otherwise than to tell the next the same.

use init_core::checkpoint::words::BURNT;
use init_core_sim::script::Death;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

/// No end in sight.
const FOR_EVER: u32 = u32::MAX - 1;

/// Cores that may end while they have the same thing: of one more, it would be put aside.
const ENDS_OF_ONE_MAX: u32 = 3;

/// Cores in a row that may come to nothing: of some more, the machine starts again.
const ENDS_IN_VAIN_MAX: u32 = 6;

/// Calls of anybody's for each crossing of the core's: where the kernel ends it.
const KERNEL_CALLS: u32 = 5;

/// The ends of the lives to come.
pub struct Deaths {
    /// Writes that the core has left.
    pub fuse: &'static AtomicU32,
    /// Crossings that it has left.
    crossings: u32,
    /// Calls of anybody's until the kernel ends it.
    kernel_calls: u32,
    to_come: VecDeque<Death>,
    is_lit: bool,
    ends_of_one: u32,
    ends_in_vain: u32,
}

impl Deaths {
    pub fn new() -> Self {
        Self {
            fuse: Box::leak(Box::new(AtomicU32::new(FOR_EVER))),
            crossings: FOR_EVER,
            kernel_calls: FOR_EVER,
            to_come: VecDeque::new(),
            is_lit: false,
            ends_of_one: 0,
            ends_in_vain: 0,
        }
    }

    /// The core ends there, and those after it as the script says.
    pub fn add(&mut self, deaths: &[Death]) {
        self.to_come.extend(deaths);
        if !self.is_lit && !self.is_burnt() {
            self.light();
        }
    }

    /// No more ends.
    pub fn spare(&mut self) {
        self.to_come.clear();
        if !self.is_burnt() {
            self.light();
        }
    }

    fn light(&mut self) {
        let (mut writes, mut crossings, mut kernel_calls) = (FOR_EVER, FOR_EVER, FOR_EVER);
        let may = self.ends_of_one < ENDS_OF_ONE_MAX && self.ends_in_vain < ENDS_IN_VAIN_MAX;
        let next = if may { self.to_come.pop_front() } else { None };
        self.is_lit = next.is_some();
        match next {
            None => {}
            Some(Death::Write(count)) => writes = count,
            Some(Death::Call(count)) if count % 2 == 0 => crossings = count,
            Some(Death::Call(count)) => kernel_calls = count * KERNEL_CALLS,
        }
        self.fuse.store(writes, Ordering::Relaxed);
        (self.crossings, self.kernel_calls) = (crossings, kernel_calls);
    }

    fn is_burnt(&self) -> bool {
        self.fuse.load(Ordering::Relaxed) == BURNT
    }

    /// The core crosses over to the HAL or back; whether it ends there.
    pub fn cross(&mut self) -> bool {
        if self.crossings != FOR_EVER {
            self.crossings = self.crossings.saturating_sub(1);
        }
        self.crossings == 0
    }

    /// Somebody calls the kernel; whether that ends the core.
    pub fn is_struck(&mut self) -> bool {
        if self.kernel_calls == FOR_EVER {
            return false;
        }
        self.kernel_calls = self.kernel_calls.saturating_sub(1);
        self.kernel_calls == 0
    }

    /// By which code it shows that it ends: by one of its own once for each thing.
    pub fn code(&self) -> u8 {
        if self.ends_of_one == 0 { 3 } else { 0 }
    }

    /// And where the kernel ends it: by a fault, once for each thing.
    pub fn code_of_kernel(&self) -> i32 {
        if self.ends_of_one == 0 { -1 } else { 0 }
    }

    /// The core has ended.
    pub fn ended(&mut self) {
        self.ends_of_one += 1;
        self.ends_in_vain += 1;
        // Nobody strikes until another lives.
        (self.crossings, self.kernel_calls) = (FOR_EVER, FOR_EVER);
    }

    /// A core cannot be made, unless too many in a row have come to nothing.
    pub fn may_come_to_nothing(&mut self) -> bool {
        let may = self.ends_in_vain < ENDS_IN_VAIN_MAX;
        self.ends_in_vain += u32::from(may);
        may
    }

    /// Another core begins.
    pub fn begin(&mut self) {
        self.light();
    }

    /// The core has dealt with something.
    pub fn got_on(&mut self) {
        (self.ends_of_one, self.ends_in_vain) = (0, 0);
        if !self.is_lit && !self.is_burnt() {
            self.light();
        }
    }
}
