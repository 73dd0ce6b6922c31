//! This file performs a recording: the driver takes in one entry after the other, and after each
//! the state must be the one that was recorded.

use crate::begin::{Beginning, beginning, first_readable, state_from};
use crate::port::{Port, Source};
use crate::tape;
use crate::trouble::Trouble;
use crate::words::Names;
use init_core::checkpoint::Happening;
use init_core::checkpoint::recording::{self, Recording, State};
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{Past, words_for};
use init_core::event::Event;
use init_core::hal::fake::Console;
use init_core::ident::UnitId;
use init_core::time::Instant;
use init_core::unit::Manifest;
use init_core::{Core, Driver, Storage};
use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicU32;

/// Where a recording ends: how many entries count, and the sum of the state after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Entries.
    pub count: u32,
    /// The sum.
    pub sum: u32,
}

/// What came of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The number of its entry.
    pub number: u32,
    /// When.
    pub at: Instant,
    /// What happened.
    pub what: String,
    /// What the core asked for, with the answers.
    pub effects: Vec<String>,
    /// What it said.
    pub said: Vec<String>,
    /// Units that are in another state: which, before, after.
    pub changes: Vec<(String, String, String)>,
}

/// What came of a recording.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// The first entry that was performed.
    pub first: u32,
    /// Entries that were performed.
    pub performed: u32,
    /// Whole states on the way that were compared.
    pub states: u32,
    /// Times that something came between that is not recorded.
    pub gaps: u32,
    /// Entries behind the last such, for which there is no state to go on from.
    pub left_out: u32,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Why it ended before its end.
    pub trouble: Option<Trouble>,
}

/// Memory for one replay after the other.
pub struct Desk<const UNITS: usize> {
    storage: Box<Storage<UNITS>>,
    words: &'static [AtomicU32],
}

/// How a life ended.
enum Turn {
    /// All is performed.
    End,
    /// Another life begins.
    Life,
    /// Something is missing.
    Gap,
    /// It is not as recorded.
    Trouble,
}

impl<const UNITS: usize> Default for Desk<UNITS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const UNITS: usize> Desk<UNITS> {
    /// Memory; kept for ever.
    pub fn new() -> Self {
        let words = (0..words_for(UNITS)).map(|_| AtomicU32::new(0));
        Self {
            storage: Box::new(Storage::new()),
            words: words.collect::<Vec<_>>().leak(),
        }
    }

    /// Performs a recording of this manifest's units from the earliest entry on that can be.
    pub fn replay(
        &mut self,
        recording: Recording<'_>,
        end: End,
        manifest: &'static Manifest,
    ) -> Replay {
        let words = self.words.get(..words_for(manifest.units.len()));
        let region = Words::new(words.unwrap_or_default()).watched(tape::note);
        let source = Source {
            recording,
            region,
            names: Names(manifest),
            next: Cell::new(0),
            end: end.count,
            now: Cell::new(Instant::ZERO),
            is_over: Cell::new(false),
            steps: RefCell::default(),
            trouble: RefCell::new(None),
        };
        let mut replay = Replay::default();
        if let Err(trouble) = self.perform(&source, end, &mut replay) {
            replay.trouble = Some(trouble);
        }
        replay.steps = source.steps.take();
        replay
    }

