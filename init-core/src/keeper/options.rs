//! This file reads the keeper's command line.
//!
//! Options end at `--` or at the first word that is none: that is the command. (The kernel's own
//! command line cannot carry a second `--`.) What tini's `-e -g -p -s -v` mean, they mean here.

use super::signals;
use crate::time::Duration;

/// What `keeper --help` shows.
pub const HELP: &str = "\
usage: keeper [OPTIONS] [--] COMMAND [ARG..]

Runs one command: passes signals on, reaps every process, ends with the command's
exit code (128 + N if signal N ended it), and leaves nobody behind.

  -r, --restart WHEN[:N]   start it again: no (default), on-failure, always;
                           at most N times in a row
  -b, --backoff-max TIME   the wait before that doubles from 100ms up to this (30s)
  -t, --grace TIME         from SIGTERM to SIGKILL for what the command left (5s)
  -k, --kill-after TIME    from a stop signal to SIGKILL for the command (never)
  -S, --stop-signal SIGNAL what SIGTERM is passed on as (TERM)
  -g, --group              signals go to the command's whole process group
  -e, --success CODE       an exit code that counts as 0; may be repeated
  -p, --parent-death SIGNAL  be sent this when the parent ends
  -f, --finally WHAT       as process 1 of a machine: power-off (default), reboot, halt
  -v, --verbose            say what is done
  -h, --help               this text
  -V, --version

TIME: 5, 5s, 500ms, 2min. Own failures end with 125, a command that cannot be executed
with 126, one that is not found with 127. -s (subreaper) is accepted and always on.
";

/// Whether the command is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// When it failed: by its exit code or by a signal that is no ordinary end.
    OnFailure,
    /// Unless it was asked to stop.
    Always,
}

/// What a machine does when its process 1 has nothing left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finally {
    /// Switch off.
    PowerOff,
    /// Start again.
    Reboot,
    /// Stop, still powered.
    Halt,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the command is started again.
    pub restart: Restart,
    /// How often in a row; `None`: without end.
    pub restart_count_max: Option<u16>,
    /// The longest wait before a restart.
    pub backoff_max: Duration,
    /// From SIGTERM to SIGKILL for what the command left.
    pub grace: Duration,
    /// From a stop signal to SIGKILL for the command; `None`: whoever asked decides.
    pub kill_after: Option<Duration>,
    /// What SIGTERM is passed on as.
    pub stop_signal: u8,
    /// Signals go to the command's whole process group.
    pub group: bool,
    /// To be sent when the parent ends.
    pub parent_death: Option<u8>,
    /// What process 1 of a machine does at the end.
    pub finally: Finally,
    /// Say what is done.
    pub verbose: bool,
    /// Exit codes that count as 0, a bit each.
    success: [u8; 32],
}

impl Options {
    /// What holds if nothing is said.
    pub const DEFAULT: Self = Self {
        restart: Restart::No,
        restart_count_max: None,
        backoff_max: Duration::from_secs(30),
        grace: Duration::from_secs(5),
        kill_after: None,
        stop_signal: signals::TERM,
        group: false,
        parent_death: None,
        finally: Finally::PowerOff,
        verbose: false,
        success: [0; 32],
    };

    /// Whether an exit code is a success.
    pub fn is_success(&self, code: u8) -> bool {
        let byte = self.success.get(usize::from(code >> 3)).copied();
        code == 0 || byte.unwrap_or(0) & bit(code) != 0
    }

    fn set_success(&mut self, code: u8) {
        if let Some(byte) = self.success.get_mut(usize::from(code >> 3)) {
            *byte |= bit(code);
        }
    }
}

fn bit(code: u8) -> u8 {
    1_u8.wrapping_shl(u32::from(code & 7))
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Keep the command that begins at this word.
    Keep(Options, usize),
    /// Show the help.
    Help,
    /// Show the version.
    Version,
}

/// Why a command line is refused, and the word in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complaint<'a>(pub &'static str, pub &'a [u8]);

const NO_COMMAND: &str = "no command is given";
const UNKNOWN: &str = "unknown option";
const NO_VALUE: &str = "a value is missing after";
const NEEDS_NONE: &str = "takes no value:";
const BAD_VALUE: &str = "not a value of this option:";

/// The long names, each with its letter.
const LONG: &str = "rrestart bbackoff-max tgrace kkill-after Sstop-signal ggroup esuccess \
pparent-death ffinally vverbose hhelp Vversion ";

