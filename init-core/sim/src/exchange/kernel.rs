//! This file is the kernel under a keeper: processes that belong to names rather than to places in
//! a manifest, one client, and an image's trial.

use super::{Ends, Plan, Program};
use crate::random::Random;
use init_core::effect::FinalAction;
use init_core::event::{Event, ExitStatus, MachineRequest};
use init_core::hal::Wake;
use init_core::hal::fake::Console;
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::protocol::{Request, Text};
use init_core::renewal::Obstacle;
use init_core::time::{Duration, Instant};
use init_core::unit::{Manifest, Program as Executable};
use std::collections::BTreeMap;

/// No end in sight.
const FOR_EVER: u32 = u32::MAX;

/// A process that was not let go.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) serial: u64,
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) generation: Generation,
    pub(super) pid: u32,
    /// It has said that it is ready, and nobody has heard it.
    pub(super) speaks: bool,
    pub(super) ended: Option<ExitStatus>,
}

/// What will happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Ready(u64),
    End(u64, ExitStatus),
    /// The main process of this unit ends by itself.
    Crash(&'static str),
    /// A client asks for the other program.
    Ask,
    /// The trial ends, in this way or well.
    Tried(Option<Obstacle>),
    /// The machine is to go down.
    Off,
}

/// What the core was told last and may not have taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    Exit(u64),
    Ready(u64),
    Frame,
    Trial(Option<Obstacle>),
    Off,
}

/// An image, until it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    None,
    Goes,
    Ended(Option<Obstacle>),
    /// It is over and told.
    Passed,
}

/// Whoever asks, until it is answered or hung up on.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) frame: Vec<u8>,
    pub(super) is_heard: bool,
    pub(super) is_answering: bool,
    /// What ran when it asked.
    pub(super) program: usize,
}

/// The kernel, and what of process 1's memory no core reaches.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) now: Instant,
    pub(super) manifests: [&'static Manifest; 2],
    /// Which of them process 1 is, and whether it has yet to take over.
    pub(super) program: usize,
    pub(super) is_on_probation: bool,
    pub(super) is_new: bool,
    pub(super) finished: Option<FinalAction>,
    pub(super) broken: Option<String>,
    pub(super) console: Console,
    /// Calls that this life of the keeper has left.
    pub(super) calls: u32,
    pub(super) ends: Ends,
    /// An image may not be executed for want of memory, or not be tried.
    pub(super) random: Random,
    pub(super) clumsy: bool,
    /// What became of an image, until a core was told.
    pub(super) has_outcome: bool,
    pub(super) executions: u64,
    pub(super) takeovers: u64,
    pub(super) asked: u64,
    pub(super) deaths: u64,
    pub(super) agenda: BTreeMap<(Instant, u64), Happening>,
    pub(super) serial: u64,
    pub(super) processes: Vec<Running>,
    pub(super) handed: Option<Handed>,
    pub(super) stamp: u32,
    pub(super) taken_in: u32,
    pub(super) trial: Trial,
    pub(super) client: Option<Client>,
    pub(super) generation: u16,
    pub(super) off: bool,
    pub(super) alone: bool,
    /// Whom the last image that was tried has stopped. Who requires one that ends by itself
    /// meanwhile may be stopped by the image, and comes back.
    pub(super) leaving: Vec<&'static str>,
}

impl Kernel {
    pub(super) fn new(manifests: [&'static Manifest; 2], plan: &Plan) -> Self {
        let mut kernel = Self {
            now: Instant::ZERO,
            manifests,
            program: 0,
            is_on_probation: false,
            is_new: true,
            finished: None,
            broken: None,
            console: Console::default(),
            calls: FOR_EVER,
            ends: Ends::default(),
            random: Random::new(plan.seed),
            clumsy: plan.clumsy,
            has_outcome: false,
            executions: 0,
            takeovers: 0,
            asked: 0,
            deaths: 0,
            agenda: BTreeMap::new(),
            serial: 0,
            processes: Vec::new(),
            handed: None,
            stamp: 0,
            taken_in: 0,
            trial: Trial::None,
            client: None,
            generation: 0,
            off: false,
            alone: false,
            leaving: Vec::new(),
        };
        for (at, happening) in &plan.happenings {
            kernel.arrange(*at, *happening);
        }
        kernel
    }

    pub(super) fn manifest(&self) -> &'static Manifest {
        self.manifests[self.program]
    }

