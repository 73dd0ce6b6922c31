//! This file replaces process 1's program by request: by itself, or by another image.
//!
//! An image is first tried in a child. Units that it does not know are stopped by the program that
//! still knows how. Then, when all is done that was begun, the driver is asked to execute it, and
//! the next life answers whoever asked. How far it is, is part of the machine's state, so a life
//! that finds it goes on with it.

use crate::checkpoint::words::KEEPS;
use crate::effect::{Effect, Notice, Refusal, Reply};
use crate::event::{Errno, ExitStatus};
use crate::ident::{ClientId, UnitId};
use crate::job::Job;
use crate::supervisor::Core;
use crate::supervisor::unit::State;
use crate::time::{Duration, Instant};
use crate::unit::OnUpgrade;
use serde::{Deserialize, Serialize};

/// Until a trial must have answered: reading the image from a slow flash takes the most of it.
const TRIAL_TIME: Duration = Duration::from_secs(30);

/// How far process 1 is with replacing its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It is not asked to.
    None,
    /// It will be executed again when nothing else is to be done.
    Again,
    /// It was, or is being, executed again.
    Executing,
    /// An image is on trial.
    Trial,
    /// The trial took too long and is being ended.
    Late,
    /// Units that the image does not know are being stopped.
    Clearing,
    /// The image was, or is being, executed.
    Upgrading,
}

/// Which program is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The one that runs.
    Same,
    /// The one that stood its trial.
    New,
}

