//! This file is a core with an environment that does nothing by itself: every step is a choice.

use super::witness::Witness;
use init_core::Storage;
use init_core::checkpoint::words::{BURNT, Words};
use init_core::checkpoint::{Past, words_for};
use init_core::effect::{Effect, FinalAction, Notice};
use init_core::event::{BootOptions, ControlRequest, Errno, Event, ExitStatus, MachineRequest};
use init_core::ident::{Child, ClientId, Role, UnitId};
use init_core::renewal::Handover;
use init_core::supervisor::Core;
use init_core::time::Instant;
use init_core::unit::{Manifest, Program, Readiness, Signal};
use std::sync::atomic::{AtomicU32, Ordering};

/// Units that a model has room for.
pub const PLACES: usize = 4;

/// A step of the environment or of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Start(u16),
    Stop(u16),
    Restart(u16),
    /// The client that waits longest leaves.
    Leave,
    /// The n-th living process says that it is ready.
    Ready(usize),
    /// The n-th living process ends: with this code, or of the signal it was sent.
    End(usize, u8),
    /// Nothing happens until the next deadline.
    Wait,
    /// The next process cannot be created.
    Exhaust,
    PowerOff,
    NoChildLeft,
}

/// A living process.
#[derive(Clone, Copy)]
struct Living {
    child: Child,
    signal: u8,
    ready: bool,
}

/// Writes of a core that does not die.
pub const FOR_EVER: u32 = u32::MAX - 1;

/// Where a core keeps its state, and when it dies: a memory for one model after the other.
#[derive(Clone, Copy)]
pub struct Grave {
    words: &'static [AtomicU32],
    fuse: &'static AtomicU32,
    next: Option<u32>,
    deaths: u32,
}

impl Grave {
    /// Memory for this many units.
    pub fn new(units: usize) -> Self {
        let words = (0..words_for(units)).map(|_| AtomicU32::new(0));
        Self {
            words: words.collect::<Vec<_>>().leak(),
            fuse: Box::leak(Box::new(AtomicU32::new(FOR_EVER))),
            next: None,
            deaths: 0,
        }
    }

    fn region(&self) -> Words<'static> {
        Words::new(self.words).with_fuse(self.fuse)
    }
}

pub struct Model<'a> {
    manifest: &'static Manifest,
    core: Core<'a>,
    now: Instant,
    living: Vec<Living>,
    witness: Witness,
    clients: u16,
    exhausted: bool,
    /// Who could not be made last; asked for again, it cannot either.
    refused: Option<Child>,
    grave: Option<Grave>,
    all_signalled: bool,
    pub finished: Option<FinalAction>,
}

impl<'a> Model<'a> {
    pub fn new(manifest: &'static Manifest, storage: &'a mut Storage<PLACES>) -> Self {
        Self::begin(manifest, storage, None)
    }

    /// One whose core keeps its state in a region, and can die.
    pub fn mortal(
        manifest: &'static Manifest,
        storage: &'a mut Storage<PLACES>,
        mut grave: Grave,
    ) -> Self {
        for word in grave.words {
            word.store(0, Ordering::Relaxed);
        }
        grave.fuse.store(FOR_EVER, Ordering::Relaxed);
        (grave.next, grave.deaths) = (None, 0);
        Self::begin(manifest, storage, Some(grave))
    }

    fn begin(
        manifest: &'static Manifest,
        storage: &'a mut Storage<PLACES>,
        grave: Option<Grave>,
    ) -> Self {
        let mut model = Self {
            manifest,
            core: storage.core(manifest),
            now: Instant::ZERO,
            living: Vec::new(),
            witness: Witness::default(),
            clients: 0,
            exhausted: false,
            refused: None,
            grave,
            all_signalled: false,
            finished: None,
        };
        if let Some(grave) = &model.grave {
            assert_eq!(model.core.keep_in(grave.region()), Past::None);
        }
        model.event(Event::Boot(BootOptions::default()));
        model
    }

    /// What tells this state from others.
    pub fn digest(&self) -> String {
        let mut text = self.core.digest();
        let mut living: Vec<_> = self.living.iter().map(describe).collect();
        living.sort();
        text.push_str(&format!(
            " {living:?} {} {}",
            self.exhausted, self.all_signalled
        ));
        text
    }

