//! This file lays out what the control tool shows: the list of units, one unit, the machine.

use crate::limits::NAME_BYTES_MAX;
use crate::protocol::{Detail, MachineRecord, UnitRecord};
use crate::report::{Exit, Span, Why};
use crate::status::{MachinePhase, UnitState};
use crate::text::Text;
use crate::time::Duration;
use crate::unit::UnitKind;
use Side::{Left, Right};
use core::fmt::{self, Display, Formatter, Write};

/// Bytes of one cell: the longest is a name.
const CELL_BYTES_MAX: usize = NAME_BYTES_MAX;

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
        let (pid, age) = (Or(unit.pid), Span(Duration::from_ms(unit.age_ms)));
        let (restarts, exit) = (u32::from(unit.restarts), Or(unit.last_exit.map(Exit)));
        row(
            out,
            (unit.name, width),
            [&kind, &state, &pid, &age, &restarts, &exit],
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
    cell(out, &name, width.saturating_add(2), Left)?;
    cell(out, kind, 9, Left)?;
    cell(out, state, 10, Left)?;
    cell(out, pid, 9, Right)?;
    cell(out, age, 11, Right)?;
    cell(out, restarts, 10, Right)?;
    writeln!(out, "  {exit}")
}

#[derive(PartialEq)]
enum Side {
    Left,
    Right,
}

/// Text padded to a width. (Not `{:width$}`: a width that is known at run time can panic.)
fn cell(out: &mut Formatter<'_>, text: &dyn Display, width: usize, side: Side) -> fmt::Result {
    let mut cell = Text::<CELL_BYTES_MAX>::new();
    write!(cell, "{text}")?;
    if side == Left {
        out.write_str(cell.as_str())?;
    }
    for _ in cell.as_str().len()..width {
        out.write_str(" ")?;
    }
    if side == Right {
        out.write_str(cell.as_str())?;
    }
    Ok(())
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
            writeln!(out, "  restarts   {}", u32::from(unit.restarts))?;
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
        let [units, ready, failed] = [machine.units, machine.ready, machine.failed].map(u32::from);
        writeln!(out, "  units      {units}: {ready} active, {failed} failed")
    }
}

/// A value, or a dash.
struct Or<T>(Option<T>);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(out),
            None => out.write_str("-"),
        }
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
