//! This file takes things from the kernel, one at a time, and says what they mean.
//!
//! The kernel puts each where the program's next life finds it, or it is looked at and left there
//! until the core has taken it in. So a fault at any instruction loses nothing, and the core is
//! told nothing twice.

use crate::carried::upgrades;
use crate::child::{Way, decode, way};
use crate::handed::{Handed, ended_child, signal_taken};
use crate::linux::Linux;
use crate::ready::Awaited;
use crate::region::{self, BYTES_WORDS, EXIT_WORDS, Head, Region, at};
use crate::storm;
use crate::sys::pool::Pool;
use crate::sys::{futex, shared, signals, wait};
use crate::uses::uses;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::checkpoint::words::{load, store};
use init_core::event::{Errno, Event, ExitStatus, MachineRequest, machine_request};
use init_core::hal::Wake;
use init_core::ident::{Child, Role, UnitId};
use init_core::unit::Signal;
use rustix::fd::AsFd;

/// Exits taken from the kernel in one turn: a burst of ten thousand orphans must not keep a control
/// client waiting for more than a moment (an exit costs about 5 us).
pub const REAP_PER_TURN_MAX: usize = 18;

impl Linux {
    /// Takes one signal.
    pub(crate) fn read_signal(&mut self) -> Option<Wake> {
        let region = self.region;
        let record = region.part(at::BYTES, signals::RECORD_BYTES / 4);
        region.set(at::BYTES, 0);
        region.set(at::SOURCE, Handed::Signal.word());
        let _ = shared::read_into(self.waiting.signals.as_fd(), record);
        // Whatever it was: no flood of others keeps an exit from being seen.
        self.intake.reap = true;
        if self.intake.storm.is_on() {
            self.intake.named = ended_child(&region);
        }
        // Children send one when they have found a device.
        let found = self.take_devices();
        self.bytes_wake().or(found)
    }

    /// Takes the devices that children have sent. Whoever waits must not go on to wait as if
    /// nothing had come: a watchdog wants to be fed.
    ///
    /// It stands here since it is asked at each exit, and what answers it is needed seldom.
    #[inline]
    pub(crate) fn take_devices(&mut self) -> Option<Wake> {
        match self.way.is_some() && self.heritage.is_none() {
            true => self.empty_way(),
            false => None,
        }
    }

    /// What was read from a descriptor means.
    pub(crate) fn bytes_wake(&mut self) -> Option<Wake> {
        let region = self.region;
        let source = Handed::of(region.get(at::SOURCE))?;
        let event = match source {
            Handed::Signal => match self.request_of(signal_taken(&region)) {
                MachineRequest::Ignore => None,
                request => Some(Event::Machine(request)),
            },
            Handed::Ready(unit) if uses().newlines && has_newline(&region) => {
                let child = self.ready.get(unit).map(|(child, _)| child);
                child.map(Event::Ready)
            }
            Handed::Ready(_) | Handed::Exit | Handed::Frame(_) => None,
        };
        match event {
            Some(_) => self.intake.hand_out(source),
            None => region.set(at::SOURCE, 0),
        }
        event.map(Wake::Event)
    }

    /// What a signal asks for. Child processes that ended are seen to without one.
    pub(crate) fn request_of(&self, number: u8) -> MachineRequest {
        match machine_request(Signal(number)) {
            // Container managers send SIGTERM to say: end.
            MachineRequest::Reboot if self.in_container && number == Signal::TERM.0 => {
                MachineRequest::PowerOff
            }
            request => request,
        }
    }

    /// Takes the exit of a child, if its turn has come.
    #[inline(never)]
    pub(crate) fn reap(&mut self) -> Option<Wake> {
        let most = match self.intake.storm.is_on() {
            true => storm::PER_TURN_MAX,
            false => REAP_PER_TURN_MAX,
        };
        while self.intake.reap && self.intake.reaped_count < most {
            let named = core::mem::take(&mut self.intake.named);
            if named != 0 {
                self.intake.reap = false;
                self.intake.storm.put_off();
            }
            match wait::take(self.region.part(at::EXIT, EXIT_WORDS), named) {
                Ok(true) => {
                    self.intake.reaped_count = self.intake.reaped_count.wrapping_add(1);
                    let wake = self.exit_wake();
                    if wake.is_some() {
                        return wake;
                    }
                }
                Ok(false) => self.intake.reap = false,
                Err(INTERRUPTED) => {}
                // Another look has taken it.
                Err(_) if named != 0 => {}
                Err(_) => {
                    self.intake.reap = false;
                    if core::mem::take(&mut self.intake.tell_no_child) {
                        return Some(Wake::Event(Event::NoChildLeft));
                    }
                }
            }
        }
        None
    }

    /// What the exit that was taken means: nothing if it was nobody's, which is all there is to it.
    pub(crate) fn exit_wake(&mut self) -> Option<Wake> {
        let (pid, status) = wait::taken(self.region.part(at::EXIT, EXIT_WORDS))?;
        if self.intake.leaving.is_none() {
            self.intake.leaving = self.children.take(pid);
        }
        let child = self.intake.leaving;
        if let Some(child) = child
            && child.role == Role::Main
            && self.ready.is_of(child.unit, child.generation)
        {
            // What it said before it ended comes before its end.
            if let Some(wake) = self.read_readiness(child.unit) {
                return Some(wake);
            }
            self.close_ready(child.unit);
        }
        if let Some(pool) = &mut self.pool {
            pool.ended(pid);
        }
        self.hear();
        let found = self.take_devices();
        self.intake.storm.ended(child.is_none());
        let event = match child {
            None => match upgrades() {
                Some(code) if self.region.get(at::TRIAL) == pid => {
                    Event::TrialEnded((code.trial_result)(self, status))
                }
                Some(_) | None => {
                    wait::forget(self.region.part(at::EXIT, EXIT_WORDS));
                    crate::heal::made_progress();
                    return found;
                }
            },
            Some(child) => {
                let word = load(self.word(child));
                let status = match decode(word) {
                    Some((step, error)) => ExitStatus::NotExecuted { step, error },
                    None => status,
                };
                Event::Exited { child, status }
            }
        };
        self.intake.hand_out(Handed::Exit);
        Some(Wake::Event(event))
    }

