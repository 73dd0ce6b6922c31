//! This room is a machine without hardware: a kernel with processes, signals and clients in virtual
//! time, the region that outlives process 1, and the HAL in between (`hal`).
//!
//! The same script gives the same machine. Time passes while process 1 sleeps, and not otherwise.
//! What the kernel knows survives process 1; what only the HAL knows is gone with it, as in the
//! production HALs: who is served by which process, what was handed out and not taken in, and how
//! far a client's answer was, lie in the region.

mod clients;
mod hal;
mod store;
mod verdict;
mod watchdog;

pub use hal::Port;

use crate::model::Model;
use crate::product::Life;
use crate::random::Random;
use crate::rules::{self, Asked};
use crate::script::Death;
use clients::Client;
pub use clients::frame;
use init_core::checkpoint;
use init_core::checkpoint::words::{BURNT, Words};
use init_core::effect::FinalAction;
use init_core::event::{ExitStatus, MachineRequest};
use init_core::hal::fake::Console;
use init_core::ident::{Child, ClientId, Role, UnitId};
use init_core::limits::{CLIENT_COUNT_MAX, FRAME_BYTES_MAX};
use init_core::protocol::Writer;
use init_core::renewal::Handover;
use init_core::time::Instant;
use init_core::unit::{Manifest, UnitKind};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use store::FOR_EVER;
pub use store::Store;

/// How a life of process 1 ends, thrown through it.
pub struct Died;

/// A process.
#[derive(Debug)]
struct Process {
    serial: u64,
    pid: u32,
    /// `None`: of no unit.
    child: Option<Child>,
    life: Life,
    /// It has said that it is ready, which process 1 has not taken in.
    word: bool,
    /// It has ended and waits to be reaped.
    ended: Option<ExitStatus>,
}

/// What happens by itself at some time.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Ready(u64),
    End(u64, ExitStatus),
}

/// What process 1 was told last and has not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The end of this process.
    Exit(u64),
    /// A process's readiness.
    Ready(u64),
    /// A signal.
    Signal,
    /// A client's frame.
    Frame(u8),
}

/// The memory that outlives process 1; a thread's own, used again and again.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// The core's words.
    pub words: &'static [AtomicU32],
    /// Writes that still take effect.
    pub fuse: &'static AtomicU32,
}

/// The machine.
pub struct World {
    /// What it runs.
    pub manifest: &'static Manifest,
    /// Who watches over the rules.
    pub model: Model,
    /// The time.
    pub now: Instant,
    /// The time that process 1 has: when it last asked for it.
    asked_for: Cell<Instant>,
    /// Time does not pass beyond this before the next step.
    pub horizon: Instant,
    /// Process 1 was woken for the horizon's sake: it is the next step's turn.
    pub idle: bool,
    /// Process 1 was woken, and neither for what happened nor for a deadline.
    spurious: bool,
    /// The machine's last act.
    pub finished: Option<FinalAction>,
    /// What people read.
    pub console: Console,
    /// The hardware's, if there is one.
    watchdog: Option<watchdog::Watchdog>,
    /// The first broken rule that counts, until somebody asks.
    verdict: Option<String>,
    /// A bit of the region was turned: what is promised then is that process 1 goes on, not as
    /// what.
    pub damaged: bool,
    /// Any word of the region may be damaged.
    scribbled: bool,
    /// Units whose records were damaged, of which nobody was told.
    pub untold: Vec<&'static str>,
    /// All that was done to processes, with its time, for comparisons.
    pub acts: Vec<String>,
    /// Whether [`Self::acts`] are kept.
    pub keeps_acts: bool,
    lives: BTreeMap<(usize, u8, u16), Life>,
    region: Region,
    agenda: BTreeMap<(Instant, u64), Happening>,
    serial: u64,
    last_pid: u32,
    processes: Vec<Process>,
    signals: VecDeque<MachineRequest>,
    clients: [Option<Client>; CLIENT_COUNT_MAX],
    /// In the region: which client was the last on each slot.
    generations: [u16; CLIENT_COUNT_MAX],
    /// In the region: what was handed out, after how many events.
    handed: Option<Handed>,
    stamp: u32,
    /// In the region: the core is to be told when no child is left.
    alone: bool,
    /// SIGKILL was sent to all.
    killed_all: bool,
    /// In the region: why the next life begins.
    renews: bool,
    /// In process 1's memory from here on.
    handover: Handover,
    alone_told: bool,
    is_new: bool,
    /// The core began without a state.
    is_forsaken: bool,
    taken_in: u32,
    gone: VecDeque<ClientId>,
    /// What a script has in store.
    pub(crate) store: Store,
}

