//! This room makes process 1 the keeper of a core that is a process of its own.
//!
//! The keeper is the platform as ever: children, descriptors, timers, power. The core decides, in
//! a child that holds two ends of pipes, the words that it shares with the keeper, and nothing
//! else; it can read, write and end, and no other call. Whatever becomes of it, a new one is made
//! from this very program's memory and goes on from the state that the words hold. That needs no
//! file system and no descriptor that was not there before.
//!
//! One event is with the core at a time. What comes meanwhile stays in the kernel, and what the
//! core was told and had not taken in is told to the next.

#[cfg(feature = "exchange")]
mod exchange;
mod line;
mod strays;
mod trouble;

use crate::escalation::VAIN_MAX;
use crate::events::Source;
use crate::linux::Linux;
use crate::region::{self, at};
use crate::sys::cage;
use crate::sys::process;
use init_core::event::BootOptions;
use init_core::hal::{Clock, Wake};
use init_core::ident::UnitId;
use init_core::packed::packed;
use init_core::relay::{Desk, Remote, Step};
use init_core::renewal::Handover;
use init_core::report;
use init_core::time::{Duration, Instant};
use init_core::unit::Manifest;
pub use line::CoreEnd;
use line::{Ear, Heard, KeeperEnd, line};
use rustix::fd::AsFd;
use trouble::Trouble;
pub(crate) use trouble::end;

/// What the core's process does: everything, on this platform.
pub type Decide<'a> = &'a dyn Fn(Remote<CoreEnd>, BootOptions);

/// How long a core may be silent where the manifest says nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// Until another attempt to make a process for the core, when there was none to be had.
const RETRY: Duration = Duration::from_ms(20);

/// Attempts in a row, two seconds of them, after which the machine may go down without a core.
const ATTEMPT_COUNT_MAX: u32 = 100;

/// Process 1.
#[derive(Debug)]
struct Keeper {
    linux: Linux,
    desk: Desk,
    ear: Ear,
    /// How long the core may be silent about an event.
    patience: Duration,
    /// Why the next core takes the place of one before, if there was one.
    why: Option<Handover>,
    /// What it could not give up was told.
    has_told_kept: bool,
    /// The core has nothing to do.
    is_idle: bool,
    /// There was nothing to do for this core, for longer than a moment.
    has_rested: bool,
    /// When this core began.
    #[cfg(feature = "exchange")]
    begun: Instant,
}

impl Linux {
    /// Somebody may have taken away what we need.
    fn wait_for_descriptors(&self) {
        self.ensure_descriptors();
        line::pause(RETRY);
    }
}

/// How a core's life ended.
enum End {
    /// So did the machine.
    Over,
    /// The core is gone, or has to go.
    Trouble(Trouble),
    /// It asked for another in its place.
    Renewed,
}

/// Keeps a core until the machine's last act, should that return.
pub fn keep(linux: Linux, manifest: &'static Manifest, options: BootOptions, decide: Decide<'_>) {
    let region = linux.region;
    let is_heir = region.get(at::HANDOVER) != 0;
    let why = is_heir.then(|| linux.why_for_core());
    let (ring, _) = region.core_words();
    let ear = loop {
        match Ear::new() {
            Ok(ear) => break ear,
            Err(_) => linux.wait_for_descriptors(),
        }
    };
    let mut keeper = Keeper {
        linux,
        desk: Desk::new(ring, manifest, region.ring_place()),
        ear,
        patience: manifest.split.unwrap_or(PATIENCE),
        why,
        has_told_kept: false,
        is_idle: false,
        has_rested: false,
        #[cfg(feature = "exchange")]
        begun: Instant::ZERO,
    };
    if keeper.is_on_probation() {
        keeper.desk.put_on_probation();
    }
    #[cfg(feature = "exchange")]
    keeper.find_choice();
    keeper.end_former();
    #[cfg(feature = "exchange")]
    keeper.go_on_exchanging();
    let mut attempt_count: u32 = 0;
    loop {
        let end = match keeper.begin(options, decide) {
            Some(line) => {
                attempt_count = 0;
                let end = keeper.serve(&line);
                keeper.linux.waiting.forget(line.bell.as_fd());
                keeper.ear.forget(&line);
                end
            }
            None => {
                keeper.linux.wait_for_descriptors();
                attempt_count = attempt_count.saturating_add(1);
                if attempt_count >= ATTEMPT_COUNT_MAX {
                    keeper.linux.go_down_if_asked();
                }
                continue;
            }
        };
        match end {
            End::Over => return,
            End::Trouble(trouble) if keeper.is_on_probation() => keeper.go_back(trouble),
            #[cfg(feature = "exchange")]
            End::Trouble(trouble) if keeper.exchanges() => keeper.go_without(trouble),
            End::Trouble(trouble) => {
                let pause = keeper.replace(trouble);
                keeper.linux.console.drain();
                line::pause(pause);
            }
            End::Renewed => keeper.renew(),
        }
    }
}