/// Reads the words of a command line; word 0 is the program's own name.
///
/// # Errors
/// The first word that makes no sense.
pub fn parse<'a>(word: &dyn Fn(usize) -> Option<&'a [u8]>) -> Result<Order, Complaint<'a>> {
    let mut options = Options::DEFAULT;
    let mut at = 1_usize;
    loop {
        let this = word(at).ok_or(Complaint(NO_COMMAND, b""))?;
        let next = at.saturating_add(1);
        if this == b"--" {
            word(next).ok_or(Complaint(NO_COMMAND, b""))?;
            return Ok(Order::Keep(options, next));
        }
        let (letter, value) = match (this.strip_prefix(b"--"), this.strip_prefix(b"-")) {
            (Some(long), _) => long_option(long).ok_or(Complaint(UNKNOWN, this))?,
            (None, Some([letter, rest @ ..])) => (*letter, (!rest.is_empty()).then_some(rest)),
            (None, _) => return Ok(Order::Keep(options, at)),
        };
        at = next;
        match letter {
            b'h' => return Ok(Order::Help),
            b'V' => return Ok(Order::Version),
            b'g' | b's' | b'v' => {
                if this.starts_with(b"--") && value.is_some() {
                    return Err(Complaint(NEEDS_NONE, this));
                }
                // Letters may stand together: -gv.
                let more = flags(&mut options, value.unwrap_or_default());
                more.and(flags(&mut options, &[letter]))
                    .ok_or(Complaint(UNKNOWN, this))?;
            }
            b'r' | b'b' | b't' | b'k' | b'S' | b'e' | b'p' | b'f' => {
                let value = match value {
                    Some(value) => value,
                    None => {
                        at = next.saturating_add(1);
                        word(next).ok_or(Complaint(NO_VALUE, this))?
                    }
                };
                set(&mut options, letter, value).ok_or(Complaint(BAD_VALUE, value))?;
            }
            _ => return Err(Complaint(UNKNOWN, this)),
        }
    }
}

/// The letter of a long option, and the value behind its `=`.
fn long_option(option: &[u8]) -> Option<(u8, Option<&[u8]>)> {
    let equals = option.iter().position(|byte| *byte == b'=');
    let (name, value) = match equals.and_then(|at| option.split_at_checked(at)) {
        Some((name, value)) => (name, value.get(1..)),
        None => (option, None),
    };
    let mut rest = LONG.as_bytes();
    while let [letter, tail @ ..] = rest {
        let end = tail.iter().position(|byte| *byte == b' ')?;
        let (candidate, after) = tail.split_at_checked(end)?;
        if candidate == name {
            return Some((*letter, value));
        }
        rest = after.get(1..)?;
    }
    None
}

fn flags(options: &mut Options, letters: &[u8]) -> Option<()> {
    for letter in letters {
        match letter {
            b'g' => options.group = true,
            b'v' => options.verbose = true,
            b's' => {}
            _ => return None,
        }
    }
    Some(())
}

fn set(options: &mut Options, letter: u8, value: &[u8]) -> Option<()> {
    match letter {
        b'r' => set_restart(options, value)?,
        b'b' => options.backoff_max = span(value)?,
        b't' => options.grace = span(value)?,
        b'k' => options.kill_after = Some(span(value)?),
        b'S' => options.stop_signal = signals::parse(value)?,
        b'e' => options.set_success(u8::try_from(number(value)?).ok()?),
        b'p' => options.parent_death = Some(signals::parse(value)?),
        _ => {
            options.finally = match value {
                b"power-off" => Finally::PowerOff,
                b"reboot" => Finally::Reboot,
                b"halt" => Finally::Halt,
                _ => return None,
            }
        }
    }
    Some(())
}

fn set_restart(options: &mut Options, value: &[u8]) -> Option<()> {
    let colon = value.iter().position(|byte| *byte == b':');
    let (when, count) = match colon.and_then(|at| value.split_at_checked(at)) {
        Some((when, count)) => (when, Some(u16::try_from(number(count.get(1..)?)?).ok()?)),
        None => (value, None),
    };
    options.restart = match when {
        b"no" => Restart::No,
        b"on-failure" => Restart::OnFailure,
        b"always" => Restart::Always,
        _ => return None,
    };
    options.restart_count_max = count;
    Some(())
}

/// A decimal number of at most nine digits.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number.wrapping_mul(10).wrapping_add(u32::from(digit)))
    })
}

/// A time: a number and its unit, seconds if there is none.
fn span(text: &[u8]) -> Option<Duration> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    let (digits, unit) = text.split_at_checked(end.unwrap_or(text.len()))?;
    let number = u64::from(number(digits)?);
    match unit {
        b"ms" => Some(Duration::from_ms(number)),
        b"" | b"s" => Some(Duration::from_secs(number)),
        b"min" => Some(Duration::from_secs(number.saturating_mul(60))),
        _ => None,
    }
}
