//! This file is the core as the image sees it: what it asks for, one thing at a time, with what is
//! to be said as text.

use crate::abi::{AskedEffect, UnitInfo, UnitState, client_number, effect};
use core::ffi::{c_char, c_void};
use init_core::Core;
use init_core::effect::{Effect, FinalAction, Notice, Reply};
use init_core::event::{BootOptions, Event};
use init_core::ident::UnitId;
use init_core::report::{LINE_BYTES_MAX, Report};
use init_core::time::Instant;
use init_core::unit::{Exec, Readiness, UnitDesc, UnitKind};

/// Bytes of what is said at once: the summary of a boot is a line, one for each of eight units that
/// failed, and one for the rest.
const TEXT_BYTES: usize = 10 * LINE_BYTES_MAX;

/// What is said. What does not fit is cut.
#[derive(Debug)]
struct Text {
    room: [u8; TEXT_BYTES],
    count: usize,
}

impl embedded_io::ErrorType for Text {
    type Error = core::convert::Infallible;
}

impl embedded_io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        let room = self.room.get_mut(self.count..).unwrap_or_default();
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        let written = bytes.len().min(room.len());
        self.count = self.count.saturating_add(written);
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.write(bytes).map(drop)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// `struct sysmaster`.
#[derive(Debug)]
pub struct Machine {
    core: Core<'static>,
    report: Report,
    text: Text,
}

impl Machine {
    pub fn new(core: Core<'static>) -> Self {
        let report = Report::new(core.manifest());
        Self {
            core,
            report,
            text: Text {
                room: [0; TEXT_BYTES],
                count: 0,
            },
        }
    }

    pub fn boot(&mut self, now: Instant) {
        self.core.step(Event::Boot(BootOptions::default()), now);
    }

    pub fn step(&mut self, event: Event, now: Instant) {
        self.core.step(event, now);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    /// What is done next; what cannot be asked for here is passed over.
    pub fn next_effect(&mut self, now: Instant) -> Option<AskedEffect> {
        loop {
            let effect = self.core.next_effect(now)?;
            if let Some(asked) = self.asked(effect, now) {
                return Some(asked);
            }
        }
    }

    fn asked(&mut self, effect: Effect, now: Instant) -> Option<AskedEffect> {
        let mut asked = AskedEffect::NONE;
        match effect {
            Effect::Spawn(child) => {
                asked.kind = effect::SPAWN;
                asked.child = child.into();
                let desc = self.core.manifest().unit(child.unit)?;
                let (_, ready, confirm) = desc.errand(child.role);
                let tells = confirm || matches!(ready, Readiness::Newline(_) | Readiness::Letter);
                asked.number = u32::from(tells);
            }
            Effect::Signal { child, signal, .. } => {
                asked.kind = effect::SIGNAL;
                asked.child = child.into();
                asked.number = signal.0.into();
            }
            Effect::KillAll(signal) => {
                asked.kind = effect::SIGNAL_ALL;
                asked.number = signal.0.into();
            }
            Effect::Reply { client, reply } => {
                asked.kind = effect::REPLY;
                asked.client = client_number(client);
                asked.number = match reply {
                    Reply::Done => 0,
                    Reply::Begun => 1,
                    Reply::Superseded => 2,
                    Reply::Refused(_) | Reply::NotUpgraded(_) => 3,
                    Reply::Failed { .. } => 4,
                };
            }
            Effect::HangUp(client) => {
                asked.kind = effect::HANG_UP;
                asked.client = client_number(client);
            }
            Effect::Notice(notice) => return self.said(notice, now),
            Effect::Final(action) => {
                asked.kind = effect::FINISH;
                asked.number = match action {
                    FinalAction::PowerOff => 0,
                    FinalAction::Reboot | FinalAction::Kexec => 1,
                    FinalAction::Halt => 2,
                };
            }
            // No program takes the place of this one.
            Effect::Try(_) | Effect::EndTrial | Effect::Renew(_) => return None,
        }
        Some(asked)
    }

    fn said(&mut self, notice: Notice, now: Instant) -> Option<AskedEffect> {
        self.text.count = 0;
        let core = &self.core;
        let status = |unit| core.status(unit);
        self.report.notice(&mut self.text, now, &notice, &status);
        let text = self.text.room.get(..self.text.count)?;
        if text.is_empty() {
            return None;
        }
        Some(AskedEffect {
            kind: effect::SAY,
            text: text.as_ptr().cast::<c_char>(),
            text_bytes: u32::try_from(text.len()).ok()?,
            ..AskedEffect::NONE
        })
    }

    pub fn unit(&self, unit: u16) -> Option<UnitInfo> {
        let manifest = self.core.manifest();
        let desc: &'static UnitDesc = manifest.unit(UnitId(unit))?;
        let (program, arguments) = program_of(manifest.exec(desc.start));
        let (stop_program, stop_arguments) = program_of(manifest.exec(desc.rules.stop));
        Some(UnitInfo {
            kind: match desc.rules.kind {
                UnitKind::Target => 0,
                UnitKind::Task => 1,
                UnitKind::Service => 2,
                UnitKind::Mount => 3,
            },
            name_bytes: u32::try_from(desc.name.len()).ok()?,
            name: desc.name.as_ptr().cast::<c_char>(),
            program,
            arguments,
            stop_program,
            stop_arguments,
        })
    }

    pub fn state(&self, unit: u16) -> Option<UnitState> {
        use init_core::status::UnitState as State;
        let status = self.core.status(UnitId(unit))?;
        Some(UnitState {
            state: match status.state {
                State::Inactive => 0,
                State::Waiting => 1,
                State::Starting => 2,
                State::Active => 3,
                State::Restarting => 4,
                State::Stopping => 5,
                State::Failed => 6,
            },
            pid: status.pid.unwrap_or(0),
            restarts: status.restarts.into(),
        })
    }
}

/// A program's path and its arguments, which end with null, as C has them.
fn program_of(exec: Option<&Exec>) -> (*const c_char, *const c_void) {
    match exec {
        Some(exec) => (exec.program.as_ptr(), exec.arguments.as_ptr().cast()),
        None => (core::ptr::null(), core::ptr::null()),
    }
}
