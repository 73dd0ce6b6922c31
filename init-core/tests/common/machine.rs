//! This file runs a core on the fake platform and writes down what happens, in words.

use super::mortal::Mortal;
use super::witness::Witness;
use init_core::Storage;
use init_core::effect::{Effect, Failure, Next, Notice, Reply};
use init_core::event::{BootOptions, ControlRequest, Event, ExitStatus, MachineRequest};
use init_core::hal::fake::{Fake, Script};
use init_core::hal::{Clock, EventSource, Process, Wake};
use init_core::ident::{Child, ClientId, Role, UnitId};
use init_core::renewal::{Handover, Image};
use init_core::status::{UnitState, UnitStatus};
use init_core::supervisor::Core;
use init_core::time::{Duration, Instant};
use init_core::unit::{Manifest, Program, Readiness, UnitKind};
use init_core_sim::graph::Graph;

/// Places for units in a test's storage.
const PLACES: usize = 512;

/// Turns after which a test that should have settled has not.
const TURN_COUNT_MAX: usize = 200_000;

/// Effects after which an event that should have come to its end has not.
const EFFECT_COUNT_MAX: u32 = 200_000;

pub const fn ms(ms: u64) -> Duration {
    Duration::from_ms(ms)
}

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A core with its fake platform.
pub struct Machine {
    pub manifest: &'static Manifest,
    pub core: Core<'static>,
    pub fake: Fake,
    /// What happened, as words: "spawn a", "ready a", "reply 0 done" ..
    pub trace: Vec<(Instant, String)>,
    pub finished: bool,
    /// How many effects are performed before the next event, as by a driver whose turn is over.
    pub effects_per_turn: u32,
    pub witness: Witness,
    /// Where the core's state outlives it, and when it dies.
    pub mortal: Option<Mortal>,
    clients: u16,
    unfinished: bool,
}

impl Machine {
    pub fn new(graph: Graph) -> Self {
        let manifest = graph.manifest();
        let storage: &'static mut Storage<PLACES> = Box::leak(Box::new(Storage::new()));
        let mut fake = Fake::default();
        for (index, unit) in manifest.units.iter().enumerate() {
            if matches!(unit.rules.kind, UnitKind::Task | UnitKind::Mount) {
                let id = UnitId(u16::try_from(index).unwrap());
                fake.script(id, Role::Main, &[Script::exits(Duration::ZERO, 0)]);
            }
        }
        Self {
            manifest,
            core: storage.core(manifest),
            fake,
            trace: Vec::new(),
            finished: false,
            effects_per_turn: u32::MAX,
            witness: Witness::default(),
            mortal: None,
            clients: 0,
            unfinished: false,
        }
    }

    pub fn script(mut self, name: &str, scripts: &[Script]) -> Self {
        let id = self.id(name);
        self.fake.script(id, Role::Main, scripts);
        self
    }

    pub fn id(&self, name: &str) -> UnitId {
        self.manifest
            .find(name.as_bytes())
            .unwrap_or_else(|| panic!("no unit {name}"))
    }