impl Keeper {
    /// Makes a core. `None`: there is no memory, no process number or no descriptor for one.
    fn begin(&mut self, options: BootOptions, decide: Decide<'_>) -> Option<KeeperEnd> {
        let (mine, its) = line().ok()?;
        let bell = mine.bell.as_fd();
        self.linux.waiting.watch(bell, Source::Core).ok()?;
        self.ear.listen(&mine).ok()?;
        self.desk.open();
        (self.is_idle, self.has_rested) = (false, false);
        self.linux.now.set(None);
        let (now, why) = (self.linux.now(), self.why);
        let region = self.linux.region;
        #[cfg(feature = "exchange")]
        {
            self.begun = now;
        }
        match process::fork_apart(self.core_process()).ok()?.child() {
            Some(_) => {
                drop(its);
                Some(mine)
            }
            None => {
                #[cfg(feature = "exchange")]
                if let Some(code) = self.become_chosen(&its, options) {
                    process::exit(code)
                }
                let kernel = self.linux.kernel;
                let manifest = self.linux.manifest;
                let (ring, state) = region.core_words();
                if cage::keep_only(its.read.number(), its.write.number(), kernel).is_ok() {
                    self.give_up_memory();
                    let kept = cage::enter(c"init-core");
                    let remote = Remote::new(ring, state, manifest, CoreEnd, (why, now));
                    remote.tell_kept(kept);
                    decide(remote, options);
                }
                process::exit(1)
            }
        }
    }

    /// Serves the core until it or the machine is over.
    fn serve(&mut self, line: &KeeperEnd) -> End {
        let mut until = self.deadline();
        loop {
            match self.hear(line, until) {
                Heard::Bell => {}
                Heard::Nothing => return End::Trouble(Trouble::Silent),
                Heard::End => return End::Trouble(Trouble::Gone),
            }
            loop {
                match self.desk.serve(&mut self.linux) {
                    Ok(Step::Done) => continue,
                    Ok(Step::Nothing) => {
                        // A bell without a request costs as much as one with.
                        if let Err(breach) = self.desk.charge() {
                            return End::Trouble(Trouble::Breach(breach));
                        }
                    }
                    Ok(Step::Answered) => {
                        line.ring();
                        until = self.deadline();
                    }
                    Ok(Step::Waits {
                        until: next,
                        taken_in,
                        sick,
                    }) => {
                        self.tell_kept();
                        self.linux.settle(taken_in);
                        // What became of an image as well.
                        self.linux.region.set(at::OUTCOME, 0);
                        #[cfg(feature = "exchange")]
                        self.confirm(next);
                        self.is_idle = true;
                        match self.next(line, next, sick) {
                            Ok(wake) => {
                                self.is_idle = false;
                                self.desk.deliver(wake, &mut self.linux);
                            }
                            Err(trouble) => return End::Trouble(trouble),
                        }
                        line.ring();
                        until = self.deadline();
                    }
                    Ok(Step::Renew) => return End::Renewed,
                    Ok(Step::Over) => return End::Over,
                    Err(breach) => return End::Trouble(Trouble::Breach(breach)),
                }
                break;
            }
        }
    }

    /// Until when the core has to be heard of.
    fn deadline(&self) -> Instant {
        #[cfg(feature = "exchange")]
        if let Some(until) = self.exchanged_until() {
            return until;
        }
        self.linux.now().after(self.patience)
    }

    /// Waits for the core, which has something to do, and for nothing else.
    fn hear(&self, line: &KeeperEnd, until: Instant) -> Heard {
        self.linux.console.drain();
        loop {
            let heard = self.ear.wait(line, until);
            self.linux.now.set(None);
            if heard != Heard::Nothing || self.linux.now() >= until {
                crate::heal::made_progress();
                return heard;
            }
        }
    }

    /// The next event for a core that has nothing to do.
    fn next(
        &mut self,
        line: &KeeperEnd,
        until: Option<Instant>,
        sick: Option<UnitId>,
    ) -> Result<Wake, Trouble> {
        let until = Instant::earlier(until, self.feed(sick));
        let rested = self.linux.now().after(RETRY);
        loop {
            if core::mem::take(&mut self.linux.waiting.core_told) {
                match line.hear() {
                    Heard::End => return Err(Trouble::Gone),
                    Heard::Nothing => {}
                    Heard::Bell => self.desk.charge().map_err(Trouble::Breach)?,
                }
            }
            if let Some(wake) = self.linux.next_wake() {
                crate::heal::made_progress();
                self.has_rested |= self.linux.now() >= rested;
                return Ok(wake);
            }
            self.linux.sleep(until, self.linux.intake.reap);
        }
    }

    /// The core gets on: so does the hardware watchdog's time.
    fn feed(&mut self, sick: Option<UnitId>) -> Option<Instant> {
        if !self.linux.has_watchdog() {
            return None;
        }
        if self.linux.intake.killed.get() > VAIN_MAX && !self.has_rested {
            // Each that was killed had come as far as this, and then there was something to do.
            return Some(self.linux.now().after(RETRY));
        }
        let desc = sick.and_then(|unit| self.linux.manifest.unit(unit));
        let name = desc.map(|desc| desc.name);
        self.linux.feed_watchdog(&|| name)
    }

    /// Says once what the core could not give up.
    fn tell_kept(&mut self) {
        let kept = self.desk.kept();
        if kept == 0 || core::mem::replace(&mut self.has_told_kept, true) {
            return;
        }
        let now = self.linux.now();
        report::write_line(&mut self.linux.console, now, &|line| {
            line.say(packed!("the core is less locked in than it should be:"));
            let words = [
                (cage::kept::PRIVILEGES, " it may gain rights"),
                (cage::kept::CAPABILITIES, " it has capabilities"),
                (cage::kept::CALLS, " this kernel filters no system calls"),
            ];
            for (bit, text) in words {
                if kept & bit != 0 {
                    line.text(text);
                }
            }
        });
    }
}

const _: () = assert!(region::HEALS || !region::SPLIT);
