//! This file says what went wrong, where, and what to do next.

use super::arguments::{COMMANDS, Usage};
use super::conversation::{Client, Tool, Trouble};
use super::similar::Similar;
use super::{DONE, FAILED, NO_SUCH_UNIT, NOT_REACHED, OTHER_VERSION, USAGE};
use crate::effect::Refusal;
use crate::event::Errno;
use crate::protocol::{Buffer, Malformed, Problem, Response, SCHEMA, Sender, VERSION};
use crate::report::Why;

impl<C: Client> Tool<'_, '_, C> {
    pub(super) fn complain_of_usage(&mut self, usage: Usage<'_>) -> u8 {
        match usage {
            Usage::UnknownOption(word) => self.complain(format_args!("{word}: unknown option")),
            Usage::UnknownCommand(word) => {
                let mut similar = Similar::new(word);
                COMMANDS.iter().for_each(|&(name, _)| similar.look_at(name));
                match similar.found() {
                    Some(name) => self.complain(format_args!(
                        "{word}: unknown command; did you mean {name}?"
                    )),
                    None => self.complain(format_args!("{word}: unknown command")),
                }
            }
            Usage::NeedsUnit(word) => {
                self.complain(format_args!("{word}: which unit? See sctl list"));
            }
            Usage::TooMany(word) => self.complain(format_args!("{word}: one word too many")),
            Usage::NoForce(word) => self.complain(format_args!(
                "{word} is not supported: process 1 stops everything in order and goes down by the \
                 manifest's deadline in any case. If it is dead: echo b > /proc/sysrq-trigger"
            )),
        }
        self.complain(format_args!("see sctl help"));
        USAGE
    }

    pub(super) fn complain_of_trouble(&mut self, trouble: Trouble) -> u8 {
        let address = self.address();
        match trouble {
            Trouble::NotConnected(error @ (Errno(1) | Errno(13))) => self.complain(format_args!(
                "{address}: {error}; only root may talk to process 1"
            )),
            Trouble::NotConnected(error) => self.complain(format_args!(
                "{address}: {error}; is process 1 of this system sysMaster? See /proc/1/exe"
            )),
            Trouble::Broken(error) => {
                self.complain(format_args!("connection to process 1: {error}"));
            }
            Trouble::HungUp => self.complain(format_args!(
                "process 1 hung up without an answer; try again, and see its log on the console"
            )),
            Trouble::Silent => self.complain(format_args!(
                "process 1 does not answer; other sctl may hold all places (ps), or it is stuck"
            )),
            Trouble::OtherVersion(sender) => return self.complain_of_version(sender),
            Trouble::Rejected(Malformed { problem, offset }) => {
                let (problem, offset) = (problem_word(problem), u32::from(offset));
                self.complain(format_args!(
                    "process 1 cannot read our request: byte {offset}: {problem}"
                ));
                return OTHER_VERSION;
            }
            Trouble::BadAnswer(Malformed { problem, offset }) => {
                let (problem, offset) = (problem_word(problem), u32::from(offset));
                self.complain(format_args!(
                    "cannot read the answer of process 1: byte {offset}: {problem}"
                ));
                return OTHER_VERSION;
            }
        }
        NOT_REACHED
    }

    fn complain_of_version(&mut self, sender: Option<Sender>) -> u8 {
        match sender {
            Some(Sender { version, schema }) => {
                let (theirs, ours) = (u32::from(version), u32::from(VERSION));
                self.complain(format_args!(
                    "process 1 speaks protocol {theirs}/{schema}, this program {ours}/{SCHEMA}: \
                     use /proc/1/exe as sctl; or signals: kill -USR2 1 powers off, -TERM reboots"
                ));
            }
            None => {
                let address = self.address();
                self.complain(format_args!(
                    "{address}: whoever answers there is not sysMaster"
                ));
            }
        }
        OTHER_VERSION
    }

    /// Says what became of a request; `None` when there is no such unit.
    pub(super) fn settle(&mut self, name: &str, response: Response<'_>) -> Option<u8> {
        match response {
            Response::Done | Response::Begun => return Some(DONE),
            Response::Refused {
                refusal: Refusal::NoSuchUnit,
                ..
            } => return None,
            Response::Refused {
                refusal: Refusal::Conflict(..),
                first,
                second,
            } => {
                self.complain(format_args!(
                    "{name}: refused: starting {first} needs {second}, and stops it as well"
                ));
            }
            Response::Refused {
                refusal: Refusal::ShuttingDown,
                ..
            } => {
                self.complain(format_args!("refused: the machine is going down"));
            }
            Response::Refused {
                refusal: Refusal::NoRescueTarget,
                ..
            } => {
                self.complain(format_args!("refused: the manifest names no rescue target"));
            }
            Response::Failed {
                unit,
                failure,
                about,
            } => {
                self.complain(format_args!("{unit}: failed: {}", Why(failure, about)));
            }
            Response::Superseded => {
                self.complain(format_args!("{name}: a later request took its place"));
            }
            Response::Machine(_)
            | Response::Units { .. }
            | Response::Unit(..)
            | Response::Error(_) => {
                self.complain(format_args!("process 1 answered something else"));
            }
        }
        Some(FAILED)
    }

    pub(super) fn no_such_unit(&mut self, name: &str, buffer: &mut Buffer) -> Result<u8, Trouble> {
        let mut similar = Similar::new(name);
        self.each_unit(buffer, &mut |_, unit| similar.look_at(unit.name))?;
        match similar.found() {
            Some(found) => {
                self.complain(format_args!("{name}: no such unit; did you mean {found}?"));
            }
            None => self.complain(format_args!("{name}: no such unit; see sctl list")),
        }
        Ok(NO_SUCH_UNIT)
    }
}

fn problem_word(problem: Problem) -> &'static str {
    match problem {
        Problem::NotOurs => "not a frame of sysMaster",
        Problem::OtherVersion => "another version",
        Problem::TooShort => "it ends too early",
        Problem::TooLong => "something follows its end",
        Problem::BadValue => "an unknown value",
    }
}