    pub fn name(&self, id: UnitId) -> &'static str {
        self.manifest.unit(id).map_or("?", |unit| unit.name)
    }

    pub fn status(&self, name: &str) -> UnitStatus {
        self.core.status(self.id(name)).unwrap()
    }

    pub fn state(&self, name: &str) -> UnitState {
        self.status(name).state
    }

    pub fn boot(&mut self) -> &mut Self {
        self.event(Event::Boot(BootOptions::default()));
        self.settle()
    }

    pub fn machine(&mut self, request: MachineRequest) -> &mut Self {
        self.event(Event::Machine(request));
        self
    }

    /// A request of a new client, on a free slot; if there is none, an old client leaves first.
    pub fn ask(&mut self, request: ControlRequest) -> ClientId {
        if self.witness.free_slot().is_none()
            && let Some(old) = self.witness.first_waiting()
        {
            self.event(Event::ClientGone(old));
        }
        let client = ClientId {
            slot: self.witness.free_slot().unwrap(),
            generation: self.clients,
        };
        self.clients += 1;
        self.witness.asked(client);
        self.event(Event::Control { client, request });
        client
    }

    pub fn start(&mut self, name: &str) -> &mut Self {
        self.ask(ControlRequest::Start(self.id(name)));
        self
    }

    pub fn stop(&mut self, name: &str) -> &mut Self {
        self.ask(ControlRequest::Stop(self.id(name)));
        self
    }

    pub fn restart(&mut self, name: &str) -> &mut Self {
        self.ask(ControlRequest::Restart(self.id(name)));
        self
    }

    pub fn crash(&mut self, name: &str, code: u8) -> &mut Self {
        self.fake.crash(self.id(name), ExitStatus::Code(code));
        self.settle()
    }

    /// Hands an event to the core and does all that follows.
    pub fn event(&mut self, event: Event) {
        let now = self.fake.now();
        match event {
            Event::ClientGone(client) => self.witness.gone(client),
            Event::Exited { child, .. } => self.witness.exited(child),
            _ => {}
        }
        let before = self.core.event_count();
        self.core.step(event, now);
        while !self.is_well() || !self.drain(now) {
            self.revive();
            // Not among those that were taken in: delivered again.
            if event.is_from_outside() && self.core.event_count() == before {
                self.core.step(event, now);
            }
        }
        self.witness.check(&self.core, self.manifest);
    }

    /// Does all that follows; `false`: the core died meanwhile.
    fn drain(&mut self, now: Instant) -> bool {
        self.unfinished = false;
        let mut effects: u32 = 0;
        while let Some(effect) = self.core.next_effect(now) {
            if !self.is_well() || self.mortal.as_mut().is_some_and(Mortal::dies_here) {
                return false;
            }
            self.perform(effect, now);
            effects += 1;
            assert!(
                effects < EFFECT_COUNT_MAX,
                "the core does not come to an end"
            );
            if effects >= self.effects_per_turn && self.core.may_pause() {
                self.unfinished = true;
                break;
            }
        }
        self.is_well()
    }

    fn is_well(&self) -> bool {
        self.mortal.as_ref().is_none_or(|mortal| !mortal.is_dead())
    }

    /// A new core finds what the dead one left.
    fn revive(&mut self) {
        self.live_on(Handover::Fault);
    }

    /// A new core finds what another left, and is told why.
    fn live_on(&mut self, why: Handover) {
        let Some(mortal) = &mut self.mortal else {
            return;
        };
        self.core.forget_all();
        if why == Handover::Fault {
            mortal.deaths += 1;
        }
        mortal.revive(&mut self.core);
        self.core.step(Event::Resumed(why), self.fake.now());
    }

    /// Runs what happens at this very moment.
    pub fn settle(&mut self) -> &mut Self {
        self.run_for(Duration::ZERO)
    }

    /// Runs for a span of virtual time, exactly.
    pub fn run_for(&mut self, span: Duration) -> &mut Self {
        let end = self.fake.now().after(span);
        for _ in 0..TURN_COUNT_MAX {
            let until = match self.core.next_deadline() {
                _ if self.unfinished => Instant::ZERO,
                due => due.map_or(end, |due| due.min(end)),
            };
            match self.fake.wait(Some(until), 0) {
                Wake::Event(Event::Tick) => {
                    self.event(Event::Tick);
                    let more = self.core.next_deadline().is_some_and(|due| due <= end);
                    if self.fake.now() >= end && !more && !self.unfinished {
                        return self;
                    }
                }
                Wake::Event(event) => self.event(event),
                Wake::Frame(_) => {}
            }
        }
        panic!("time does not pass");
    }

    fn note(&mut self, now: Instant, words: String) {
        self.trace.push((now, words));
    }

    fn perform(&mut self, effect: Effect, now: Instant) {
        assert!(!self.finished, "{effect:?} after the last act");
        match effect {
            Effect::Spawn(child) => self.spawn(child, now),
            Effect::Signal {
                child,
                signal,
                scope,
            } => {
                let name = self.name(child.unit);
                let role = role_words(child.role);
                self.note(now, format!("signal{role} {name} {}", signal.0));
                self.fake.signal(child, signal, scope);
            }
            Effect::KillAll(signal) => {
                self.note(now, format!("kill-all {}", signal.0));
                self.fake.signal_all(signal);
            }
            Effect::Reply { client, reply } => {
                self.witness.answered(client);
                let words = match reply {
                    Reply::Done => "done".to_string(),
                    Reply::Superseded => "superseded".to_string(),
                    Reply::Begun => "begun".to_string(),
                    Reply::NotUpgraded(obstacle) => format!("not upgraded {obstacle:?}"),
                    Reply::Refused(refusal) => format!("refused {refusal:?}"),
                    Reply::Failed { unit, reason } => {
                        format!("failed {} {}", self.name(unit), self.failure_words(reason))
                    }
                };
                self.note(now, format!("reply {} {words}", client.generation));
            }
            Effect::Notice(notice) => {
                self.witness.noticed(notice);
                let words = self.notice_words(notice);
                self.note(now, words);
            }
            Effect::HangUp(client) => {
                self.witness.hung_up(client);
                self.note(now, format!("hang-up {}", client.generation));
            }
            Effect::Renew(Image::Same) => {
                self.note(now, "renew".into());
                self.live_on(Handover::Again);
            }
            Effect::Renew(Image::New) => self.note(now, "upgrade".into()),
            Effect::Try(_) => self.note(now, "try".into()),
            Effect::EndTrial => self.note(now, "end-trial".into()),
            Effect::Final(action) => {
                self.note(now, format!("final {action:?}"));
                self.finished = true;
                // The machine is off: there is nobody left who could die.
                if let Some(mortal) = &mut self.mortal {
                    mortal.spare();
                }
            }
        }
    }

    fn spawn(&mut self, child: Child, now: Instant) {
        let desc = self.manifest.unit(child.unit).unwrap();
        let is_new = !self.fake.exists(child);
        if is_new {
            self.witness.spawn(child, &self.core, self.manifest);
            let role = role_words(child.role);
            self.note(now, format!("spawn{role} {}", desc.name));
        }
        let tells = matches!(desc.rules.ready, Readiness::Newline(_) | Readiness::Letter);
        let ready = if child.role == Role::Main && tells {
            desc.rules.ready
        } else {
            Readiness::Exec
        };
        let confirm = child.role == Role::Main && desc.confirms_exec();
        let event = match self.fake.spawn(child, Program::None, ready, confirm) {
            Ok(pid) => {
                if is_new {
                    self.witness.created(child);
                }
                Event::Spawned { child, pid }
            }
            Err(error) => Event::SpawnFailed { child, error },
        };
        self.core.step(event, now);
    }

    fn failure_words(&self, failure: Failure) -> String {
        match failure {
            Failure::Spawn(error) => format!("spawn-error {}", error.0),
            Failure::Exited(ExitStatus::Code(code)) => format!("exit {code}"),
            Failure::Exited(ExitStatus::Signal { number, .. }) => format!("signal {number}"),
            Failure::Exited(ExitStatus::NotExecuted { step, .. }) => format!("at {step:?}"),
            Failure::StartTimeout => "timeout".into(),
            Failure::Dependency(unit) => format!("needs {}", self.name(unit)),
            Failure::StartLimit => "limit".into(),
            Failure::Unkillable => "unkillable".into(),
            Failure::Watchdog => "watchdog".into(),
        }
    }

    fn notice_words(&self, notice: Notice) -> String {
        let name = |id| self.name(id);
        let wait = |span: Duration| span.as_us() / 1_000;
        match notice {
            Notice::Starting(id) => format!("starting {}", name(id)),
            Notice::Ready(id, _) => format!("ready {}", name(id)),
            Notice::Failed(id, failure) => {
                format!("failed {} {}", name(id), self.failure_words(failure))
            }
            Notice::Ended(id, _, Next::Nothing) => format!("ended {}", name(id)),
            Notice::Ended(id, _, Next::Restart(span, n)) => {
                format!("ended {} again in {} #{n}", name(id), wait(span))
            }
            Notice::Retry(id, span, n) => format!("retry {} in {} #{n}", name(id), wait(span)),
            Notice::Stopping(id) => format!("stopping {}", name(id)),
            Notice::Stopped(id) => format!("stopped {}", name(id)),
            Notice::Killing(id) => format!("killing {}", name(id)),
            Notice::GivenUp(id) => format!("given-up {}", name(id)),
            Notice::BootDone {
                ready,
                failed,
                retrying: 0,
                ..
            } => {
                format!("boot-done {ready} {failed}")
            }
            Notice::BootDone {
                ready,
                failed,
                retrying,
                ..
            } => {
                format!("boot-done {ready} {failed} retrying {retrying}")
            }
            Notice::ShutdownBegun(_) => "shutdown".into(),
            Notice::LeftoversAsked => "leftovers-asked".into(),
            Notice::LeftoversKilled => "leftovers-killed".into(),
            Notice::ShutdownFinal(..) => "shutdown-final".into(),
            Notice::ShutdownOverdue => "overdue".into(),
            Notice::TargetRefused(id, refusal) => format!("refused {} {refusal:?}", name(id)),
            Notice::Rescue => "rescue".into(),
            Notice::Resumed(life, why) => format!("resumed {life} {why:?}"),
            Notice::NotUpgraded(obstacle) => format!("not upgraded {obstacle:?}"),
            Notice::Lost => "lost".into(),
            Notice::Fault(fault) => panic!("the core reports {fault:?}"),
        }
    }

    /// The words written down since the last call, without times.
    pub fn take(&mut self) -> Vec<String> {
        self.trace.drain(..).map(|(_, words)| words).collect()
    }

    /// These words happened in this order (others may lie between); forgets all.
    pub fn expect(&mut self, words: &[&str]) -> &mut Self {
        let trace = self.take();
        let mut rest = trace.iter();
        for word in words {
            assert!(
                rest.any(|happened| happened == word),
                "{word:?} is missing or too late in {trace:#?}"
            );
        }
        self
    }

    /// Whether these words are among what happened since the last [`Self::take`].
    pub fn happened(&self, words: &str) -> bool {
        self.trace.iter().any(|(_, happened)| happened == words)
    }

    /// When something happened, in milliseconds, each time.
    pub fn times(&self, words: &str) -> Vec<u64> {
        let same = self.trace.iter().filter(|(_, happened)| happened == words);
        same.map(|(at, _)| at.as_us() / 1_000).collect()
    }
}

fn role_words(role: Role) -> &'static str {
    match role {
        Role::Main => "",
        Role::Stop => "-stop",
        Role::Probe => "-probe",
    }
}
