//! This file understands the control tool's arguments, for each of its names.

use crate::checkpoint::RECORDS;
use crate::event::MachineRequest;
use crate::protocol::Change;
use crate::renewal::EXCHANGES;
use crate::text::index;

/// What is to be done. Units are the words after the command: see [`units`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Show all units.
    List,
    /// Show the units named, or the machine when none is.
    Status,
    /// Change the units named.
    Change(Change),
    /// Ask something of the machine.
    Act(MachineRequest),
    /// Execute the program of process 1 again.
    Reexec,
    /// Execute another image in process 1: the word after the command, or its own file.
    Upgrade,
    /// Let the core of another image take the place of the core: the word as above.
    #[cfg(feature = "exchange")]
    Exchange,
    /// Write out what the flight recorder holds.
    #[cfg(feature = "recorder")]
    Record,
    /// Say which program this is, and which process 1 is.
    Version,
    /// Explain.
    Help,
}

/// The commands' words, in the order of the help.
pub const COMMANDS: &str = if RECORDS {
    "list status start stop restart reset-failed poweroff reboot halt kexec rescue reexec upgrade \
version help record "
} else {
    "list status start stop restart reset-failed poweroff reboot halt kexec rescue reexec upgrade \
version help "
};

/// What each of these words says, in the same order.
const MEANINGS: &[Command] = &[
    Command::List,
    Command::Status,
    Command::Change(Change::Start),
    Command::Change(Change::Stop),
    Command::Change(Change::Restart),
    Command::Change(Change::ResetFailed),
    Command::Act(MachineRequest::PowerOff),
    Command::Act(MachineRequest::Reboot),
    Command::Act(MachineRequest::Halt),
    Command::Act(MachineRequest::Kexec),
    Command::Act(MachineRequest::Rescue),
    Command::Reexec,
    Command::Upgrade,
    Command::Version,
    Command::Help,
    #[cfg(feature = "recorder")]
    Command::Record,
];

/// A command with its option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What is to be done.
    pub command: Command,
    /// Whether to wait until it is done.
    pub wait: bool,
}

/// What is wrong with the arguments: the word, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage<'a> {
    /// No option of ours.
    UnknownOption(&'a [u8]),
    /// No command of ours.
    UnknownCommand(&'a [u8]),
    /// The command needs the name of a unit.
    NeedsUnit(&'a [u8]),
    /// The command takes no further word.
    TooMany(&'a [u8]),
    /// The command needs an absolute path, and not too long a one.
    NeedsPath(&'a [u8]),
    /// Other programs of this name go down without process 1; this one does not.
    NoForce(&'a [u8]),
}

/// The words of a command line by their index; the first is the program's name.
pub type Words<'a> = &'a dyn Fn(usize) -> Option<&'a [u8]>;

/// The part of a path after its last slash.
pub fn base_name(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    path.get(slash.map_or(0, |at| at.saturating_add(1))..)
        .unwrap_or(path)
}

/// The words after the program's name that are options, or those that are none.
fn after_program<'a>(words: Words<'a>, options: bool) -> impl Iterator<Item = &'a [u8]> {
    let mut at = 0_usize;
    core::iter::from_fn(move || {
        loop {
            at = at.wrapping_add(1);
            let word = words(at)?;
            if is_option(word) == options {
                return Some(word);
            }
        }
    })
}

/// Understands a command line.
pub fn parse<'a>(words: Words<'a>) -> Result<Parsed, Usage<'a>> {
    match find(base_name(words(0).unwrap_or_default())) {
        Some(Command::Act(request)) => parse_short(request, words),
        _ => parse_long(words),
    }
}

fn find(word: &[u8]) -> Option<Command> {
    MEANINGS.get(index(COMMANDS, word)?).copied()
}

const OPTIONS: &str = if EXCHANGES {
    "--no-wait -h --help -V --version --core "
} else {
    "--no-wait -h --help -V --version "
};

fn parse_long<'a>(words: Words<'a>) -> Result<Parsed, Usage<'a>> {
    let (mut wait, mut is_core) = (true, false);
    for option in after_program(words, true) {
        let command = match index(OPTIONS, option) {
            Some(0) => {
                wait = false;
                continue;
            }
            Some(5) if EXCHANGES => {
                is_core = after_program(words, false).next() == Some(b"upgrade");
                match is_core {
                    true => continue,
                    false => return Err(Usage::UnknownOption(option)),
                }
            }
            Some(1 | 2) => Command::Help,
            Some(_) => Command::Version,
            None => return Err(Usage::UnknownOption(option)),
        };
        return Ok(Parsed { command, wait });
    }
    let mut rest = after_program(words, false);
    let Some(word) = rest.next() else {
        return Ok(Parsed {
            command: Command::List,
            wait,
        });
    };
    let command = find(word).ok_or(Usage::UnknownCommand(word))?;
    let next = rest.next();
    match (command, next) {
        (Command::Upgrade, Some(path)) if !is_path(path) => Err(Usage::NeedsPath(path)),
        (Command::Upgrade, _) => match rest.next() {
            Some(extra) => Err(Usage::TooMany(extra)),
            None => Ok(Parsed {
                command: of_core(command, is_core),
                wait,
            }),
        },
        #[cfg(feature = "exchange")]
        (Command::Exchange, _) => Ok(Parsed { command, wait }),
        (Command::Change(_), None) => Err(Usage::NeedsUnit(word)),
        #[cfg(feature = "recorder")]
        (Command::Record, Some(extra)) => Err(Usage::TooMany(extra)),
        #[cfg(feature = "recorder")]
        (Command::Record, None) => Ok(Parsed { command, wait }),
        (Command::List | Command::Act(_) | Command::Reexec | Command::Version, Some(extra)) => {
            Err(Usage::TooMany(extra))
        }
        (Command::Change(_) | Command::Status | Command::Help, _)
        | (Command::List | Command::Act(_) | Command::Reexec | Command::Version, None) => {
            Ok(Parsed { command, wait })
        }
    }
}

/// The command, or what it is of the core alone.
fn of_core(command: Command, is_core: bool) -> Command {
    #[cfg(feature = "exchange")]
    if is_core {
        return Command::Exchange;
    }
    let _ = is_core;
    command
}

/// `poweroff`, `reboot` and the like called by their own names, with the options of old.
fn parse_short<'a>(request: MachineRequest, words: Words<'a>) -> Result<Parsed, Usage<'a>> {
    let mut command = Command::Act(request);
    for word in (1..usize::MAX).map_while(words) {
        match index("-h --help -p --poweroff -f -n -nf -fn --force ", word) {
            Some(0 | 1) => {
                command = Command::Help;
                break;
            }
            // `halt -p` is a power-off by long custom.
            Some(2 | 3) => command = Command::Act(MachineRequest::PowerOff),
            Some(_) => return Err(Usage::NoForce(word)),
            None if is_option(word) => return Err(Usage::UnknownOption(word)),
            None => return Err(Usage::TooMany(word)),
        }
    }
    Ok(Parsed {
        command,
        wait: true,
    })
}

/// The units among the words: all that are neither options nor the command.
pub fn units<'a>(words: Words<'a>) -> impl Iterator<Item = &'a [u8]> {
    let mut units = after_program(words, false);
    let _command = units.next();
    units
}

/// Bytes of an image's path, with its end.
pub const PATH_BYTES_MAX: usize = 256;

fn is_path(word: &[u8]) -> bool {
    word.starts_with(b"/") && word.len() < PATH_BYTES_MAX
}

fn is_option(word: &[u8]) -> bool {
    word.starts_with(b"-")
}
