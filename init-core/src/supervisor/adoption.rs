//! This file takes processes up of whose units nothing is known any more: the core's state was lost
//! or damaged, and whoever owns the processes still knows whom they serve.

use super::Core;
use super::unit::{Rung, State, Then};
use crate::ident::{Child, Role};
use crate::time::{Duration, Instant};
use crate::unit::Readiness;

impl Core<'_> {
    /// Whether something of the state that was found could not be read.
    pub fn is_damaged(&self) -> bool {
        self.checkpoint.is_damaged
    }

    /// This process exists. Unless its unit is known, the unit is taken for up; for starting where
    /// its program is still to end, or its probe to find it ready; for stopping where its stop
    /// program runs. Of one unit, the main process comes first. The next step notes
    /// all at once: who dies before it leaves the damage to an heir.
    pub(crate) fn adopt(&mut self, child: Child, pid: u32, now: Instant) {
        if child.unit.index() >= self.units.len() {
            return;
        }
        self.checkpoint.recorder.gap();
        let desc = self.desc(child.unit);
        let unit = self.units.get_mut(child.unit);
        let is_known = unit.generation.0 != 0 && unit.generation != child.generation;
        if is_known || unit.alive.has(child.role) || (unit.alive.is_empty() && is_used(unit)) {
            return;
        }
        unit.generation = child.generation;
        unit.alive.insert(child.role);
        unit.started = now;
        unit.took = Duration::ZERO;
        let one_shot = matches!(desc.rules.ready, Readiness::Exit);
        let state = match child.role {
            Role::Main if one_shot => State::Starting,
            Role::Main => State::Up,
            Role::Probe => State::Starting,
            Role::Stop => State::Stopping {
                rung: Rung::Program,
                then: Then::Rest,
            },
        };
        if child.role == Role::Main {
            unit.pid = pid;
        }
        self.set_state(child.unit, state, now);
        if child.role == Role::Stop {
            let timeout = desc.rules.stopping.timeout;
            self.units.set_due(child.unit, now.after(timeout));
        }
    }
}

/// Whether something is known of it.
fn is_used(unit: &super::unit::Unit) -> bool {
    unit.generation.0 != 0 || !matches!(unit.state, State::Inactive)
}
