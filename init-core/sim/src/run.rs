//! This file lets a script happen: the production driver and core on a simulated machine, one life
//! of process 1 after the other, with the model looking on.

use crate::campaign::Perform;
use crate::facts::{Seen, Standing, closure, contradicts_itself};
use crate::product::{PLACES, UnitSpec, manifest};
use crate::rules::{ids, seen};
use crate::script::{Script, Step};
use crate::world::{Died, Handed, Port, Region, World};
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{recorder_bytes_for, words_for};
use init_core::event::{BootOptions, MachineRequest};
use init_core::ident::UnitId;
use init_core::protocol::{Change, Request, Text};
use init_core::status::MachinePhase;
use init_core::time::{Duration, Instant};
use init_core::unit::Manifest;
use init_core::{Driver, Storage};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU32;

/// Turns after which a history that should have come to its end has not.
const TURN_COUNT_MAX: u32 = 60_000;

/// Time in which all that was begun comes to its end once everybody behaves: some start and stop
/// timeouts one after the other, and back-offs.
const SETTLE_TIME: Duration = Duration::from_secs(40);

/// What a thread needs for one history after the other.
pub struct Stage {
    storage: Box<Storage<PLACES>>,
    words: &'static [AtomicU32],
    fuse: &'static AtomicU32,
    /// Entries of the flight recorder; 0: there is none.
    entries: usize,
}

/// What happened in a history, or in many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Histories.
    pub histories: u64,
    /// Turns of the driver.
    pub turns: u64,
    /// Deaths of process 1.
    pub deaths: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Histories that were compared with the same one without deaths.
    pub compared: u64,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which.
    pub rule: String,
    /// When, in microseconds.
    pub at: u64,
    /// What process 1 had said.
    pub console: String,
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    /// Memory for this thread; kept for ever.
    pub fn new() -> Self {
        Self::with_recorder(0)
    }

    /// The same, in which the flight recorder has room for so many entries.
    pub fn with_recorder(entries: usize) -> Self {
        let words = (0..region_words(PLACES, entries)).map(|_| AtomicU32::new(0));
        Self {
            storage: Box::new(Storage::new()),
            words: words.collect::<Vec<_>>().leak(),
            fuse: Box::leak(Box::new(AtomicU32::new(0))),
            entries,
        }
    }

    /// Lets a script happen once; what the flight recorder has then.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn record(
        &mut self,
        script: &Script,
        manifest: &'static Manifest,
    ) -> Result<(Tally, Words<'static>), Broken> {
        let (tally, _) = self.once(script, manifest, false)?;
        let units = manifest.units.len();
        let words = &self.words[..region_words(units, self.entries)];
        Ok((tally, Words::new(words)))
    }

    /// Lets a script happen. Where deaths of process 1 are all that is out of the ordinary, it
    /// happens again without them, and must come to the same.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn perform(
        &mut self,
        script: &Script,
        manifest: &'static Manifest,
    ) -> Result<Tally, Broken> {
        let compares = script.is_plain() && script.units.len() <= 12;
        let (mut tally, acts) = self.once(script, manifest, compares)?;
        if compares && tally.deaths > 0 {
            let (_, others) = self.once(&script.without_deaths(), manifest, true)?;
            if let Some(rule) = difference(acts, others) {
                return Err(Broken {
                    rule,
                    at: 0,
                    console: String::new(),
                });
            }
            tally.compared = 1;
        }
        Ok(tally)
    }

    /// What performs scripts, one after the other; those of one product in a row share a manifest.
    pub fn performer() -> Perform {
        let mut stage = Self::new();
        let mut last: Option<(Vec<UnitSpec>, &'static Manifest)> = None;
        Box::new(move |script| {
            let same = last.take().filter(|(units, _)| *units == script.units);
            let product = same.unwrap_or_else(|| (script.units.clone(), manifest(&script.units)));
            let (_, manifest) = last.insert(product);
            stage.perform(script, manifest)
        })
    }

    /// The same, of a script's own manifest.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn replay(&mut self, script: &Script) -> Result<Tally, Broken> {
        self.perform(script, manifest(&script.units))
    }

    fn once(
        &mut self,
        script: &Script,
        manifest: &'static Manifest,
        keeps_acts: bool,
    ) -> Result<(Tally, Vec<String>), Broken> {
        let numbers: Vec<usize> = script.units.iter().map(|unit| unit.number).collect();
        let region = Region {
            words: &self.words[..region_words(manifest.units.len(), self.entries)],
            fuse: self.fuse,
        };
        let mut world = World::new(manifest, &numbers, &script.lives, region);
        world.keeps_acts = keeps_acts;
        // What was begun and not performed may differ from what is without deaths.
        world.store.may_be_early = !script.is_plain();
        let mut history = History {
            script,
            numbers: &numbers,
            step: 0,
            phase: Phase::Script,
            heard: 0,
            seen: Vec::new(),
            tally: Tally {
                histories: 1,
                ..Tally::default()
            },
        };
        let outcome = loop {
            let mut driver = Driver::new(self.storage.core(manifest), Port(&mut world));
            match catch_unwind(AssertUnwindSafe(|| history.live(&mut driver))) {
                Ok(Ok(true)) => break Ok(()),
                Ok(Err(rule)) => break Err(rule),
                Ok(Ok(false)) => {}
                Err(cause) if cause.is::<Died>() => {}
                Err(_) => break Err(format!("process 1 panics: {}", crate::panic_words())),
            }
            history.tally.deaths += 1;
            world.bury();
        };
        history.tally.requests = world.model.asked;
        match outcome.and_then(|()| history.end(&mut world)) {
            Ok(()) => Ok((history.tally, std::mem::take(&mut world.acts))),
            Err(rule) => Err(Broken {
                rule,
                at: world.now.as_us(),
                console: String::from_utf8_lossy(&world.console.0).into_owned(),
            }),
        }
    }
}

