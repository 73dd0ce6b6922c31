//! This file is the kernel under a keeper: processes that belong to names rather than to places in
//! a manifest, clients, and an image's trial.

use super::alone::Exchange;
use super::clients::{Client, Wants};
use super::{Ends, Mischief, Plan};
use crate::random::Random;
use init_core::effect::FinalAction;
use init_core::event::{Event, ExitStatus, MachineRequest};
use init_core::hal::Wake;
use init_core::hal::fake::Console;
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::renewal::{Handover, Obstacle};
use init_core::time::{Duration, Instant};
use init_core::unit::Manifest;
use std::collections::BTreeMap;

/// No end in sight.
const FOR_EVER: u32 = u32::MAX;

/// What processes of no unit are called.
pub(super) const ORPHAN: &str = "(nobody's)";

/// One wake-up in so many is for nothing.
const VAIN_WAKE_ONE_IN: usize = 25;

/// What is promised of damage as well; of all else, nothing is.
const PROMISED: [&str; 4] = ["beside itself", "panics", "never gets on", "last act"];

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
    /// It ends when it is told to, and not only when it is killed.
    pub(super) obeys: bool,
    /// It was asked to end: whether it had to be is judged by then.
    pub(super) asked: bool,
    pub(super) ended: Option<ExitStatus>,
}

