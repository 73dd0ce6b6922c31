//! This file knows what happens to a machine in a history, and is what the kernel shows: which
//! processes there are, what each is to do, and how it ended.

use super::death::Deaths;
use super::director::Director;
use super::process::Process;
use super::product::{Product, is_client};
use super::{Shared, product};
use crate::sim::{Deed, Fact, Fortune};
use hal_harmony::abi::number::Number;
use init_core::checkpoint::words::Words;
use init_core::effect::FinalAction;
use init_core::event::ExitStatus;
use init_core::ident::{Child, ClientId, Role, UnitId};
use init_core::unit::{Manifest, Readiness, UnitKind};
use init_core_sim::facts::Seen;
use init_core_sim::model::Model;
use init_core_sim::product::Life;
use init_core_sim::rules;
use init_core_sim::run::Tally;
use init_core_sim::script::Script;
use std::collections::{BTreeMap, VecDeque};

/// What a process is to do.
pub enum Part {
    Unit {
        life: Life,
        says_ready: bool,
        /// It is hostile, in ways that follow from this.
        noise: Option<u64>,
    },
    Client,
}

/// A request to be carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub frame: Vec<u8>,
    /// The start of the script's target, for which everything waits in the end.
    pub is_last: bool,
}

/// What a core was told last and may not have taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    Exit(Child, ExitStatus),
    Ready(Child),
    Frame(ClientId),
    Other,
}

/// A frame that a core was told of.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub asked: rules::Asked,
    pub waits: bool,
    pub is_answered: bool,
}

/// All of it.
pub struct Stage {
    pub manifest: &'static Manifest,
    pub model: Model,
    pub deaths: Deaths,
    pub director: Director,
    /// The core's time.
    pub now_us: u64,
    pub finished: Option<FinalAction>,
    /// What the core says of units.
    pub seen: Vec<Seen>,
    pub processes: Vec<Process>,
    /// Clients' processes, and the request that each has.
    pub clients: BTreeMap<i32, Option<Order>>,
    pub orders: VecDeque<Order>,
    pub stalled: Vec<i32>,
    pub core_pid: Option<i32>,
    /// The core waits to be told something.
    pub core_waits: bool,
    /// The region was damaged: what is promised then is that the machine goes on, not as what.
    pub weak: bool,
    /// What is promised all the same does not hold.
    hopeless: Option<String>,
    pub damage: Vec<(Option<UnitId>, u32, u32)>,
    pub scribbled: bool,
    /// Units whose records were damaged, of which nobody was told.
    pub untold: Vec<&'static str>,
    /// Cores that ended, or could not be made, as the console tells.
    pub ends: usize,
    /// Bytes of the console that were looked at.
    pub heard: usize,
    /// Where the core keeps its state.
    pub state: Words<'static>,
    /// Turns of the core that lives.
    pub turns_of_life: u32,
    /// What was handed out, after how many events, and how many the core has taken in.
    pub handed: Option<Handed>,
    pub stamp: u32,
    pub taken_in: u32,
    /// What was lost with a core, and is to be told to the next.
    pub owed: Option<Handed>,
    pub frames: BTreeMap<(u8, u16), Frame>,
    /// Whom the core asked for last.
    pub asked: Option<Child>,
    pub tally: Tally,
    lives: BTreeMap<(usize, u8, u16), Life>,
    seed: u64,
}

impl Stage {
    pub fn new(script: &Script, product: &Product) -> Self {
        let manifest = product.manifest;
        let place = |number| product.numbers.iter().position(|each| *each == number);
        let keyed = |life: &Life| Some(((place(life.unit)?, life.role as u8, life.start), *life));
        Self {
            manifest,
            model: Model::new(rules::natures(manifest)),
            deaths: Deaths::new(),
            director: Director::new(script, product),
            now_us: 0,
            finished: None,
            seen: Vec::new(),
            processes: Vec::new(),
            clients: BTreeMap::new(),
            orders: VecDeque::new(),
            stalled: Vec::new(),
            core_pid: None,
            core_waits: false,
            weak: false,
            hopeless: None,
            damage: Vec::new(),
            scribbled: false,
            untold: Vec::new(),
            ends: 0,
            heard: 0,
            state: Words::new(&[]),
            turns_of_life: 0,
            handed: None,
            stamp: 0,
            taken_in: 0,
            owed: None,
            frames: BTreeMap::new(),
            asked: None,
            tally: Tally {
                histories: 1,
                ..Tally::default()
            },
            lives: script.lives.iter().filter_map(keyed).collect(),
            seed: product.seed,
        }
    }