impl World {
    /// A machine that is switched on.
    pub fn new(
        manifest: &'static Manifest,
        numbers: &[usize],
        lives: &[Life],
        region: Region,
    ) -> Self {
        for word in region.words {
            word.store(0, Ordering::Relaxed);
        }
        region.fuse.store(FOR_EVER, Ordering::Relaxed);
        let place = |number| numbers.iter().position(|each| *each == number);
        let keyed = |life: &Life| Some(((place(life.unit)?, life.role as u8, life.start), *life));
        Self {
            manifest,
            model: Model::new(crate::rules::natures(manifest)),
            now: Instant::ZERO,
            asked_for: Cell::new(Instant::ZERO),
            horizon: Instant::ZERO,
            idle: false,
            spurious: false,
            finished: None,
            console: Console::default(),
            watchdog: None,
            verdict: None,
            damaged: false,
            scribbled: false,
            untold: Vec::new(),
            acts: Vec::new(),
            keeps_acts: false,
            lives: lives.iter().filter_map(keyed).collect(),
            region,
            agenda: BTreeMap::new(),
            serial: 0,
            last_pid: 1,
            processes: Vec::new(),
            signals: VecDeque::new(),
            clients: Default::default(),
            generations: [0; CLIENT_COUNT_MAX],
            handed: None,
            stamp: 0,
            alone: false,
            killed_all: false,
            renews: false,
            handover: Handover::Fault,
            alone_told: false,
            is_new: true,
            is_forsaken: false,
            taken_in: 0,
            gone: VecDeque::new(),
            store: Store::new(),
        }
    }

