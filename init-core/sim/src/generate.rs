//! This file makes histories from seeds: products, processes that behave more or less well, and
//! everything that can happen to a machine.

use crate::product::{Life, Ready, UnitSpec};
use crate::random::Random;
use crate::script::{Death, Script, Step};
use init_core::event::MachineRequest;
use init_core::ident::Role;
use init_core::protocol::Change;
use init_core::time::Duration;
use init_core::unit::{EdgeKind, LimitAction, Restart, UnitKind};

/// Histories in a row that share a product, so that few manifests are made.
pub const SEEDS_PER_PRODUCT: u64 = 16;

/// Things that happen in a history, besides the passing of time.
const STEP_COUNT: usize = 24;

/// Starts of a unit for which processes may be of their own kind.
const START_COUNT: u16 = 5;

/// What a watchdog waits: half of it is more than any step holds process 1.
const WATCHDOG_US: u64 = 2_000_000;

/// The history of a seed.
pub fn script(seed: u64) -> Script {
    let units = product(&mut Random::new((seed / SEEDS_PER_PRODUCT) ^ 0x5eed));
    let mut random = Random::new(seed);
    let mut script = Script {
        lives: lives(&mut random, &units),
        units,
        steps: Vec::new(),
        chance: seed,
    };
    let mood = Mood {
        deaths: [0, 2, 4, 8][random.below(4)],
        plain: random.once_in(3),
        damages: random.once_in(8),
    };
    if mood.deaths > 0 && random.once_in(3) {
        script
            .steps
            .push(die(&mut random, mood, script.units.len()));
    }
    if !mood.plain && random.once_in(2) {
        script
            .steps
            .push(Step::Shuffle(1 + random.number() % 1_000));
    }
    // Of its own, so that all else is as without it.
    if Random::new(!seed).once_in(4) {
        script.steps.push(Step::Watchdog(WATCHDOG_US));
    }
    for _ in 0..STEP_COUNT {
        let step = step(&mut random, mood, &script.units);
        script.steps.push(step);
        if random.once_in(2) {
            script.steps.push(Step::Wait(span(&mut random)));
        }
    }
    if !mood.plain {
        slow_down(&mut script, seed);
    }
    script
}

/// Calls take their time here and there, in one history of four; all else is as without it. All of
/// them together are far shorter than what a watchdog can spare.
fn slow_down(script: &mut Script, seed: u64) {
    let mut random = Random::new(!seed ^ 0x510e);
    for _ in 0..if random.once_in(4) {
        1 + random.below(4)
    } else {
        0
    } {
        let count = u32::try_from(1 + random.below(16)).unwrap_or(1);
        let slow = Step::Slow(count, random.span(Duration::from_ms(5)).as_us());
        let at = random.below(script.steps.len());
        script.steps.insert(at, slow);
    }
}

/// What kind of a history it is.
#[derive(Clone, Copy)]
struct Mood {
    /// One step in so many ends process 1; 0: none does.
    deaths: usize,
    /// Nothing else is out of the ordinary.
    plain: bool,
    damages: bool,
}

fn span(random: &mut Random) -> u64 {
    let most = [0, 1_000, 30_000, 300_000, 1_500_000][random.below(5)];
    random.span(Duration::from_us(most)).as_us()
}

fn product(random: &mut Random) -> Vec<UnitSpec> {
    let most = [2, 4, 8, 8, 16, 58][random.below(6)];
    let count = 3 + random.below(most);
    let mut units: Vec<UnitSpec> = (0..count).map(|number| unit(random, number)).collect();
    for _ in 0..random.below(count * 3) {
        let (a, b) = (random.below(count), random.below(count));
        let (low, high) = (a.min(b), a.max(b));
        if low == high {
            continue;
        }
        // The targets, at the front, come last in the order, which has no cycle.
        let kind = match random.below(16) {
            0..=5 => EdgeKind::Requires,
            6..=9 => EdgeKind::Wants,
            10 | 11 => EdgeKind::BindsTo,
            12 => EdgeKind::Conflicts,
            _ => EdgeKind::After,
        };
        units[low].edges.push((kind, high));
    }
    for number in 2..count {
        if random.once_in(2) {
            units[0].edges.push((EdgeKind::Wants, number));
        }
    }
    units
}

fn unit(random: &mut Random, number: usize) -> UnitSpec {
    let kind = match random.below(10) {
        _ if number < 2 => UnitKind::Target,
        0 => UnitKind::Target,
        1 => UnitKind::Mount,
        2 | 3 => UnitKind::Task,
        _ => UnitKind::Service,
    };
    let mut unit = UnitSpec::new(number, kind);
    if kind == UnitKind::Service {
        unit.awaited = random.once_in(2);
        unit.ready = [Ready::Exec, Ready::Exec, Ready::Newline, Ready::Probe][random.below(4)];
        unit.stops = random.once_in(4);
    }
    if kind != UnitKind::Target {
        let when = [Restart::Never, Restart::OnFailure, Restart::Always];
        unit.restart = when[random.below(3)];
        unit.limit = match random.below(40) {
            0 | 1 => LimitAction::Rescue,
            2 => LimitAction::Reboot,
            _ => LimitAction::Fail,
        };
    }
    unit
}

