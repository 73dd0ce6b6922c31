//! This file takes things from the kernel, one at a time, and says what they mean.
//!
//! The kernel puts each where the program's next life finds it, or it is looked at and left there
//! until the core has taken it in. So a fault at any instruction loses nothing, and the core is
//! told nothing twice.

use crate::carried::upgrades;
use crate::child::{Way, decode, way};
use crate::escalation::VAIN_MAX;
use crate::linux::Linux;
use crate::ready::Awaited;
use crate::region::{self, BYTES_WORDS, EXIT_WORDS, Region, SPLIT, at};
use crate::sys::pool::Pool;
use crate::sys::{futex, shared, signals, wait};
use crate::uses::uses;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use init_core::checkpoint::words::{load, store};
use init_core::event::{Errno, Event, ExitStatus, MachineRequest, machine_request};
use init_core::hal::Wake;
use init_core::ident::{Child, Role, UnitId};
use init_core::unit::Signal;
use rustix::fd::AsFd;

/// Exits taken from the kernel in one turn: a burst of ten thousand orphans must not keep a control
/// client waiting for more than a moment (an exit costs about 5 us).
pub const REAP_PER_TURN_MAX: usize = 18;

/// Lives that may end of the same thing before it is put aside.
pub(crate) const DEATHS_MAX: u32 = 2;

/// Lives in a row that may end before anything was dealt with: two things that kill by turns, each
/// of which would never be the same as the last. Fewer than lead to a new start of the machine.
const VAIN_DEATHS_MAX: u32 = 6;

const _: () = assert!(VAIN_DEATHS_MAX < VAIN_MAX);

/// Cores in a row that somebody may kill over their work before that is put aside: by then each
/// is waited with for as long as any is.
pub(crate) const KILLED_MAX: u32 = VAIN_MAX * 2;

/// What was handed out to the core, as one word of the region: the kind, and above it a number.
/// 0: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// The exit in [`at::EXIT`].
    Exit,
    /// The signal in [`at::BYTES`].
    Signal,
    /// A unit's readiness; what it wrote may be in [`at::BYTES`].
    Ready(UnitId),
    /// A client's frame, which is still in its socket.
    Frame(u8),
}

impl Handed {
    fn word(self) -> u32 {
        match self {
            Self::Exit => 1,
            Self::Signal => 2,
            Self::Ready(unit) => 3 | u32::from(unit.0) << 8,
            Self::Frame(slot) => 4 | u32::from(slot) << 8,
        }
    }

    /// The word of the same where units have other numbers; of one that is gone, nothing.
    #[cfg(feature = "freestanding")]
    pub(crate) fn renamed(word: u32, rename: impl Fn(UnitId) -> Option<UnitId>) -> u32 {
        match Self::of(word) {
            Some(Self::Ready(unit)) => rename(unit).map_or(0, |unit| Self::Ready(unit).word()),
            Some(Self::Exit | Self::Signal | Self::Frame(_)) | None => word,
        }
    }

    pub(crate) fn of(word: u32) -> Option<Self> {
        let [kind, slot, high, _] = word.to_le_bytes();
        match kind {
            1 => Some(Self::Exit),
            2 => Some(Self::Signal),
            3 => Some(Self::Ready(UnitId(u16::from_le_bytes([slot, high])))),
            4 => Some(Self::Frame(slot)),
            _ => None,
        }
    }
}

/// What a death is blamed on: what was handed out, with whose exit or which signal it is. 0:
/// nothing was.
pub(crate) fn suspect(region: &Region) -> u32 {
    let handed = Handed::of(region.get(at::HANDED));
    let which = match handed {
        Some(Handed::Exit) => wait::taken(region.part(at::EXIT, EXIT_WORDS)).map(|(pid, _)| pid),
        Some(Handed::Signal) => Some(region.get(at::BYTES)),
        Some(Handed::Ready(_) | Handed::Frame(_)) | None => None,
    };
    handed.map_or(0, |handed| handed.word() | which.unwrap_or(0) << 8)
}

