//! This file holds the rules of one unit: readiness, restart, back-off, start limit, stopping.

use crate::time::Duration;

/// A signal by its Linux number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub u8);

impl Signal {
    /// Hang-up.
    pub const HUP: Self = Self(1);
    /// Interrupt.
    pub const INT: Self = Self(2);
    /// Kill; cannot be caught.
    pub const KILL: Self = Self(9);
    /// A pipe without a reader.
    pub const PIPE: Self = Self(13);
    /// Go on after a stop.
    pub const CONT: Self = Self(18);
    /// Termination, the usual stop signal.
    pub const TERM: Self = Self(15);
}

/// When a started unit counts as ready, so that what is ordered after it may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Its program has been executed.
    Exec,
    /// Its program has ended with success (tasks and mounts).
    Exit,
    /// It writes a newline to this descriptor.
    Newline(u8),
    /// It sends a letter that says so.
    Letter,
    /// Something is there: somebody looks for it until it is. By its place in
    /// [`Manifest::probes`](super::Manifest::probes).
    Probe(u16),
}

/// After which ends a service is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    Never,
    /// Unless it ended with success or was stopped on request.
    OnFailure,
    /// Unless it was stopped on request.
    Always,
}

/// Wait before a restart: `from`, doubled each time up to `to`, and `from` again once the service
/// has been ready for `reset_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// First wait.
    pub from: Duration,
    /// Longest wait.
    pub to: Duration,
    /// Ready for this long: the next wait is `from` again.
    pub reset_after: Duration,
}

/// What follows when a start limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAction {
    /// The unit stays failed.
    Fail,
    /// The rescue target is started and what it does not need is stopped. A unit that rescue needs
    /// stays failed when the machine is in rescue already.
    Rescue,
    /// The machine is rebooted.
    Reboot,
    /// The machine is powered off.
    PowerOff,
}

/// At most `count` automatic restarts in a window of `within` that opens with the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimit {
    /// 0: no limit.
    pub count: u16,
    /// Length of the window.
    pub within: Duration,
    /// What follows.
    pub then: LimitAction,
}

/// What happens when a unit's main program ends without having been asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// After which ends.
    pub when: Restart,
    /// After what wait.
    pub backoff: Backoff,
    /// How often.
    pub limit: StartLimit,
}

/// Whom stop and kill signals reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillScope {
    /// The main process alone.
    Process,
    /// Its whole process group.
    Group,
}

/// How a unit is stopped: stop program if any, else (or when that ends and the main process is
/// still there) the signal; after `timeout` SIGKILL; after another `timeout` it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopPolicy {
    /// Sent first.
    pub signal: Signal,
    /// Grace before each next rung of the ladder.
    pub timeout: Duration,
    /// Whom the signals reach.
    pub scope: KillScope,
}

/// Which ends of a main program are a success. Exit code 0 always is; for a service so are the
/// signals HUP, INT, TERM and PIPE, as users of systemd expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success {
    /// Further exit codes.
    pub codes: &'static [u8],
    /// Further signals.
    pub signals: &'static [Signal],
}

impl RestartPolicy {
    /// No automatic restart.
    pub const NEVER: Self = Self {
        when: Restart::Never,
        backoff: Backoff {
            from: Duration::ZERO,
            to: Duration::ZERO,
            reset_after: Duration::ZERO,
        },
        limit: StartLimit {
            count: 0,
            within: Duration::ZERO,
            then: LimitAction::Fail,
        },
    };
}

impl Success {
    /// Exit code 0, and the signals that every unit may end by.
    pub const USUAL: Self = Self {
        codes: &[],
        signals: &[],
    };
}

impl StopPolicy {
    /// SIGTERM to the group, SIGKILL five seconds later.
    pub const USUAL: Self = Self {
        signal: Signal::TERM,
        timeout: Duration::from_secs(5),
        scope: KillScope::Group,
    };
}