fn lives(random: &mut Random, units: &[UnitSpec]) -> Vec<Life> {
    let mut lives = Vec::new();
    for unit in units.iter().filter(|unit| unit.kind != UnitKind::Target) {
        let one_shot = matches!(unit.kind, UnitKind::Task | UnitKind::Mount);
        let mut roles = vec![Role::Main];
        roles.extend((unit.stops || unit.kind == UnitKind::Mount).then_some(Role::Stop));
        roles.extend((unit.ready == Ready::Probe).then_some(Role::Probe));
        for start in 1..=START_COUNT {
            for role in &roles {
                if random.once_in(2) {
                    lives.push(life(random, unit.number, *role, start, one_shot));
                }
            }
        }
    }
    lives
}

/// Mostly well, sometimes not at all well.
fn life(random: &mut Random, unit: usize, role: Role, start: u16, one_shot: bool) -> Life {
    let mut short = |most| random.span(Duration::from_ms(most)).as_us();
    let mut life = Life {
        ready: Some(short(40)),
        stop: Some(short(40)),
        kill: Some(short(5)),
        ..Life::usual(unit, role, start, one_shot)
    };
    if life.exit.is_some() || random.once_in(5) {
        let code = u8::from(random.once_in(4)) * (1 + u8::try_from(start % 9).unwrap_or(0));
        life.exit = Some((random.span(Duration::from_ms(80)).as_us(), code));
    }
    match random.below(20) {
        0 => {
            life = Life {
                exit: None,
                fails: Some(12),
                ..Life::usual(unit, role, start, one_shot)
            }
        }
        1 => life.ready = None,
        2 => life.stop = None,
        3 => life.stop = Some(1_000_000),
        4 if random.once_in(3) => {
            life.stop = None;
            life.kill = [None, Some(1_000_000)][random.below(2)];
        }
        5 if role != Role::Main => life.exit = None,
        _ => {}
    }
    life
}

fn die(random: &mut Random, mood: Mood, units: usize) -> Step {
    let count = [1, 1, 1, 2, 4][random.below(5)];
    let one = |random: &mut Random| {
        // A step's writes are some dozens, a restart's some dozens for each unit.
        let most = [30, 200, 60 * units + 300][random.below(3)];
        let number = u32::try_from(random.below(most)).unwrap_or(0);
        match mood.plain || !random.once_in(3) {
            true => Death::Write(number),
            false => Death::Call(1 + number % 40),
        }
    };
    Step::Die((0..count).map(|_| one(random)).collect())
}

fn step(random: &mut Random, mood: Mood, units: &[UnitSpec]) -> Step {
    let unit = units[random.below(units.len())].number;
    if mood.deaths > 0 && random.once_in(mood.deaths) {
        return die(random, mood, units.len());
    }
    if mood.damages && mood.deaths > 0 && random.once_in(4) {
        let bit = u32::try_from(random.below(32)).unwrap_or(0);
        let word = u32::try_from(random.below(6_000)).unwrap_or(0);
        return match random.once_in(2) {
            true => Step::Damage(word, bit),
            false => Step::DamageRecord(unit, word, bit),
        };
    }
    let waits = !random.once_in(5);
    match random.below(if mood.plain { 14 } else { 24 }) {
        0..=3 => Step::Ask(Change::Start, unit, waits),
        4 | 5 => Step::Ask(Change::Stop, unit, waits),
        6 | 7 => Step::Ask(Change::Restart, unit, waits),
        8 => Step::Ask(Change::ResetFailed, unit, waits),
        9 | 10 => Step::Crash(unit, 1 + u8::try_from(random.below(200)).unwrap_or(0)),
        11 => orphans(random),
        12 => machine(random),
        13 if random.once_in(2) => Step::Reexec,
        13 => Step::Look(unit),
        14 => Step::Leave(random.below(4)),
        15 => Step::Stall(random.below(4)),
        16 => Step::Garbage(random.number() % 100_000, random.below(1_100)),
        17 => Step::Exhaust(1 + u32::try_from(random.below(3)).unwrap_or(0)),
        18 => Step::Wake(1 + u32::try_from(random.below(4)).unwrap_or(0)),
        19 => Step::Deaf(random.span(Duration::from_ms(900)).as_us()),
        20 => Step::Hold(random.span(Duration::from_ms(900)).as_us()),
        21 => Step::Crash(unit, 0),
        _ => Step::Wait(span(random)),
    }
}

fn orphans(random: &mut Random) -> Step {
    let most = [2, 40][random.below(2)];
    let count = u32::try_from(1 + random.below(most)).unwrap_or(1);
    let after = random.span(Duration::from_ms(50)).as_us();
    Step::Orphans(count, random.once_in(2).then_some(after))
}

fn machine(random: &mut Random) -> Step {
    let request = match random.below(24) {
        0 => MachineRequest::PowerOff,
        1 => MachineRequest::Reboot,
        2 => MachineRequest::CtrlAltDel,
        3..=8 => MachineRequest::Rescue,
        _ => MachineRequest::Ignore,
    };
    match random.once_in(2) {
        true => Step::Signal(request),
        false => Step::Act(request),
    }
}
