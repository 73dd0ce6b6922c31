//! This file is where process 1 sleeps, and what wakes it. It sleeps elsewhere, a millisecond at
//! most, before a start for which there is no place (`sys/pool.rs`), and until the program that was
//! started last is executed.
//!
//! One epoll descriptor watches the signals, the deadline's timer, the control socket and its
//! clients, the readiness descriptors of units that are starting, and the console while it owes us
//! room. One thing is taken from the kernel at a time, and the kernel puts it where the program's
//! next life finds it, or it is looked at and left there until the core has taken it in. So a fault
//! at any instruction loses nothing and tells nothing twice.

use crate::linux::Linux;
use crate::region::{SPLIT, at};
use crate::sys::fault::{self, Sent};
use crate::sys::fd::{self, Fd};
use crate::sys::process;
use crate::sys::signals;
use init_core::event::Event;
use init_core::hal::{Clock, EventSource, Wake};
use init_core::ident::{ClientId, Generation, UnitId};
use init_core::limits::CLIENT_COUNT_MAX;
use init_core::packed::packed;
use init_core::report;
use init_core::ring::Ring;
use init_core::time::{Duration, Instant};
use rustix::event::epoll;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno as Os;
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

/// Between two lines about signals that were sent and mean nothing: they can be sent faster than a
/// console prints.
const TELL_PAUSE: Duration = Duration::from_secs(1);

/// Descriptors served in one turn.
const DESCRIPTORS_PER_TURN_MAX: usize = 8;

/// Connections that ended in one turn: each client's, and one that made room for another.
const GONE_COUNT_MAX: usize = 8;

const _: () = assert!(CLIENT_COUNT_MAX < GONE_COUNT_MAX);

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
    /// The core, where it is a process of its own.
    Core,
}

/// What stands for no source.
const NOTHING: u64 = 0xff;
const READY_BASE: u64 = 0x1_0000_0000;
const CLIENT_BASE: u64 = 0x100;

impl Source {
    fn token(self) -> u64 {
        match self {
            Self::Signals => 0,
            Self::Timer => 1,
            Self::Console => 2,
            Self::Listener => 3,
            Self::Core => 4,
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
            4 if SPLIT => Some(Self::Core),
            _ => None,
        }
    }
}

fn watch(epoll: &Fd, fd: BorrowedFd<'_>, source: Source) -> Result<(), Os> {
    let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
    epoll::add(epoll, fd, epoll::EventData::new_u64(source.token()), flags)
}

/// What process 1 waits with.
#[derive(Debug)]
pub(crate) struct Waiting {
    epoll: Fd,
    pub(crate) signals: Fd,
    timer: Fd,
    armed: Option<Instant>,
    /// What epoll told and nobody has looked at yet, last first. Level-triggered, or watched anew
    /// by an heir: it would be told again.
    told: [u64; DESCRIPTORS_PER_TURN_MAX],
    told_count: usize,
    /// Clients that are gone, of which the core has not heard.
    gone: Ring<ClientId, GONE_COUNT_MAX>,
    /// The console's room is waited for.
    console_watched: bool,
    /// The core told something, or is gone.
    pub(crate) core_told: bool,
    /// When the next line about an ignored signal may be said.
    tell_from: Instant,
    /// Signals ignored since the last such line.
    untold_count: u32,
}

impl Waiting {
    /// Takes the signals over and prepares to wait. Where that cannot be, the program ends.
    pub(crate) fn new() -> Self {
        let signals = process::or_end(signals::take_over());
        let timer = process::or_end(fd::timer());
        let epoll = process::or_end(fd::epoll());
        process::or_end(watch(&epoll, signals.as_fd(), Source::Signals));
        process::or_end(watch(&epoll, timer.as_fd(), Source::Timer));
        Self {
            epoll,
            signals,
            timer,
            armed: None,
            told: [0; DESCRIPTORS_PER_TURN_MAX],
            told_count: 0,
            gone: Ring::new(),
            console_watched: false,
            core_told: false,
            tell_from: Instant::ZERO,
            untold_count: 0,
        }
    }

    /// What this is about may have something: it is looked at next.
    pub(crate) fn look_at(&mut self, source: Source) {
        if let Some(place) = self.told.get_mut(self.told_count) {
            *place = source.token();
            self.told_count = self.told_count.wrapping_add(1);
        }
    }

    /// What was told of this is not looked at any more: it would be taken for the next one's in the
    /// same place.
    pub(crate) fn untell(&mut self, source: Source) {
        for token in &mut self.told {
            if *token == source.token() {
                *token = NOTHING;
            }
        }
    }

    /// The core is to hear that a client is gone.
    pub(crate) fn tell_gone(&mut self, client: ClientId) {
        // Room for all that a turn can leave, and empty before each.
        let _ = self.gone.push(client);
    }

    /// Wakes process 1 when the descriptor can be read or is closed at the other end.
    pub(crate) fn watch(&self, fd: BorrowedFd<'_>, source: Source) -> Result<(), Os> {
        watch(&self.epoll, fd, source)
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

    /// Whether room on the console is waited for: then it must not be exchanged.
    pub(crate) fn watches_console(&self) -> bool {
        self.console_watched
    }

    /// Arms the timer for a deadline, or disarms it.
    pub(crate) fn arm(&mut self, until: Option<Instant>) {
        if self.armed == until {
            return;
        }
        // An all-zero time disarms; a deadline at the beginning of time is over anyway.
        let at = until.map_or(0, |instant| instant.as_us().max(1));
        let at = Duration::from_us(at);
        let new = Itimerspec {
            it_interval: NO_TIME,
            it_value: timespec(at),
        };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &new).is_ok() {
            self.armed = until;
        }
    }