    /// The region as process 1 sees it.
    pub fn words(&self) -> Words<'static> {
        Words::new(self.region.words).with_fuse(self.region.fuse)
    }

    /// What process 1 was told last and may not have taken in.
    pub fn handed(&self) -> Option<Handed> {
        self.handed
    }

    /// Whose end or readiness that is.
    pub fn handed_child(&self) -> Option<Child> {
        match self.handed? {
            Handed::Exit(serial) | Handed::Ready(serial) => self.process(serial)?.child,
            Handed::Signal | Handed::Frame(_) => None,
        }
    }

    /// Lets process 1 die there, and its heirs as the script says.
    pub fn die(&mut self, deaths: &[Death]) {
        self.store.deaths.extend(deaths);
        if !self.store.lit {
            self.light();
        }
    }

    fn light(&mut self) {
        let (mut writes, mut calls) = (FOR_EVER, FOR_EVER);
        self.store.lit = !self.store.deaths.is_empty();
        match self.store.deaths.pop_front() {
            None => {}
            Some(Death::Write(count)) => writes = count,
            Some(Death::Call(count)) => calls = count,
        }
        self.store.is_early = self.store.may_be_early && !writes.is_multiple_of(2);
        self.region.fuse.store(writes, Ordering::Relaxed);
        self.store.calls = calls;
    }

    /// No more deaths.
    pub fn spare(&mut self) {
        self.store.deaths.clear();
        self.light();
    }

    /// Whether process 1 is dead.
    pub fn is_dead(&self) -> bool {
        self.region.fuse.load(Ordering::Relaxed) == BURNT
    }

    /// What only process 1 knew is gone; the next life begins, if the machine was not switched off.
    pub fn bury(&mut self) {
        self.handover = match std::mem::take(&mut self.renews) {
            true => Handover::Again,
            false => Handover::Fault,
        };
        self.alone_told = false;
        (self.is_new, self.is_forsaken) = (true, false);
        self.taken_in = 0;
        (self.idle, self.spurious) = (false, false);
        self.gone.clear();
        // What was done before the damage is not excused by it.
        self.judge();
        self.model.process_1_died();
        for (unit, word, bit) in std::mem::take(&mut self.store.damage) {
            let word = usize::try_from(word).unwrap_or(0);
            match unit {
                Some(unit) => self.damage(unit, word, bit),
                None => {
                    let word = word % self.region.words.len();
                    (self.scribbled, self.damaged) = (true, true);
                    self.untold.clear();
                    self.region.words[word].fetch_xor(1 << (bit % 32), Ordering::Relaxed);
                }
            }
        }
        self.light();
        self.inherit_clients();
    }

    /// Damages a unit's record; unless an heir mends it, it must say so.
    fn damage(&mut self, unit: UnitId, word: usize, bit: u32) {
        let name = self.manifest.unit(unit).map_or("", |desc| desc.name);
        let words = Words::new(self.region.words);
        let units = self.manifest.units.len();
        let is_there = checkpoint::damage(words, units, unit, word, bit);
        self.damaged = true;
        if is_there && !self.scribbled {
            rules::owe_word(&mut self.untold, name);
        }
    }

    /// A crossing between process 1 and the kernel: it may take its time, and process 1 may die
    /// here.
    fn cross(&mut self) {
        self.dawdle();
        if self.store.calls != FOR_EVER {
            self.store.calls = self.store.calls.saturating_sub(1);
        }
        let is_spent = self.store.is_early && self.region.fuse.load(Ordering::Relaxed) == 0;
        if self.is_dead() || is_spent || self.store.calls == 0 {
            self.region.fuse.store(BURNT, Ordering::Relaxed);
            std::panic::resume_unwind(Box::new(Died));
        }
    }

    /// A signal for process 1.
    pub fn signal(&mut self, request: MachineRequest) {
        self.signals.push_back(request);
    }

    /// The n-th living process of a unit's main role ends by itself.
    pub fn crash(&mut self, unit: usize, code: u8) {
        let main = |one: &&Process| {
            let of = |child: Child| child.unit.index() == unit && child.role == Role::Main;
            one.child.is_some_and(of) && one.ended.is_none()
        };
        if let Some(serial) = self.processes.iter().find(main).map(|one| one.serial) {
            self.end(serial, ExitStatus::Code(code));
        }
    }

    /// Processes of no unit appear, such as children of services whose parents are gone.
    pub fn orphans(&mut self, count: u32, after: Option<u64>) {
        for _ in 0..count {
            let mut life = Life::usual(0, Role::Main, 0, false);
            life.exit = after.map(|us| (us, 0));
            // Some do not listen.
            life.stop = (!self.serial.is_multiple_of(4)).then_some(0);
            self.make(None, life, false);
        }
    }

    /// From now on, things are told in another order; 0: in theirs.
    pub fn shuffle(&mut self, seed: u64) {
        self.store.shuffle = (seed > 0).then(|| Random::new(seed));
    }

    /// A client sends so many bytes of no sense.
    pub fn garbage(&mut self, seed: u64, bytes: usize) {
        let mut random = Random::new(seed);
        let mut frame: Vec<u8> = (0..bytes.clamp(1, FRAME_BYTES_MAX))
            .map(|_| u8::try_from(random.below(256)).unwrap_or(0))
            .collect();
        // Half of them begin well.
        if random.once_in(2) {
            let mut buffer = [0; FRAME_BYTES_MAX];
            let header = Writer::new(&mut buffer).length().min(frame.len());
            frame[..header].copy_from_slice(&buffer[..header]);
        }
        self.connect(frame, Asked::Other, true);
    }

    /// From here on everybody behaves: faults are over, and what could not be killed dies.
    pub fn calm(&mut self) {
        self.spare();
        self.store.calm = true;
        self.store.exhaust = 0;
        self.store.wakes = 0;
        self.store.deaf_until = Instant::ZERO;
        self.store.hold = 0;
        self.store.slow.0 = 0;
        let stuck = |one: &&Process| one.life.kill.is_none() && one.ended.is_none();
        let stuck: Vec<u64> = self
            .processes
            .iter()
            .filter(stuck)
            .map(|one| one.serial)
            .collect();
        for serial in stuck {
            self.end(serial, ExitStatus::Code(0));
        }
    }

    fn process(&self, serial: u64) -> Option<&Process> {
        self.processes.iter().find(|one| one.serial == serial)
    }

    fn process_mut(&mut self, serial: u64) -> Option<&mut Process> {
        self.processes.iter_mut().find(|one| one.serial == serial)
    }

    fn arrange(&mut self, after: u64, happening: Happening) {
        self.serial += 1;
        let at = Instant::from_us(self.now.as_us().saturating_add(after));
        self.agenda.insert((at, self.serial), happening);
    }

    /// Makes a process. Numbers are used again as soon as they can be.
    fn make(&mut self, child: Option<Child>, life: Life, says_ready: bool) -> u32 {
        let space = u32::try_from(self.processes.len()).unwrap_or(u32::MAX) + 6;
        let mut pid = self.last_pid;
        loop {
            pid = if pid > space { 2 } else { pid + 1 };
            if self.processes.iter().all(|one| one.pid != pid) {
                break;
            }
        }
        self.last_pid = pid;
        self.serial += 1;
        let serial = self.serial;
        self.processes.push(Process {
            serial,
            pid,
            child,
            life,
            word: false,
            ended: None,
        });
        if let (true, Some(after)) = (says_ready, life.ready) {
            self.arrange(after, Happening::Ready(serial));
        }
        if let Some((after, code)) = life.exit {
            self.arrange(after, Happening::End(serial, ExitStatus::Code(code)));
        }
        pid
    }

    fn life_of(&self, child: Child) -> Life {
        let (unit, start) = (child.unit.index(), child.generation.0);
        let desc = self.manifest.unit(child.unit);
        let one_shot =
            desc.is_some_and(|d| matches!(d.rules.kind, UnitKind::Task | UnitKind::Mount));
        let usual = Life::usual(unit, child.role, start, one_shot);
        let own = self.lives.get(&(unit, child.role as u8, start));
        own.filter(|_| !self.store.calm).copied().unwrap_or(usual)
    }

    /// A process ends.
    fn end(&mut self, serial: u64, status: ExitStatus) {
        let Some(process) = self.process_mut(serial) else {
            return;
        };
        if process.ended.is_none() {
            process.ended = Some(status);
            if let Some(child) = process.child {
                self.model.ended(child, status == ExitStatus::Code(0));
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Ready(serial) => {
                if let Some(process) = self.process_mut(serial)
                    && process.ended.is_none()
                {
                    process.word = true;
                }
            }
            Happening::End(serial, status) => self.end(serial, status),
        }
    }

    /// Sends a signal to a process.
    fn hit(&mut self, serial: u64, number: u8, kills: bool) {
        let calm = self.store.calm;
        let Some(process) = self.process(serial) else {
            return;
        };
        let life = process.life;
        let after = if kills { life.kill } else { life.stop };
        let after = if calm {
            Some(after.unwrap_or(0))
        } else {
            after
        };
        if let Some(after) = after {
            let status = ExitStatus::Signal {
                number,
                core_dumped: false,
            };
            self.arrange(after, Happening::End(serial, status));
        }
    }

    fn note(&mut self, words: &dyn Fn() -> String) {
        if self.keeps_acts {
            self.acts
                .push(format!("{:>12} {}", self.now.as_us(), words()));
        }
    }
}