    /// Whether it is this process whose exit is handed out, though this life has not seen that: the
    /// core took it in when there was another keeper, and has not said so yet. Then it has no unit
    /// any more.
    pub(crate) fn has_left(&mut self, pid: u32) -> bool {
        let ended = match self.intake.handed() {
            Some(Handed::Exit) => wait::taken(self.region.part(at::EXIT, EXIT_WORDS)),
            Some(_) | None => None,
        };
        let has_left = ended.is_some_and(|(ended, _)| ended == pid);
        if has_left {
            self.intake.leaving = self.children.take(pid);
        }
        has_left
    }

    /// The exit that was taken is the core's.
    pub(crate) fn forget_exit(&mut self) {
        let words = self.region.part(at::EXIT, EXIT_WORDS);
        let Some((pid, _)) = wait::taken(words) else {
            return;
        };
        let leaving = self.intake.leaving.take();
        if let Some(child) = leaving.or_else(|| self.children.take(pid)) {
            let [entry, ..] = self.region.entry(child);
            // The unit may have its next process by now.
            if load(entry) == pid {
                store(entry, 0);
            }
        }
        // The number of a trial's process has no other use once its exit is dealt with.
        let trial = self.region.word(at::TRIAL);
        let _ = trial.compare_exchange(pid, 0, Ordering::Release, Ordering::Relaxed);
        wait::forget(words);
    }

    /// A starting unit wrote to its readiness descriptor, or its program was executed.
    pub(crate) fn read_readiness(&mut self, unit: UnitId) -> Option<Wake> {
        let (child, awaited) = self.ready.get(unit)?;
        let room = match awaited {
            Awaited::Newline(room) => room,
            Awaited::Execution if way(load(self.word(child))) == Way::Executed => {
                return Some(self.tell_executed(child));
            }
            Awaited::Execution | Awaited::Nothing => return None,
        };
        let fd = self.ready.pipe(unit)?;
        let words = self.region.part(at::BYTES, BYTES_WORDS);
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
        let source = Handed::Ready(unit).word();
        self.region.set(at::SOURCE, source);
        let count = match shared::read_into(fd, words) {
            Ok(count) => count,
            Err(NOTHING_YET | INTERRUPTED) => {
                self.region.set(at::SOURCE, 0);
                return None;
            }
            Err(_) => 0,
        };
        let wake = self.bytes_wake();
        let left = room.saturating_sub(u16::try_from(count).unwrap_or(u16::MAX));
        if wake.is_none() {
            // Whoever writes so much without a newline has had its chance: no endless wake-ups.
            match count == 0 || left == 0 {
                true => self.close_ready(unit),
                false => self.ready.set_room(unit, left),
            }
        }
        wake
    }

    /// A program that was executed, if its unit becomes ready by that.
    #[inline(never)]
    pub(crate) fn executed(&mut self) -> Option<Wake> {
        let (region, pool) = (self.region, &self.pool);
        let arrived = |child| way_of(&region, pool.as_ref(), child).0;
        let child = self.ready.take_arrived(arrived)?;
        Some(self.tell_executed(child))
    }

    /// Sleeps until a program is executed, a millisecond at most: nothing that is watched tells it.
    pub(crate) fn await_execution(&self, child: Child) {
        if let (Way::Open, word, value) = way_of(&self.region, self.pool.as_ref(), child) {
            futex::wait(word, value);
        }
    }

    fn tell_executed(&mut self, child: Child) -> Wake {
        self.intake.hand_out(Handed::Ready(child.unit));
        Wake::Event(Event::Ready(child))
    }

    pub(crate) fn close_ready(&mut self, unit: UnitId) {
        if let Some(fd) = self.ready.pipe(unit) {
            self.waiting.forget(fd);
        }
        region::note(self.region.ready(unit), None);
        self.ready.close(unit);
    }
}

/// How far a child has come with its program, and the word, with its value, that the kernel changes
/// next.
fn way_of(region: &Region, pool: Option<&Pool>, child: Child) -> (Way, &'static AtomicU32, u32) {
    let [number, _, word] = region.entry(child);
    let (pid, value) = (load(number), load(word));
    match pool.and_then(|pool| pool.word_of(pid)) {
        Some(word) => (Way::Open, word, pid),
        None => (way(value), word, value),
    }
}

/// EAGAIN and EINTR.
const NOTHING_YET: Errno = Errno(11);
const INTERRUPTED: Errno = Errno(4);

/// Whether a service wrote its newline.
fn has_newline(region: &Head) -> bool {
    let words = region.part(at::BYTES, BYTES_WORDS).iter();
    let mut words = words.map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
    // Not by `contains`, which searches long texts with a kilobyte of code.
    words.any(|bytes| bytes.iter().copied().any(|byte| byte == b'\n'))
}
