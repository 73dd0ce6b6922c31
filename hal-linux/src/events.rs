//! This file is where process 1 sleeps, and what wakes it. It sleeps elsewhere, a millisecond at
//! most, before a start for which there is no place (`sys/pool.rs`), and until the program that was
//! started last is executed.
//!
//! One epoll descriptor watches the signals, the deadline's timer, the control socket and its
//! clients, the readiness descriptors of units that are starting, and the console while it owes us
//! room. One thing is taken from the kernel at a time, and the kernel puts it where the program's
//! next life finds it, or it is looked at and left there until the core has taken it in. So a fault
//! at any instruction loses nothing and tells nothing twice.

use crate::heal::needed;
use crate::linux::Linux;
use crate::region::{SPLIT, at};
use crate::storm;
use crate::sys::fault;
use crate::sys::fd::{self, Fd, Told, Watch};
use crate::sys::signals;
use crate::sys::timer;
use init_core::event::{Errno, Event};
use init_core::hal::{Clock, EventSource, Wake};
use init_core::ident::{ClientId, Generation, UnitId};
use init_core::limits::CLIENT_COUNT_MAX;
use init_core::packed::packed;
use init_core::report;
use init_core::ring::Ring;
use init_core::time::{Duration, Instant};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::time::Timespec;

/// Before a pause as short as this nothing is written to the console: it would be written in
/// pieces, while programs are on their way that are soon to be told of.
const SHORT_PAUSE_MS: u16 = 4;

/// Between two lines about signals that were sent and mean nothing: they can be sent faster than a
/// console prints.
const TELL_PAUSE: Duration = Duration::from_secs(1);

/// Descriptors served in one turn.
const DESCRIPTORS_PER_TURN_MAX: usize = 8;

/// Connections that ended in one turn: each client's, and one that made room for another.
const GONE_COUNT_MAX: usize = 8;

const _: () = assert!(CLIENT_COUNT_MAX < GONE_COUNT_MAX);

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

impl Source {
    /// Its kind, and above it its number and generation.
    fn token(self) -> u64 {
        let numbered = |kind: u8, number: u16, generation: u16| {
            let [a, b] = number.to_le_bytes();
            let [c, d] = generation.to_le_bytes();
            u64::from_le_bytes([kind, 0, a, b, c, d, 0, 0])
        };
        match self {
            Self::Signals => 0,
            Self::Timer => 1,
            Self::Console => 2,
            Self::Listener => 3,
            Self::Core => 4,
            Self::Client(slot) => numbered(5, slot.into(), 0),
            Self::Ready(unit, generation) => numbered(6, unit.0, generation.0),
        }
    }

    fn of(token: u64) -> Option<Self> {
        let [kind, _, a, b, c, d, ..] = token.to_le_bytes();
        match kind {
            0 => Some(Self::Signals),
            1 => Some(Self::Timer),
            2 => Some(Self::Console),
            3 => Some(Self::Listener),
            4 if SPLIT => Some(Self::Core),
            5 => Some(Self::Client(a)),
            6 => {
                let generation = Generation(u16::from_le_bytes([c, d]));
                Some(Self::Ready(UnitId(u16::from_le_bytes([a, b])), generation))
            }
            _ => None,
        }
    }
}

#[inline(never)]
fn watch(
    epoll: &Fd,
    fd: BorrowedFd<'_>,
    source: Source,
    (what, events): (Watch, u32),
) -> Result<(), Errno> {
    fd::watch(epoll, what, fd, (events, source.token()))
}

/// What is watched of most.
const INPUT_OR_END: u32 = fd::INPUT | fd::HANG_UP;
const INPUT: (Watch, u32) = (Watch::Add, INPUT_OR_END);

/// What process 1 waits with.
#[derive(Debug)]
pub(crate) struct Waiting {
    epoll: Fd,
    pub(crate) signals: Fd,
    timer: Fd,
    /// When it wakes; [`Instant::MAX`]: never.
    armed: Instant,
    /// What epoll told. Level-triggered, or watched anew by an heir: it would be told again.
    told: [Told; DESCRIPTORS_PER_TURN_MAX],
    /// What nobody has looked at yet: from this one on, as many.
    told_from: usize,
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
    /// Takes the signals over and prepares to wait. Where that cannot be, a first life ends, and
    /// any other is begun anew until it can.
    pub(crate) fn new() -> Self {
        let signals = needed(signals::take_over());
        let timer = needed(timer::timer());
        let epoll = needed(fd::epoll());
        needed(watch(&epoll, signals.as_fd(), Source::Signals, INPUT));
        needed(watch(&epoll, timer.as_fd(), Source::Timer, INPUT));
        Self {
            epoll,
            signals,
            timer,
            armed: Instant::MAX,
            told: const { [const { Told::of(0) }; DESCRIPTORS_PER_TURN_MAX] },
            told_from: 0,
            told_count: 0,
            gone: const { Ring::new() },
            console_watched: false,
            core_told: false,
            tell_from: Instant::ZERO,
            untold_count: 0,
        }
    }

    /// What this is about may have something: it is looked at next, in the place of what was looked
    /// at last.
    pub(crate) fn look_at(&mut self, source: Source) {
        let from = self.told_from.wrapping_sub(1);
        if let Some(place) = self.told.get_mut(from) {
            *place = Told::of(source.token());
            self.told_from = from;
            self.told_count = self.told_count.wrapping_add(1);
        }
    }

