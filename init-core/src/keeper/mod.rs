//! This file decides for the smallest init: one command, kept alive or run once, and after it
//! nobody is left behind.
//!
//! It is given events with a time and answers each with at most one action. It knows no process
//! numbers and reads no clock. Signals, times and the options are data of its neighbours.
//!
//! Every state and what each event does there ("stop": a signal that asks to stop):
//!
//! | state | stop | other signal | command ended | nobody left | time is up |
//! |---|---|---|---|---|---|
//! | Running | pass it, Asked | pass it | ask the rest, Ending | ignored | has no time |
//! | Asked | pass it | pass it | ask the rest, Ending | ignored | kill the command, once |
//! | Ending | no restart | ignored | cannot be | Finish or Resting | kill the rest, Killed |
//! | Killed | no restart | ignored | cannot be | Finish or Resting | Finish or Resting |
//! | Resting | Finish | ignored | cannot be | ignored | start, Running |
//! | Done | ignored | ignored | cannot be | ignored | has no time |

pub mod options;
pub mod signals;

#[cfg(test)]
mod tests;

use crate::time::{Duration, Instant};
use options::{Options, Restart};
use signals::Treatment;

/// How long those who were sent SIGKILL may take: only a process that the kernel itself holds
/// (state D) needs longer, and nothing can end that one.
pub const KILLED_WAIT: Duration = Duration::from_secs(2);

/// The first wait before a restart; each next one is twice as long.
pub const BACKOFF_FROM: Duration = Duration::from_ms(100);

/// A command that ran this long was well: the next back-off begins anew, and so does the count.
pub const RESET_AFTER: Duration = Duration::from_secs(60);

/// The exit code when the command could not even be tried: as `env`, `timeout` and Docker have it.
pub const OWN_FAILURE: u8 = 125;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With this exit code.
    Code(u8),
    /// By this signal.
    Signal(u8),
    /// It never began: no process could be created.
    NotStarted,
}

impl Status {
    /// The exit code that tells of it: 128 and the signal's number, as shells have it.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => number.saturating_add(128),
            Self::NotStarted => OWN_FAILURE,
        }
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A signal came, by its number.
    Signal(u8),
    /// The command ended.
    Ended(Status),
    /// No process is left.
    Alone,
    /// Time has passed, perhaps a deadline.
    Time,
}

/// What is to be done, at most one thing an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the command.
    Start,
    /// Send the command a signal.
    Pass(u8),
    /// Send the command SIGKILL.
    Kill,
    /// Ask whoever is left to end (SIGTERM), then say when nobody is.
    AskRest,
    /// Send whoever is left SIGKILL, now and as they come to light.
    KillRest,
    /// End, with this exit code.
    Finish(u8),
}

/// What becomes of it when nobody is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct After {
    code: u8,
    restart: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The command runs, since.
    Running(Instant),
    /// The command runs and was asked to stop.
    Asked { kill_at: Option<Instant> },
    /// The command ended; the rest was asked to.
    Ending { after: After, kill_at: Instant },
    /// The rest was killed.
    Killed { after: After, until: Instant },
    /// Nobody is there; the command is started again.
    Resting { code: u8, until: Instant },
    /// All is over.
    Done,
}

/// The machine.
#[derive(Debug)]
pub struct Keeper<'o> {
    options: &'o Options,
    state: State,
    /// The next wait before a restart.
    backoff: Duration,
    /// Restarts since the command was last well.
    restart_count: u16,
}

impl<'o> Keeper<'o> {
    /// The machine, in the moment in which the command is started: perform that first.
    pub fn new(options: &'o Options, now: Instant) -> Self {
        Self {
            options,
            state: State::Running(now),
            backoff: BACKOFF_FROM,
            restart_count: 0,
        }
    }

