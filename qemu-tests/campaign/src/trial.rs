//! This file injures a running process 1 once and finds out what that came to.
//!
//! The client whose answer ends the measured time asked while process 1 stood still, so it waited
//! before the fault.

use crate::client::{Answer, Client, HANG_LIMIT, Outcome, Shown};
use crate::inject::{Kind, Stopped};
use crate::load::{LOAD_LIMIT, Load};
use crate::machine::{BOOT_LIMIT, Machine, is_gone, unit_name, units};
use crate::random::Random;
use crate::record::Service;
use crate::rest::is_at_rest;
use crate::table::Case;
use crate::witness::Role;
use anyhow::{Context, Result, bail, ensure};
use init_core::protocol::{Request, Text};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long process 1's word of a service may lag behind the service's own. What is lost never
/// comes; a busy machine may take seconds to execute a program.
const LAG_LIMIT: Duration = Duration::from_secs(20);

/// The moment of a fault: this long after the case before was looked at, at most.
const DELAY_US_MAX: usize = 3_000;

/// How often a case is begun whose core was replaced before it could be injured. Its keeper does
/// so after a silence far longer than a tracer's steps; a machine that stalls that often is ill.
const ATTEMPTS_MAX: u32 = 5;

/// Between two looks at a service of which process 1 says something else.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// How long an injury and the looks after it may take where each wait lasts its limit once: before
/// it, until somebody stands still, for its answer, for the load, and for each of [`looked_at`].
#[must_use]
pub fn limit(services: usize) -> Duration {
    let before = 2 * HANG_LIMIT + LAG_LIMIT + BOOT_LIMIT;
    let after = 3 * HANG_LIMIT + 2 * LOAD_LIMIT;
    let looked_at = looked_at(services);
    before + after + looked_at.map(|_| LAG_LIMIT + HANG_LIMIT).sum::<Duration>()
}

/// Services of which process 1 must know every end: those that end, and those that never do, whose
/// end or restart it must not make up. Nobody knows when one was asked to start.
fn looked_at(services: usize) -> impl Iterator<Item = usize> {
    let ending = units(services, Role::Ending).into_iter();
    ending.chain(units(services, Role::Steady))
}

/// A machine with everything that looks at it. Fields are dropped in this order.
#[derive(Debug)]
pub struct Trial {
    load: Load,
    waiting: Client,
    machine: Machine,
    /// The core is who dies.
    split: bool,
    services: usize,
    /// A core never dies without an event in its hands.
    is_given: bool,
    /// Of each service: ends that its witnesses told and process 1 does not count.
    uncounted: BTreeMap<usize, u64>,
}

impl Trial {
    /// Puts a machine under load. `split`: it is the core that is to die.
    #[must_use]
    pub fn begin(machine: Machine, services: usize, seed: u64, split: bool) -> Self {
        Self {
            load: Load::begin(&machine.socket(), services, seed),
            waiting: Client::new(&machine.socket()),
            machine,
            split,
            services,
            is_given: false,
            uncounted: BTreeMap::new(),
        }
    }

    /// Lets a core die only with an event in its hands: without one its death is nobody's, and not
    /// counted.
    #[must_use]
    pub fn with_events(mut self) -> Self {
        self.is_given = self.split;
        self
    }

    /// Whether anybody but the services that are started and stopped by requests is left.
    ///
    /// # Errors
    /// Process 1 is gone.
    pub fn is_occupied(&self) -> Result<bool> {
        let mut stays = units(self.services, Role::Steady);
        stays.extend(units(self.services, Role::Ending));
        self.machine.has_any(&stays)
    }

