//! This file makes process 1, or a core that is a process of its own, do one thing at a time, and
//! fault meanwhile.
//!
//! One service is asked about, stopped, started and killed from outside; an image is put in the
//! place of another; in the last turn it is the life after a fault that faults. Nothing else
//! happens meanwhile, so that a turn is the same instructions every time, or nearly.

use crate::client::{Answer, Client, HANG_LIMIT, Outcome, Shown, change};
use crate::inject::{self, Kind, Stopped};
use crate::machine::{Machine, is_gone, unit_name, units};
use crate::random::Random;
use crate::table::Case;
use crate::witness::Role;
use crate::{Moment, Route, Way};
use anyhow::{Context, Result, bail, ensure};
use init_core::protocol::{Change, Request, Text};
use init_core::status::UnitState;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// One of each role, and two more that are steady.
pub const SERVICES: usize = 5;

/// How often a turn, or a part of it, is traced until that is no turn.
const PARTS_MAX: usize = 100 * if cfg!(target_arch = "x86_64") { 1 } else { 4 };

/// A turn that has more instructions than this is not what it was meant to be.
const INSTRUCTIONS_MAX: u64 = 500_000;

/// How much longer a stop takes on such a board, which is an emulated one.
const SLOWNESS: u64 = if cfg!(target_arch = "x86_64") { 1 } else { 4 };

/// How often a part may be of another turn than the parts before it, until all are traced anew.
const MISFITS_MAX: usize = 3;

/// Above this is the kernel's page, which is elsewhere in each life.
pub const PROGRAM_END: u64 = 1 << 32;

/// Between two looks at something that has not happened yet.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Who faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Process 1.
    First,
    /// Its core, which is a process of its own.
    Core,
}

/// What is done meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A question is answered.
    Question,
    /// A service is stopped, its exit taken in and the client answered.
    Stop,
    /// A service is started and the client answered.
    Start,
    /// An exit is taken in; after the back-off a timer has the service started again.
    Exit,
    /// An image stands its trial, is executed and takes over.
    Upgrade,
    /// What the life before left is found, and a question answered.
    NextLife,
}

const TURNS: [(&str, Turn); 6] = [
    ("question", Turn::Question),
    ("stop", Turn::Stop),
    ("start", Turn::Start),
    ("exit", Turn::Exit),
    ("upgrade", Turn::Upgrade),
    ("next-life", Turn::NextLife),
];

impl Who {
    /// By its word.
    ///
    /// # Errors
    /// It is none.
    pub fn of(word: &str) -> Result<Self> {
        match word {
            "first" => Ok(Self::First),
            "core" => Ok(Self::Core),
            _ => bail!("nobody is called {word}"),
        }
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Core => "core",
        }
    }
}

impl Turn {
    /// By its word.
    ///
    /// # Errors
    /// It is none.
    pub fn of(word: &str) -> Result<Self> {
        let found = TURNS.iter().find(|(name, _)| *name == word);
        found
            .map(|(_, turn)| *turn)
            .with_context(|| format!("there is no turn {word}"))
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        let found = TURNS.iter().find(|(_, turn)| *turn == self);
        found.map_or("", |(name, _)| name)
    }

    /// Instructions that are traced in one go: who is stopped at each takes up to 0.1 ms for it,
    /// which must not be too long for whoever waits.
    fn part(self) -> u64 {
        match self {
            // A stop may take a second, and an image has ten to take over.
            Self::Stop => 4_000 / SLOWNESS,
            Self::Upgrade => 40_000 / SLOWNESS,
            Self::Question | Self::Start | Self::Exit | Self::NextLife => INSTRUCTIONS_MAX,
        }
    }
}

/// The traces of a turn.
#[derive(Debug)]
pub struct Traced {
    /// Instruction by instruction.
    pub instructions: Route,
    /// Stop by stop at its system calls.
    pub calls: Route,
    /// Where a program that is executed, or a life, is without handlers: a fault there ends the
    /// machine.
    pub unprotected: Vec<u64>,
}

/// A machine with the one service that things happen to.
#[derive(Debug)]
pub struct Sweep {
    who: Who,
    /// What it is upgraded to: itself.
    image: String,
    machine: Machine,
    client: Client,
    unit: usize,
    name: String,
}