    /// What was told of this is not looked at any more: it would be taken for the next one's in the
    /// same place.
    pub(crate) fn untell(&mut self, source: Source) {
        for told in &mut self.told {
            if told.token == source.token() {
                told.token = NOTHING;
            }
        }
    }

    /// The core is to hear that a client is gone.
    pub(crate) fn tell_gone(&mut self, client: ClientId) {
        // Room for all that a turn can leave, and empty before each.
        let _ = self.gone.push(client);
    }

    /// Wakes process 1 when the descriptor can be read or is closed at the other end.
    pub(crate) fn watch(&self, fd: BorrowedFd<'_>, source: Source) -> Result<(), Errno> {
        watch(&self.epoll, fd, source, INPUT)
    }

    /// Whether a watched descriptor's input wakes; its end always does.
    pub(crate) fn listen_for_input(&self, fd: BorrowedFd<'_>, source: Source, input: bool) {
        let events = if input { INPUT_OR_END } else { fd::HANG_UP };
        // Fails only for a descriptor that was never watched.
        let _ = watch(&self.epoll, fd, source, (Watch::Change, events));
    }

    /// Ends the watching, before the descriptor is closed: closing alone does not, as long as a
    /// child that has not executed its program yet holds a copy, and what the old connection still
    /// tells would be taken for the next one's in the same place.
    pub(crate) fn forget(&self, fd: BorrowedFd<'_>) {
        // Fails only for a descriptor that was never watched.
        let _ = fd::watch(&self.epoll, Watch::End, fd, (0, 0));
    }

    /// The console is exchanged for another, whose room is waited for if need be.
    pub(crate) fn forget_console(&mut self, device: BorrowedFd<'_>) {
        if core::mem::take(&mut self.console_watched) {
            self.forget(device);
        }
    }

    /// Arms the timer for a deadline, or disarms it.
    pub(crate) fn arm(&mut self, until: Option<Instant>) {
        let until = until.unwrap_or(Instant::MAX);
        if self.armed == until {
            return;
        }
        if timer::arm(&self.timer, until) {
            self.armed = until;
        }
    }

    #[inline(never)]
    fn timer_fired(&mut self) {
        if self.armed == Instant::ZERO {
            // A turn goes on in the next one, which may go on as well: it stays as it is until
            // somebody wants another time.
            crate::heal::made_progress();
            return;
        }
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.timer, &mut count);
        self.armed = Instant::MAX;
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
    #[inline(never)]
    fn wait(&mut self, until: Option<Instant>, taken_in: u32) -> Wake {
        self.settle(taken_in);
        if crate::region::HEALS && self.region.get(at::OUTCOME) != 0 {
            // The core has dealt with that.
            self.region.set(at::OUTCOME, 0);
        }
        loop {
            if let Some(wake) = self.next_wake() {
                // A deadline that is over again and again without a sleep is none.
                if !matches!(wake, Wake::Event(Event::Tick)) {
                    crate::heal::made_progress();
                }
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
            let from = self.waiting.told_from;
            self.waiting.told_from = from.wrapping_add(1);
            let token = self.waiting.told.get(from).map_or(NOTHING, |it| it.token);
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
                let now = self.now();
                self.accept(now);
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
        // A fault that is sent between here and the call is told at the next wake-up.
        let at_once = at_once || fault::was_sent();
        let mut pause_ms = None;
        // A turn that goes on in the next one has more to do.
        let goes_on = until == Some(Instant::ZERO);
        if !at_once
            && !goes_on
            && let Some((child, pause)) = self.ready.on_the_way()
        {
            if pause == 0 {
                self.await_execution(child);
            }
            pause_ms = Some(pause);
        }
        // Else another turn follows soon, whose lines are written with these.
        if !goes_on && pause_ms.is_none_or(|pause| pause > SHORT_PAUSE_MS) {
            self.console.drain();
            self.watch_console();
        }
        let calm_ms = self.intake.storm.is_put_off().then_some(storm::CALM_MS);
        let limit_ms = if at_once {
            Some(0)
        } else {
            pause_ms.or(calm_ms)
        };
        let waiting = &mut self.waiting;
        let count = fd::epoll_wait(&waiting.epoll, &mut waiting.told, limit_ms);
        waiting.told_from = 0;
        waiting.told_count = count;
        self.intake.reap |= self.intake.storm.is_due(count > 0);
        if pause_ms.is_some() && count == 0 {
            self.ready.lengthen_pause();
        }
        self.now.set(None);
        self.intake.reaped_count = 0;
        if fault::was_sent() {
            self.tell_ignored();
        }
    }

    /// Somebody sent what only a fault of our own would mean: said, and nothing else.
    #[inline(never)]
    fn tell_ignored(&mut self) {
        let sent = fault::take_sent();
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
        let waiting = self.console.is_waiting() && !self.console.is_left();
        if waiting == self.waiting.console_watched {
            return;
        }
        let Some(device) = self.console.device() else {
            return;
        };
        let what = if waiting { Watch::Add } else { Watch::End };
        let what = (what, fd::ROOM);
        if watch(&self.waiting.epoll, device, Source::Console, what).is_ok() {
            self.waiting.console_watched = waiting;
        }
    }
}