    #[inline(never)]
    fn timer_fired(&mut self) {
        if self.armed == Some(Instant::ZERO) {
            // A turn goes on in the next one, which may go on as well: it stays as it is until
            // somebody wants another time.
            return;
        }
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.timer, &mut count);
        self.armed = None;
    }
}

pub(crate) fn timespec(span: Duration) -> Timespec {
    let (seconds, us) = span.parts();
    // The type of nanoseconds differs between machines.
    Timespec {
        tv_sec: seconds.into(),
        tv_nsec: us.wrapping_mul(1_000).into(),
    }
}

impl EventSource for Linux {
    fn wait(&mut self, until: Option<Instant>, taken_in: u32) -> Wake {
        self.settle(taken_in);
        if crate::region::HEALS && self.region.get(at::OUTCOME) != 0 {
            // The core has dealt with that.
            self.region.set(at::OUTCOME, 0);
        }
        loop {
            if let Some(wake) = self.next_wake() {
                crate::heal::made_progress();
                return wake;
            }
            // Exits that are left in the kernel wait until the others have had a look.
            self.sleep(until, self.intake.reap);
        }
    }
}

impl Linux {
    /// What is there without a look at the descriptors, and then what they told.
    pub(crate) fn next_wake(&mut self) -> Option<Wake> {
        if let Some(client) = self.waiting.gone.pop() {
            return Some(Wake::Event(Event::ClientGone(client)));
        }
        // What was read by the life before comes first: an exit looks for more, in the same place.
        if let Some(wake) = self.bytes_wake() {
            return Some(wake);
        }
        if let Some(wake) = self.exit_wake() {
            return Some(wake);
        }
        let told = self.next_told();
        if told.is_some() {
            return told;
        }
        let executed = self.executed();
        if executed.is_some() {
            executed
        } else {
            self.reap()
        }
    }

    /// What the descriptors told.
    pub(crate) fn next_told(&mut self) -> Option<Wake> {
        while let Some(count) = self.waiting.told_count.checked_sub(1) {
            self.waiting.told_count = count;
            let token = self.waiting.told.get(count).copied().unwrap_or(0);
            let wake = self.told_wake(Source::of(token));
            if wake.is_some() {
                return wake;
            }
        }
        None
    }

    /// Looks after a descriptor that has something.
    fn told_wake(&mut self, source: Option<Source>) -> Option<Wake> {
        match source {
            Some(Source::Signals) => return self.read_signal(),
            Some(Source::Timer) => {
                self.waiting.timer_fired();
                return Some(Wake::Event(Event::Tick));
            }
            Some(Source::Console) => self.console.drain(),
            Some(Source::Listener) => {
                self.accept();
                let gone = self.waiting.gone.pop()?;
                return Some(Wake::Event(Event::ClientGone(gone)));
            }
            Some(Source::Client(slot)) => return self.client_ready(slot),
            Some(Source::Core) => self.waiting.core_told = true,
            Some(Source::Ready(unit, generation)) if self.ready.is_of(unit, generation) => {
                return self.read_readiness(unit);
            }
            // It is closed, and a child's copy still told something.
            Some(Source::Ready(..)) | None => {}
        }
        None
    }

    /// Sleeps until something happens or the time has come, unless `at_once`, and notes what has.
    pub(crate) fn sleep(&mut self, until: Option<Instant>, at_once: bool) {
        let until = Instant::earlier(until, self.resume_accepting());
        self.waiting.arm(until);
        if let Some(pool) = &mut self.pool {
            pool.rest();
        }
        self.console.drain();
        self.watch_console();
        let zero = epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        };
        let mut events = [zero; DESCRIPTORS_PER_TURN_MAX];
        // A fault that is sent between here and the call is told at the next wake-up.
        let at_once = at_once || fault::was_sent();
        let mut pause_ms = None;
        // A turn that goes on in the next one has more to do.
        if !at_once
            && until != Some(Instant::ZERO)
            && let Some((child, pause)) = self.ready.on_the_way()
        {
            if pause == 0 {
                self.await_execution(child);
            }
            pause_ms = Some(pause);
        }
        let limit_ms = if at_once { Some(0) } else { pause_ms };
        let count = fd::epoll_wait(&self.waiting.epoll, &mut events, limit_ms);
        if pause_ms.is_some() && count == 0 {
            self.ready.lengthen_pause();
        }
        self.now.set(None);
        self.intake.reaped_count = 0;
        if let Some(sent) = fault::take_sent() {
            self.tell_ignored(sent);
        }
        // The last is looked at first.
        let told = events.iter().take(count).rev();
        for (place, event) in self.waiting.told.iter_mut().zip(told) {
            let data = event.data;
            *place = data.u64();
        }
        self.waiting.told_count = count;
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
            line.say(packed!("ignored ")).signal(sent.number);
            match sent.pid {
                0 => line.say(packed!(", sent from outside")),
                pid => line.say(packed!(", sent by process ")).number(pid),
            };
            line.say(packed!(" as user ")).number(sent.uid);
            if untold > 0 {
                line.say(packed!(", and "))
                    .number(untold)
                    .say(packed!(" signals before"));
            }
        });
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
