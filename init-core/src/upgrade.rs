//! This file exchanges process 1's program for another image, in products that ask for it.
//!
//! An image is first tried in a child. Units that it does not know are stopped by the program that
//! still knows how. Then the driver is asked to execute it. All of it is reached through
//! [`HOT_UPGRADE`], which only such a product's tables name: others are linked without it.

use crate::checkpoint::{
    self,
    words::{KEEPS, Words},
};
use crate::effect::{Effect, Notice, Reply};
use crate::event::{Errno, ExitStatus};
use crate::ident::{ClientId, UnitId};
use crate::job::Job;
use crate::renewal::{Handover, Image, Renewal};
use crate::report::Line;
use crate::supervisor::Core;
use crate::supervisor::unit::State;
use crate::time::{Duration, Instant};
use crate::unit::{Manifest, OnUpgrade};
use serde::{Deserialize, Serialize};

/// Until a trial must have answered: reading the image from a slow flash takes the most of it.
const TRIAL_TIME: Duration = Duration::from_secs(30);

/// The code of an exchange, and its words.
#[derive(Debug)]
pub struct HotUpgrade {
    step: fn(&mut Core<'_>, Step<'_>, Instant) -> bool,
    describe: fn(Words<'_>, &Manifest),
    words: for<'l, 'r> fn(&'l mut Line<'r>, Obstacle, &[u8]) -> &'l mut Line<'r>,
}

/// What the table of a product has that asks for it.
pub const HOT_UPGRADE: Option<&'static HotUpgrade> = if KEEPS { Some(&CODE) } else { None };

static CODE: HotUpgrade = HotUpgrade {
    step: |core, step, now| core.upgrade_step(step, now),
    describe: checkpoint::describe,
    words: |line, obstacle, unit| line.obstacle(obstacle, unit),
};

impl HotUpgrade {
    /// Writes down what another image has to know of a region.
    pub(crate) fn describe(&self, words: Words<'_>, manifest: &Manifest) {
        (self.describe)(words, manifest);
    }

    /// Adds why process 1 keeps its program; `unit` is the one in it.
    pub(crate) fn say<'l, 'r>(
        &self,
        line: &'l mut Line<'r>,
        obstacle: Obstacle,
        unit: &[u8],
    ) -> &'l mut Line<'r> {
        (self.words)(line, obstacle, unit)
    }
}

/// What an exchange goes on by.
pub(crate) enum Step<'a> {
    /// This client asks for it, and nothing is in the way.
    Asked(ClientId),
    /// The image on trial has said which units it knows.
    Known(&'a dyn Fn(UnitId) -> bool),
    /// Its trial is over.
    Tried(Option<Obstacle>),
    /// It was not executed.
    NotExecuted(Errno),
    /// Nothing else is to be done.
    Turn,
    /// A new life found it being executed.
    Resumed(Handover),
}

/// Why process 1 keeps its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Obstacle {
    /// The image cannot be read, or there is no room for it.
    NotRead(Errno),
    /// It is no process 1 of sysMaster.
    NotOurs,
    /// It is for another processor.
    OtherMachine,
    /// It cannot be executed.
    NotExecuted(Errno),
    /// It cannot read what this process 1 keeps.
    OtherLayout,
    /// Its trial ended so, without an answer.
    Ended(ExitStatus),
    /// Its trial took too long.
    Late,
    /// A unit that it does not know does not stop.
    Stuck(UnitId),
    /// It was executed and ended by this signal before it had taken over.
    RolledBack(u8),
    /// Process 1 died meanwhile.
    Died,
    /// It feeds no hardware watchdog, and one is open that resets the machine.
    Unfed,
    /// It has no core that can be exchanged alone.
    #[cfg(feature = "exchange")]
    NoCore,
    /// Its core was made for other tables than its keeper would have.
    #[cfg(feature = "exchange")]
    OtherTables,
    /// Its core would not understand its keeper.
    #[cfg(feature = "exchange")]
    OtherKeeper,
}

impl Obstacle {
    /// The unit that is in the way.
    pub fn unit(self) -> Option<UnitId> {
        if let Self::Stuck(unit) = self {
            Some(unit)
        } else {
            None
        }
    }
}