impl Sweep {
    /// Begins with a machine whose services have begun; `image` is what it is upgraded to, which is
    /// what it runs.
    ///
    /// # Errors
    /// It does not do what it is asked.
    pub fn begin(machine: Machine, image: &str, who: Who) -> Result<Self> {
        let unit = units(SERVICES, Role::Asked).first().copied();
        let unit = unit.context("no service is asked")?;
        let client = Client::new(&machine.socket());
        let mut sweep = Self {
            who,
            image: image.to_string(),
            machine,
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

    /// From now on this one is to fault.
    pub fn turn_to(&mut self, who: Who) {
        self.who = who;
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

    /// Brings whoever is to fault to where the turn begins, and gives it something to do.
    fn begin_turn(&mut self, turn: Turn) -> Result<(Shown, Stopped)> {
        let before = self.put(turn != Turn::Start)?;
        let victim = match turn {
            Turn::Exit => Some(self.machine.witness(self.unit)?),
            _ => None,
        };
        let stopped = self.stop()?;
        let (name, image) = (self.name.clone(), self.image.clone());
        match (turn, victim) {
            (_, Some(pid)) => kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?,
            _ => ensure!(
                self.client.send(request(turn, &name, &image))?,
                "process 1 does not listen"
            ),
        }
        if turn != Turn::NextLife {
            return Ok((before, stopped));
        }
        stopped.injure(fault()?, &mut Random::new(0))?;
        let next = match self.who {
            Who::First => {
                stopped.follow_to_next_life()?;
                stopped
            }
            Who::Core => stopped.follow_to_next_child(self.machine.pid())?,
        };
        Ok((before, next))
    }

    /// Stops whoever is to fault.
    fn stop(&self) -> Result<Stopped> {
        let until = Instant::now() + HANG_LIMIT;
        loop {
            let pid = match self.who {
                Who::First => self.machine.pid(),
                Who::Core => self.machine.core()?,
            };
            match Stopped::stop(pid) {
                Err(_) if is_gone(pid) && Instant::now() < until => {}
                stopped => return stopped,
            }
        }
    }

    /// Where it comes past in a turn without a fault.
    ///
    /// # Errors
    /// That is no turn.
    pub fn trace(&mut self, turn: Turn, by_instruction: bool) -> Result<Traced> {
        let instructions = match by_instruction {
            true => self.traced(turn, Moment::Instruction)?,
            false => Route::default(),
        };
        let calls = self.traced(turn, Moment::Call)?;
        let unprotected = match (self.who, turn) {
            (Who::First, Turn::Upgrade | Turn::NextLife) => self.unprotected(turn)?,
            _ => Vec::new(),
        };
        Ok(Traced {
            instructions,
            calls,
            unprotected,
        })
    }

    /// The instructions of the program that is executed up to its handlers.
    fn unprotected(&mut self, turn: Turn) -> Result<Vec<u64>> {
        let begin = Way {
            is_behind_execution: turn == Turn::Upgrade,
            anchor: None,
            rest: Moment::Instruction(0),
            steps: 0,
        };
        for _ in 0..PARTS_MAX {
            let (_, stopped) = self.begin_turn(turn)?;
            let is_there = stopped.go(begin)?;
            let places = is_there.then(|| stopped.trace_to_protection());
            let places = places.transpose()?;
            drop(stopped);
            self.client.forget();
            if let Some(places) = places {
                return Ok(places);
            }
        }
        bail!("{turn:?}: nothing is executed")
    }

    /// In parts, each of which is reached at speed: who is stopped at each instruction is late for
    /// every time-out.
    fn traced(&mut self, turn: Turn, part: fn(u64) -> Moment) -> Result<Route> {
        let (mut route, mut misfits) = (Route::default(), 0);
        for _ in 0..PARTS_MAX {
            let (_, stopped) = self.begin_turn(turn)?;
            let way = route.ways(|place| place < PROGRAM_END).pop();
            let is_there = match way {
                Some(way) => stopped.go(way)?,
                None => true,
            };
            let rest = stopped.trace(part(turn.part()))?;
            drop(stopped);
            self.client.forget();
            let fits = route
                .places
                .last()
                .is_none_or(|last| rest.places.first() == Some(last));
            // Otherwise it went another way this time.
            if is_there && fits {
                route.append(rest);
                misfits = 0;
            } else {
                misfits += 1;
            }
            let is_upgraded = turn != Turn::Upgrade || route.executed.is_some();
            if route.is_whole && is_upgraded && route.places.len() > 1 {
                return Ok(route);
            }
            if route.is_whole || misfits > MISFITS_MAX {
                (route, misfits) = (Route::default(), 0);
            }
        }
        bail!(
            "{turn:?} has {} instructions: that is no turn",
            route.places.len()
        )
    }

    /// One fault, and what came of it; whether it was at the moment that was meant.
    ///
    /// # Errors
    /// Process 1 ended, or nothing else can be done.
    pub fn case(&mut self, turn: Turn, way: Way) -> Result<(Case, bool)> {
        let mut case = Case::default();
        let (before, stopped) = self.begin_turn(turn)?;
        let mut is_there = stopped.go(way)?;
        if self.who == Who::First && !stopped.is_protected() {
            // The turn was a shorter one: so early in a life a fault ends the machine.
            stopped.go_to_sleep()?;
            is_there = false;
        }
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
        Ok((case, is_there))
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

fn request<'a>(turn: Turn, name: &'a str, image: &'a str) -> Request<'a> {
    match turn {
        Turn::Stop => change(Change::Stop, name),
        Turn::Start => change(Change::Start, name),
        Turn::Upgrade => Request::Upgrade {
            image: Text::of(image),
        },
        Turn::Question | Turn::Exit | Turn::NextLife => Request::Unit {
            name: Text::of(name),
        },
    }
}
