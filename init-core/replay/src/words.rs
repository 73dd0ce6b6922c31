//! This file puts what was recorded, and what follows from it, into words.

use crate::replay::Step;
use init_core::checkpoint::Happening;
use init_core::effect::FinalAction;
use init_core::event::{ControlRequest, Event, ExitStatus};
use init_core::ident::{Child, Role, UnitId};
use init_core::time::Instant;
use init_core::unit::Manifest;
use std::fmt::{Display, Formatter, Result};

/// Names the units of a manifest.
#[derive(Clone, Copy, Debug)]
pub struct Names(pub &'static Manifest);

impl Names {
    /// A unit.
    pub fn unit(self, unit: UnitId) -> String {
        match self.0.unit(unit) {
            Some(desc) => desc.name.to_string(),
            None if unit == UnitId::SYSTEM => "the machine".to_string(),
            None => format!("unit {}, which is not there", unit.0),
        }
    }

    /// A process.
    pub fn child(self, child: Child) -> String {
        let role = match child.role {
            Role::Main => "",
            Role::Stop => "'s stop program",
            Role::Probe => "'s probe",
        };
        format!(
            "{}{role} (start {})",
            self.unit(child.unit),
            child.generation.0
        )
    }

    /// Whatever was recorded.
    pub fn happening(self, what: Happening) -> String {
        match what {
            Happening::Event(event) => self.event(event),
            Happening::Life { life, .. } => format!("process 1 begins life {life}"),
            Happening::Gap => "something that is not recorded".to_string(),
        }
    }

    /// An event.
    pub fn event(self, event: Event) -> String {
        match event {
            Event::Boot(options) => {
                let target = options.target.map(|unit| self.unit(unit));
                let target = target.map_or(String::new(), |unit| format!(", to {unit}"));
                format!("the machine is to come up{target}")
            }
            Event::Spawned { child, pid } => {
                format!("{}: its process is {pid}", self.child(child))
            }
            Event::SpawnFailed { child, error } => {
                format!("{}: no process, error {}", self.child(child), error.0)
            }
            Event::Ready(child) => format!("{}: says that it is ready", self.child(child)),
            Event::Heartbeat(child) => format!("{}: gets on", self.child(child)),
            Event::Exited { child, status } => {
                format!("{}: {}", self.child(child), exit(status))
            }
            Event::OrphanExited => "a process of no unit ended".to_string(),
            Event::NoChildLeft => "no child is left".to_string(),
            Event::Machine(request) => format!("the machine is asked for {request:?}"),
            Event::Control { client, request } => {
                format!("client {} asks: {}", client.slot, self.request(request))
            }
            Event::Unawaited { client, request } => {
                let request = self.request(request);
                format!("client {} asks, and does not wait: {request}", client.slot)
            }
            Event::ClientGone(client) => format!("client {} is gone", client.slot),
            Event::TrialEnded(None) => "the image stood its trial".to_string(),
            Event::TrialEnded(Some(obstacle)) => format!("the image's trial: {obstacle:?}"),
            Event::NotTried(error) => format!("no trial of the image, error {}", error.0),
            Event::NotRenewed(error) => format!("the image is not executed, error {}", error.0),
            Event::Resumed(why) => format!("this life goes on: {why:?}"),
            Event::Tick => "a deadline, or more to do".to_string(),
        }
    }

    fn request(self, request: ControlRequest) -> String {
        match request {
            ControlRequest::Start(unit) => format!("start {}", self.unit(unit)),
            ControlRequest::Stop(unit) => format!("stop {}", self.unit(unit)),
            ControlRequest::Restart(unit) => format!("restart {}", self.unit(unit)),
            ControlRequest::ResetFailed(unit) => format!("reset-failed {}", self.unit(unit)),
            ControlRequest::Machine(request) => format!("{request:?} the machine"),
            ControlRequest::Renew(image) => format!("execute {image:?}"),
        }
    }
}

/// How a process ended.
fn exit(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("ended with code {code}"),
        ExitStatus::Signal {
            number,
            core_dumped,
        } => {
            let core = if core_dumped {
                ", with a core file"
            } else {
                ""
            };
            format!("ended by signal {number}{core}")
        }
        ExitStatus::NotExecuted { step, error } => {
            format!("not executed: {step:?}, error {}", error.0)
        }
    }
}

/// The machine's last act.
pub fn action(action: FinalAction) -> String {
    format!("the machine's last act: {action:?}")
}

/// Seconds since the kernel's start.
fn time(at: Instant) -> String {
    let us = at.as_us();
    format!("{:>6}.{:06}", us / 1_000_000, us % 1_000_000)
}

impl Step {
    /// Whether a unit has a part in it.
    pub fn is_about(&self, unit: &str) -> bool {
        let names = |text: &String| {
            let is_part = |c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '@' | '.');
            text.split(is_part).any(|word| word == unit)
        };
        let mut words = [&self.what]
            .into_iter()
            .chain(&self.effects)
            .chain(&self.said);
        words.any(names) || self.changes.iter().any(|(name, ..)| name == unit)
    }
}

impl Display for Step {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        writeln!(out, "{:>8} {} {}", self.number, time(self.at), self.what)?;
        for (name, before, after) in &self.changes {
            writeln!(out, "{:>24}{name}: {before} -> {after}", "")?;
        }
        for effect in &self.effects {
            writeln!(out, "{:>24}{effect}", "> ")?;
        }
        for line in &self.said {
            writeln!(out, "{:>24}{line}", "| ")?;
        }
        Ok(())
    }
}
