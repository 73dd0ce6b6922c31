//! This file is the bells between keeper and core: two pipes, of which only the fact that something
//! was written counts.
//!
//! The keeper never waits for a core that does not read, and learns from its pipe's end when there
//! is no core any more. It waits by descriptors that do not come and go with the core, which no
//! limit of open files concerns.

use crate::events::timespec;
use crate::sys::cage;
use crate::sys::fd::{self, Fd};
use crate::sys::timer;
use core::cell::Cell;
use init_core::event::Errno;
use init_core::relay::Bell;
use init_core::time::{Duration, Instant};
use rustix::event::{epoll, poll};
use rustix::fd::AsFd;
use rustix::fs::{OFlags, fcntl_setfl};

/// Bells taken at once: a core that rings more often is no better heard.
const BELLS_MAX: usize = 64;

/// What the timer tells, among what the ear hears.
const TIMER: u64 = 0;
const BELL: u64 = 1;

/// What the keeper hears a core with that has something to do, and nothing else.
#[derive(Debug)]
pub(super) struct Ear {
    epoll: Fd,
    timer: Fd,
    /// When the timer will tell something.
    armed: Cell<Instant>,
}

/// The keeper's ends.
#[derive(Debug)]
pub(super) struct KeeperEnd {
    pub(super) bell: Fd,
    ring: Fd,
}

/// The core's ends, before they have their places.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) read: Fd,
    pub(super) write: Fd,
}

/// What was heard of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It rang.
    Bell,
    /// Nothing.
    Nothing,
    /// It is gone.
    End,
}

/// Two pipes.
pub(super) fn line() -> Result<(KeeperEnd, Ends), Errno> {
    let (bell, write) = fd::pipe(false)?;
    let (read, ring) = fd::pipe(false)?;
    // The core sleeps in its read; the keeper never does in its write.
    fcntl_setfl(&read, OFlags::empty()).map_err(crate::errno)?;
    Ok((KeeperEnd { bell, ring }, Ends { read, write }))
}

impl Ear {
    pub(super) fn new() -> Result<Self, Errno> {
        let ear = Self {
            epoll: fd::epoll()?,
            timer: timer::timer()?,
            armed: Cell::new(Instant::MAX),
        };
        let data = epoll::EventData::new_u64(TIMER);
        epoll::add(&ear.epoll, ear.timer.as_fd(), data, epoll::EventFlags::IN)
            .map_err(crate::errno)?;
        Ok(ear)
    }

    /// Listens to this core.
    pub(super) fn listen(&self, line: &KeeperEnd) -> Result<(), Errno> {
        let data = epoll::EventData::new_u64(BELL);
        epoll::add(&self.epoll, line.bell.as_fd(), data, epoll::EventFlags::IN)
            .map_err(crate::errno)
    }

    /// Listens to it no longer.
    pub(super) fn forget(&self, line: &KeeperEnd) {
        let _ = epoll::delete(&self.epoll, line.bell.as_fd());
    }

    /// Sleeps until the core tells something, or the timer, which may be too early.
    pub(super) fn wait(&self, line: &KeeperEnd, until: Instant) -> Heard {
        if until < self.armed.get() {
            self.arm(until);
        }
        let zero = epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(TIMER),
        };
        let mut events = [zero];
        let count = epoll::wait(&self.epoll, &mut events, None).unwrap_or(0);
        let [event] = events;
        if count == 0 {
            return Heard::Nothing;
        }
        if event.data.u64() == BELL {
            return line.hear();
        }
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
        self.armed.set(Instant::MAX);
        Heard::Nothing
    }

    /// Deadlines mostly move on before they come: then the timer is early, and armed again.
    fn arm(&self, until: Instant) {
        if timer::arm(&self.timer, until) {
            self.armed.set(until);
        }
    }
}

impl KeeperEnd {
    /// Wakes the core. A pipe that is full of bells is a bell.
    pub(super) fn ring(&self) {
        let _ = rustix::io::write(&self.ring, &[0]);
    }

    /// Whether the core has rung or ended. Takes the bells.
    pub(super) fn hear(&self) -> Heard {
        match rustix::io::read(&self.bell, &mut [0; BELLS_MAX]) {
            Ok(1..) => Heard::Bell,
            Ok(_) => Heard::End,
            Err(_) => Heard::Nothing,
        }
    }
}

/// Sleeps.
pub(super) fn pause(span: Duration) {
    let _ = poll(&mut [], Some(&timespec(span)));
}

/// The core's bell, at its two descriptors.
#[derive(Clone, Copy, Debug)]
pub struct CoreEnd;

impl Bell for CoreEnd {
    fn ring(&mut self) {
        let _ = rustix::io::write(cage::outgoing(), &[0]);
    }

    fn sleep(&mut self) {
        if rustix::io::read(cage::incoming(), &mut [0_u8; BELLS_MAX]) == Ok(0) {
            // The keeper's life is over. The next one ends us, if it knows our number.
            crate::sys::process::exit(1);
        }
    }
}
