//! This file is what passes between the core and the HAL, held against what the kernel has shown.

use super::spy::Leap;
use super::stage::{Frame, Handed, Stage};
use init_core::checkpoint;
use init_core::checkpoint::words::Words;
use init_core::effect::FinalAction;
use init_core::event::{Errno, Event};
use init_core::hal::Wake;
use init_core::ident::{Child, ClientId, UnitId};
use init_core::protocol::{Reader, Request};
use init_core::status::MachinePhase;
use init_core::supervisor::Core;
use init_core::time::Instant;
use init_core::unit::Signal;
use init_core_sim::facts::Seen;
use init_core_sim::rules::{self, Asked, ids};
use init_core_sim::run::Tally;
use std::sync::atomic::AtomicU32;

/// Cores in a row of which none gets anything done, or that cannot be made, are too many from so
/// many on. (hal-harmony, split/vain.rs.)
const ENDS_MIN: usize = 9;

impl Stage {
    /// Another core begins.
    pub fn begin_life(&mut self, state: &'static [AtomicU32], now: Instant) {
        if self.tally.deaths > 0 {
            self.model.process_1_died();
        }
        self.state = Words::new(state);
        self.now_us = now.as_us();
        self.turns_of_life = 0;
        self.deaths.begin();
    }

    /// This core boots: there was nothing to go on with.
    pub fn booted(&mut self) {
        self.untold.clear();
    }

    /// A core has ended.
    pub fn core_ended(&mut self) {
        self.tally.deaths += 1;
        self.core_waits = false;
        self.deaths.ended();
        let units = self.manifest.units.len();
        // What was done before the damage is not excused by it.
        self.judge();
        for (unit, word, bit) in std::mem::take(&mut self.damage) {
            self.weak = true;
            let word = usize::try_from(word).unwrap_or(0);
            let Some(unit) = unit else {
                let word = word % checkpoint::words_for(units);
                self.scribbled = true;
                self.untold.clear();
                let value = self.state.get(word);
                self.state.set(word, value ^ 1 << (bit % 32));
                continue;
            };
            let name = self.manifest.unit(unit).map_or("", |desc| desc.name);
            let is_there = checkpoint::damage(self.state, units, unit, word, bit);
            if is_there && !self.scribbled {
                rules::owe_word(&mut self.untold, name);
            }
        }
    }

    /// A crossing between core and HAL.
    pub fn cross(&mut self) -> Leap {
        match self.deaths.cross() {
            true => Leap::Ends,
            false => Leap::GoesOn,
        }
    }

    /// What was handed out is the core's, or is handed out again.
    pub fn settle(&mut self, taken_in: u32, is_new: bool) {
        let is_lost = is_new && self.stamp == taken_in;
        self.taken_in = taken_in;
        let Some(handed) = self.handed.take() else {
            if !is_new {
                self.deaths.got_on();
            }
            return;
        };
        self.model.settled(is_lost);
        if is_lost {
            // An answered client may be gone, and a tick need not come again.
            let is_kept = matches!(handed, Handed::Exit(..) | Handed::Ready(_));
            self.owed = is_kept.then_some(handed);
            return;
        }
        if let Handed::Exit(child, status) = handed {
            self.model.reaped(child, rules::code(status));
        }
        self.deaths.got_on();
    }

    /// The core is told something.
    pub fn told(&mut self, wake: Wake, frame: &[u8], now: Instant) {
        self.falls_due();
        self.core_waits = false;
        self.now_us = now.as_us();
        self.turns_of_life += 1;
        self.tally.turns += 1;
        let handed = match wake {
            Wake::Event(Event::Tick) => return,
            Wake::Event(Event::Exited { child, status }) => {
                let what = Handed::Exit(child, status);
                let mut all = self.processes.iter_mut();
                let process = all.find(|one| one.child == child && one.ended.is_some());
                let truth = process.as_ref().and_then(|one| one.status());
                let is_first = process.is_some_and(|one| !std::mem::replace(&mut one.told, true));
                self.demand(truth == Some(status), || {
                    format!("{child:?} is said to have ended {status:?}, and did {truth:?}")
                });
                let is_again = self.owed == Some(what);
                self.demand(is_first || is_again, || format!("{child:?} ends twice"));
                self.model.told(child, Some(rules::code(status)));
                what
            }
            Wake::Event(Event::Ready(child)) => {
                let confirms = self.manifest.unit(child.unit);
                let confirms = confirms.is_some_and(|desc| desc.confirms_exec());
                let mut all = self.processes.iter();
                let is_so = all.any(|one| one.child == child && (one.said_ready || confirms));
                self.demand(is_so, || format!("{child:?} is ready and has not said so"));
                self.model.told(child, None);
                Handed::Ready(child)
            }
            Wake::Frame(client) => {
                self.told_frame(client, frame);
                Handed::Frame(client)
            }
            Wake::Event(_) => Handed::Other,
        };
        if let Some(owed) = self.owed.take() {
            self.demand(owed == handed, || {
                format!("{owed:?} was lost with a core, and the next is told {handed:?}")
            });
        }
        self.stamp = self.taken_in;
        self.handed = Some(handed);
    }