    fn perform(
        &mut self,
        source: &Source<'_>,
        end: End,
        replay: &mut Replay,
    ) -> Result<(), Trouble> {
        let first = first_readable(source)?;
        let mut beginning = beginning(source, first).ok_or(Trouble::NoBeginning)?;
        loop {
            if let Beginning::State(state) = &beginning {
                source.next.set(state.number);
            }
            let from = source.next.get();
            if replay.performed == 0 {
                replay.first = from;
            }
            let turn = self.stretch(source, &beginning, replay);
            replay.performed += source.next.get().wrapping_sub(from);
            if let Some(trouble) = source.trouble.take() {
                return Err(trouble);
            }
            match turn {
                Turn::Life | Turn::Trouble => return Err(Trouble::NoBeginning),
                Turn::End => return self.compare_end(source, end),
                Turn::Gap => {
                    replay.gaps += 1;
                    let at = source.next.get();
                    match state_from(source, at) {
                        Some(state) => beginning = Beginning::State(state),
                        None => {
                            replay.left_out = end.count.wrapping_sub(at);
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// The state after the last step, or at a moment of it if process 1 has died there.
    fn compare_end(&self, source: &Source<'_>, end: End) -> Result<(), Trouble> {
        let units = source.names.0.units.len();
        let is_it = |region: Words<'_>| recording::sum(region, units) == end.sum;
        if is_it(source.region) || tape::go_back(source.region, is_it) {
            return Ok(());
        }
        Err(Trouble::Differs {
            step: source.last_step(),
            what: None,
        })
    }

    /// Performs entries from a state on, through any number of lives.
    fn stretch(&mut self, source: &Source<'_>, beginning: &Beginning, replay: &mut Replay) -> Turn {
        let (region, manifest) = (source.region, source.names.0);
        tape::write(region, &vec![0; region.len()]);
        let mut is_first = true;
        loop {
            let mut core = self.storage.core(manifest);
            source.is_over.set(false);
            if is_first && core.keep_in(region) != Past::None {
                return Turn::Trouble;
            }
            if let (true, Beginning::State(state)) = (is_first, beginning) {
                source.recording.load(state, region);
                source.now.set(state.at);
                core = self.storage.core(manifest);
                core.keep_in(region);
            }
            let port = Port {
                source,
                console: Console::default(),
            };
            let mut driver = Driver::new(core, port);
            if is_first {
                if !settles(&mut driver, source, beginning) {
                    return Turn::Trouble;
                }
            } else if !driver.resume() {
                return Turn::Trouble;
            }
            is_first = false;
            match life(&mut driver, source, replay) {
                Turn::Life => match next_life(source) {
                    Turn::Life => {}
                    other => return other,
                },
                other => return other,
            }
        }
    }
}

/// A copied state was at rest: looking at all units again changes none of them. What the machine's
/// record says of effects that are done is as old as the last commit, there as here.
fn settles(driver: &mut Machine<'_, '_, '_>, source: &Source<'_>, beginning: &Beginning) -> bool {
    tape::begin(source.region);
    let Beginning::State(state) = beginning else {
        return true;
    };
    let loaded = tape::read(source.region);
    let next = source.next.replace(source.end);
    driver.turn();
    source.next.set(next);
    let what = difference(source, state);
    let is_units = what.as_ref().is_some_and(|(whose, ..)| whose != MACHINE);
    tape::write(source.region, &loaded);
    tape::begin(source.region);
    if is_units {
        let step = source.last_step();
        source.fail(Trouble::Differs { step, what });
    }
    !is_units
}

const MACHINE: &str = "the machine";

type Machine<'a, 's, 'r> = Driver<'a, Port<'s, 'r>>;

/// A life of process 1.
fn life(driver: &mut Machine<'_, '_, '_>, source: &Source<'_>, replay: &mut Replay) -> Turn {
    let mut before = states_of(driver.core());
    loop {
        if source.trouble.borrow().is_some() {
            return Turn::Trouble;
        }
        if let Some(turn) = passed_state(source, replay) {
            return turn;
        }
        let Some(entry) = source.peek() else {
            return Turn::End;
        };
        match entry.what {
            Happening::Gap => {
                source.next.set(source.next.get().wrapping_add(1));
                return Turn::Gap;
            }
            Happening::Life { .. } => return Turn::Life,
            Happening::Event(Event::Boot(_)) => {
                if let Some(options) = driver.platform().boot_options() {
                    driver.boot(options);
                }
            }
            Happening::Event(
                event @ (Event::Spawned { .. }
                | Event::SpawnFailed { .. }
                | Event::NotRenewed(_)
                | Event::Resumed(_)),
            ) => {
                source.fail(Trouble::NotAsked {
                    number: source.next.get(),
                    found: source.names.event(event),
                });
            }
            Happening::Event(_) => {
                driver.turn();
            }
        }
        told(driver, source);
        let after = states_of(driver.core());
        note_changes(source, &before, &after);
        before = after;
    }
}

/// What was said since is the last step's.
fn told(driver: &mut Machine<'_, '_, '_>, source: &Source<'_>) {
    let bytes = std::mem::take(&mut driver.platform().console.0);
    if let Some(step) = source.steps.borrow_mut().last_mut() {
        let text = String::from_utf8_lossy(&bytes);
        step.said.extend(text.lines().map(str::to_string));
    }
}

fn states_of(core: &Core<'_>) -> Vec<String> {
    let ids = (0..=u16::MAX).map(UnitId).take(core.manifest().units.len());
    let words = ids.filter_map(|id| Some(format!("{:?}", core.status(id)?.state)));
    words.collect()
}

fn note_changes(source: &Source<'_>, before: &[String], after: &[String]) {
    let mut steps = source.steps.borrow_mut();
    let Some(step) = steps.last_mut() else { return };
    for (unit, (old, new)) in (0..=u16::MAX).zip(before.iter().zip(after)) {
        if old != new {
            let name = source.names.unit(UnitId(unit));
            step.changes.push((name, old.clone(), new.clone()));
        }
    }
}

/// Where a whole state was copied, it is compared.
fn passed_state(source: &Source<'_>, replay: &mut Replay) -> Option<Turn> {
    let number = source.next.get();
    let is_here = |state: &State| state.number == number && number != replay.first;
    let state = source.recording.states().find(is_here)?;
    if let Some(what) = difference(source, &state) {
        source.fail(Trouble::Differs {
            step: source.last_step(),
            what: Some(what),
        });
        return Some(Turn::Trouble);
    }
    replay.states += 1;
    None
}

fn difference(source: &Source<'_>, state: &State) -> Option<(String, String, String)> {
    let found = source.recording.difference(state, source.region)?;
    let whose = found
        .unit
        .map_or(MACHINE.to_string(), |unit| source.names.unit(unit));
    Some((whose, found.recorded, found.reached))
}

/// Goes on to the last of the lives that begin here, with the state that it found.
fn next_life(source: &Source<'_>) -> Turn {
    let units = source.names.0.units.len();
    loop {
        let Some(entry) = source.peek() else {
            return Turn::End;
        };
        match entry.what {
            Happening::Life { life, begun, done } => {
                let is_it = |region: Words<'_>| recording::sum(region, units) == entry.before;
                if !tape::go_back(source.region, is_it) {
                    source.fail(Trouble::NoSuchState {
                        number: source.next.get(),
                    });
                    return Turn::Trouble;
                }
                recording::found(source.region, life, (begun, done));
                tape::begin(source.region);
                source.next.set(source.next.get().wrapping_add(1));
            }
            Happening::Event(Event::Resumed(_)) => {
                source.now.set(entry.at);
                return Turn::Life;
            }
            Happening::Gap => {
                source.next.set(source.next.get().wrapping_add(1));
                return Turn::Gap;
            }
            Happening::Event(event) => {
                source.fail(Trouble::NotAsked {
                    number: source.next.get(),
                    found: source.names.event(event),
                });
                return Turn::Trouble;
            }
        }
    }
}
