//! This file says what went wrong, where, and what to do next.

use super::arguments::{COMMANDS, Usage};
use super::conversation::{Client, Outcome, Tool, Trouble};
use super::similar::Similar;
use super::{DONE, FAILED, NO_SUCH_UNIT, NOT_REACHED, OTHER_VERSION, USAGE};
use crate::effect::Refusal;
use crate::event::Errno;
use crate::packed::{Packed, packed};
use crate::protocol::{Buffer, Malformed, Problem, Response, Sender};
use crate::report::Line;
use crate::text::{texts, word};

impl<C: Client> Tool<'_, '_, C> {
    pub(super) fn complain_of_usage(&mut self, usage: Usage<'_>) -> u8 {
        let line = self.complaint();
        match usage {
            Usage::UnknownOption(word) => line.text(word).say(packed!(": unknown option")),
            Usage::UnknownCommand(wrong) => {
                let mut similar = Similar::new(wrong);
                let names =
                    (0..usize::MAX).map_while(|index| word(COMMANDS.as_bytes(), b' ', index));
                names.for_each(|name| similar.look_at(name));
                line.text(wrong).say(packed!(": unknown command"));
                match similar.found() {
                    Some(name) => line.say(packed!("; did you mean ")).text(name).text("?"),
                    None => line,
                }
            }
            Usage::NeedsUnit(word) => line.text(word).say(packed!(": which unit? See sctl list")),
            Usage::TooMany(word) => line.text(word).say(packed!(": one word too many")),
            Usage::NeedsPath(word) => line.text(word).say(packed!(
                ": an image is named by its absolute path of less than 256 bytes"
            )),
            Usage::NoForce(word) => line.text(word).say(packed!(
                " is not supported: process 1 stops everything in order, by the manifest's \
                 deadline at the latest. If it is dead: echo b > /proc/sysrq-trigger",
            )),
        };
        self.complain();
        self.complaint().say(packed!("see sctl help"));
        self.complain();
        USAGE
    }

    pub(super) fn complain_of_trouble(&mut self, trouble: &Trouble) -> u8 {
        let address = self.address();
        let line = self.complaint();
        let mut code = NOT_REACHED;
        match *trouble {
            Trouble::NotConnected(error) => {
                line.text(address).text(": ").errno(error).say(match error {
                    Errno(1) | Errno(13) => packed!("; only root may talk to process 1"),
                    _ => packed!("; is process 1 sysMaster? See /proc/1/exe"),
                })
            }
            Trouble::Broken(error) => line.say(packed!("connection to process 1: ")).errno(error),
            Trouble::HungUp => line.say(packed!(
                "process 1 hung up without an answer; try again, and see its log on the console",
            )),
            Trouble::Silent => line.say(packed!(
                "process 1 does not answer; other sctl may hold all places (ps), or it is stuck",
            )),
            Trouble::OtherVersion(sender) => {
                code = OTHER_VERSION;
                match sender {
                    Some(sender) => other_version(line, sender),
                    None => line
                        .text(address)
                        .say(packed!(": whoever answers there is not sysMaster")),
                }
            }
            Trouble::Rejected(malformed) => {
                code = OTHER_VERSION;
                unreadable(
                    line,
                    packed!("process 1 cannot read our request"),
                    malformed,
                )
            }
            Trouble::BadAnswer(malformed) => {
                code = OTHER_VERSION;
                unreadable(
                    line,
                    packed!("cannot read the answer of process 1"),
                    malformed,
                )
            }
        };
        self.complain();
        code
    }

    /// Says what became of a request; `None` when there is no such unit.
    pub(super) fn settle(&mut self, name: &[u8], response: &Response<'_>) -> Option<u8> {
        let upgrade = self.upgrade();
        let line = self.complaint();
        match *response {
            Response::Done | Response::Begun => return Some(DONE),
            Response::Refused {
                refusal,
                first,
                second,
            } => match refusal {
                Refusal::NoSuchUnit => return None,
                Refusal::Conflict(..) => line
                    .text(name)
                    .say(packed!(": refused: starting "))
                    .text(first)
                    .say(packed!(" needs "))
                    .text(second)
                    .say(packed!(", and stops it as well")),
                Refusal::ShuttingDown => line.say(packed!("refused: the machine is going down")),
                Refusal::NoRescueTarget => {
                    line.say(packed!("refused: the manifest names no rescue target"))
                }
                Refusal::Renewing => {
                    line.say(packed!("refused: process 1 is replacing its program"))
                }
                Refusal::NoHeirs => line.say(packed!(
                    "refused: this process 1 keeps nothing over an execution"
                )),
                Refusal::NoUpgrade => line.say(packed!(
                    "refused: this process 1 cannot be exchanged; in the manifest's [product] \
                     that is hot-upgrade = true",
                )),
            },
            Response::Failed {
                unit,
                failure,
                about,
            } => line
                .text(unit)
                .say(packed!(": failed: "))
                .why(failure, about),
            Response::NotUpgraded { obstacle, unit } => {
                line.say(packed!("not upgraded: "));
                match upgrade {
                    Some(code) => code.say(line, obstacle, unit.0),
                    None => line.say(packed!("see the console")),
                }
            }
            Response::Superseded => line
                .text(name)
                .say(packed!(": a later request took its place")),
            #[cfg(feature = "recorder")]
            Response::Recording { .. } => line.say(packed!("process 1 answered something else")),
            Response::Machine(_)
            | Response::Units { .. }
            | Response::Unit(..)
            | Response::Error(_) => line.say(packed!("process 1 answered something else")),
        };
        self.complain();
        Some(FAILED)
    }

    pub(super) fn no_such_unit(&mut self, name: &[u8], buffer: &mut Buffer) -> Outcome<u8> {
        let mut similar = Similar::new(name);
        self.each_unit(buffer, &mut |_, unit| similar.look_at(unit.name.0))?;
        let line = self.complaint().text(name).say(packed!(": no such unit; "));
        match similar.found() {
            Some(found) => line.say(packed!("did you mean ")).text(found).text("?"),
            None => line.say(packed!("see sctl list")),
        };
        self.complain();
        Ok(NO_SUCH_UNIT)
    }
}

fn other_version<'l, 'b>(line: &'l mut Line<'b>, sender: Sender) -> &'l mut Line<'b> {
    line.say(packed!("process 1 speaks protocol "))
        .protocol(sender);
    line.say(packed!(", this program "))
        .protocol(Sender::SELF)
        .say(packed!(
            ": use /proc/1/exe as sctl; or signals: kill -USR2 1 powers off, -TERM reboots"
        ))
}

fn unreadable<'l, 'b>(
    line: &'l mut Line<'b>,
    what: Packed,
    Malformed { problem, offset }: Malformed,
) -> &'l mut Line<'b> {
    line.say(what).say(packed!(": byte ")).number(offset);
    line.text(": ").say(problem_word(problem))
}

impl Line<'_> {
    /// Adds a protocol's version and schema.
    pub(super) fn protocol(&mut self, Sender { version, schema }: Sender) -> &mut Self {
        self.number(version).text("/").number(schema)
    }
}

fn problem_word(problem: Problem) -> Packed {
    texts!(problem, Problem {
        NotOurs => "not a frame of sysMaster",
        OtherVersion => "another version",
        TooShort => "it ends too early",
        TooLong => "something follows its end",
        BadValue => "an unknown value",
    })
}