/// The signal that was taken from the kernel.
pub(crate) fn signal_taken(region: &Region) -> u8 {
    u8::try_from(region.get(at::BYTES)).unwrap_or(0)
}

/// Whether this life, or this core, was given what is handed out. What a life before it was given
/// is still noted when it begins.
static IN_HANDS: AtomicBool = AtomicBool::new(false);

/// A life or a core ends by itself. Other deaths, and what is dealt with between them, change
/// nothing of what it may have died of.
pub(crate) fn blame(region: &Region) {
    let suspect = suspect(region);
    if suspect == 0 || !IN_HANDS.load(Ordering::Relaxed) {
        return;
    }
    let count = match region.get(at::BLAMED) == suspect {
        true => region.get(at::BLAMES).saturating_add(1),
        false => 1,
    };
    region.set(at::BLAMES, count);
    region.set(at::BLAMED, suspect);
}

/// What is known of what was taken.
#[derive(Debug)]
pub(crate) struct Intake {
    region: Region,
    /// A child may be there to be reaped.
    pub(crate) reap: bool,
    /// Exits since the descriptors were looked at.
    pub(crate) reaped_count: usize,
    /// Tell when no child is left.
    tell_no_child: bool,
    /// Whose exit is handed out.
    pub(crate) leaving: Option<Child>,
    /// Nothing was handed out in this life.
    is_new: bool,
    /// The core has no state: whatever it counts, it has taken nothing in.
    pub(crate) is_forsaken: bool,
    /// How many events the core has taken in.
    taken_in: u32,
    /// Cores in a row that somebody killed while they had something to do, none of which has dealt
    /// with anything.
    pub(crate) killed: Cell<u32>,
}

impl Intake {
    pub(crate) fn new(region: Region) -> Self {
        Self {
            region,
            // What a predecessor or an initramfs left may already have ended.
            reap: true,
            reaped_count: 0,
            tell_no_child: region.get(at::ALONE) != 0,
            leaving: None,
            is_new: true,
            is_forsaken: false,
            taken_in: 0,
            killed: Cell::new(0),
        }
    }

    /// Hands something out, which is settled when the core has taken it in.
    pub(crate) fn hand_out(&self, what: Handed) {
        self.region.set(at::STAMP, self.taken_in);
        self.region.set(at::HANDED, what.word());
        IN_HANDS.store(true, Ordering::Relaxed);
    }

    /// What was handed out and is not settled.
    pub(crate) fn handed(&self) -> Option<Handed> {
        Handed::of(self.region.get(at::HANDED))
    }

    /// What was handed out, the suspect, has been dealt with: this life is not in vain.
    pub(crate) fn settled(&self, suspect: u32) {
        self.region.set(at::VAIN, 0);
        if SPLIT {
            self.killed.set(0);
        }
        if self.region.get(at::BLAMED) == suspect {
            self.region.set(at::BLAMED, 0);
        }
        self.region.set(at::HANDED, 0);
    }

    /// A core begins that is not the one that was told the last: what that one had not taken in is
    /// handed out again.
    pub(crate) fn begin_again(&mut self) {
        IN_HANDS.store(false, Ordering::Relaxed);
        self.is_new = true;
        self.reap = true;
        self.tell_no_child = self.region.get(at::ALONE) != 0;
    }

    /// One core after the other was killed, and who by is not known.
    pub(crate) fn is_killed_for_ever(&self) -> bool {
        SPLIT && self.killed.get() >= KILLED_MAX
    }

    /// From now on, tells when no child is left.
    pub(crate) fn tell_when_alone(&mut self) {
        self.region.set(at::ALONE, 1);
        self.tell_no_child = true;
        self.reap = true;
    }
}

