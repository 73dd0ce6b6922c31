//! This room is the control tool, but for the socket: arguments, conversation, output, exit codes.
//!
//! It allocates nothing and never waits without saying so, except for the unit that it was asked to
//! wait for. The exit codes are those of `help.txt`.

mod arguments;
mod complaints;
mod conversation;
#[cfg(feature = "recorder")]
pub mod recording;
mod render;
mod similar;

#[cfg(test)]
mod tests;

pub use arguments::Words;
pub use conversation::{Client, Received, Stream};

use crate::checkpoint::RECORDS;
use crate::limits::{FRAME_BYTES_MAX, NAME_BYTES_MAX};
use crate::packed::packed;
use crate::protocol::{Buffer, Change, Request, Response, Sender, Text};
use crate::renewal::EXCHANGES;
use crate::status::{MachinePhase, UnitState};
use arguments::{Command, Parsed, base_name, parse, units};
use conversation::{LINE_BYTES_MAX, Outcome, Tool};

/// Done as asked.
pub const DONE: u8 = 0;
/// It failed, was refused or was superseded; or the output could not be written.
pub const FAILED: u8 = 1;
/// The arguments make no sense.
pub const USAGE: u8 = 2;
/// `status`: not active, as the LSB has it; the machine: not up, or a unit failed.
pub const NOT_ACTIVE: u8 = 3;
/// No such unit, as the LSB has it.
pub const NO_SUCH_UNIT: u8 = 4;
/// Process 1 cannot be reached: not root, not there, or it does not answer.
pub const NOT_REACHED: u8 = 5;
/// Process 1 is another version, or not ours at all.
pub const OTHER_VERSION: u8 = 6;

/// Does what the words ask, the first of which is the name that the tool was called by; returns the
/// exit code.
pub fn run<'a>(client: &mut impl Client, words: Words<'a>) -> u8 {
    let mut room = [0; LINE_BYTES_MAX];
    let mut tool = Tool::new(client, base_name(words(0).unwrap_or(b"sctl")), &mut room);
    let code = match parse(words) {
        Ok(parsed) => tool.perform(parsed, words),
        Err(usage) => tool.complain_of_usage(usage),
    };
    match (code, tool.is_all_written()) {
        (DONE, false) => FAILED,
        _ => code,
    }
}

impl<C: Client> Tool<'_, '_, C> {
    fn perform(&mut self, Parsed { command, wait }: Parsed, words: Words<'_>) -> u8 {
        let buffer = &mut [0; FRAME_BYTES_MAX];
        let result = match command {
            Command::Help => self.help(),
            Command::Version => self.version(buffer),
            Command::List => self.list(buffer),
            Command::Status if units(words).next().is_none() => self.show(buffer),
            Command::Status => self.each(words, None, buffer),
            Command::Change(change) => self.each(words, Some((change, wait)), buffer),
            Command::Act(request) => self.act(&Request::Act(request), buffer),
            Command::Reexec => self.act(&Request::Reexec, buffer),
            #[cfg(feature = "recorder")]
            Command::Record => self.record(buffer),
            Command::Upgrade => {
                let image = Text(units(words).next().unwrap_or_default());
                self.act(&Request::Upgrade { image }, buffer)
            }
            #[cfg(feature = "exchange")]
            Command::Exchange => {
                let image = Text(units(words).next().unwrap_or_default());
                self.act(&Request::Exchange { image }, buffer)
            }
        };
        result.unwrap_or_else(|code| code)
    }

    /// Changes each unit, or shows its status; goes on after a failure. The first failure's code is
    /// the result.
    fn each(
        &mut self,
        words: Words<'_>,
        change: Option<(Change, bool)>,
        buffer: &mut Buffer,
    ) -> Outcome<u8> {
        let mut result = DONE;
        for word in units(words) {
            // A name that does not fit is no unit's: an empty one is refused just the same.
            let is_possible = word.len() <= NAME_BYTES_MAX;
            let name = Text(if is_possible { word } else { &[] });
            let request = match change {
                Some((change, wait)) => Request::Change { change, name, wait },
                None => Request::Unit { name },
            };
            let code = self.one(word, &request, buffer)?;
            result = if result == DONE { code } else { result };
        }
        Ok(result)
    }

    fn act(&mut self, request: &Request<'_>, buffer: &mut Buffer) -> Outcome<u8> {
        self.one(&[], request, buffer)
    }

    /// Asks one thing and shows what comes of it.
    #[inline(never)]
    fn one(&mut self, name: &[u8], request: &Request<'_>, buffer: &mut Buffer) -> Outcome<u8> {
        let place = &mut Response::Done;
        let response = self.ask(request, buffer, place)?;
        if let Response::Unit(unit, detail) = response {
            self.show_unit(unit, detail);
            let is_active = unit.state == UnitState::Active;
            return Ok(if is_active { DONE } else { NOT_ACTIVE });
        }
        match self.settle(name, response) {
            Some(code) => Ok(code),
            None => self.no_such_unit(name, buffer),
        }
    }

    fn help(&mut self) -> Outcome<u8> {
        self.say_all(packed!(include_str!("help.txt")));
        if EXCHANGES {
            self.say_all(packed!(include_str!("help-exchange.txt")));
        }
        if RECORDS {
            self.say_all(packed!(include_str!("help-record.txt")));
        }
        Ok(DONE)
    }

    fn version(&mut self, buffer: &mut Buffer) -> Outcome<u8> {
        self.line
            .say(packed!("sctl "))
            .text(env!("CARGO_PKG_VERSION"));
        self.line.say(packed!(", protocol ")).protocol(Sender::SELF);
        self.say();
        let version = self.machine(buffer, &mut Response::Done)?.version;
        self.line
            .say(packed!("process 1: sysMaster "))
            .text(version);
        self.say();
        Ok(DONE)
    }

    fn show(&mut self, buffer: &mut Buffer) -> Outcome<u8> {
        let place = &mut Response::Done;
        let machine = self.machine(buffer, place)?;
        self.show_machine(machine);
        let is_well = machine.phase == MachinePhase::Up && machine.failed == 0;
        Ok(if is_well { DONE } else { NOT_ACTIVE })
    }

    fn list(&mut self, buffer: &mut Buffer) -> Outcome<u8> {
        let mut width = 0;
        self.each_unit(buffer, &mut |_, unit| width = unit.name.0.len().max(width))?;
        self.show_heading(width);
        self.each_unit(buffer, &mut |tool, unit| tool.show_row(unit, width))?;
        Ok(DONE)
    }
}
