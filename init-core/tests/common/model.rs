//! This file is a core with an environment that does nothing by itself: every step is a choice.

use super::witness::Witness;
use init_core::Storage;
use init_core::effect::{Effect, FinalAction, Notice};
use init_core::event::{BootOptions, ControlRequest, Errno, Event, ExitStatus, MachineRequest};
use init_core::ident::{Child, ClientId, Role, UnitId};
use init_core::supervisor::Core;
use init_core::time::Instant;
use init_core::unit::{Manifest, Program, Readiness, Signal};

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

pub struct Model<'a> {
    manifest: &'static Manifest,
    core: Core<'a>,
    now: Instant,
    living: Vec<Living>,
    witness: Witness,
    clients: u16,
    exhausted: bool,
    all_signalled: bool,
    pub finished: Option<FinalAction>,
}

impl<'a> Model<'a> {
    pub fn new(manifest: &'static Manifest, storage: &'a mut Storage<PLACES>) -> Self {
        let mut model = Self {
            manifest,
            core: storage.core(manifest),
            now: Instant::ZERO,
            living: Vec::new(),
            witness: Witness::default(),
            clients: 0,
            exhausted: false,
            all_signalled: false,
            finished: None,
        };
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
            && (desc.confirms_exec() || matches!(desc.ready, Readiness::Newline(_)))
    }

    fn ends_by_itself(&self, child: Child) -> bool {
        let desc = self.manifest.unit(child.unit).unwrap();
        child.role != Role::Main || matches!(desc.ready, Readiness::Exit)
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
        self.core.step(event, self.now);
        let mut count = 0;
        while let Some(effect) = self.core.next_effect(self.now) {
            self.perform(effect);
            count += 1;
            assert!(count < 1_000, "the core does not come to an end");
        }
        self.witness.check(&self.core, self.manifest);
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn(child) => {
                self.witness.spawn(child, &self.core, self.manifest);
                let program = self.manifest.unit(child.unit).map(|desc| desc.start);
                assert!(!matches!(program, Some(Program::None)), "nothing to run");
                let event = if self.exhausted {
                    self.exhausted = false;
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
            Effect::Reply { client, .. } | Effect::HangUp(client) => self.witness.answered(client),
            Effect::Notice(Notice::Fault(fault)) => panic!("the core reports {fault:?}"),
            Effect::Notice(notice) => self.witness.noticed(notice),
            Effect::Renew(_) => panic!("there is no region"),
            Effect::Final(action) => self.finished = Some(action),
        }
    }
}

fn describe(living: &Living) -> (u16, u8, u8, bool) {
    let Child { unit, role, .. } = living.child;
    (unit.0, role as u8, living.signal, living.ready)
}