    /// Something that must never be.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.hopeless.get_or_insert(what.into());
    }

    /// The first broken rule that counts. Of damage, that there are never two of one.
    pub fn broken(&mut self) -> Option<&String> {
        self.judge();
        self.hopeless.as_ref()
    }

    /// Judges what was broken since this was last done, before what is promised changes.
    pub fn judge(&mut self) {
        let broken = std::mem::take(&mut self.model.broken);
        if let Some(rule) = rules::first_that_counts(&broken, self.weak) {
            self.fail(rule.clone());
        }
    }

    /// A rule of our own, which does not hold where the region is damaged.
    pub fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && !self.weak {
            self.model.fail(what());
        }
    }

    pub fn process(&mut self, pid: i32) -> Option<&mut Process> {
        self.processes.iter_mut().find(|one| one.pid == pid)
    }

    fn name_of(&self, child: Child) -> &'static str {
        self.manifest.unit(child.unit).map_or("", |desc| desc.name)
    }

    /// What a process that has begun is to do.
    pub fn part(&mut self, pid: i32) -> Option<Part> {
        let is_calm = self.director.is_calm();
        let Process { child, life, .. } = *self.process(pid)?;
        if is_client(self.name_of(child)) {
            return Some(Part::Client);
        }
        let desc = self.manifest.unit(child.unit)?;
        let says_ready = child.role == Role::Main && matches!(desc.rules.ready, Readiness::Letter);
        let start = u64::from(child.generation.0);
        let noise = self.seed ^ (u64::from(child.unit.0) << 32) ^ start.wrapping_mul(0x9e37_79b9);
        let is_hostile = !is_calm && (noise >> 3).is_multiple_of(9);
        Some(Part::Unit {
            life,
            says_ready,
            noise: is_hostile.then_some(noise),
        })
    }

    fn life_of(&self, child: Child) -> Life {
        let (unit, start) = (child.unit.index(), child.generation.0);
        let desc = self.manifest.unit(child.unit);
        let one_shot = desc.is_some_and(|desc| desc.rules.kind == UnitKind::Task);
        let usual = Life::usual(unit, child.role, start, one_shot);
        let own = self.lives.get(&(unit, child.role as u8, start));
        let is_calm = self.director.is_calm();
        own.filter(|_| !is_calm).copied().unwrap_or(usual)
    }

    /// Whether the next process cannot be made.
    pub fn lacks_memory(&mut self) -> bool {
        let Some(child) = self.asked.filter(|_| self.core_pid.is_some()) else {
            return false;
        };
        let is_exhausted = self.director.exhaust > 0;
        self.director.exhaust = self.director.exhaust.saturating_sub(1);
        is_exhausted || self.life_of(child).fails.is_some()
    }

    /// A process says that it is ready.
    pub fn says_ready(&mut self, pid: i32) {
        if let Some(process) = self.process(pid) {
            process.said_ready = true;
        }
    }

    fn begun(&mut self, name: &[u8], pid: i32) {
        if name == product::CORE {
            self.core_pid = Some(pid);
            return;
        }
        let Some(child) = self
            .asked
            .filter(|child| self.name_of(*child).as_bytes() == name)
        else {
            let name = String::from_utf8_lossy(name).into_owned();
            return self.demand(false, || format!("a process of {name} for nobody"));
        };
        let life = self.life_of(child);
        self.processes.push(Process::new(pid, child, life));
        if is_client(self.name_of(child)) {
            self.clients.insert(pid, None);
        }
        self.model.spawned(child, pid.unsigned_abs(), self.now_us);
    }

    fn ended(&mut self, pid: i32, code: i32) {
        if self.core_pid == Some(pid) {
            self.core_pid = None;
            return self.core_ended();
        }
        if let Some(Some(order)) = self.clients.remove(&pid)
            && order.is_last
        {
            self.director.last_answered = Some(false);
        }
        let Some(process) = self.process(pid) else {
            return;
        };
        process.ended = Some(code);
        let (child, is_well) = (process.child, process.ended_well());
        self.model.ended(child, is_well);
    }
}

/// The stage's place in the kernel.
pub struct Place(pub Shared);

impl Fortune for Place {
    fn deeds(&mut self, now_ns: u64, all_sleep: bool) -> Vec<Deed> {
        self.0.lock().deeds(now_ns / 1_000, all_sleep)
    }

    fn alarm_ns(&self) -> Option<u64> {
        self.0.lock().alarm_us().map(|us| us.saturating_mul(1_000))
    }

    fn refuses(&mut self, number: Number) -> bool {
        self.0.lock().refuses(number)
    }

    fn saw(&mut self, fact: Fact<'_>) {
        let mut stage = self.0.lock();
        match fact {
            Fact::Begun { name, pid } => stage.begun(name, pid),
            Fact::Killed { pid } => stage.killed(pid),
            Fact::Ended { pid, code } => stage.ended(pid, code),
        }
    }
}