/// Words of the region of so many units, with a recorder of so many entries.
fn region_words(units: usize, entries: usize) -> usize {
    let recorder = match entries {
        0 => 0,
        _ => recorder_bytes_for(units, entries) / 4,
    };
    words_for(units) + recorder
}

/// Where a history stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The script's steps.
    Script,
    /// Everybody behaves.
    Settling,
    /// The default target is asked for once more.
    Reaching { refusals: u64 },
    /// The machine goes down.
    Down,
}

struct History<'s> {
    script: &'s Script,
    numbers: &'s [usize],
    step: usize,
    phase: Phase,
    /// Bytes of the console that were looked at.
    heard: usize,
    seen: Vec<Seen>,
    tally: Tally,
}

type Machine<'a, 'w> = Driver<'a, Port<'w>>;

impl History<'_> {
    /// A life of process 1; whether the machine is off at its end. `Err`: a broken rule.
    fn live(&mut self, driver: &mut Machine<'_, '_>) -> Result<bool, String> {
        if !driver.resume() {
            driver.platform().0.untold.clear();
            driver.boot(BootOptions::default());
        }
        loop {
            let world = &mut driver.platform().0;
            if world.finished.is_some() {
                return Ok(true);
            }
            if world.is_dead() {
                return Ok(false);
            }
            self.check(driver)?;
            if driver.platform().0.idle {
                self.next(driver)?;
            }
            let refusals = driver.platform().0.model.refusals;
            let due = driver.core().next_deadline();
            driver.turn();
            self.tally.turns += 1;
            if self.tally.turns > TURN_COUNT_MAX.into() {
                return Err("time does not pass".into());
            }
            let world = &driver.platform().0;
            let refused = world.model.refusals > refusals && !world.is_dead();
            let now = world.now;
            if refused && due.is_none_or(|due| due > now) && self.seen.len() <= 16 {
                self.unchanged(driver)?;
            }
        }
    }

    /// A request that was refused changes nothing.
    fn unchanged(&self, driver: &mut Machine<'_, '_>) -> Result<(), String> {
        if driver.platform().0.damaged {
            return Ok(());
        }
        for (id, before) in ids(driver.core().manifest()).zip(&self.seen) {
            let now = driver.core().status(id).map(|status| seen(&status));
            if now.is_some_and(|now| now.state != before.state) {
                return Err(format!("a refused request makes {id:?} {now:?}"));
            }
        }
        Ok(())
    }

    /// Holds what is said against what is.
    fn check(&mut self, driver: &mut Machine<'_, '_>) -> Result<(), String> {
        self.seen.clear();
        let core = driver.core();
        let all = ids(core.manifest()).filter_map(|id| core.status(id));
        self.seen.extend(all.map(|status| seen(&status)));
        let down = core.machine_status().phase == MachinePhase::ShuttingDown;
        let orphans = core.orphan_count();
        let world = &mut driver.platform().0;
        let busy = world.handed_child().map(|child| child.unit);
        for (index, one) in (0..=u16::MAX).zip(&self.seen) {
            world
                .model
                .see(UnitId(index), *one, busy == Some(UnitId(index)));
        }
        world.model.check();
        world.model.going_down = down;
        if !matches!(world.handed(), Some(Handed::Exit(_))) && orphans != world.model.orphans {
            let real = world.model.orphans;
            world.model.fail(format!(
                "{orphans} orphans are counted, and there were {real}"
            ));
        }
        let new = world.console.0.get(self.heard..).unwrap_or_default();
        let new = String::from_utf8_lossy(new);
        let lost = new.contains("a line may be missing");
        let told = |name: &&str| {
            let words = format!("{name}: internal fault, please report: its record was damaged");
            lost || new.contains(&words)
        };
        world.untold.retain(|name| !told(name));
        if let Some(name) = world.untold.first() {
            return Err(format!("the damage to the record of {name} is not told"));
        }
        let fault = new.contains("internal fault");
        self.heard = world.console.0.len();
        match world.broken() {
            Some(rule) => Err(rule),
            None if world.damaged => Ok(()),
            None if fault => Err("process 1 reports a fault of its own".into()),
            None => Ok(()),
        }
    }

    /// The machine waits for what comes next.
    fn next(&mut self, driver: &mut Machine<'_, '_>) -> Result<(), String> {
        let target = driver.core().manifest().default_target;
        let world = &mut driver.platform().0;
        world.idle = false;
        let settles = world.now.after(SETTLE_TIME);
        match self.phase {
            Phase::Script => {
                while let Some(step) = self.script.steps.get(self.step) {
                    self.step += 1;
                    if self.take(step, world) {
                        return Ok(());
                    }
                }
                world.calm();
                (world.horizon, self.phase) = (settles, Phase::Settling);
            }
            Phase::Settling => {
                self.settled(world)?;
                let refusals = world.model.refusals;
                world.ask(Change::Start, target.0, true);
                (world.horizon, self.phase) = (settles, Phase::Reaching { refusals });
            }
            Phase::Reaching { refusals } => {
                self.settled(world)?;
                if !world.model.going_down {
                    self.reached(world, target, refusals)?;
                }
                world.signal(MachineRequest::PowerOff);
                let patience = self.time_to_go_down(world);
                (world.horizon, self.phase) = (patience, Phase::Down);
            }
            Phase::Down => return Err("the machine's last act does not come".into()),
        }
        Ok(())
    }

    /// The total deadline of the machine's end, what its own extensions may add, and a second.
    fn time_to_go_down(&self, world: &World) -> Instant {
        let total = world.manifest.shutdown.timeout;
        world.now.after(total).after(Duration::from_secs(2))
    }

    fn settled(&self, world: &mut World) -> Result<(), String> {
        let unanswered = world.unanswered();
        if world.damaged || world.model.going_down {
            return Ok(());
        }
        if unanswered > 0 {
            return Err(format!("{unanswered} clients wait for ever"));
        }
        world.model.check_settled();
        world.broken().map_or(Ok(()), Err)
    }

    /// The default target is up with all that it needs, or it cannot be.
    fn reached(&self, world: &World, target: UnitId, refusals: u64) -> Result<(), String> {
        let refused = world.model.refusals > refusals;
        if refused != contradicts_itself(&world.model.natures, target) && !world.damaged {
            return Err(format!("the default target is refused: {refused}"));
        }
        for unit in closure(&world.model.natures, target) {
            let state = self.seen.get(unit.index()).map(|seen| seen.state);
            if !refused && state != Some(Standing::Up) && !world.damaged {
                return Err(format!("{unit:?} is {state:?}, and everybody behaves"));
            }
        }
        Ok(())
    }

    fn end(&self, world: &mut World) -> Result<(), String> {
        world.broken().map_or(Ok(()), Err)
    }

    /// Lets a step happen; whether time is to pass now.
    fn take(&self, step: &Step, world: &mut World) -> bool {
        let place = |number: usize| self.numbers.iter().position(|each| *each == number);
        let index = |number| place(number).and_then(|place| u16::try_from(place).ok());
        let until = |us| world.now.after(Duration::from_us(us));
        match step {
            Step::Wait(us) => {
                world.horizon = until(*us);
                return true;
            }
            Step::Ask(change, unit, wait) => {
                if let Some(unit) = index(*unit) {
                    world.ask(*change, unit, *wait);
                }
            }
            Step::Act(request) => world.request(&Request::Act(*request)),
            Step::Look(unit) => {
                let name = Text::of(crate::product::name(*unit));
                world.request(&Request::Unit { name });
            }
            Step::Garbage(seed, bytes) => world.garbage(*seed, *bytes),
            Step::Leave(nth) => world.leave(*nth),
            Step::Stall(nth) => world.stall(*nth),
            Step::Crash(unit, code) => {
                if let Some(unit) = place(*unit) {
                    world.crash(unit, *code);
                }
            }
            Step::Orphans(count, after) => world.orphans(*count, *after),
            Step::Signal(request) => world.signal(*request),
            Step::Exhaust(count) => world.store.exhaust = *count,
            Step::Wake(count) => world.store.wakes = *count,
            Step::Deaf(us) => world.store.deaf_until = until(*us),
            Step::Hold(us) => world.store.hold = *us,
            Step::Slow(count, us) => world.store.slow = (*count, *us),
            Step::Watchdog(us) => world.watched(*us),
            Step::Shuffle(seed) => world.shuffle(*seed),
            Step::Die(deaths) => world.die(deaths),
            Step::Reexec => world.request(&Request::Reexec),
            Step::Damage(word, bit) => world.store.damage.push((None, *word, *bit)),
            Step::DamageRecord(unit, word, bit) => {
                if let Some(unit) = index(*unit) {
                    world.store.damage.push((Some(UnitId(unit)), *word, *bit));
                }
            }
        }
        false
    }
}

/// Where two runs differ in what was done to processes; the order in one instant is nobody's
/// business.
fn difference(mut ours: Vec<String>, mut theirs: Vec<String>) -> Option<String> {
    for acts in [&mut ours, &mut theirs] {
        acts.retain(|act| !act.contains("answer"));
        acts.sort();
        // These two go again if process 1 died before it could note that they were sent.
        acts.dedup_by(|a, b| a == b && (a.contains("to all") || a.contains("signal 9 ")));
    }
    let at = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    let at = at.or((ours.len() != theirs.len()).then(|| ours.len().min(theirs.len())))?;
    let (ours, theirs) = (ours.get(at), theirs.get(at));
    Some(format!("with deaths {ours:?}, without them {theirs:?}"))
}
