//! This file lets no moment be left to chance: process 1 faults after its k-th instruction, and
//! before and after each of its system calls, in each of its turns; so does the core of a split
//! product.

use super::machine::{Outside, Product, boot};
use super::places::Program;
use anyhow::{Context, Result, ensure};
use heal_campaign::Way;
use heal_campaign::moments::{Places, Strides, moments};
use heal_campaign::sweep::{Sweep, Turn, Who};
use heal_campaign::table::{Case, Table, Targets};
use qemu_tests::progress::Step;

/// How often a moment is tried that was not reached, one time after the other; and all that were
/// not are tried so once more in the end, when whatever kept the machine busy may be over.
const ATTEMPTS_MAX: usize = 3;
const PASSES: usize = 2;

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

/// Whoever is followed, wherever that is.
pub trait Followed {
    /// Traces a turn and chooses its moments.
    fn trace(&mut self, who: Who, turn: Turn, strides: &Strides) -> Result<Found>;
    /// Lets it fault at one of them; whether it was at that one.
    fn fault(&mut self, moment: usize) -> Result<(Case, bool)>;
}

/// What a trace came to.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub moments: usize,
    pub instructions: usize,
    /// Of code that deals with the kernel or the state, where that is told apart.
    pub delicate: usize,
    pub calls: usize,
}

/// What came of all turns.
#[derive(Debug, Default)]
struct Outcome {
    table: Table,
    /// Faults in turns that were others than the traced ones.
    missed: usize,
}

/// Faults of one turn.
#[derive(Debug, Default)]
struct Counts {
    /// That nobody noticed.
    good: u32,
    all: u32,
}

/// Faults in every turn, or in the one that is named.
///
/// # Errors
/// It cannot be run here, or something happened that must not.
pub fn run(
    followed: &mut impl Followed,
    split: bool,
    only: Option<&str>,
    strides: &Strides,
) -> Result<()> {
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
    let mut outcome = Outcome::default();
    let Strides {
        instruction,
        delicate,
        call,
        around,
        ..
    } = strides;
    println!(
        "one instruction in {delicate} of the HAL and the checkpoint, one in {instruction} \
         elsewhere, one stop at a system call in {call} and {around} instructions behind it"
    );
    for row in &rows {
        outcome.add(followed, *row, strides)?;
    }
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

/// A process 1 in namespaces.
pub struct Here<'p> {
    product: &'p Product,
    places: Program,
    /// Whom the machine is for. Dropped in this order.
    running: Option<(Who, Sweep, Outside)>,
    turn: Turn,
    ways: Vec<Way>,
}

impl<'p> Here<'p> {
    /// Reads the program; nothing runs yet.
    ///
    /// # Errors
    /// It has no line tables.
    pub fn new(product: &'p Product) -> Result<Self> {
        Ok(Self {
            product,
            places: Program::of(product.symbols())?,
            running: None,
            turn: Turn::Question,
            ways: Vec::new(),
        })
    }

    /// The machine for whoever is to fault: each has its own.
    fn sweep(&mut self, who: Who) -> Result<&mut Sweep> {
        if !matches!(&self.running, Some((it, ..)) if *it == who) {
            self.running = None;
            let (machine, outside) = boot(self.product)?;
            let image = self.product.program().to_str();
            let image = image.context("its path is no text")?;
            self.running = Some((who, Sweep::begin(machine, image, who)?, outside));
        }
        let running = self.running.as_mut();
        running.map(|(_, sweep, _)| sweep).context("nothing runs")
    }
}

impl Followed for Here<'_> {
    fn trace(&mut self, who: Who, turn: Turn, strides: &Strides) -> Result<Found> {
        let by_calls = strides.is_quick && turn == Turn::Upgrade;
        let traced = self.sweep(who)?.trace(turn, !by_calls)?;
        self.ways = moments(turn, who, &traced, &mut self.places, strides);
        self.turn = turn;
        let all = &traced.instructions.places;
        let delicate = all.iter().filter(|place| self.places.is_delicate(**place));
        Ok(Found {
            moments: self.ways.len(),
            delicate: delicate.count(),
            instructions: all.len(),
            calls: traced.calls.places.len() / 2,
        })
    }

    fn fault(&mut self, moment: usize) -> Result<(Case, bool)> {
        let way = *self.ways.get(moment).context("there is no such moment")?;
        let turn = self.turn;
        let (_, sweep, _) = self.running.as_mut().context("nothing runs")?;
        sweep.case(turn, way).with_context(|| format!("{way:?}"))
    }
}

impl Outcome {
    /// Faults in one turn.
    fn add(
        &mut self,
        followed: &mut impl Followed,
        (who, turn, name): Row,
        strides: &Strides,
    ) -> Result<()> {
        let found = followed.trace(who, turn, strides).context(name)?;
        let Found {
            moments,
            instructions,
            delicate,
            calls,
        } = found;
        let step = Step::begin(format!("{name}: {moments} faults"));
        let mut counts = Counts::default();
        let mut left: Vec<usize> = (0..moments).collect();
        let mut tried = 0;
        for _ in 0..PASSES {
            let mut missed = Vec::new();
            for moment in left {
                if !self.reach(followed, name, moment, &mut counts)? {
                    missed.push(moment);
                }
                tried += 1;
                step.percent(u8::try_from((tried * 100 / moments).min(100))?);
            }
            left = missed;
        }
        let Counts { good, all } = counts;
        let missed = left.len();
        self.missed += missed;
        println!(
            "{name}: {instructions} instructions, {delicate} of them delicate, {calls} system \
             calls; {missed} moments were not reached; {good} of {all} faults were noticed by \
             nobody"
        );
        Ok(())
    }

    /// Lets it fault at a moment, some times if need be; whether it was at that one.
    fn reach(
        &mut self,
        followed: &mut impl Followed,
        name: &'static str,
        moment: usize,
        counts: &mut Counts,
    ) -> Result<bool> {
        for _ in 0..ATTEMPTS_MAX {
            let (case, reached) = followed.fault(moment).context(name)?;
            counts.all += 1;
            counts.good += u32::from(case.is_good());
            if !case.is_good() {
                eprintln!("{name}, moment {moment}: {case:?}");
            }
            self.table.add(name, true, &case);
            if reached {
                return Ok(true);
            }
        }
        Ok(false)
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
