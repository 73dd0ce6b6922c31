//! This file holds what is known of one unit while the machine runs.

use crate::effect::Failure;
use crate::event::ExitStatus;
use crate::ident::{Generation, Role};
use crate::job::Job;
use crate::time::{Duration, Instant};

/// Where a unit is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// At rest, and no failure is remembered.
    Inactive,
    /// Its start program was asked for; it is not ready.
    Starting,
    /// Ready. A service has its main process; a target, task or mount has none.
    Up,
    /// On its way to rest.
    Stopping {
        /// How far the stop ladder has been climbed.
        rung: Rung,
        /// What follows when nothing of it is alive.
        then: Then,
    },
    /// At rest until its deadline, then started again.
    Backoff,
    /// At rest after a failure. Nothing of it is alive.
    Failed(Failure),
    /// Its stop was given up: counts as at rest for others, but something of it is still alive, so
    /// it cannot start. What follows when that ends at last, follows then.
    GivenUp(Then),
}

/// A rung of the stop ladder. Each has the stop timeout until the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// The stop program runs.
    Program,
    /// The stop signal was sent.
    Signal,
    /// SIGKILL was sent.
    Kill,
}

/// What follows when the last process of a stopping unit is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Then {
    /// Rest: the stop was asked for.
    Rest,
    /// The restart policy decides: its start failed so.
    Retry(Failure),
    /// The restart policy decides: it had been up and ended so.
    Ended(ExitStatus),
    /// The restart policy decides: it had been up and its watchdog heard nothing of it.
    Silent,
}

/// Which of a unit's processes exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive(u8);

impl Alive {
    /// None does.
    pub const NONE: Self = Self(0);

    const fn bit(role: Role) -> u8 {
        match role {
            Role::Main => 1,
            Role::Stop => 2,
            Role::Probe => 4,
        }
    }
    /// One bit a role.
    pub fn bits(self) -> u8 {
        self.0
    }
    /// What [`Self::bits`] gave; `None`: it cannot have.
    pub fn of_bits(bits: u8) -> Option<Self> {
        (bits < 8).then_some(Self(bits))
    }
    /// Whether none exists.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Whether the one of that role exists.
    pub fn has(self, role: Role) -> bool {
        self.0 & Self::bit(role) != 0
    }
    /// Notes that it exists.
    pub fn insert(&mut self, role: Role) {
        self.0 |= Self::bit(role);
    }
    /// Notes that it is gone.
    pub fn remove(&mut self, role: Role) {
        self.0 &= !Self::bit(role);
    }
}

/// One unit's working state.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Where it is in its life. Written by `Core::set_state` only.
    pub state: State,
    /// What it was asked to become. Written by `Core::set_job` only.
    pub job: Job,
    /// The first attempt of the present start job is over without success: its own failed, or that
    /// of a unit that it requires. It will be tried again; nobody else waits for that.
    pub attempted: bool,
    /// Whether it waits in the run queue.
    pub queued: bool,
    /// The next unit of the run queue.
    pub next_queued: u16,
    /// Whether it changed since the last commit.
    pub touched: bool,
    /// The next unit that did.
    pub next_touched: u16,
    /// Its neighbours in the list of deadlines, if it has one.
    pub sooner: u16,
    /// The other one.
    pub later: u16,
    /// Its present or last incarnation.
    pub generation: Generation,
    /// Which of its processes exist, spawn requested or confirmed.
    pub alive: Alive,
    /// The main process's number, for people; 0: none.
    pub pid: u32,
    /// When the present state began.
    pub since: Instant,
    /// When the present state ends unless something happens before; [`Instant::MAX`]: never.
    pub due: Instant,
    /// When the present or last start began.
    pub started: Instant,
    /// From the start to ready, of the last start that got there; [`Duration::MAX`]: none did.
    pub took: Duration,
    /// Why its last start or run failed.
    pub failure: Option<Failure>,
    /// How the main program last ended.
    pub last_exit: Option<ExitStatus>,
    /// Automatic restarts since the unit was last started on request.
    pub restarts: u16,
    /// Automatic restarts in a row without having been ready for the back-off's reset time.
    pub streak: u16,
    /// The wait before the next automatic restart.
    pub delay: Duration,
    /// When the start limit's window opened.
    pub window_opened: Instant,
    /// Automatic restarts in that window.
    pub window_count: u16,
    /// The definition that its present or last incarnation was started by.
    pub definition: u32,
    /// An image that is to be executed does not know it.
    pub leaves: bool,
    /// It was wanted before the program was exchanged, or was not there: it may have to be started.
    pub returns: bool,
}

impl Unit {
    /// A unit that was never started.
    pub const NEW: Self = Self {
        state: State::Inactive,
        job: Job::None,
        attempted: false,
        queued: false,
        next_queued: u16::MAX,
        touched: false,
        next_touched: 0,
        sooner: u16::MAX,
        later: u16::MAX,
        generation: Generation(0),
        alive: Alive(0),
        pid: 0,
        since: Instant::ZERO,
        due: Instant::MAX,
        started: Instant::ZERO,
        took: Duration::MAX,
        failure: None,
        last_exit: None,
        restarts: 0,
        streak: 0,
        delay: Duration::ZERO,
        window_opened: Instant::ZERO,
        window_count: 0,
        definition: 0,
        leaves: false,
        returns: false,
    };

    /// What memory holds before [`Self::NEW`] is written into it: values of which today's compiler
    /// encodes every one as zero bits, so that storage lies in .bss and takes no room in the file.
    /// Nothing reads them.
    pub const BLANK: Self = Self {
        next_queued: 0,
        sooner: 0,
        later: 0,
        due: Instant::ZERO,
        took: Duration::ZERO,
        failure: Some(Failure::Exited(ExitStatus::Code(0))),
        last_exit: Some(ExitStatus::Code(0)),
        ..Self::NEW
    };

    /// Whether it is at rest and nothing is asked of it.
    pub fn is_idle(&self) -> bool {
        self.is_at_rest() && self.job == Job::None
    }

    /// Whether, without a job, nothing will be started or stopped for it.
    #[inline(never)]
    pub fn is_at_rest(&self) -> bool {
        matches!(
            self.state,
            State::Inactive | State::Failed(_) | State::GivenUp(_)
        )
    }

    /// Whether it is up, coming up, or to come up, be it by the restart policy.
    pub fn is_wanted(&self) -> bool {
        match self.job {
            Job::Start | Job::Restart => true,
            Job::Stop => false,
            Job::None => match self.state {
                State::Inactive | State::Failed(_) | State::GivenUp(Then::Rest) => false,
                State::Starting | State::Up | State::Stopping { .. } | State::Backoff => true,
                State::GivenUp(Then::Retry(_) | Then::Ended(_) | Then::Silent) => true,
            },
        }
    }

    /// Whether it is on its way to rest.
    pub fn is_leaving(&self) -> bool {
        matches!(self.state, State::Stopping { .. })
    }

    /// Whether it moves right now, so that the boot is not settled.
    pub fn is_moving(&self) -> bool {
        matches!(self.state, State::Starting | State::Stopping { .. })
    }
}
