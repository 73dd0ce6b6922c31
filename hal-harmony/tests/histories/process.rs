//! This file is what the kernel shows of units' processes, and holds how each is brought to its
//! end against what the core asked for.

use super::stage::Stage;
use init_core::event::ExitStatus;
use init_core::ident::Child;
use init_core::protocol::letter::Letter;
use init_core::unit::Signal;
use init_core_sim::product::Life;

/// What the core wants of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Will {
    #[default]
    GoesOn,
    Stops,
    Dies,
}

/// Whether a process has asked if it is to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Ear {
    #[default]
    Deaf,
    /// It has asked, or may have; nobody knows whether that has arrived.
    Asks,
    /// It was answered.
    Listens,
}

/// A process of a unit, as the kernel has it.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub pid: i32,
    pub child: Child,
    pub life: Life,
    pub said_ready: bool,
    was_killed: bool,
    pub ended: Option<i32>,
    pub told: bool,
    /// What the core wants of it, and may end while it says so.
    wanted: Will,
    /// What it has said, whatever becomes of it.
    said: Will,
    /// What must have been done about it.
    due: Will,
    ear: Ear,
}

impl Process {
    /// It has begun.
    pub fn new(pid: i32, child: Child, life: Life) -> Self {
        Self {
            pid,
            child,
            life,
            said_ready: false,
            was_killed: false,
            ended: None,
            told: false,
            wanted: Will::default(),
            said: Will::default(),
            due: Will::default(),
            ear: Ear::default(),
        }
    }

    /// How it must be said to have ended.
    pub fn status(&self) -> Option<ExitStatus> {
        let signal = |number| ExitStatus::Signal {
            number,
            core_dumped: false,
        };
        Some(match self.ended? {
            0 if self.was_killed => signal(9),
            -1 => signal(11),
            code => ExitStatus::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        })
    }

    /// Whether it has ended by itself, and well.
    pub fn ended_well(&self) -> bool {
        self.ended == Some(0) && !self.was_killed
    }

    /// Whoever listens is killed only when its time is over, and nobody unless it was named.
    fn may_be_killed(&self) -> bool {
        match self.wanted {
            Will::GoesOn => false,
            Will::Stops => self.ear != Ear::Listens,
            Will::Dies => true,
        }
    }

    /// Whether what was due has been done: who does not listen is killed at once.
    fn has_its_due(&self) -> bool {
        self.ended.is_some()
            || match self.due {
                Will::GoesOn => true,
                Will::Stops => self.ear != Ear::Deaf,
                Will::Dies => false,
            }
    }
}

impl Stage {
    /// The core asks for the end of this process, or of all.
    pub fn wants_end(&mut self, child: Option<Child>, signal: Signal) {
        let will = match signal {
            Signal::KILL => Will::Dies,
            _ => Will::Stops,
        };
        for one in self.named(child) {
            one.wanted = one.wanted.max(will);
        }
    }

    /// It has said so, whatever becomes of it.
    pub fn said_end(&mut self, child: Option<Child>) {
        for one in self.named(child) {
            one.said = one.wanted;
        }
    }

    fn named(&mut self, child: Option<Child>) -> impl Iterator<Item = &mut Process> {
        let is_its = move |one: &&mut Process| child.is_none_or(|child| one.child == child);
        self.processes.iter_mut().filter(is_its)
    }

    /// A core hears something: what was said before has been done.
    pub fn falls_due(&mut self) {
        for one in &mut self.processes {
            one.due = one.said;
        }
        let late = self.processes.iter().find(|one| !one.has_its_due());
        let late = late.map(|one| (one.child, one.due));
        self.demand(late.is_none(), || {
            format!("what the core asked for is not done: {late:?}")
        });
    }

    /// The kernel is told to end a process.
    pub fn killed(&mut self, pid: i32) {
        let Some(process) = self.process(pid) else {
            return;
        };
        process.was_killed = true;
        let (may_be, child) = (process.may_be_killed(), process.child);
        self.demand(may_be, || format!("killed, and should not be: {child:?}"));
    }

    /// A process asks whether it is to go on, or may do so; what is due to it.
    pub fn asks(&mut self, pid: i32) -> Will {
        let Some(process) = self.process(pid) else {
            return Will::default();
        };
        process.ear = process.ear.max(Ear::Asks);
        process.due
    }

    /// It is answered, and this was due when it asked.
    pub fn is_ordered(&mut self, pid: i32, due: Will, order: Letter<'_>) {
        let Some(process) = self.process(pid) else {
            return;
        };
        process.ear = Ear::Listens;
        let (wanted, child) = (process.wanted, process.child);
        match order {
            Letter::Stop => self.demand(wanted != Will::GoesOn, || {
                format!("told to stop, and nobody asked for that: {child:?}")
            }),
            _ => self.demand(due == Will::GoesOn, || {
                format!("told to go on, and was to stop: {child:?}")
            }),
        }
    }

    /// The machine is off, or begins again: nobody was left alone.
    pub fn judge_end(&mut self) {
        let lives = self.processes.iter().find(|one| one.ended.is_none());
        let lives = lives.map(|one| one.child);
        self.demand(lives.is_none(), || {
            format!("the machine ends while {lives:?} lives")
        });
    }
}