    /// Requests of the load that have ended.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.load.ended()
    }

    /// Injures process 1 and looks what came of it. Where a core was replaced before it could be
    /// injured the case is repeated, and what went wrong meanwhile belongs to it.
    ///
    /// # Errors
    /// It cannot be injured, or what is read makes no sense.
    pub fn injure(&mut self, kind: Kind, random: &mut Random) -> Result<Case> {
        let mut case = Case::default();
        for _ in 0..ATTEMPTS_MAX {
            let was_injured = self.attempt(kind, random, &mut case)?;
            if was_injured || case.recovery.is_none() {
                return Ok(case);
            }
        }
        bail!("the core was replaced {ATTEMPTS_MAX} times before it could be injured")
    }

    /// Injures whoever dies here once; nobody looks after the services.
    ///
    /// # Errors
    /// As [`Self::injure`].
    pub fn strike_alone(&mut self, kind: Kind, random: &mut Random) -> Result<Case> {
        let mut case = Case::default();
        for _ in 0..ATTEMPTS_MAX {
            if self.strike(kind, random, &mut case)? {
                return Ok(case);
            }
        }
        bail!("the core was replaced {ATTEMPTS_MAX} times before it could be injured")
    }

    /// One attempt, added to the case; whether anybody was injured.
    fn attempt(&mut self, kind: Kind, random: &mut Random, case: &mut Case) -> Result<bool> {
        let was_injured = self.strike(kind, random, case)?;
        if case.recovery.is_some() {
            case.hung += self.load.look()?;
            if kind.forgets {
                self.count_anew()?;
            }
            case.exits_lost += self.exits_lost()?;
            self.machine.read_record()?;
            self.machine.look_for_lost();
            case.disturbed += u64::try_from(self.machine.record.disturbed().len())?;
        }
        Ok(was_injured)
    }

    /// Injures whoever dies here, and waits for the answer of whoever lives then. `false`: it was
    /// replaced before it could be injured.
    fn strike(&mut self, kind: Kind, random: &mut Random, case: &mut Case) -> Result<bool> {
        let delay = u64::try_from(random.below(DELAY_US_MAX))?;
        let steps = random.below(kind.steps_max);
        std::thread::sleep(Duration::from_micros(delay));
        let first = unit_name(0);
        let request = Request::Unit {
            name: Text::of(&first),
        };
        let soon = Instant::now() + HANG_LIMIT;
        let before = self.waiting.insist(request, soon, || false)?;
        ensure!(
            matches!(before, Outcome::Answered(_)),
            "process 1 did not answer before it was injured"
        );
        let (target, stopped) = self.stop()?;
        self.waiting.send(request)?;
        // Its keeper is awake from that moment on, and sleeps again when it has handed that over.
        let keeper = Pid::from_raw(i32::try_from(self.machine.pid())?);
        while self.is_given && !is_at_rest(keeper, false) {
            std::thread::yield_now();
        }
        let is_there = stopped.step(steps)?;
        if self.waiting.receive(Duration::ZERO)? != Outcome::Hung {
            // It got as far as an answer before the fault: another waits for the life after.
            self.waiting.send(request)?;
        }
        let injured = match is_there.then(|| hurt(kind, stopped, random)) {
            Some(Ok(injured)) => Some(injured),
            Some(Err(error)) if !self.split || !is_gone(target) => return Err(error),
            // Its keeper replaced it meanwhile, because it was not heard of for so long.
            Some(Err(_)) | None => None,
        };
        let since = injured.unwrap_or_else(Instant::now);
        case.recovery = self.recovery(request, since, &mut case.hung)?;
        Ok(injured.is_some())
    }

    /// Stops whoever is to be injured; its number.
    fn stop(&self) -> Result<(u32, Stopped)> {
        if !self.split {
            let pid = self.machine.pid();
            return Ok((pid, Stopped::stop(pid)?));
        }
        let until = Instant::now() + LAG_LIMIT;
        loop {
            let core = self.machine.core()?;
            match Stopped::stop(core) {
                // The case before may have harmed one that is replaced only now.
                Err(_) if is_gone(core) && Instant::now() < until => {}
                stopped => return Ok((core, stopped?)),
            }
        }
    }

    /// Waits until the client has its answer; `None` when process 1 is over, or another process.
    fn recovery(
        &mut self,
        request: Request<'_>,
        injured: Instant,
        hung: &mut u64,
    ) -> Result<Option<Duration>> {
        let mut outcome = self.waiting.receive(HANG_LIMIT)?;
        if outcome == Outcome::Hung {
            *hung += 1;
            self.waiting.forget();
        }
        if !matches!(outcome, Outcome::Answered(_)) {
            let machine = &mut self.machine;
            let until = Instant::now() + HANG_LIMIT;
            outcome = self
                .waiting
                .insist(request, until, || !machine.is_the_same())?;
        }
        let recovery = injured.elapsed();
        let lives = matches!(outcome, Outcome::Answered(_)) && self.machine.is_the_same();
        Ok(lives.then_some(recovery))
    }

    /// What process 1 had counted is lost; what it counts from now on is held against what the
    /// witnesses tell from now on. Who it never comes to know is looked for afterwards.
    fn count_anew(&mut self) -> Result<()> {
        for unit in units(self.services, Role::Ending) {
            let until = Instant::now() + LAG_LIMIT;
            loop {
                let (told, shown) = self.both(unit, until)?;
                let shown = shown.filter(|it| !told.has_ended && it.pid == told.pid);
                if let Some(shown) = shown {
                    let uncounted = told.ends.saturating_sub(u64::from(shown.restarts));
                    self.uncounted.insert(unit, uncounted);
                    break;
                }
                if Instant::now() >= until {
                    break;
                }
                std::thread::sleep(LOOK_INTERVAL);
            }
        }
        Ok(())
    }

    /// Ends of services that process 1 does not know of, or knows otherwise than their witnesses.
    fn exits_lost(&mut self) -> Result<u64> {
        let mut lost = 0;
        for unit in looked_at(self.services) {
            lost += self.exits_lost_of(unit)?;
        }
        Ok(lost)
    }

    fn exits_lost_of(&mut self, unit: usize) -> Result<u64> {
        let uncounted = self.uncounted.get(&unit).copied().unwrap_or(0);
        let until = Instant::now() + LAG_LIMIT;
        loop {
            let (told, shown) = self.both(unit, until)?;
            if let Some(shown) = &shown
                && agree(&told, shown, uncounted)
            {
                return Ok(0);
            }
            if Instant::now() < until {
                std::thread::sleep(LOOK_INTERVAL);
                continue;
            }
            eprintln!(
                "{}: its witnesses tell {told:?}, process 1 {shown:?}",
                unit_name(unit)
            );
            // Told once: from now on it is held against what process 1 counts today.
            let counted = shown.map_or(0, |shown| u64::from(shown.restarts));
            let now = told.ends.saturating_sub(counted);
            self.uncounted.insert(unit, now);
            return Ok(now.saturating_sub(uncounted).max(1));
        }
    }

    /// What the witnesses and process 1 say of a service, if neither changed meanwhile.
    fn both(&mut self, unit: usize, until: Instant) -> Result<(Service, Option<Shown>)> {
        let name = unit_name(unit);
        let outcome = self.waiting.insist(
            Request::Unit {
                name: Text::of(&name),
            },
            until,
            || false,
        )?;
        self.machine.read_record()?;
        let told = self.machine.record.service(unit).cloned();
        let told = told.context("there is no such service")?;
        let shown = match outcome {
            Outcome::Answered(Answer::Unit(shown)) => Some(shown),
            _ => None,
        };
        Ok((told, shown))
    }
}

