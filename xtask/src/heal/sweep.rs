//! This file lets no moment be left to chance: process 1 faults after its k-th instruction, and
//! before and after each of its system calls, in each of its turns.
//!
//! One service is asked about, stopped, started and killed from outside; in the last turn it is the
//! life after a fault that faults. Nothing else happens meanwhile, so that a turn is the same
//! instructions every time, or nearly.

use super::machine::{Outside, Product, boot};
use anyhow::{Context, Result, bail, ensure};
use heal_campaign::Moment;
use heal_campaign::client::{Answer, Client, HANG_LIMIT, Outcome, Shown, change};
use heal_campaign::inject::{self, Kind, Stopped};
use heal_campaign::machine::{Machine, unit_name, units};
use heal_campaign::random::Random;
use heal_campaign::table::{Case, Table, Targets};
use heal_campaign::witness::Role;
use init_core::protocol::{Change, Request, Text};
use init_core::status::UnitState;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qemu_tests::progress::Step;
use std::time::{Duration, Instant};

/// One of each role, and two more that are steady.
pub const SERVICES: usize = 5;

/// A turn that has more instructions than this is not what it was meant to be.
const INSTRUCTIONS_MAX: u64 = 200_000;

/// Instructions from the start of a life to its handlers, before which a fault ends the machine
/// (`the_handlers_are_installed_by_the_first_instructions_of_a_life` holds them below this).
const UNPROTECTED: u64 = 500;

/// Between two looks at something that has not happened yet.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// What process 1 does while it is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It answers a question.
    Question,
    /// It stops a service, takes its exit in and answers.
    Stop,
    /// It starts a service and answers.
    Start,
    /// It takes an exit in, waits for the back-off and starts the service again.
    Exit,
    /// It finds what the life before it left, and answers a question.
    NextLife,
}

const TURNS: [(Turn, &str); 5] = [
    (Turn::Question, "question"),
    (Turn::Stop, "stop"),
    (Turn::Start, "start"),
    (Turn::Exit, "exit"),
    (Turn::NextLife, "next life"),
];

/// Which moments are taken.
#[derive(Clone, Copy, Debug)]
pub struct Strides {
    /// One instruction in so many.
    pub instruction: usize,
    /// One system call in so many, from a first that the seed chooses.
    pub call: usize,
    pub seed: u64,
}

/// Faults in every turn.
///
/// # Errors
/// It cannot be run here, or something happened that must not.
pub fn run(product: &Product, strides: Strides) -> Result<()> {
    let mut table = Table::default();
    let mut lengths = Vec::new();
    let mut sweep = Sweep::begin(product)?;
    for (turn, name) in TURNS {
        let instructions = sweep.length(turn, Moment::Instruction(INSTRUCTIONS_MAX))?;
        let calls = sweep.length(turn, Moment::Call(INSTRUCTIONS_MAX))?;
        let moments = sweep.moments(turn, (instructions, calls), strides)?;
        lengths.push(format!(
            "{name}: {instructions} instructions, {} system calls",
            calls / 2
        ));
        let step = Step::begin(format!("{name}: {} faults", moments.len()));
        for (done, moment) in moments.iter().enumerate() {
            let case = sweep.case(turn, *moment);
            let case = case.with_context(|| format!("{name}, {moment:?}"))?;
            if !case.is_good() {
                eprintln!("{name}, {moment:?}: {case:?}");
            }
            table.add(name, true, &case);
            step.percent(u8::try_from((done + 1) * 100 / moments.len())?);
        }
    }
    let Strides {
        instruction, call, ..
    } = strides;
    println!("\none instruction in {instruction}, one stop at a system call in {call}");
    lengths.iter().for_each(|line| println!("{line}"));
    table.print(&TURNS.map(|(_, name)| name));
    let findings = table.findings(Targets::default());
    ensure!(
        findings.is_empty(),
        "it does not heal:\n  {}",
        findings.join("\n  ")
    );
    Ok(())
}

/// A machine with the one service that things happen to.
#[derive(Debug)]
struct Sweep {
    machine: Machine,
    _outside: Outside,
    client: Client,
    unit: usize,
    name: String,
}

impl Sweep {
    fn begin(product: &Product) -> Result<Self> {
        let (machine, outside) = boot(product)?;
        let unit = units(SERVICES, Role::Asked).first().copied();
        let unit = unit.context("no service is asked")?;
        let client = Client::new(&machine.socket());
        let mut sweep = Self {
            machine,
            _outside: outside,
            client,
            unit,
            name: unit_name(unit),
        };
        // Whoever ends by itself would do so at any moment.
        for unit in units(SERVICES, Role::Ending) {
            sweep.insist(change(Change::Stop, &unit_name(unit)))?;
        }
        Ok(sweep)
    }

    /// Asks until there is an answer.
    fn insist(&mut self, request: Request<'_>) -> Result<Answer> {
        let until = Instant::now() + HANG_LIMIT;
        match self.client.insist(request, until, || false)? {
            Outcome::Answered(answer) => Ok(answer),
            other => bail!("process 1 does not answer {request:?}: {other:?}"),
        }
    }

    fn shown(&mut self) -> Result<Shown> {
        let name = self.name.clone();
        match self.insist(Request::Unit {
            name: Text::of(&name),
        })? {
            Answer::Unit(shown) => Ok(shown),
            Answer::Other => bail!("process 1 shows no {name}"),
        }
    }

