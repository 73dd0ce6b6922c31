//! This file says what becomes of each signal that the keeper is sent, and knows their names.
//!
//! | signal | what becomes of it |
//! |---|---|
//! | SIGKILL, SIGSTOP | cannot be caught |
//! | SIGCHLD | kept: a process ended |
//! | SIGTTIN, SIGTTOU | kept: the terminal means its reader or writer, and that is the command |
//! | SIGTERM | asks to stop: passed on as `--stop-signal` |
//! | SIGINT, SIGQUIT | ask to stop: passed on as they are |
//! | all others | passed on as they are |
//!
//! Among the others are SIGHUP, SIGTSTP, SIGCONT, SIGWINCH, the real-time signals, and faults that
//! somebody *sent*.

/// SIGTERM's number.
pub const TERM: u8 = 15;

/// The highest signal.
pub const LAST: u8 = 64;

/// What becomes of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It was meant for the keeper.
    Kept,
    /// The command gets it.
    Passed,
    /// The command gets it and is not started again.
    Stops,
}

/// What becomes of a signal, by its number.
pub fn treatment(number: u8) -> Treatment {
    match number {
        17 | 21 | 22 => Treatment::Kept,
        2 | 3 | TERM => Treatment::Stops,
        1..=LAST => Treatment::Passed,
        0 | 65.. => Treatment::Kept,
    }
}

/// Whether to end by this signal is no failure (systemd's clean signals): HUP, INT, PIPE, TERM.
pub fn is_clean(number: u8) -> bool {
    matches!(number, 1 | 2 | 13 | TERM)
}

/// The names from number 1 on. One string, because a table of strings would cost 16 bytes a name.
const NAMES: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT \
CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";

/// A signal by its number or its name, with or without `SIG`.
pub fn parse(word: &[u8]) -> Option<u8> {
    if let Some(number) = super::options::number(word) {
        let number = u8::try_from(number).ok()?;
        return (1..=LAST).contains(&number).then_some(number);
    }
    let name = word.strip_prefix(b"SIG").unwrap_or(word);
    let mut number = 1_u8;
    let mut rest = NAMES.as_bytes();
    loop {
        let end = rest.iter().position(|byte| *byte == b' ');
        let (candidate, tail) = match end.and_then(|end| rest.split_at_checked(end)) {
            Some((candidate, tail)) => (candidate, tail.get(1..)?),
            None => return (rest == name).then_some(number),
        };
        if candidate == name {
            return Some(number);
        }
        number = number.saturating_add(1);
        rest = tail;
    }
}
