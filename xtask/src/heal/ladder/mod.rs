//! This file kills process 1, or the core, more often than its manifest allows, under load, boot
//! after boot: each step of the manifest's ladder has to be taken, in its order, after exactly as
//! many deaths as the manifest says, and none of those before it may be noticed.

mod here;

pub use here::Here;

use super::manifest::DEATHS;
use anyhow::{Context, Result, bail, ensure};
use heal_campaign::inject::{self, Kind, Processor};
use heal_campaign::table::Case;
use qemu_tests::progress::Step;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the manifest's services may take to stop, and process 1 to end: far more than it is.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at something that has not happened yet.
pub const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What is said before the step that is taken.
const SAID: &str = "process 1 dies again and again: ";

/// What the next boot says.
const TOLD: &str = "started anew, ";

/// The boots of a round: what the record counts before, and which step ends it.
const BOOTS: [(u32, &str); 3] = [
    (0, "the machine starts anew"),
    (1, "the machine starts anew from its other slot"),
    (2, "the machine starts anew from its other slot"),
];

/// The step that each boot begins with.
const RESCUE: &str = "to the rescue target";

/// A row of the table.
#[derive(Debug)]
struct Row {
    boot: usize,
    step: &'static str,
    /// How often it was taken.
    taken: u64,
    /// Deaths before it, of which all have to be healed.
    deaths: u64,
    sum: Case,
    /// From the last death until somebody was answered, or the machine's end.
    times: Vec<Duration>,
}

/// Where the ladder is climbed: a process 1 under load, boot after boot.
pub trait Ground {
    /// Boots, as often as it says for the first time since the machine was never started anew.
    fn boot(&mut self, starts: u32, seed: u64) -> Result<()>;
    /// Injures once, and looks who was disturbed.
    fn injure(&mut self, kind: Kind, seed: u64) -> Result<Case>;
    /// Injures once; nobody looks after the services. Without a recovery the machine ends.
    fn strike(&mut self, kind: Kind, seed: u64) -> Result<Case>;
    /// Whether a service is left that nobody starts and stops by requests.
    fn is_occupied(&mut self) -> Result<bool>;
    /// Waits until the machine has ended to start anew, which its record counts so often then.
    fn end(&mut self, starts: u32) -> Result<()>;
    /// Requests of clients that have ended in this boot.
    fn requests(&self) -> u64;
    /// What the console of this boot says.
    fn console(&self) -> Result<String>;
    /// The file of all consoles.
    fn log(&self) -> PathBuf;
}

/// Who is to die, where, and how often.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub processor: Processor,
    pub place: String,
    pub services: usize,
    pub split: bool,
    pub only: Option<&'a str>,
    pub seed: u64,
    pub rounds: u64,
}

/// Climbs the ladder as often as it says, and prints the table.
///
/// # Errors
/// It cannot be climbed here, or a step was taken too early, too late or out of order, or somebody
/// was disturbed.
pub fn run(ground: &mut impl Ground, wanted: &Wanted<'_>) -> Result<()> {
    let Wanted { split, rounds, .. } = *wanted;
    let mut kinds = wanted.processor.kinds(split);
    // Of what is sent to it nothing counts, and who dies slowly may answer first.
    kinds.retain(|kind| kind.signal().is_none() && !kind.dies_slowly);
    if let Some(name) = wanted.only {
        kinds = vec![inject::among(&kinds, name)?];
    }
    let steps = BOOTS.into_iter().enumerate();
    let steps = steps.flat_map(|(boot, (_, last))| [(boot + 1, RESCUE), (boot + 1, last)]);
    let mut rows: Vec<Row> = steps.map(|(boot, step)| Row::new(boot, step)).collect();
    let step = Step::begin(format!("the ladder, {rounds} times"));
    let mut climb = Climb {
        ground,
        split,
        kinds,
        seed: wanted.seed,
        requests: 0,
        read_to: 0,
    };
    let mut end = Ok(());
    for round in 0..rounds {
        end = climb.round(&mut rows);
        if end.is_err() {
            break;
        }
        step.percent(u8::try_from((round + 1) * 100 / rounds)?);
    }
    drop(step);
    let form = if split { "split" } else { "solo" };
    let Wanted {
        services, place, ..
    } = wanted;
    let requests = climb.requests;
    println!("\n{services} services, {form}{place}, {requests} requests of clients beside it");
    print(&rows);
    let log = climb.ground.log();
    end.with_context(|| format!("process 1's console is {}", log.display()))?;
    let bad = rows.iter().filter(|row| !row.is_good());
    let bad: Vec<_> = bad
        .map(|row| format!("boot {}, {}", row.boot, row.step))
        .collect();
    ensure!(bad.is_empty(), "somebody was disturbed: {}", bad.join("; "));
    Ok(())
}

struct Climb<'g, G> {
    ground: &'g mut G,
    split: bool,
    kinds: Vec<Kind>,
    /// Of the next death.
    seed: u64,
    requests: u64,
    /// How far this boot's console was read.
    read_to: usize,
}