    /// Has the service run, or not; what process 1 says of it then.
    fn put(&mut self, runs: bool) -> Result<Shown> {
        let (what, state) = match runs {
            true => (Change::Start, UnitState::Active),
            false => (Change::Stop, UnitState::Inactive),
        };
        let name = self.name.clone();
        let until = Instant::now() + HANG_LIMIT;
        loop {
            let shown = self.shown()?;
            if shown.state == state && self.is_as_shown(&shown)? {
                return Ok(shown);
            }
            ensure!(Instant::now() < until, "{name} is {shown:?}, not {state:?}");
            if shown.state != state {
                self.insist(change(what, &name))?;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Whether the witnesses say the same.
    fn is_as_shown(&mut self, shown: &Shown) -> Result<bool> {
        self.machine.read_record()?;
        let told = self
            .machine
            .record
            .service(self.unit)
            .and_then(|service| service.pid);
        Ok(shown.pid.is_none() || shown.pid == told)
    }

    /// Brings process 1 to where the turn begins, and gives it something to do.
    fn begin_turn(&mut self, turn: Turn) -> Result<(Shown, Stopped)> {
        let before = self.put(turn != Turn::Start)?;
        let victim = match turn {
            Turn::Exit => Some(self.machine.witness(self.unit)?),
            _ => None,
        };
        let stopped = Stopped::stop(self.machine.pid())?;
        let name = self.name.clone();
        match (turn, victim) {
            (_, Some(pid)) => kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?,
            _ => ensure!(
                self.client.send(request(turn, &name))?,
                "process 1 does not listen"
            ),
        }
        if turn == Turn::NextLife {
            stopped.injure(fault()?, &mut Random::new(0))?;
            stopped.follow_to_next_life()?;
        }
        Ok((before, stopped))
    }

    /// How long the turn is, without a fault.
    fn length(&mut self, turn: Turn, limit: Moment) -> Result<u64> {
        let (_, stopped) = self.begin_turn(turn)?;
        let reached = stopped.follow(limit)?;
        drop(stopped);
        self.client.forget();
        ensure!(
            (1..INSTRUCTIONS_MAX).contains(&reached),
            "{turn:?} has {reached} instructions: that is no turn"
        );
        Ok(reached)
    }

    /// When the turn is to fault.
    fn moments(
        &mut self,
        turn: Turn,
        (instructions, calls): (u64, u64),
        strides: Strides,
    ) -> Result<Vec<Moment>> {
        let (first, first_call) = match turn {
            Turn::NextLife => (UNPROTECTED, self.calls_before(UNPROTECTED)?),
            Turn::Question | Turn::Stop | Turn::Start | Turn::Exit => (0, 0),
        };
        let offset = strides.seed % u64::try_from(strides.call)?;
        let calls = (first_call + offset..calls).step_by(strides.call);
        let instructions = (first..instructions).step_by(strides.instruction);
        Ok(instructions
            .map(Moment::Instruction)
            .chain(calls.map(Moment::Call))
            .collect())
    }

    /// System calls seen, before and after each, by the first instructions of a life.
    fn calls_before(&mut self, instructions: u64) -> Result<u64> {
        let (_, stopped) = self.begin_turn(Turn::NextLife)?;
        let calls = stopped.calls_within(instructions)?;
        drop(stopped);
        self.client.forget();
        Ok(2 * calls)
    }

    /// One fault, and what came of it.
    fn case(&mut self, turn: Turn, moment: Moment) -> Result<Case> {
        let mut case = Case::default();
        let (before, stopped) = self.begin_turn(turn)?;
        stopped.follow(moment)?;
        stopped.injure(fault()?, &mut Random::new(0))?;
        let injured = Instant::now();
        drop(stopped);
        if turn != Turn::Exit && self.client.receive(HANG_LIMIT)? == Outcome::Hung {
            case.hung += 1;
            self.client.forget();
        }
        if turn == Turn::Exit && !self.has_restarted(&before)? {
            case.exits_lost += 1;
        }
        self.put(turn != Turn::Stop)?;
        ensure!(self.machine.is_the_same(), "process 1 is another process");
        case.recovery = Some(injured.elapsed());
        self.machine.read_record()?;
        self.machine.look_for_lost();
        case.disturbed = u64::try_from(self.machine.record.disturbed().len())?;
        Ok(case)
    }

    /// Waits until the exit is counted, once, and the service runs again.
    fn has_restarted(&mut self, before: &Shown) -> Result<bool> {
        let until = Instant::now() + HANG_LIMIT;
        while Instant::now() < until {
            let shown = self.shown()?;
            let is_another = shown.pid.is_some() && shown.pid != before.pid;
            if is_another && shown.state == UnitState::Active {
                return Ok(shown.restarts == before.restarts.wrapping_add(1));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(false)
    }
}

fn fault() -> Result<Kind> {
    inject::named("segv-null")
}

fn request(turn: Turn, name: &str) -> Request<'_> {
    match turn {
        Turn::Stop => change(Change::Stop, name),
        Turn::Start => change(Change::Start, name),
        Turn::Question | Turn::Exit | Turn::NextLife => Request::Unit {
            name: Text::of(name),
        },
    }
}
