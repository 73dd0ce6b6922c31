//! This file is where process 1 sleeps, and what wakes it.
//!
//! One epoll descriptor watches the signals, the deadline's timer, the control socket and its
//! clients, the readiness descriptors of units that are starting, and the console while it owes us
//! room. Each turn takes a bounded amount from each; the rest stays in the kernel.

use crate::errno;
use crate::linux::Linux;
use crate::ready::READY_BYTES_MAX;
use crate::sys::fault::{self, Sent};
use crate::sys::fd::{self, Fd};
use crate::sys::signals;
use core::sync::atomic::Ordering;
use init_core::event::{Event, ExitStatus, MachineRequest, machine_request};
use init_core::hal::{Clock, EventSource, Wake};
use init_core::ident::{Generation, Role, UnitId};
use init_core::limits::CLIENT_COUNT_MAX;
use init_core::report;
use init_core::ring::Ring;
use init_core::time::{Duration, Instant};
use init_core::unit::Signal;
use rustix::event::epoll;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno as Os;
use rustix::process::{WaitOptions, wait};
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

/// Exits taken from the kernel in one turn: a burst of ten thousand orphans must not keep a control
/// client waiting for more than a moment (an exit costs about 5 us).
pub const REAP_PER_TURN_MAX: usize = 18;

/// Signals read at once: each standard one, of which none is kept twice.
const SIGNALS_PER_TURN_MAX: usize = signals::STANDARD_COUNT;

/// Between two lines about signals that were sent and mean nothing: they can be sent faster than a
/// console prints.
const TELL_PAUSE: Duration = Duration::from_secs(1);

/// Descriptors served in one turn.
const DESCRIPTORS_PER_TURN_MAX: usize = 8;

/// Events that one turn can leave: an exit each, or a few for each descriptor.
const EVENT_COUNT_MAX: usize = 64;

/// A turn leaves at most: for each exit the readiness before it, the exit itself; the end of the
/// last child; what the signals ask; one event for each other descriptor; and for each client that
/// does not take its answer, its end.
const _: () = assert!(
    REAP_PER_TURN_MAX * 2 + 1 + SIGNALS_PER_TURN_MAX + DESCRIPTORS_PER_TURN_MAX + CLIENT_COUNT_MAX
        <= EVENT_COUNT_MAX
);

const NO_TIME: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// What an epoll entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Signals,
    Timer,
    Console,
    Listener,
    Client(u8),
    Ready(UnitId, Generation),
}

const READY_BASE: u64 = 0x1_0000_0000;
const CLIENT_BASE: u64 = 0x100;

impl Source {
    fn token(self) -> u64 {
        match self {
            Self::Signals => 0,
            Self::Timer => 1,
            Self::Console => 2,
            Self::Listener => 3,
            Self::Client(slot) => CLIENT_BASE | u64::from(slot),
            Self::Ready(unit, generation) => {
                READY_BASE | u64::from(generation.0) << 16 | u64::from(unit.0)
            }
        }
    }

    fn of(token: u64) -> Option<Self> {
        if token & READY_BASE != 0 {
            let unit = u16::try_from(token & 0xffff).ok()?;
            let generation = u16::try_from(token >> 16 & 0xffff).ok()?;
            return Some(Self::Ready(UnitId(unit), Generation(generation)));
        }
        if token & CLIENT_BASE != 0 {
            return u8::try_from(token & 0xff).ok().map(Self::Client);
        }
        match token {
            0 => Some(Self::Signals),
            1 => Some(Self::Timer),
            2 => Some(Self::Console),
            3 => Some(Self::Listener),
            _ => None,
        }
    }
}

/// What one turn leaves to be done. It is too large for the stack.
pub(crate) type Queue = Ring<Wake, EVENT_COUNT_MAX>;