/// Why a life of the program began where another had been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The life before died.
    Fault,
    /// It was asked to execute its program again.
    Again,
    /// It was asked to execute this image.
    Upgraded,
    /// An image was executed and ended by this signal before it had taken over; this is the program
    /// that had been there before.
    RolledBack(u8),
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
    /// A client asks for the program to be executed again, or for another image.
    pub(crate) fn renewal_asked(&mut self, client: ClientId, image: Image, now: Instant) {
        let refusal = if !KEEPS || self.checkpoint.is_nowhere() {
            Refusal::NoHeirs
        } else if self.system.is_going_down() {
            Refusal::ShuttingDown
        } else if self.system.renewal != Renewal::None {
            Refusal::Renewing
        } else {
            self.system.renewer = Some(client);
            match image {
                Image::Same => self.system.renewal = Renewal::Again,
                Image::New => {
                    self.system.renewal = Renewal::Trial;
                    self.system.renewal_due = now.after(TRIAL_TIME);
                    self.emit(Effect::Try(client));
                }
            }
            return;
        };
        let reply = Reply::Refused(refusal);
        self.emit(Effect::Reply { client, reply });
    }

    /// Notes which units an image knows, before its trial's end is told.
    pub fn note_known(&mut self, knows: &dyn Fn(UnitId) -> bool) {
        if !KEEPS || self.system.renewal != Renewal::Trial {
            return;
        }
        for id in self.units.ids() {
            let unit = self.units.get_mut(id);
            unit.leaves = !knows(id);
            unit.returns = unit.is_wanted();
        }
    }

    /// An image's trial is over.
    #[inline(never)]
    pub(crate) fn trial_ended(&mut self, obstacle: Option<Obstacle>, now: Instant) {
        match (self.system.renewal, obstacle) {
            _ if !KEEPS => {}
            (Renewal::Trial, None) => {
                self.system.renewal = Renewal::Clearing;
                self.system.renewal_due = Instant::MAX;
            }
            (Renewal::Trial, Some(obstacle)) => self.give_up(obstacle, now),
            (Renewal::Late, _) => self.give_up(Obstacle::Late, now),
            // Nobody wants to know any more.
            (
                Renewal::None
                | Renewal::Again
                | Renewal::Executing
                | Renewal::Clearing
                | Renewal::Upgrading,
                _,
            ) => {}
        }
    }

    /// The image was not executed: this is still the program that asked for it.
    pub(crate) fn not_renewed(&mut self, error: Errno, now: Instant) {
        if KEEPS && self.system.renewal == Renewal::Upgrading {
            self.give_up(Obstacle::NotExecuted(error), now);
        }
    }

    /// Whether requests for units have to wait: they might undo what was made ready.
    pub(crate) fn is_being_exchanged(&self) -> bool {
        let stage = self.system.renewal;
        KEEPS && matches!(stage, Renewal::Clearing | Renewal::Upgrading)
    }

    /// Goes on with it, when nothing else is to be done; whether there was anything to do.
    #[inline(never)]
    pub(crate) fn renewal_turn(&mut self, now: Instant) -> bool {
        if !KEEPS {
            return false;
        }
        match self.system.renewal {
            Renewal::None | Renewal::Executing | Renewal::Late | Renewal::Upgrading => false,
            Renewal::Again => {
                self.system.renewal = Renewal::Executing;
                // Alone among the effects: all before it are done.
                self.emit(Effect::Renew(Image::Same));
                true
            }
            Renewal::Trial => {
                let is_late = now >= self.system.renewal_due;
                if is_late {
                    self.system.renewal = Renewal::Late;
                    self.system.renewal_due = Instant::MAX;
                    self.emit(Effect::EndTrial);
                }
                is_late
            }
            Renewal::Clearing => self.clear(now),
        }
    }

    /// Stops what the image does not know; then it is executed.
    fn clear(&mut self, now: Instant) -> bool {
        let mut rest = self.units.ids().filter(|id| {
            let unit = self.units.get(*id);
            unit.leaves && !matches!((unit.state, unit.job), (State::Inactive, Job::None))
        });
        let Some(id) = rest.next() else {
            self.system.renewal = Renewal::Upgrading;
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

    /// A new life found this state: whoever asked for it is answered, and units become what the
    /// program wants them to be.
    #[inline(never)]
    pub(crate) fn resumed(&mut self, why: Handover, now: Instant) {
        if !KEEPS {
            return;
        }
        match (self.system.renewal, why) {
            // Also after a fault on the way: the same program has begun a new life.
            (Renewal::Executing, _) => self.end_renewal(Reply::Done),
            (Renewal::Upgrading, Handover::Upgraded) => {
                self.end_renewal(Reply::Done);
                self.choose_new();
                self.restart_changed(now);
                self.start_returning(now);
            }
            (Renewal::Upgrading, Handover::RolledBack(signal)) => {
                self.give_up(Obstacle::RolledBack(signal), now);
            }
            (Renewal::Upgrading, Handover::Fault | Handover::Again) => {
                self.give_up(Obstacle::Died, now);
            }
            (
                Renewal::None | Renewal::Again | Renewal::Trial | Renewal::Late | Renewal::Clearing,
                _,
            ) => {}
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

    /// The machine goes down: nothing comes of it.
    pub(crate) fn drop_renewal(&mut self) {
        if KEEPS && self.system.renewal != Renewal::None {
            self.emit(Effect::EndTrial);
            self.end_renewal(Reply::Refused(Refusal::ShuttingDown));
        }
    }

    /// It is over, and whoever asked for it is told so.
    #[inline(never)]
    fn end_renewal(&mut self, reply: Reply) {
        self.system.renewal = Renewal::None;
        self.system.renewal_due = Instant::MAX;
        if let Some(client) = self.system.renewer.take() {
            self.emit(Effect::Reply { client, reply });
        }
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
            if self.desc(id).on_upgrade == OnUpgrade::Restart && self.is_stale(id) {
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

    /// Whether a unit runs by another definition than the manifest has.
    pub(crate) fn is_stale(&self, id: UnitId) -> bool {
        let unit = self.units.get(id);
        let runs = !unit.alive.is_empty() || unit.state == State::Up;
        KEEPS && runs && unit.definition != self.desc(id).definition
    }
}