impl<G: Ground> Climb<'_, G> {
    /// All boots, from a machine that was never started anew.
    fn round(&mut self, rows: &mut [Row]) -> Result<()> {
        let (pairs, _) = rows.as_chunks_mut::<2>();
        for ((starts, _), [rescue, last]) in BOOTS.into_iter().zip(pairs) {
            self.read_to = 0;
            self.ground.boot(starts, self.seed)?;
            self.tells(starts)?;
            self.climb(rescue)?;
            self.is_empty()?;
            self.climb(last)?;
            self.requests += self.ground.requests();
            self.ground.end(starts + 1)?;
        }
        Ok(())
    }

    /// As many deaths as are healed, and the one that is too many.
    fn climb(&mut self, row: &mut Row) -> Result<()> {
        let is_last = row.step != RESCUE;
        for _ in 0..DEATHS {
            let (kind, seed) = self.next()?;
            let case = match is_last {
                false => self.ground.injure(kind, seed)?,
                // Who was stopped for it is not there to be disturbed.
                true => self.ground.strike(kind, seed)?,
            };
            row.deaths += 1;
            ensure!(
                case.recovery.is_some(),
                "{}: death {} was not healed",
                row.step,
                row.deaths
            );
            row.add(&case);
            let said = self.said()?;
            ensure!(said.is_none(), "too early, by {}: {said:?}", kind.name);
        }
        let (kind, seed) = self.next()?;
        let begun = Instant::now();
        let case = self.ground.strike(kind, seed)?;
        row.hung(&case);
        row.times
            .push(case.recovery.unwrap_or_else(|| begun.elapsed()));
        ensure!(
            case.recovery.is_none() == is_last,
            "{}: the machine goes on, or does not",
            row.step
        );
        let said = self.said()?;
        ensure!(
            said.as_deref() == Some(row.step),
            "{} by {}, and not {said:?}",
            row.step,
            kind.name
        );
        row.taken += 1;
        Ok(())
    }

    fn next(&mut self) -> Result<(Kind, u64)> {
        let seed = self.seed;
        self.seed += 1;
        let index = usize::try_from(seed % self.kinds.len() as u64)?;
        let kind = self.kinds.get(index).context("there are no faults")?;
        Ok((*kind, seed))
    }

    /// The step that was taken since this was last asked.
    fn said(&mut self) -> Result<Option<String>> {
        let text = self.ground.console()?;
        let rest = text.get(self.read_to..).unwrap_or_default();
        let mut steps = rest.lines().filter_map(|line| line.split_once(SAID));
        let step = steps.next().map(|(_, step)| step.trim_end().to_string());
        self.read_to = text.len();
        Ok(step)
    }

    /// Waits for what a boot says of those before it, which is nothing where there were none.
    fn tells(&mut self, starts: u32) -> Result<()> {
        let until = Instant::now() + LIMIT;
        let who = if self.split { "the core" } else { "process 1" };
        loop {
            let text = self.ground.console()?;
            // The last line may not be whole yet.
            let text = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let told = text.lines().find_map(|line| line.split_once(TOLD));
            let wanted = format!("{starts} in a row: {who} died of SIG");
            match told {
                Some((_, told)) if told.starts_with(&wanted) && starts > 0 => return Ok(()),
                Some((_, told)) => bail!("it was told {told:?} of {starts} new starts"),
                None if starts == 0 && text.contains("boot: all reached") => return Ok(()),
                None => {}
            }
            ensure!(
                Instant::now() < until,
                "nobody tells of {starts} new starts"
            );
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until the rescue target is all there is.
    fn is_empty(&mut self) -> Result<()> {
        let until = Instant::now() + LIMIT;
        while self.ground.is_occupied()? {
            ensure!(
                Instant::now() < until,
                "a service goes on in the rescue target"
            );
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Row {
    fn new(boot: usize, step: &'static str) -> Self {
        Self {
            boot,
            step,
            taken: 0,
            deaths: 0,
            sum: Case::default(),
            times: Vec::new(),
        }
    }

    fn add(&mut self, case: &Case) {
        self.sum.disturbed += case.disturbed;
        self.sum.exits_lost += case.exits_lost;
        self.hung(case);
    }

    fn hung(&mut self, case: &Case) {
        self.sum.hung += case.hung;
    }

    fn is_good(&self) -> bool {
        let Case {
            disturbed,
            exits_lost,
            hung,
            ..
        } = self.sum;
        disturbed + exits_lost + hung == 0
    }
}

fn print(rows: &[Row]) {
    println!(
        "{:<4} {:<44} {:>6} {:>11} {:>9} {:>10} {:>5} {:>9}",
        "boot", "step", "taken", "healed", "disturbed", "exits lost", "hung", "max ms"
    );
    for row in rows {
        let longest = row.times.iter().max().copied().unwrap_or_default();
        println!(
            "{:<4} {:<44} {:>6} {:>11} {:>9} {:>10} {:>5} {:>9.2}",
            row.boot,
            row.step,
            row.taken,
            row.deaths,
            row.sum.disturbed,
            row.sum.exits_lost,
            row.sum.hung,
            longest.as_secs_f64() * 1_000.0
        );
    }
}