    fn told_frame(&mut self, client: ClientId, frame: &[u8]) {
        let request = Reader::new(frame).and_then(|mut reader| reader.take::<Request<'_>>());
        let (asked, waits) = match request {
            Ok(Request::Change { change, name, wait }) => {
                let unit = self.manifest.find(name.0);
                let asked = unit.map_or(Asked::Other, |unit| Asked::Change(change, unit.0));
                (asked, wait)
            }
            _ => (Asked::Other, true),
        };
        rules::heard(&mut self.model, asked);
        let frame = Frame {
            asked,
            waits,
            is_answered: false,
        };
        let place = (client.slot, client.generation);
        self.frames.entry(place).or_insert(frame);
    }

    /// The core wants a process.
    pub fn asks_for(&mut self, child: Child) {
        self.asked = Some(child);
    }

    /// What came of it.
    pub fn got(&mut self, child: Child, outcome: Result<u32, Errno>) {
        match outcome {
            Err(_) => self.model.refused_spawn(child),
            Ok(pid) => {
                let mut all = self.processes.iter();
                let is_its = all.any(|one| one.pid.unsigned_abs() == pid && one.child == child);
                self.demand(is_its, || format!("{child:?} is not process {pid}"));
            }
        }
    }

    pub fn signals(&mut self, child: Child, signal: Signal) {
        if child.unit.index() < self.manifest.units.len() {
            let kills = signal == Signal::KILL;
            self.model.signalled(child, kills, self.now_us);
        }
        self.wants_end(Some(child), signal);
    }

    /// The core answers a client.
    pub fn answers(&mut self, client: ClientId, bytes: &[u8]) {
        let place = (client.slot, client.generation);
        let Some(frame) = self.frames.get(&place).copied() else {
            return self.demand(false, || format!("{client:?} is answered and did not ask"));
        };
        self.demand(!frame.is_answered, || {
            format!("{client:?} is answered twice")
        });
        rules::judge(&mut self.model, frame.asked, frame.waits, bytes);
    }

    /// The answer is on its way, whatever becomes of the core.
    pub fn answered(&mut self, client: ClientId) {
        let place = (client.slot, client.generation);
        if let Some(frame) = self.frames.get_mut(&place) {
            frame.is_answered = true;
        }
        if self.handed == Some(Handed::Frame(client)) {
            self.handed = None;
            self.model.settled(false);
        }
    }

    /// The core ends the machine.
    pub fn finishes(&mut self, action: FinalAction) {
        let again = self.finished.replace(action).is_some();
        self.demand(!again, || "a second last act".into());
        self.deaths.spare();
    }

    /// Holds what the core says against what is.
    pub fn check(&mut self, core: &Core<'_>, new: &str) {
        self.heard += new.len();
        self.hear(new);
        let all = ids(self.manifest).filter_map(|id| core.status(id));
        self.seen = all.map(|status| rules::seen(&status)).collect();
        let busy = match self.handed {
            Some(Handed::Exit(child, _) | Handed::Ready(child)) => Some(child.unit),
            Some(Handed::Frame(_) | Handed::Other) | None => None,
        };
        let seen: Vec<Seen> = self.seen.clone();
        for (index, one) in (0..=u16::MAX).zip(&seen) {
            let id = UnitId(index);
            self.model.see(id, *one, busy == Some(id));
        }
        self.model.check();
        self.model.going_down = core.machine_status().phase == MachinePhase::ShuttingDown;
        let orphans = core.orphan_count();
        self.demand(orphans == 0, || format!("{orphans} orphans are counted"));
        if self.turns_of_life > 1
            && let Some(name) = self.untold.first()
        {
            self.fail(format!("the damage to the record of {name} is not told"));
        }
        self.core_waits = true;
    }

    /// Looks at lines of the console. A history may end one core after the other.
    pub fn hear(&mut self, new: &str) {
        let lost = new.contains("a line may be missing");
        let told = |name: &&str| {
            let words = format!("{name}: internal fault, please report: its record was damaged");
            lost || new.contains(&words)
        };
        self.untold.retain(|name| !told(name));
        for words in ["keeper: the core ended", "keeper: no core could be made"] {
            self.ends += new.matches(words).count();
        }
        let too_many = "ends again and again";
        let ends = self.ends;
        let is_owed = ends >= ENDS_MIN || !new.contains(too_many);
        self.demand(is_owed, || {
            format!("the console says {too_many:?} after {ends}")
        });
        let wrong = [
            "internal fault",
            "put aside",
            "does not end the core",
            "damaged its ring",
            "does not allow",
            "asked too often",
            "did not answer for",
        ];
        let found = wrong.iter().find(|words| new.contains(*words));
        self.demand(found.is_none(), || {
            format!("the console says {:?}", found.unwrap_or(&""))
        });
    }

    pub fn tally(&self) -> Tally {
        Tally {
            requests: self.model.asked,
            ..self.tally
        }
    }
}
