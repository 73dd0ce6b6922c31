//! This file takes over what the program's life before this one left: children, descriptors and
//! clients stay as they are, and nothing of the file system is needed.

use crate::carried::upgrades;
use crate::child::{Way, encode, way};
use crate::escalation::FINISH_TIME;
use crate::handed::{DEATHS_MAX, Handed, signal_taken};
use crate::linux::Linux;
use crate::region::{self, EXIT_WORDS, SPLIT, at};
use crate::sys::futex::EXECUTED;
use crate::sys::{process, wait};
use crate::uses::uses;
use crate::{children, epitaph, heal, probe};
use core::sync::atomic::AtomicU32;
use init_core::ROLES;
use init_core::checkpoint::words::{load, store};
use init_core::effect::FinalAction;
use init_core::event::{Errno, SpawnStep};
use init_core::hal::{Clock, Power, Process};
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::packed::{Packed, packed};
use init_core::renewal::Handover;
use init_core::report;
use init_core::unit::{Readiness, Signal};

/// What everybody has to end by itself where no core is left that could ask one after the other.
const GRACE_MS: u16 = 900;

/// From one look at who has ended to the next.
const LOOK_MS: u16 = 20;

/// EFAULT.
const BAD_ADDRESS: Errno = Errno(14);

/// What a unit's word says in place of an end that was put aside: that its program could not be
/// executed; and `ExitStatus::PUT_ASIDE`.
const FAILED: u32 = encode(SpawnStep::Exec, BAD_ADDRESS);
const LOST: u32 = encode(SpawnStep::Exec, Errno::PUT_ASIDE);

impl Linux {
    /// Why this life began.
    pub(crate) fn why(&self) -> Handover {
        let region = self.region;
        let signal = u8::try_from(region.get(at::SIGNAL)).unwrap_or(0);
        match (region.get(at::OUTCOME), region.get(at::HANDOVER)) {
            (heal::OUTCOME_UPGRADED, _) => Handover::Upgraded,
            (heal::OUTCOME_BACK, _) => Handover::RolledBack(signal),
            (_, heal::HANDOVER_AGAIN) => Handover::Again,
            _ => Handover::Fault,
        }
    }

    /// Whether the life before ended in a fault of its own.
    pub(crate) fn followed_a_fault(&self) -> bool {
        self.region.get(at::HANDOVER) == heal::HANDOVER_FAULT
    }

    /// Takes over what the life before left.
    #[inline(never)]
    pub(crate) fn inherit(&mut self) {
        let region = self.region;
        for (unit, _) in (0..u16::MAX).zip(self.manifest.units) {
            for &role in ROLES {
                let mut child = Child {
                    unit: UnitId(unit),
                    generation: Generation(0),
                    role,
                };
                let [number, noted, _] = region.entry(child);
                let [low, high, ..] = load(noted).to_le_bytes();
                child.generation = Generation(u16::from_le_bytes([low, high]));
                let pid = self.served_by(child, number, load(noted));
                if pid != 0 {
                    self.children.insert(child, pid);
                }
                if role == Role::Main {
                    self.inherit_readiness(child, pid);
                }
            }
        }
        self.inherit_clients();
    }

    /// The process that serves a unit, or 0. Where its number is not what was noted twice, or that
    /// of no child of ours, something is damaged, and nobody is signalled for the unit.
    fn served_by(&mut self, child: Child, number: &AtomicU32, noted: u32) -> u32 {
        let first = load(number);
        if first == 0 {
            return 0;
        }
        let is_known = region::is_sound(noted, child.generation, first) && self.is_ours(first);
        let pid = if is_known { first } else { 0 };
        store(number, pid);
        if pid == 0 {
            let name = self.manifest.unit(child.unit).map_or("", |unit| unit.name);
            self.say(name, packed!(": its process is lost"));
        }
        pid
    }

    /// Whether a process is our child, or was until its exit was taken.
    #[inline(never)]
    fn is_ours(&self, pid: u32) -> bool {
        let leaving = wait::taken(self.region.part(at::EXIT, EXIT_WORDS));
        pid != 0 && (leaving.is_some_and(|(it, _)| it == pid) || wait::is_child(pid))
    }

    /// Says a line of two parts.
    #[inline(never)]
    pub(crate) fn say(&mut self, what: &str, then: Packed) {
        let now = self.now();
        report::write_line(&mut self.console, now, &|line| {
            line.text(what).say(then);
        });
    }