    /// When to come back with [`Event::Time`], if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Running(_) | State::Done => None,
            State::Asked { kill_at } => kill_at,
            State::Ending { kill_at, .. } => Some(kill_at),
            State::Killed { until, .. } | State::Resting { until, .. } => Some(until),
        }
    }

    /// Whether the rest has been sent SIGKILL, so that whoever comes to light gets it as well.
    pub fn kills(&self) -> bool {
        matches!(self.state, State::Killed { .. })
    }

    /// Whether the command has ended for good.
    pub fn is_last(&self) -> bool {
        match self.state {
            State::Ending { after, .. } | State::Killed { after, .. } => !after.restart,
            State::Done => true,
            State::Running(_) | State::Asked { .. } | State::Resting { .. } => false,
        }
    }

    /// The one transition function.
    pub fn step(&mut self, event: Event, now: Instant) -> Option<Action> {
        match event {
            Event::Signal(number) => self.signal(number, now),
            Event::Ended(status) => self.ended(status, now),
            Event::Alone => match self.state {
                State::Ending { after, .. } | State::Killed { after, .. } => self.rest(after, now),
                State::Running(_) | State::Asked { .. } => None,
                State::Resting { .. } | State::Done => None,
            },
            Event::Time if self.deadline().is_some_and(|deadline| deadline <= now) => {
                self.time_is_up(now)
            }
            Event::Time => None,
        }
    }

    fn signal(&mut self, number: u8, now: Instant) -> Option<Action> {
        let (number, stops) = match signals::treatment(number) {
            Treatment::Kept => return None,
            Treatment::Passed => (number, false),
            Treatment::Stops if number == signals::TERM => (self.options.stop_signal, true),
            Treatment::Stops => (number, true),
        };
        match &mut self.state {
            State::Running(_) if stops => {
                let kill_at = self.options.kill_after.map(|span| now.after(span));
                self.state = State::Asked { kill_at };
                Some(Action::Pass(number))
            }
            State::Running(_) | State::Asked { .. } => Some(Action::Pass(number)),
            State::Ending { after, .. } | State::Killed { after, .. } => {
                after.restart &= !stops;
                None
            }
            State::Resting { code, .. } if stops => {
                let code = *code;
                self.finish(code)
            }
            State::Resting { .. } | State::Done => None,
        }
    }

    fn ended(&mut self, status: Status, now: Instant) -> Option<Action> {
        let code = status.code();
        let success = self.options.is_success(code);
        let after = |restart| After {
            code: if success { 0 } else { code },
            restart,
        };
        let after = match self.state {
            State::Running(since) => after(self.wants_restart(status, success, since, now)),
            State::Asked { .. } => after(false),
            // There is no command that could end: a mistake of the caller changes nothing.
            State::Ending { .. } | State::Killed { .. } => return None,
            State::Resting { .. } | State::Done => return None,
        };
        let kill_at = now.after(self.options.grace);
        self.state = State::Ending { after, kill_at };
        Some(Action::AskRest)
    }

    fn wants_restart(
        &mut self,
        status: Status,
        success: bool,
        since: Instant,
        now: Instant,
    ) -> bool {
        if now.since(since) >= RESET_AFTER {
            self.backoff = BACKOFF_FROM;
            self.restart_count = 0;
        }
        let clean = matches!(status, Status::Signal(number) if signals::is_clean(number));
        let wanted = match self.options.restart {
            Restart::No => false,
            Restart::OnFailure => !success && !clean,
            Restart::Always => true,
        };
        let limit = self.options.restart_count_max;
        wanted && limit.is_none_or(|limit| self.restart_count < limit)
    }

    fn time_is_up(&mut self, now: Instant) -> Option<Action> {
        match self.state {
            State::Asked { .. } => {
                self.state = State::Asked { kill_at: None };
                Some(Action::Kill)
            }
            State::Ending { after, .. } => {
                let until = now.after(KILLED_WAIT);
                self.state = State::Killed { after, until };
                Some(Action::KillRest)
            }
            State::Killed { after, .. } => self.rest(after, now),
            State::Resting { .. } => {
                self.state = State::Running(now);
                Some(Action::Start)
            }
            State::Running(_) | State::Done => None,
        }
    }

    /// Nobody is left, or nobody that can be ended.
    fn rest(&mut self, after: After, now: Instant) -> Option<Action> {
        let code = after.code;
        if !after.restart {
            return self.finish(code);
        }
        let until = now.after(self.backoff);
        self.restart_count = self.restart_count.saturating_add(1);
        self.backoff = self.backoff.doubled().min(self.options.backoff_max);
        self.state = State::Resting { code, until };
        None
    }

    fn finish(&mut self, code: u8) -> Option<Action> {
        self.state = State::Done;
        Some(Action::Finish(code))
    }
}
