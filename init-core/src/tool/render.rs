//! This file lays out what the control tool shows: the list of units, one unit, the machine.

use crate::protocol::{Detail, MachineRecord, UnitRecord};
use crate::report::{Exit, Span, Why};
use crate::status::{MachinePhase, UnitState};
use crate::time::Duration;
use crate::unit::UnitKind;
use core::fmt::{self, Display, Formatter};

/// The heading of the list; `0` is the longest name's width.
pub struct Heading(pub usize);

impl Display for Heading {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let cells: [&dyn Display; 6] = [
            &"KIND",
            &"STATE",
            &"PID",
            &"SINCE",
            &"RESTARTS",
            &"LAST EXIT",
        ];
        row(out, ("UNIT", self.0), cells)
    }
}

/// A unit's line in the list; `1` is the longest name's width.
pub struct Row<'a>(pub &'a UnitRecord<'a>, pub usize);

impl Display for Row<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self(unit, width) = *self;
        let (kind, state) = (kind_word(unit.kind), state_word(unit.state));
        let pid = Or(unit.pid);
        let age = Padded(Span(Duration::from_ms(unit.age_ms)));
        let exit = Or(unit.last_exit.map(Exit));
        row(
            out,
            (unit.name, width),
            [&kind, &state, &pid, &age, &unit.restarts, &exit],
        )
    }
}

/// One row of the list. The widest words are `service`, `restarting`, seven digits and
/// `12min 34s`.
fn row(
    out: &mut Formatter<'_>,
    (name, width): (&str, usize),
    [kind, state, pid, age, restarts, exit]: [&dyn Display; 6],
) -> fmt::Result {
    write!(
        out,
        "{name:<width$}  {kind:<7}  {state:<10}  {pid:>7}  {age:>9}  "
    )?;
    writeln!(out, "{restarts:>8}  {exit}")
}

/// Everything about one unit.
pub struct Unit<'a>(pub &'a UnitRecord<'a>, pub &'a Detail<'a>);

impl Display for Unit<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self(unit, detail) = *self;
        let critical = if detail.critical { "critical " } else { "" };
        let (kind, state) = (kind_word(unit.kind), state_word(unit.state));
        let age = Span(Duration::from_ms(unit.age_ms));
        writeln!(out, "{}: {critical}{kind}, {state} for {age}", unit.name)?;
        if !detail.program.is_empty() {
            writeln!(out, "  program    {}", detail.program)?;
        }
        if let Some(pid) = unit.pid {
            writeln!(out, "  process    {pid}")?;
        }
        if let Some(ms) = unit.ready_ms {
            writeln!(out, "  ready      after {}", Span(Duration::from_ms(ms)))?;
        }
        if unit.restarts > 0 {
            writeln!(out, "  restarts   {}", unit.restarts)?;
        }
        if let Some(exit) = unit.last_exit {
            writeln!(out, "  last exit  {}", Exit(exit))?;
        }
        match detail.failure {
            Some(failure) => writeln!(out, "  failed     {}", Why(failure, detail.about)),
            None => Ok(()),
        }
    }
}

/// The machine as a whole.
pub struct Machine<'a>(pub &'a MachineRecord<'a>);

impl Display for Machine<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let machine = self.0;
        let phase = match machine.phase {
            MachinePhase::Booting => "booting",
            MachinePhase::Up => "up",
            MachinePhase::ShuttingDown => "going down",
        };
        let uptime = Span(Duration::from_ms(machine.uptime_ms));
        writeln!(out, "{} on {}: {phase}", machine.product, machine.board)?;
        writeln!(out, "  process 1  sysMaster {}", machine.version)?;
        writeln!(out, "  since      {uptime}")?;
        if let Some(ms) = machine.boot_ms {
            writeln!(out, "  boot took  {}", Span(Duration::from_ms(ms)))?;
        }
        let MachineRecord {
            units,
            ready,
            failed,
            ..
        } = *machine;
        writeln!(out, "  units      {units}: {ready} active, {failed} failed")
    }
}

/// A value, or a dash.
struct Or<T>(Option<T>);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(out),
            None => out.pad("-"),
        }
    }
}

/// A span in its column: what writes itself in pieces cannot pad itself.
struct Padded(Span);

impl Display for Padded {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        // `49710d 23h` is the longest that a span can be.
        let mut text = heapless::String::<16>::new();
        fmt::Write::write_fmt(&mut text, format_args!("{}", self.0))?;
        out.pad(&text)
    }
}

fn kind_word(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Target => "target",
        UnitKind::Task => "task",
        UnitKind::Service => "service",
        UnitKind::Mount => "mount",
    }
}

fn state_word(state: UnitState) -> &'static str {
    match state {
        UnitState::Inactive => "inactive",
        UnitState::Waiting => "waiting",
        UnitState::Starting => "starting",
        UnitState::Active => "active",
        UnitState::Restarting => "restarting",
        UnitState::Stopping => "stopping",
        UnitState::Failed => "failed",
    }
}