    /// A unit that is starting says ready where it was told to.
    fn inherit_readiness(&mut self, child: Child, pid: u32) {
        let noted = self.region.ready(child.unit);
        if load(noted) == 0 {
            return;
        }
        let desc = self.manifest.unit(child.unit);
        let newline = desc.is_some_and(|desc| matches!(desc.rules.ready, Readiness::Newline(_)));
        if uses().newlines
            && newline
            && let Some(end) = region::adopt(noted)
        {
            // Out of memory: its start takes as long as it may.
            let _ = self.watch_readiness(child, &end);
            return self.ready.await_newline(child, end);
        }
        if pid == 0 {
            // The life before ended before it was made, or nobody knows any more which it is.
            return store(noted, 0);
        }
        let word = self.word(child);
        if upgrades().is_some() && self.heritage.is_some() && way(load(word)) == Way::Open {
            // The kernel marks the word that was the image's before this one.
            store(word, EXECUTED);
        }
        store(noted, region::EXECUTION);
        self.ready.await_execution(child);
    }

    /// Says what the life before died of.
    pub(crate) fn tell_death(&mut self) {
        let (now, region, manifest) = (self.now(), &self.region, self.manifest);
        report::write_line(&mut self.console, now, &|line| {
            epitaph::write(region, manifest, line);
        });
    }

    /// A process is being started. What two lives have ended of is not tried a third time.
    pub(crate) fn begin_start(&self, child: Child) -> Result<(), Errno> {
        let code = children::code(child.unit, child.role).unwrap_or(0);
        let key = u32::from(code) << 16 | u32::from(child.generation.0);
        let region = self.region;
        let deaths = match region.get(at::STARTING) == key {
            true => region.get(at::STARTING_DEATHS).saturating_add(1),
            false => 0,
        };
        region.set(at::STARTING_DEATHS, deaths);
        if deaths >= DEATHS_MAX {
            region.set(at::STARTING, 0);
            return Err(BAD_ADDRESS);
        }
        region.set(at::STARTING, key);
        Ok(())
    }

    /// What the core's taking in ended two lives, or cores without end, is not given to it again;
    /// whether it is to be told something else in its place.
    pub(crate) fn put_aside(&mut self, handed: Handed) -> bool {
        let what = match handed {
            Handed::Exit => "an exit",
            Handed::Signal => "a signal",
            Handed::Ready(_) => "a unit's readiness",
            Handed::Frame(slot) => {
                // Nobody will answer.
                self.make_room(slot);
                "a request"
            }
        };
        let cause = match self.intake.is_killed_for_ever() {
            true => packed!(" is put aside: one core after the other was killed over it"),
            false => packed!(" is put aside: process 1 died of it twice"),
        };
        self.say(what, cause);
        if matches!(handed, Handed::Signal) {
            self.go_down_alone(signal_taken(&self.region));
        }
        matches!(handed, Handed::Exit) && self.tells_failed_start()
    }

    /// A signal that no core can be told of: where it asked for the machine's end, that comes all
    /// the same, without a core that could stop one unit after the other.
    pub(crate) fn go_down_alone(&mut self, number: u8) {
        let asked = self.request_of(number);
        let Some(action) = FinalAction::of(asked.resolved(self.manifest.ctrl_alt_del)) else {
            return;
        };
        self.say("", packed!("the machine goes down all the same"));
        // A second, which is the least that any waits, is longer than what everybody has.
        self.leave_watchdog();
        self.signal_all(Signal::TERM);
        probe::pause(None, GRACE_MS);
        self.signal_all(Signal::KILL);
        if SPLIT {
            self.let_all_go();
        }
        self.now.set(None);
        self.finish(action, self.now().after(FINISH_TIME));
        // Refused: as after any way down.
        process::exit(0)
    }

    /// Lets everybody go who has ended, for as long as they had to: who has ended keeps a process
    /// number, and there may be no other for what the last act is done by.
    fn let_all_go(&self) {
        let words = self.region.part(at::EXIT, EXIT_WORDS);
        for _ in 0..GRACE_MS / LOOK_MS {
            loop {
                match wait::take(words, 0) {
                    Ok(true) => heal::made_progress(),
                    Ok(false) => break,
                    Err(_) => return,
                }
            }
            probe::pause(None, LOOK_MS);
        }
    }

    /// The end of a unit's process that was put aside is told once more, as that of a program that
    /// could not be executed, and where lives ended of that as well, as what takes its unit out of
    /// everybody's hands: a unit whose end nobody is told seems to run for ever. Not if it is
    /// nobody's, or lives ended of that, too.
    fn tells_failed_start(&mut self) -> bool {
        let Some((pid, _)) = wait::taken(self.region.part(at::EXIT, EXIT_WORDS)) else {
            return false;
        };
        if self.intake.leaving.is_none() {
            self.intake.leaving = self.children.take(pid);
        }
        let Some(child) = self.intake.leaving else {
            return false;
        };
        self.region.set(at::BLAMES, 0);
        let word = self.word(child);
        let told = match load(word) {
            FAILED => LOST,
            LOST => return false,
            _ => FAILED,
        };
        store(word, told);
        true
    }
}