impl Linux {
    /// The core has dealt with what was handed out: it need not be kept any longer. If an heir's
    /// core has not, because that was lost with the life before, it is handed out again.
    pub(crate) fn settle(&mut self, taken_in: u32) {
        // Generations begin anew with a core without a state: what is said of a process that is
        // gone would be taken for the next one's.
        let of_a_process = matches!(self.intake.handed(), Some(Handed::Exit | Handed::Ready(_)));
        let is_forsaken = region::HEALS && self.intake.is_forsaken && !of_a_process;
        let is_lost = self.region.get(at::STAMP) == taken_in || is_forsaken;
        let mut was_lost = self.intake.is_new && is_lost;
        self.intake.is_new = false;
        self.intake.is_forsaken = false;
        self.intake.taken_in = taken_in;
        let Some(handed) = self.intake.handed() else {
            return;
        };
        let suspect = suspect(&self.region);
        let is_blamed = self.region.get(at::BLAMED) == suspect;
        let is_guilty = is_blamed && self.region.get(at::BLAMES) >= DEATHS_MAX;
        let is_in_vain = || self.region.get(at::VAIN) >= VAIN_DEATHS_MAX;
        let is_hopeless = || is_guilty || is_in_vain() || self.intake.is_killed_for_ever();
        if region::HEALS && was_lost && is_hopeless() {
            was_lost = self.put_aside(handed);
        }
        match handed {
            Handed::Frame(slot) if was_lost => {
                self.listen_again(slot);
                return self.region.set(at::HANDED, 0);
            }
            Handed::Ready(unit) if was_lost => {
                self.ready.tell_again(unit);
                return self.region.set(at::HANDED, 0);
            }
            _ if was_lost => return self.region.set(at::HANDED, 0),
            Handed::Exit => self.forget_exit(),
            Handed::Signal => self.region.set(at::SOURCE, 0),
            Handed::Ready(unit) => {
                self.close_ready(unit);
                self.region.set(at::SOURCE, 0);
            }
            Handed::Frame(slot) => self.consume_frame(slot),
        }
        self.intake.settled(suspect);
    }

    /// Takes one signal.
    pub(crate) fn read_signal(&mut self) -> Option<Wake> {
        let region = self.region;
        let record = region.part(at::BYTES, signals::RECORD_BYTES / 4);
        region.set(at::BYTES, 0);
        region.set(at::SOURCE, Handed::Signal.word());
        let _ = shared::read_into(self.waiting.signals.as_fd(), record);
        // Whatever it was: no flood of others keeps an exit from being seen.
        self.intake.reap = true;
        self.bytes_wake()
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
        while self.intake.reap && self.intake.reaped_count < REAP_PER_TURN_MAX {
            match wait::take(self.region.part(at::EXIT, EXIT_WORDS)) {
                Ok(true) => {
                    self.intake.reaped_count = self.intake.reaped_count.saturating_add(1);
                    let wake = self.exit_wake();
                    if wake.is_some() {
                        return wake;
                    }
                }
                Ok(false) => self.intake.reap = false,
                Err(INTERRUPTED) => {}
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
        let event = match child {
            None => match upgrades() {
                Some(code) if self.region.get(at::TRIAL) == pid => {
                    Event::TrialEnded((code.trial_result)(self, status))
                }
                Some(_) | None => {
                    wait::forget(self.region.part(at::EXIT, EXIT_WORDS));
                    crate::heal::made_progress();
                    return None;
                }
            },
            Some(child) => {
                let word = load(self.word(child));
                let status = match decode(word) {
                    Some((step, error)) => ExitStatus::NotExecuted { step, error },
                    None => status,
                };
                self.after_exit(child);
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
    fn forget_exit(&mut self) {
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
fn has_newline(region: &Region) -> bool {
    let words = region.part(at::BYTES, BYTES_WORDS).iter();
    let mut words = words.map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
    // Not by `contains`, which searches long texts with a kilobyte of code.
    words.any(|bytes| bytes.iter().copied().any(|byte| byte == b'\n'))
}