/// Injures who stands still, and lets it go; when it went.
fn hurt(kind: Kind, stopped: Stopped, random: &mut Random) -> Result<Instant> {
    stopped.injure(kind, random)?;
    let (pid, injured) = (stopped.pid(), Instant::now());
    drop(stopped);
    if let Some(signal) = kind.signal() {
        kill(pid, signal)?;
    }
    Ok(injured)
}

/// Whether process 1 knows the process of a service that runs, and every end before it.
fn agree(told: &Service, shown: &Shown, uncounted: u64) -> bool {
    let ends = told.ends.saturating_sub(uncounted);
    // Process 1 counts in 16 bits.
    !told.has_ended
        && shown.pid == told.pid
        && u64::from(shown.restarts) == ends & u64::from(u16::MAX)
        && (told.ends == uncounted || shown.code == told.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use init_core::status::UnitState;

    #[test]
    fn an_end_that_process_1_does_not_know_is_no_agreement() {
        let told = Service {
            pid: Some(9),
            has_ended: false,
            ends: 3,
            code: Some(41),
        };
        let shown = Shown {
            state: UnitState::Active,
            pid: Some(9),
            restarts: 3,
            code: Some(41),
        };
        assert!(agree(&told, &shown, 0));
        let wrong = [
            Shown {
                restarts: 2,
                ..shown.clone()
            },
            Shown {
                pid: Some(8),
                ..shown.clone()
            },
            Shown {
                code: Some(40),
                ..shown.clone()
            },
            Shown {
                code: None,
                ..shown.clone()
            },
        ];
        for shown in wrong {
            assert!(!agree(&told, &shown, 0), "{shown:?}");
        }
        assert!(
            agree(
                &told,
                &Shown {
                    restarts: 1,
                    ..shown
                },
                2
            ),
            "told before"
        );
    }
}