    pub(super) fn name(&self, unit: UnitId) -> &'static str {
        self.manifest().unit(unit).map_or("", |unit| unit.name)
    }

    pub(super) fn arrange(&mut self, after: Duration, happening: Happening) {
        self.serial += 1;
        self.agenda
            .insert((self.now.after(after), self.serial), happening);
    }

    pub(super) fn fail(&mut self, rule: impl Into<String>) {
        let rule = rule.into();
        self.broken.get_or_insert(rule);
    }

    /// A crossing between the keeper and the kernel: here it may die.
    pub(super) fn cross(&mut self) {
        if self.calls != FOR_EVER {
            self.calls -= 1;
        }
        if self.calls == 0 {
            std::panic::resume_unwind(Box::new(super::End::KeeperDied));
        }
    }

    /// A new life of the keeper begins. What was being answered may have been, and nobody can tell.
    pub(super) fn begin_life(&mut self) {
        self.calls = self.ends.keeper().unwrap_or(FOR_EVER);
        if self.client.as_ref().is_some_and(|it| it.is_answering) {
            self.client = None;
        }
        self.is_new = true;
    }

    /// The image did not take over: what it was to be is forgotten when the core says so.
    pub(super) fn roll_back(&mut self) {
        self.program = 1 - self.program;
        self.is_on_probation = false;
        self.has_outcome = true;
    }

    /// What was handed out is the core's, or is handed out again.
    pub(super) fn settle_events(&mut self, taken_in: u32) {
        let was_lost = self.is_new && self.stamp == taken_in;
        self.is_new = false;
        self.taken_in = taken_in;
        self.has_outcome = false;
        match self.handed.take() {
            Some(Handed::Frame) if was_lost => {
                let client = self.client.as_mut();
                client.map(|it| it.is_heard = false).unwrap_or_default();
            }
            _ if was_lost => {}
            Some(Handed::Exit(serial)) => self.processes.retain(|it| it.serial != serial),
            Some(Handed::Ready(serial)) => {
                let found = self.processes.iter_mut().find(|it| it.serial == serial);
                found.map(|it| it.speaks = false).unwrap_or_default();
            }
            Some(Handed::Off) => self.off = false,
            Some(Handed::Trial(told)) if self.trial == Trial::Ended(told) => {
                self.trial = told.map_or(Trial::Passed, |_| Trial::None);
            }
            // It was forgotten meanwhile.
            Some(Handed::Trial(_) | Handed::Frame) | None => {}
        }
    }

    /// The next thing to tell.
    pub(super) fn next(&mut self, until: Option<Instant>) -> Wake {
        self.cross();
        loop {
            if let Some(wake) = self.tell() {
                return wake;
            }
            let limit = until.unwrap_or(Instant::MAX).max(self.now);
            match self.agenda.first_key_value() {
                Some((&at, &happening)) if at.0 <= limit => {
                    self.agenda.remove(&at);
                    self.now = self.now.max(at.0);
                    self.happen(happening);
                }
                _ if until.is_none() => {
                    self.fail("nothing will ever happen again");
                    std::panic::resume_unwind(Box::new(super::End::Over));
                }
                _ => {
                    self.now = limit;
                    return Wake::Event(Event::Tick);
                }
            }
        }
    }

    fn tell(&mut self) -> Option<Wake> {
        let mut things = Vec::new();
        for it in &self.processes {
            if it.speaks {
                things.push(Handed::Ready(it.serial));
            } else if it.ended.is_some() {
                things.push(Handed::Exit(it.serial));
            }
        }
        if let Trial::Ended(obstacle) = self.trial {
            things.push(Handed::Trial(obstacle));
        }
        if self.client.as_ref().is_some_and(|it| !it.is_heard) {
            things.push(Handed::Frame);
        }
        if self.off {
            things.push(Handed::Off);
        }
        if things.is_empty() {
            let alone = self.alone && self.processes.is_empty();
            self.alone &= !alone;
            return alone.then_some(Wake::Event(Event::NoChildLeft));
        }
        let thing = things[self.random.below(things.len())];
        let event = match thing {
            Handed::Exit(serial) | Handed::Ready(serial) => {
                let it = self.processes.iter().find(|it| it.serial == serial)?;
                match self.manifest().find(it.name.as_bytes()) {
                    None => Event::OrphanExited,
                    Some(unit) => {
                        let child = Child {
                            unit,
                            generation: it.generation,
                            role: it.role,
                        };
                        match (thing, it.ended) {
                            (Handed::Exit(_), Some(status)) => Event::Exited { child, status },
                            _ => Event::Ready(child),
                        }
                    }
                }
            }
            Handed::Trial(obstacle) => {
                self.leaving = self.leaving();
                Event::TrialEnded(obstacle)
            }
            Handed::Off => Event::Machine(MachineRequest::PowerOff),
            Handed::Frame => {
                let client = self.client.as_mut()?;
                client.is_heard = true;
                let id = client.id;
                self.hand_out(thing);
                return Some(Wake::Frame(id));
            }
        };
        self.hand_out(thing);
        Some(Wake::Event(event))
    }

    fn hand_out(&mut self, thing: Handed) {
        self.stamp = self.taken_in;
        self.handed = Some(thing);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Ready(serial) => {
                let found = self.processes.iter_mut().find(|it| it.serial == serial);
                let alive = found.filter(|it| it.ended.is_none());
                alive.map(|it| it.speaks = true).unwrap_or_default();
            }
            Happening::End(serial, status) => {
                let found = self.processes.iter_mut().find(|it| it.serial == serial);
                let alive = found.filter(|it| it.ended.is_none());
                alive.map(|it| it.ended = Some(status)).unwrap_or_default();
            }
            Happening::Crash(name) => {
                let is_it = |it: &&Running| it.name == name && it.ended.is_none();
                let serial = self.processes.iter().find(is_it).map(|it| it.serial);
                let status = ExitStatus::Code(7);
                serial
                    .map(|it| self.happen(Happening::End(it, status)))
                    .unwrap_or_default();
            }
            // One at a time asks.
            Happening::Ask if self.client.is_some() => {}
            Happening::Ask => {
                self.generation += 1;
                self.asked += 1;
                let image = Text::of("/image");
                let generation = self.generation;
                self.client = Some(Client {
                    id: ClientId {
                        slot: 1,
                        generation,
                    },
                    frame: crate::frame(&Request::Upgrade { image }),
                    is_heard: false,
                    is_answering: false,
                    program: self.program,
                });
            }
            Happening::Tried(obstacle) if self.trial == Trial::Goes => {
                self.trial = Trial::Ended(obstacle);
            }
            Happening::Tried(_) => {}
            Happening::Off => self.off = true,
        }
    }

    /// Nothing is to happen any more but the machine's end.
    pub(super) fn ends_soon(&self) -> bool {
        let mut left = self.agenda.values();
        let is_last = matches!((left.next(), left.next()), (Some(Happening::Off), None));
        is_last && !self.off && self.has_nothing_to_tell()
    }

    fn has_nothing_to_tell(&self) -> bool {
        let silent = |it: &Running| !it.speaks && it.ended.is_none();
        self.processes.iter().all(silent)
            && self.client.as_ref().is_none_or(|it| it.is_heard)
            && !matches!(self.trial, Trial::Ended(_))
    }

    /// Everything has come to its end: what runs is what the program wants, and nobody waits.
    pub(super) fn check_settled(&mut self) {
        if self.client.is_some() {
            self.fail("a client waits for ever");
        }
        if self.trial != Trial::None {
            self.fail(format!("an image is never forgotten: {:?}", self.trial));
        }
        let manifest = self.manifest();
        for it in &self.processes.clone() {
            if manifest.find(it.name.as_bytes()).is_none() {
                self.fail(format!("{} runs, and nobody knows it", it.name));
            }
        }
        for unit in manifest.units {
            let has_program = !matches!(unit.start, Executable::None);
            let lives = |it: &&Running| it.name == unit.name && it.ended.is_none();
            let count = self.processes.iter().filter(lives).count();
            if has_program && count != 1 {
                self.fail(format!("{} has {count} processes", unit.name));
            }
        }
    }

    /// Which units have to stop for the image: those that it does not know, and who requires one.
    fn leaving(&self) -> Vec<&'static str> {
        let program = |index: usize| Program::of(self.manifests[index]);
        let (own, other) = (program(self.program), program(1 - self.program));
        let names = self.manifest().units.iter().map(|unit| unit.name);
        let leaves = |name: &&str| own.needs(name).iter().any(|it| !other.has(it));
        names.filter(leaves).collect()
    }
}

impl Kernel {
    /// Whether the core was told that it ended.
    pub(super) fn is_told(&self, it: &Running) -> bool {
        self.handed == Some(Handed::Exit(it.serial))
    }

    /// The machine was told to go down.
    pub(super) fn goes_down(&self) -> bool {
        let comes = |it: &Happening| matches!(it, Happening::Off);
        !self.agenda.values().any(comes)
    }
}