    /// All that can happen now.
    pub fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        if self.finished.is_some() {
            return choices;
        }
        let units = u16::try_from(self.manifest.units.len()).unwrap();
        if self.witness.waiting_count() < 2 {
            for unit in 0..units {
                choices.extend([
                    Choice::Start(unit),
                    Choice::Stop(unit),
                    Choice::Restart(unit),
                ]);
            }
        } else {
            choices.push(Choice::Leave);
        }
        for (at, living) in self.living.iter().enumerate() {
            if self.can_be_ready(living) {
                choices.push(Choice::Ready(at));
            }
            choices.push(Choice::End(at, 0));
            if living.signal == 0 {
                choices.push(Choice::End(at, 1));
            }
        }
        if self.core.next_deadline().is_some() {
            choices.push(Choice::Wait);
        }
        if !self.exhausted {
            choices.push(Choice::Exhaust);
        }
        if self.core.machine_status().phase != init_core::status::MachinePhase::ShuttingDown {
            choices.push(Choice::PowerOff);
        }
        if self.all_signalled && self.living.is_empty() {
            choices.push(Choice::NoChildLeft);
        }
        choices
    }

    pub fn take(&mut self, choice: Choice) {
        match choice {
            Choice::Start(unit) => self.ask(ControlRequest::Start(UnitId(unit))),
            Choice::Stop(unit) => self.ask(ControlRequest::Stop(UnitId(unit))),
            Choice::Restart(unit) => self.ask(ControlRequest::Restart(UnitId(unit))),
            Choice::Leave => {
                let client = self.witness.first_waiting().unwrap();
                self.witness.gone(client);
                self.event(Event::ClientGone(client));
            }
            Choice::Ready(at) => {
                self.living[at].ready = true;
                self.event(Event::Ready(self.living[at].child));
            }
            Choice::End(at, code) => {
                let Living { child, signal, .. } = self.living.remove(at);
                self.witness.exited(child);
                let status = match signal {
                    0 => ExitStatus::Code(code),
                    number => ExitStatus::Signal {
                        number,
                        core_dumped: false,
                    },
                };
                self.event(Event::Exited { child, status });
            }
            Choice::Wait => {
                self.now = self.core.next_deadline().unwrap().max(self.now);
                self.event(Event::Tick);
            }
            Choice::Exhaust => self.exhausted = true,
            Choice::PowerOff => self.event(Event::Machine(MachineRequest::PowerOff)),
            Choice::NoChildLeft => self.event(Event::NoChildLeft),
        }
    }

    /// From here on everybody behaves: what is asked happens, and all comes to its end.
    pub fn settle(&mut self) {
        self.exhausted = false;
        for _ in 0..400 {
            let told = |one: &Living| one.signal != 0 || self.ends_by_itself(one.child);
            let next = if let Some(at) = self.living.iter().position(told) {
                Choice::End(at, 0)
            } else if let Some(at) = self.living.iter().position(|one| self.can_be_ready(one)) {
                Choice::Ready(at)
            } else if self.all_signalled && self.living.is_empty() && self.finished.is_none() {
                Choice::NoChildLeft
            } else if self.core.next_deadline().is_some() {
                Choice::Wait
            } else {
                if self.finished.is_none() {
                    self.witness.check_settled(&self.core, self.manifest);
                }
                return;
            };
            self.take(next);
        }
        panic!("it does not settle");
    }

    fn can_be_ready(&self, living: &Living) -> bool {
        let desc = self.manifest.unit(living.child.unit).unwrap();
        living.child.role == Role::Main
            && !living.ready
            && (desc.confirms_exec() || matches!(desc.rules.ready, Readiness::Newline(_)))
    }

    fn ends_by_itself(&self, child: Child) -> bool {
        let desc = self.manifest.unit(child.unit).unwrap();
        child.role != Role::Main || matches!(desc.rules.ready, Readiness::Exit)
    }

    fn ask(&mut self, request: ControlRequest) {
        let client = ClientId {
            slot: self.witness.free_slot().unwrap(),
            generation: self.clients,
        };
        self.clients += 1;
        self.witness.asked(client);
        self.event(Event::Control { client, request });
    }

    fn event(&mut self, event: Event) {
        let before = self.core.event_count();
        self.core.step(event, self.now);
        while !self.drain() {
            self.revive();
            // Not among those that were taken in: delivered again.
            if event.is_from_outside() && self.core.event_count() == before {
                self.core.step(event, self.now);
            }
        }
        self.witness.check(&self.core, self.manifest);
    }

    /// Does all that follows; `false`: the core died meanwhile.
    fn drain(&mut self) -> bool {
        let mut count = 0;
        while let Some(effect) = self.core.next_effect(self.now) {
            if self.is_dead() {
                return false;
            }
            self.perform(effect);
            count += 1;
            assert!(count < 1_000, "the core does not come to an end");
        }
        !self.is_dead()
    }

    fn is_dead(&self) -> bool {
        let fuse = self.grave.as_ref().map(|grave| grave.fuse);
        fuse.is_some_and(|fuse| fuse.load(Ordering::Relaxed) == BURNT)
    }

    /// A new core finds what the dead one left.
    fn revive(&mut self) {
        let grave = self.grave.as_mut().unwrap();
        grave.deaths += 1;
        let writes = grave.next.take().unwrap_or(FOR_EVER);
        grave.fuse.store(writes, Ordering::Relaxed);
        self.core.forget_all();
        if let Past::Restored(_) = self.core.keep_in(grave.region()) {
            self.core.step(Event::Resumed(Handover::Fault), self.now);
        }
    }

    /// Lets the core die after so many writes from now on, and its heir after so many of its own.
    pub fn die(&mut self, first: u32, second: Option<u32>) {
        let grave = self.grave.as_mut().unwrap();
        grave.fuse.store(first, Ordering::Relaxed);
        grave.next = second;
    }

    /// Writes since the core was last told when to die, or born.
    pub fn writes(&self, before: u32) -> u32 {
        before - self.grave.as_ref().unwrap().fuse.load(Ordering::Relaxed)
    }

    /// How often the core died.
    pub fn deaths(&self) -> u32 {
        self.grave.as_ref().map_or(0, |grave| grave.deaths)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn(child) if self.living.iter().any(|one| one.child == child) => {
                self.core.step(Event::Spawned { child, pid: 1 }, self.now);
            }
            Effect::Spawn(child) => {
                self.witness.spawn(child, &self.core, self.manifest);
                let program = self.manifest.unit(child.unit).map(|desc| desc.start);
                assert!(!matches!(program, Some(Program::None)), "nothing to run");
                let event = if self.exhausted || self.refused == Some(child) {
                    self.exhausted = false;
                    self.refused = Some(child);
                    Event::SpawnFailed {
                        child,
                        error: Errno(11),
                    }
                } else {
                    self.witness.created(child);
                    self.living.push(Living {
                        child,
                        signal: 0,
                        ready: false,
                    });
                    Event::Spawned { child, pid: 1 }
                };
                self.core.step(event, self.now);
            }
            Effect::Signal { child, signal, .. } => {
                for one in self.living.iter_mut().filter(|one| one.child == child) {
                    one.signal = signal.0;
                }
            }
            Effect::KillAll(Signal(number)) => {
                self.all_signalled = true;
                for one in &mut self.living {
                    one.signal = number;
                }
            }
            Effect::Reply { client, .. } => self.witness.answered(client),
            Effect::HangUp(client) => self.witness.hung_up(client),
            Effect::Notice(Notice::Fault(fault)) => panic!("the core reports {fault:?}"),
            Effect::Notice(notice) => self.witness.noticed(notice),
            Effect::Try(_) | Effect::EndTrial | Effect::Renew(_) => panic!("there is no region"),
            Effect::Final(action) => self.finished = Some(action),
        }
    }
}

fn describe(living: &Living) -> (u16, u8, u8, bool) {
    let Child { unit, role, .. } = living.child;
    (unit.0, role as u8, living.signal, living.ready)
}