/// What process 1 waits with.
#[derive(Debug)]
pub(crate) struct Waiting {
    epoll: Fd,
    signals: Fd,
    timer: Fd,
    armed: Option<Instant>,
    queue: &'static mut Queue,
    /// A child may be there to be reaped.
    reap: bool,
    /// Tell when no child is left.
    tell_no_child: bool,
    /// The console's room is waited for.
    console_watched: bool,
    /// When the next line about an ignored signal may be said.
    tell_from: Instant,
    /// Signals ignored since the last such line.
    untold_count: u32,
}

impl Waiting {
    /// Takes the signals over and prepares to wait.
    pub(crate) fn new(queue: &'static mut Queue) -> Result<Self, init_core::event::Errno> {
        let signals = signals::take_over()?;
        let timer = fd::timer()?;
        let epoll = fd::epoll()?;
        let waiting = Self {
            epoll,
            signals,
            timer,
            armed: None,
            queue,
            // What a predecessor or an initramfs left may already have ended.
            reap: true,
            tell_no_child: false,
            console_watched: false,
            tell_from: Instant::ZERO,
            untold_count: 0,
        };
        waiting
            .watch(waiting.signals.as_fd(), Source::Signals)
            .map_err(errno)?;
        waiting
            .watch(waiting.timer.as_fd(), Source::Timer)
            .map_err(errno)?;
        Ok(waiting)
    }

    /// Wakes process 1 when the descriptor can be read or is closed at the other end.
    pub(crate) fn watch(&self, fd: BorrowedFd<'_>, source: Source) -> Result<(), Os> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(source.token()),
            flags,
        )
    }

    /// Wakes process 1 once, when the other end is closed. Such a descriptor need not be forgotten:
    /// should a child's copy of it tell something after it is closed, then once, and the source
    /// says of which generation.
    pub(crate) fn watch_end(&self, fd: BorrowedFd<'_>, source: Source) -> Result<(), Os> {
        let data = epoll::EventData::new_u64(source.token());
        epoll::add(&self.epoll, fd, data, epoll::EventFlags::ONESHOT)
    }

    /// Whether a watched descriptor's input wakes; its end always does.
    pub(crate) fn listen_for_input(&self, fd: BorrowedFd<'_>, source: Source, input: bool) {
        let mut flags = epoll::EventFlags::RDHUP;
        flags.set(epoll::EventFlags::IN, input);
        // Fails only for a descriptor that was never watched.
        let data = epoll::EventData::new_u64(source.token());
        let _ = epoll::modify(&self.epoll, fd, data, flags);
    }

    /// Ends the watching, before the descriptor is closed: closing alone does not, as long as a
    /// child that has not executed its program yet holds a copy, and what the old connection still
    /// tells would be taken for the next one's in the same place.
    pub(crate) fn forget(&self, fd: BorrowedFd<'_>) {
        // Fails only for a descriptor that was never watched.
        let _ = epoll::delete(&self.epoll, fd);
    }

    pub(crate) fn push(&mut self, wake: Wake) {
        // The bound is above what one turn can leave, and the queue is empty before each turn.
        let _ = self.queue.push(wake);
    }

    /// Whether room on the console is waited for: then it must not be exchanged.
    pub(crate) fn watches_console(&self) -> bool {
        self.console_watched
    }

    /// From now on, tells when no child is left.
    pub(crate) fn tell_when_alone(&mut self) {
        self.tell_no_child = true;
        self.reap = true;
    }

    /// Arms the timer for a deadline, or disarms it.
    pub(crate) fn arm(&mut self, until: Option<Instant>) {
        if self.armed == until {
            return;
        }
        // An all-zero time disarms; a deadline at the beginning of time is over anyway.
        let at = until.map_or(0, |instant| instant.as_us().max(1));
        let new = Itimerspec {
            it_interval: NO_TIME,
            it_value: timespec(at),
        };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &new).is_ok() {
            self.armed = until;
        }
    }

    fn timer_fired(&mut self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.timer, &mut count);
        self.armed = None;
        self.push(Wake::Event(Event::Tick));
    }
}

