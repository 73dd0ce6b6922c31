//! This file lets no moment be left to chance: process 1 faults after its k-th instruction, and
//! before and after each of its system calls, in each of its turns; so does the core of a split
//! product.
//!
//! In code that deals with the kernel and in code that keeps the state the k-th instruction is each
//! one, elsewhere one in some.

use super::machine::Product;
use super::places::Places;
use super::turns::{Sweep, Traced, Turn, Who};
use anyhow::{Context, Result, ensure};
use heal_campaign::table::{Table, Targets};
use heal_campaign::{Moment, Way};
use qemu_tests::progress::Step;
use std::collections::HashMap;

/// Of a loop, so many rounds are taken as what is no loop is.
const ROUNDS: usize = 16;

/// How often a moment is tried that was not reached.
const ATTEMPTS_MAX: usize = 3;

/// One moment in so many may find that the turn was a shorter one this time: a number has more
/// digits, a clock goes on.
const MISSED_MAX: usize = 20;

/// A row of the table: whose turn it is.
type Row = (Who, Turn, &'static str);

const SOLO: [Row; 6] = [
    (Who::First, Turn::Question, "question"),
    (Who::First, Turn::Stop, "stop"),
    (Who::First, Turn::Start, "start"),
    (Who::First, Turn::Exit, "exit, timer"),
    (Who::First, Turn::Upgrade, "upgrade"),
    (Who::First, Turn::NextLife, "next life"),
];

const SPLIT: [Row; 11] = [
    (Who::Core, Turn::Question, "question"),
    (Who::Core, Turn::Stop, "stop"),
    (Who::Core, Turn::Start, "start"),
    (Who::Core, Turn::Exit, "exit, timer"),
    (Who::Core, Turn::NextLife, "next core"),
    (Who::First, Turn::Question, "k. question"),
    (Who::First, Turn::Stop, "k. stop"),
    (Who::First, Turn::Start, "k. start"),
    (Who::First, Turn::Exit, "k. exit"),
    (Who::First, Turn::Upgrade, "k. upgrade"),
    (Who::First, Turn::NextLife, "k. next life"),
];

/// Which moments are taken.
#[derive(Clone, Copy, Debug)]
pub struct Strides {
    /// One instruction in so many.
    pub instruction: usize,
    /// The same in code that deals with the kernel or the state.
    pub delicate: usize,
    /// One system call in so many, from a first that the seed chooses.
    pub call: usize,
    pub seed: u64,
    /// The longest turn is not traced instruction by instruction, and misses are not judged.
    pub is_quick: bool,
}

/// What came of all turns.
#[derive(Debug, Default)]
struct Outcome {
    table: Table,
    /// What each turn is.
    turns: Vec<String>,
    /// Faults in turns that were others than the traced ones.
    missed: usize,
}

/// Faults in every turn, or in the one that is named.
///
/// # Errors
/// It cannot be run here, or something happened that must not.
pub fn run(product: &Product, split: bool, only: Option<&str>, strides: Strides) -> Result<()> {
    let rows: &[Row] = if split { &SPLIT } else { &SOLO };
    let rows = rows
        .iter()
        .filter(|(.., name)| only.is_none_or(|only| only == *name));
    let rows: Vec<Row> = rows.copied().collect();
    ensure!(
        !rows.is_empty(),
        "there is no turn {}",
        only.unwrap_or_default()
    );
    let mut places = Places::of(product.symbols())?;
    let mut outcome = Outcome::default();
    for whose in [Who::Core, Who::First] {
        let mut sweep = None;
        for row in rows.iter().filter(|(who, ..)| *who == whose) {
            let sweep = match &mut sweep {
                Some(sweep) => sweep,
                none => none.insert(Sweep::begin(product, whose)?),
            };
            outcome.add(sweep, *row, &mut places, strides)?;
        }
    }
    outcome.tell(&strides);
    let names: Vec<_> = rows.iter().map(|(.., name)| *name).collect();
    outcome.table.print(&names);
    let findings = outcome.findings(strides.is_quick)?;
    ensure!(
        findings.is_empty(),
        "it does not heal:\n  {}",
        findings.join("\n  ")
    );
    Ok(())
}

impl Outcome {
    /// Faults in one turn.
    fn add(
        &mut self,
        sweep: &mut Sweep,
        (who, turn, name): Row,
        places: &mut Places,
        strides: Strides,
    ) -> Result<()> {
        let by_calls = strides.is_quick && turn == Turn::Upgrade;
        let traced = sweep.trace(turn, !by_calls)?;
        let moments = moments(turn, who, &traced, places, strides);
        let route = &traced.instructions;
        let delicate = route
            .places
            .iter()
            .filter(|place| places.is_delicate(**place));
        let counts = [
            route.places.len(),
            delicate.count(),
            traced.calls.places.len() / 2,
        ];
        let [instructions, delicate, calls] = counts;
        let step = Step::begin(format!("{name}: {} faults", moments.len()));
        let mut missed = 0;
        for (done, way) in moments.iter().enumerate() {
            let mut is_there = false;
            for _ in 0..ATTEMPTS_MAX {
                let case = sweep.case(turn, *way);
                let (case, reached) = case.with_context(|| format!("{name}, {way:?}"))?;
                if !case.is_good() {
                    eprintln!("{name}, {way:?}: {case:?}");
                }
                self.table.add(name, true, &case);
                is_there = reached;
                if is_there {
                    break;
                }
            }
            missed += usize::from(!is_there);
            step.percent(u8::try_from((done + 1) * 100 / moments.len())?);
        }
        self.missed += missed;
        self.turns.push(format!(
            "{name}: {instructions} instructions, {delicate} of them delicate, {calls} system \
             calls; {missed} moments were not reached"
        ));
        Ok(())
    }

    fn tell(&self, strides: &Strides) {
        let Strides {
            instruction,
            delicate,
            call,
            ..
        } = strides;
        println!(
            "\none instruction in {delicate} of the HAL and the checkpoint, one in {instruction} \
             elsewhere, one stop at a system call in {call}"
        );
        self.turns.iter().for_each(|line| println!("{line}"));
    }

    /// How many moments were missed is not judged of a quick sweep: few may be many of its own.
    fn findings(&self, is_quick: bool) -> Result<Vec<String>> {
        let mut findings = self.table.findings(Targets::default());
        let (all, missed) = (usize::try_from(self.table.count())?, self.missed);
        if !is_quick && missed * MISSED_MAX > all {
            findings.push(format!(
                "{missed} of {all} turns were others than the traced ones"
            ));
        }
        Ok(findings)
    }
}

/// When the turn is to fault.
fn moments(
    turn: Turn,
    who: Who,
    traced: &Traced,
    places: &mut Places,
    strides: Strides,
) -> Vec<Way> {
    let route = &traced.instructions;
    let begin = match (turn, who) {
        (Turn::NextLife, Who::First) => Some(0),
        _ => route.executed,
    };
    let open = begin.map_or(0..0, |begin| begin..begin + traced.unprotected.len());
    let calls = traced.unprotected.iter();
    let open_stops = 2 * calls.filter(|place| places.is_call(**place)).count();
    let ways = route.ways(|place| places.is_own(place));
    let (mut chosen, mut passed) = (Vec::new(), [0_usize; 2]);
    let mut rounds: HashMap<u64, usize> = HashMap::new();
    for (index, (way, place)) in ways.into_iter().zip(&route.places).enumerate() {
        let round = rounds.entry(*place).or_insert(0);
        *round += 1;
        let is_thorough = *round <= ROUNDS && places.is_delicate(*place);
        let [seldom, often] = &mut passed;
        let (passed, stride) = match is_thorough {
            true => (often, strides.delicate),
            false => (seldom, strides.instruction),
        };
        if !open.contains(&index) && passed.is_multiple_of(stride) {
            chosen.push(way);
        }
        *passed += 1;
    }
    let stops = traced.calls.places.len();
    let executed = traced.calls.executed;
    let first = match (turn, who) {
        (Turn::NextLife, Who::First) => open_stops,
        _ => 0,
    };
    let before = (first..executed.unwrap_or(stops)).map(|stop| (stop, false));
    let behind = executed.map_or(0..0, |executed| open_stops..stops - executed);
    let all = before.chain(behind.map(|stop| (stop, true)));
    let offset = usize::try_from(strides.seed).unwrap_or(0) % strides.call;
    let some = all.skip(offset).step_by(strides.call);
    chosen.extend(some.filter_map(|(stop, is_behind_execution)| {
        Some(Way {
            is_behind_execution,
            anchor: None,
            rest: Moment::Call(u64::try_from(stop).ok()?),
        })
    }));
    chosen
}