impl Core<'_> {
    /// Goes on with an exchange; whether there was anything to do. Never, without one.
    pub(crate) fn upgrade(&mut self, step: Step<'_>, now: Instant) -> bool {
        let code = self.manifest.hot_upgrade;
        code.is_some_and(|code| (code.step)(self, step, now))
    }

    fn upgrade_step(&mut self, step: Step<'_>, now: Instant) -> bool {
        match (self.system.renewal, step) {
            (_, Step::Asked(client)) => {
                self.system.renewal = Renewal::Trial;
                self.system.renewal_due = now.after(TRIAL_TIME);
                self.emit(Effect::Try(client));
            }
            (Renewal::Trial, Step::Known(knows)) => self.mark_leaving(knows),
            (Renewal::Trial, Step::Tried(None)) => {
                self.system.renewal = Renewal::Clearing;
                self.system.renewal_due = Instant::MAX;
            }
            (Renewal::Trial, Step::Tried(Some(obstacle))) => self.give_up(obstacle, now),
            (Renewal::Late, Step::Tried(_)) => self.give_up(Obstacle::Late, now),
            (Renewal::Trial | Renewal::Late, Step::Turn) => return self.is_late(now),
            (Renewal::Clearing, Step::Turn) => return self.clear(now),
            (Renewal::Upgrading, Step::NotExecuted(error)) => {
                self.give_up(Obstacle::NotExecuted(error), now);
            }
            (Renewal::Upgrading | Renewal::Clearing, Step::Resumed(why)) => self.arrive(why, now),
            // Nobody wants to know any more.
            (
                Renewal::None
                | Renewal::Again
                | Renewal::Executing
                | Renewal::Trial
                | Renewal::Late
                | Renewal::Clearing
                | Renewal::Upgrading,
                Step::Known(_)
                | Step::Tried(_)
                | Step::NotExecuted(_)
                | Step::Turn
                | Step::Resumed(_),
            ) => {}
        }
        true
    }

    fn mark_leaving(&mut self, knows: &dyn Fn(UnitId) -> bool) {
        for id in self.units.ids() {
            let unit = self.units.get_mut(id);
            unit.leaves = !knows(id);
            unit.returns = unit.is_wanted();
        }
    }

    /// Ends a trial that takes too long. Its end may have been put aside, and is not told then.
    fn is_late(&mut self, now: Instant) -> bool {
        let is_late = now >= self.system.renewal_due;
        if is_late && self.system.renewal == Renewal::Late {
            self.give_up(Obstacle::Late, now);
        } else if is_late {
            self.system.renewal = Renewal::Late;
            self.system.renewal_due = now.after(TRIAL_TIME);
            self.emit(Effect::EndTrial);
        }
        is_late
    }

    /// Stops what the image does not know; then it is executed.
    fn clear(&mut self, now: Instant) -> bool {
        let mut rest = self.units.ids().filter(|id| {
            let unit = self.units.get(*id);
            unit.leaves && !matches!((unit.state, unit.job), (State::Inactive, Job::None))
        });
        let Some(id) = rest.next() else {
            self.system.renewal = Renewal::Upgrading;
            self.describe_again();
            self.emit(Effect::Renew(Image::New));
            return true;
        };
        let unit = self.units.get(id);
        match (unit.state, unit.job) {
            (State::GivenUp(_), _) => self.give_up(Obstacle::Stuck(id), now),
            (State::Failed(_), Job::None) => self.set_state(id, State::Inactive, now),
            (_, Job::Stop) => return false,
            // A stop is never refused.
            _ => drop(self.request(id, Job::Stop, now)),
        }
        true
    }

    /// The execution has led to a new life.
    fn arrive(&mut self, why: Handover, now: Instant) {
        match why {
            Handover::Upgraded => {
                self.end_renewal(Reply::Done);
                self.choose_new();
                self.restart_changed(now);
                self.start_returning(now);
            }
            Handover::RolledBack(signal) => self.give_up(Obstacle::RolledBack(signal), now),
            // The same units, by the same rules.
            #[cfg(feature = "exchange")]
            Handover::Exchanged => self.end_renewal(Reply::Done),
            Handover::Fault | Handover::Again => self.give_up(Obstacle::Died, now),
        }
    }

    /// The program stays. What was stopped for another one is started again.
    #[inline(never)]
    fn give_up(&mut self, obstacle: Obstacle, now: Instant) {
        self.emit(Effect::EndTrial);
        self.tell(Notice::NotUpgraded(obstacle));
        self.end_renewal(Reply::NotUpgraded(obstacle));
        self.start_returning(now);
    }

    /// Of the units that were not there before, those are to be started that the target wants.
    fn choose_new(&mut self) {
        let target = match self.manifest.rescue_target {
            Some(target) if self.system.rescued => target,
            Some(_) | None => self.manifest.default_target,
        };
        let is_planned = self.plan_start(target).is_ok();
        for id in self.units.ids() {
            let unit = self.units.get(id);
            let is_new = unit.returns && unit.generation.0 == 0;
            if is_new && !(is_planned && self.plan.is_to_start(id)) {
                self.units.get_mut(id).returns = false;
            }
        }
    }

    /// Units that run by another definition than the manifest's, where that says so.
    fn restart_changed(&mut self, now: Instant) {
        for id in self.units.ids() {
            if self.desc(id).rules.on_upgrade == OnUpgrade::Restart && self.is_stale(id) {
                let _ = self.request(id, Job::Restart, now);
            }
        }
    }

    /// Units that were wanted before, and are stopped, are started.
    #[inline(never)]
    fn start_returning(&mut self, now: Instant) {
        for id in self.units.ids() {
            let unit = self.units.get_mut(id);
            unit.leaves = false;
            let returns = core::mem::take(&mut unit.returns);
            if returns && !unit.is_wanted() {
                let _ = self.request(id, Job::Start, now);
            }
        }
    }
}