fn timespec(us: u64) -> Timespec {
    let seconds = i64::try_from(us / 1_000_000).unwrap_or(i64::MAX);
    let nanos = u32::try_from(us % 1_000_000)
        .unwrap_or(0)
        .saturating_mul(1_000);
    // The type of nanoseconds differs between machines.
    Timespec {
        tv_sec: seconds,
        tv_nsec: nanos.into(),
    }
}

impl EventSource for Linux {
    fn wait(&mut self, until: Option<Instant>) -> Wake {
        loop {
            if let Some(wake) = self.waiting.queue.pop() {
                crate::heal::made_progress();
                return wake;
            }
            if self.waiting.reap {
                self.reap();
            }
            // Exits that are left in the kernel wait until the others have had a look.
            let at_once = self.waiting.reap || !self.waiting.queue.is_empty();
            self.sleep(until, at_once);
        }
    }
}

impl Linux {
    /// Sleeps until something happens or the time has come, unless `at_once`, and takes it in.
    pub(crate) fn sleep(&mut self, until: Option<Instant>, at_once: bool) {
        let until = until.into_iter().chain(self.resume_accepting()).min();
        self.waiting.arm(until);
        self.watch_console();
        let zero = epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        };
        let mut events = [zero; DESCRIPTORS_PER_TURN_MAX];
        // One that comes between here and the call is told at the next wake-up.
        let timeout = (at_once || fault::was_sent()).then_some(&NO_TIME);
        let count = epoll::wait(&self.waiting.epoll, &mut events, timeout).unwrap_or(0);
        self.now.set(None);
        if let Some(sent) = fault::take_sent() {
            self.tell_ignored(sent);
        }
        for event in events.iter().take(count) {
            let data = event.data;
            match Source::of(data.u64()) {
                Some(Source::Signals) => self.read_signals(),
                Some(Source::Timer) => self.waiting.timer_fired(),
                Some(Source::Console) => self.console.drain(),
                Some(Source::Listener) => self.accept(),
                Some(Source::Client(slot)) => self.client_ready(slot),
                Some(Source::Ready(unit, generation)) if self.ready.is_of(unit, generation) => {
                    self.read_readiness(unit);
                }
                // It is closed, and a child's copy still told something.
                Some(Source::Ready(..)) | None => {}
            }
        }
    }

    fn read_signals(&mut self) {
        let mut records = [0_u8; signals::RECORD_BYTES * SIGNALS_PER_TURN_MAX];
        let count = rustix::io::read(&self.waiting.signals, &mut records).unwrap_or(0);
        let records = records.get(..count).unwrap_or(&[]);
        for record in records.chunks_exact(signals::RECORD_BYTES) {
            let Some(number) = signals::number_of(record) else {
                continue;
            };
            if u32::from(number) == linux_raw_sys::general::SIGCHLD {
                self.waiting.reap = true;
                continue;
            }
            let request = match machine_request(Signal(number)) {
                // Container managers send SIGTERM to say: end.
                MachineRequest::Reboot if self.in_container && number == Signal::TERM.0 => {
                    MachineRequest::PowerOff
                }
                request => request,
            };
            self.waiting.push(Wake::Event(Event::Machine(request)));
        }
    }

    /// Somebody sent what only a fault of our own would mean: said, and nothing else.
    fn tell_ignored(&mut self, sent: Sent) {
        let now = self.now();
        let waiting = &mut self.waiting;
        let count = waiting.untold_count.saturating_add(sent.count);
        if now < waiting.tell_from {
            waiting.untold_count = count;
            return;
        }
        waiting.tell_from = now.after(TELL_PAUSE);
        waiting.untold_count = 0;
        let untold = count.saturating_sub(1);
        report::write_line(&mut self.console, now, &|line| {
            line.text("ignored ").signal(sent.number);
            match sent.pid {
                0 => line.text(", sent from outside"),
                pid => line.text(", sent by process ").number(pid),
            };
            line.text(" as user ").number(sent.uid);
            if untold > 0 {
                line.text(", and ").number(untold).text(" signals before");
            }
        });
    }

    /// Takes the exits of some children.
    fn reap(&mut self) {
        for _ in 0..REAP_PER_TURN_MAX {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let pid = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0);
                    self.exited(pid, status);
                }
                Ok(None) => {
                    self.waiting.reap = false;
                    return;
                }
                Err(Os::INTR) => {}
                Err(_) => {
                    self.waiting.reap = false;
                    if core::mem::take(&mut self.waiting.tell_no_child) {
                        self.waiting.push(Wake::Event(Event::NoChildLeft));
                    }
                    return;
                }
            }
        }
    }

    fn exited(&mut self, pid: u32, status: rustix::process::WaitStatus) {
        if let Some(pool) = &mut self.pool {
            pool.ended(pid);
        }
        let Some(child) = self.children.take(pid) else {
            return self.waiting.push(Wake::Event(Event::OrphanExited));
        };
        if child.role == Role::Main {
            // What it said before it ended comes before its end.
            self.read_readiness(child.unit);
            self.close_ready(child.unit);
        }
        let word = self
            .word(child)
            .map_or(0, |word| word.swap(0, Ordering::AcqRel));
        let status = match crate::child::decode(word) {
            Some((step, error)) => ExitStatus::NotExecuted { step, error },
            None => exit_status(status),
        };
        self.after_exit(child);
        self.waiting
            .push(Wake::Event(Event::Exited { child, status }));
    }

    /// A starting unit wrote to its readiness descriptor, or its program was executed.
    fn read_readiness(&mut self, unit: UnitId) {
        let Some((fd, child, room)) = self.ready.get(unit) else {
            return;
        };
        let mut bytes = [0; READY_BYTES_MAX];
        let count = match room.map(|_| rustix::io::read(fd, &mut bytes)) {
            Some(Ok(count)) => count,
            Some(Err(Os::AGAIN | Os::INTR)) => return,
            // Nobody writes to a pipe that its program's execution closes: it wakes at its end.
            Some(Err(_)) | None => 0,
        };
        let said = bytes.get(..count).unwrap_or(&[]);
        let failed = self
            .word(child)
            .is_some_and(|word| word.load(Ordering::Acquire) != 0);
        let left = room.map(|room| room.saturating_sub(count));
        let ready = match left {
            Some(_) => said.iter().copied().any(|byte| byte == b'\n'),
            None => count == 0 && !failed,
        };
        // Whoever writes so much without a newline has had its chance: no endless wake-ups.
        if ready || count == 0 || left == Some(0) {
            self.close_ready(unit);
        } else {
            self.ready.set_room(unit, left);
        }
        if ready {
            self.waiting.push(Wake::Event(Event::Ready(child)));
        }
    }

    fn close_ready(&mut self, unit: UnitId) {
        if let Some((fd, _, Some(_))) = self.ready.get(unit) {
            self.waiting.forget(fd);
        }
        self.ready.close(unit);
    }

    /// Asks to be woken when the console has room, while lines wait for it.
    fn watch_console(&mut self) {
        let waiting = self.console.is_waiting();
        if waiting == self.waiting.console_watched {
            return;
        }
        let Some(device) = self.console.device() else {
            return;
        };
        let data = epoll::EventData::new_u64(Source::Console.token());
        let done = if waiting {
            epoll::add(&self.waiting.epoll, device, data, epoll::EventFlags::OUT)
        } else {
            epoll::delete(&self.waiting.epoll, device)
        };
        if done.is_ok() {
            self.waiting.console_watched = waiting;
        }
    }
}

fn exit_status(status: rustix::process::WaitStatus) -> ExitStatus {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(byte(code)),
        (None, Some(number)) => {
            let core_dumped = status.as_raw() & 0x80 != 0;
            ExitStatus::Signal {
                number: byte(number),
                core_dumped,
            }
        }
        (None, None) => ExitStatus::Code(u8::MAX),
    }
}