/// What will happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Ready(u64),
    End(u64, ExitStatus),
    /// The main process of this unit ends by itself.
    Crash(&'static str),
    /// A client asks for this.
    Ask(Wants),
    /// One of the clients leaves.
    Leave(usize),
    /// So many processes of no unit appear, and end after a while or when they are told to.
    Orphans(u32),
    /// The next time that somebody dies, this bit of what outlives cores is turned.
    Damage(u32, u32),
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
    Frame(ClientId),
    Gone(ClientId),
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

/// The kernel, and what of process 1's memory no core reaches.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) now: Instant,
    pub(super) manifests: [&'static Manifest; 2],
    /// Which of them process 1 is, and whether it has yet to take over.
    pub(super) program: usize,
    pub(super) is_on_probation: bool,
    pub(super) is_new: bool,
    /// The core began without a state.
    pub(super) is_forsaken: bool,
    pub(super) finished: Option<FinalAction>,
    pub(super) broken: Option<String>,
    pub(super) console: Console,
    /// Calls that this life of the keeper has left.
    pub(super) calls: u32,
    pub(super) ends: Ends,
    /// An image may not be executed for want of memory, or not be tried.
    pub(super) random: Random,
    pub(super) clumsy: bool,
    /// What became of an image, or why else the next life begins, until a core was told.
    pub(super) outcome: Option<Handover>,
    pub(super) executions: u64,
    pub(super) takeovers: u64,
    pub(super) asked: u64,
    pub(super) deaths: u64,
    /// Lives of cores.
    pub(super) lives: u64,
    pub(super) mischief: Mischief,
    /// Bits that are to be turned, and whether some were.
    pub(super) damage: Vec<(u32, u32)>,
    pub(super) is_damaged: bool,
    /// How often each unit had an accident.
    pub(super) mishaps: BTreeMap<&'static str, u32>,
    /// How far a core is that takes another's place alone.
    pub(super) exchange: Exchange,
    pub(super) agenda: BTreeMap<(Instant, u64), Happening>,
    pub(super) serial: u64,
    pub(super) processes: Vec<Running>,
    pub(super) handed: Option<Handed>,
    pub(super) stamp: u32,
    pub(super) taken_in: u32,
    pub(super) trial: Trial,
    /// It is about the core alone.
    pub(super) tries_core: bool,
    pub(super) clients: Vec<Client>,
    /// Of whose end nobody has heard.
    pub(super) gone: Vec<ClientId>,
    pub(super) generation: u16,
    pub(super) off: bool,
    /// The machine was told to go down.
    pub(super) goes_down: bool,
    pub(super) alone: bool,
    /// Whom an image that was tried has stopped, and until when: who requires one that ends by
    /// itself meanwhile may be stopped by the image, or the one after it, and comes back.
    pub(super) leaving: Vec<(&'static str, Instant)>,
}

impl Kernel {
    pub(super) fn new(manifests: [&'static Manifest; 2], plan: &Plan) -> Self {
        let mut kernel = Self {
            now: Instant::ZERO,
            manifests,
            program: 0,
            is_on_probation: false,
            is_new: true,
            is_forsaken: false,
            finished: None,
            broken: None,
            console: Console::default(),
            calls: FOR_EVER,
            ends: Ends::default(),
            random: Random::new(plan.seed),
            clumsy: plan.clumsy,
            outcome: None,
            executions: 0,
            takeovers: 0,
            asked: 0,
            deaths: 0,
            lives: 0,
            mischief: plan.mischief,
            damage: Vec::new(),
            is_damaged: false,
            mishaps: BTreeMap::new(),
            exchange: Exchange::default(),
            agenda: BTreeMap::new(),
            serial: 0,
            processes: Vec::new(),
            handed: None,
            stamp: 0,
            taken_in: 0,
            trial: Trial::None,
            tries_core: false,
            clients: Vec::new(),
            gone: Vec::new(),
            generation: 0,
            off: false,
            goes_down: false,
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
        let counts = !self.is_damaged || PROMISED.iter().any(|words| rule.contains(words));
        self.broken = self.broken.take().or(counts.then_some(rule));
    }

    /// The machine's last act was performed, or a rule is broken.
    pub(super) fn is_over(&self) -> bool {
        self.finished.is_some() || self.broken.is_some()
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
        self.hang_up_on(|it| it.is_answering);
        self.is_new = true;
    }

    /// The image did not take over: what it was to be is forgotten when the core says so.
    pub(super) fn roll_back(&mut self, why: Handover) {
        self.program = 1 - self.program;
        self.is_on_probation = false;
        self.outcome = Some(why);
    }

    /// What was handed out is the core's, or is handed out again.
    pub(super) fn settle_events(&mut self, taken_in: u32) {
        // Whose process it was may not be known any more: its end is not told again.
        let of_a_process = matches!(self.handed, Some(Handed::Exit(_) | Handed::Ready(_)));
        let is_forsaken = std::mem::take(&mut self.is_forsaken) && !of_a_process;
        let was_lost = self.is_new && (self.stamp == taken_in || is_forsaken);
        self.is_new = false;
        self.taken_in = taken_in;
        self.outcome = None;
        match self.handed.take() {
            Some(Handed::Frame(id)) if was_lost => {
                let client = self.client(id);
                client.map(|it| it.is_heard = false).unwrap_or_default();
            }
            _ if was_lost => {}
            Some(Handed::Exit(serial)) => self.processes.retain(|it| it.serial != serial),
            Some(Handed::Ready(serial)) => {
                let found = self.processes.iter_mut().find(|it| it.serial == serial);
                found.map(|it| it.speaks = false).unwrap_or_default();
            }
            Some(Handed::Off) => self.off = false,
            Some(Handed::Gone(id)) => self.gone.retain(|it| *it != id),
            Some(Handed::Trial(told)) if self.trial == Trial::Ended(told) => {
                self.trial = told.map_or(Trial::Passed, |_| Trial::None);
            }
            // It was forgotten meanwhile.
            Some(Handed::Trial(_) | Handed::Frame(_)) | None => {}
        }
    }

    /// The next thing to tell.
    pub(super) fn next(&mut self, until: Option<Instant>) -> Wake {
        self.cross();
        if self.mischief.is_hostile && self.random.once_in(VAIN_WAKE_ONE_IN) {
            return Wake::Event(Event::Tick);
        }
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
        let unheard = self.clients.iter().filter(|it| !it.is_heard);
        things.extend(unheard.map(|it| Handed::Frame(it.id)));
        things.extend(self.gone.iter().map(|id| Handed::Gone(*id)));
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
                self.note_leaving();
                Event::TrialEnded(obstacle)
            }
            Handed::Off => Event::Machine(MachineRequest::PowerOff),
            Handed::Gone(id) => Event::ClientGone(id),
            Handed::Frame(id) => {
                self.hear(id);
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
                if let Some(serial) = serial.filter(|_| self.may_have_mishap(name)) {
                    self.happen(Happening::End(serial, status));
                }
            }
            Happening::Ask(wants) => self.connect(wants),
            Happening::Leave(nth) => self.leave(nth),
            Happening::Orphans(count) => {
                for _ in 0..count {
                    let child = Child {
                        unit: UnitId::SYSTEM,
                        generation: Generation(0),
                        role: Role::Main,
                    };
                    let serial = self.make(ORPHAN, child);
                    let after = self.random.span(Duration::from_ms(500));
                    self.arrange(after, Happening::End(serial, ExitStatus::Code(0)));
                }
            }
            Happening::Damage(word, bit) => self.damage.push((word, bit)),
            Happening::Tried(obstacle) if self.trial == Trial::Goes => {
                self.trial = Trial::Ended(obstacle);
            }
            Happening::Tried(_) => {}
            Happening::Off => (self.off, self.goes_down) = (true, true),
        }
    }

    /// A process of this name.
    pub(super) fn make(&mut self, name: &'static str, child: Child) -> u64 {
        self.serial += 1;
        let serial = self.serial;
        let obeys = !self.mischief.is_hostile || !self.random.once_in(5);
        self.processes.push(Running {
            serial,
            name,
            role: child.role,
            generation: child.generation,
            pid: u32::try_from(serial).unwrap_or(u32::MAX),
            speaks: false,
            obeys,
            asked: false,
            ended: None,
        });
        serial
    }

    /// Whether a unit may have another accident: with more of them it would not be started again.
    pub(super) fn may_have_mishap(&mut self, name: &'static str) -> bool {
        let count = self.mishaps.entry(name).or_default();
        *count += 1;
        *count <= u32::from(crate::product::LIMIT_COUNT)
    }
}
