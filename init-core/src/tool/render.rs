//! This file lays out what the control tool shows: the list of units, one unit, the machine.

use super::conversation::{Client, Tool};
use crate::packed::{Packed, packed};
use crate::protocol::{Detail, MachineRecord, UnitRecord};
use crate::report::Line;
use crate::status::{MachinePhase, UnitState};
use crate::text::texts;
use crate::time::Duration;
use crate::unit::UnitKind;

/// The heading of the columns behind the names. The widest words are `service`, `restarting`, seven
/// digits and `12min 34s`.
const HEADING: &str = "KIND     STATE           PID      SINCE  RESTARTS  LAST EXIT";

/// Where the columns begin, behind the names; those of numbers end there.
const STATE: usize = 9;
const PID: usize = STATE + 19;
const AGE: usize = PID + 11;
const RESTARTS: usize = AGE + 10;

/// Bytes of a number or a span, with room for the end of a line.
const CELL_BYTES_MAX: usize = 24;

impl<C: Client> Tool<'_, '_, C> {
    /// The heading of the list; `width` is the longest name's.
    pub(super) fn show_heading(&mut self, width: usize) {
        self.line
            .say(packed!("UNIT"))
            .fill_to(width.wrapping_add(2));
        self.line.say(packed!(HEADING));
        self.say();
    }

    /// A unit's line in the list; `width` is the longest name's.
    pub(super) fn show_row(&mut self, unit: &UnitRecord<'_>, width: usize) {
        let (line, names) = (&mut self.line, width.wrapping_add(2));
        line.text(unit.name).fill_to(names);
        line.say(kind_word(unit.kind));
        line.fill_to(names.wrapping_add(STATE));
        line.say(state_word(unit.state));
        let mut room = [0; CELL_BYTES_MAX];
        let cell = &mut Line::new(&mut room);
        match unit.pid {
            Some(pid) => cell.number(pid),
            None => cell.text("-"),
        };
        end_at(line, names.wrapping_add(PID), cell);
        cell.span(Duration::from_ms(unit.age_ms));
        end_at(line, names.wrapping_add(AGE), cell);
        cell.number(unit.restarts);
        end_at(line, names.wrapping_add(RESTARTS), cell);
        line.text("  ");
        match unit.last_exit {
            Some(exit) => line.exit(exit),
            None => line.text("-"),
        };
        if unit.stale {
            line.say(packed!("  stale"));
        }
        self.say();
    }

    /// Everything about one unit.
    pub(super) fn show_unit(&mut self, unit: &UnitRecord<'_>, detail: &Detail<'_>) {
        let critical = match detail.critical {
            true => packed!("critical "),
            false => Packed::EMPTY,
        };
        self.line.text(unit.name).text(": ").say(critical);
        self.line.say(kind_word(unit.kind)).text(", ");
        self.line.say(state_word(unit.state)).say(packed!(" for "));
        self.line.span(Duration::from_ms(unit.age_ms));
        if !detail.program.0.is_empty() {
            self.next(packed!("  program    ")).text(detail.program);
        }
        if let Some(pid) = unit.pid {
            self.next(packed!("  process    ")).number(pid);
        }
        if let Some(ms) = unit.ready_ms {
            let line = self.next(packed!("  ready      after "));
            line.span(Duration::from_ms(ms));
        }
        if unit.restarts > 0 {
            self.next(packed!("  restarts   ")).number(unit.restarts);
        }
        if let Some(exit) = unit.last_exit {
            self.next(packed!("  last exit  ")).exit(exit);
        }
        if unit.stale {
            self.next(packed!(
                "  stale      runs by the definition of an earlier process 1"
            ));
        }
        if let Some(failure) = detail.failure {
            let line = self.next(packed!("  failed     "));
            line.why(failure, detail.about);
        }
        self.say();
    }

    /// The machine as a whole.
    pub(super) fn show_machine(&mut self, machine: &MachineRecord<'_>) {
        let phase = texts!(machine.phase, MachinePhase {
            Booting => "booting",
            Up => "up",
            ShuttingDown => "going down",
        });
        self.line.text(machine.product).say(packed!(" on "));
        self.line.text(machine.board).text(": ").say(phase);
        let line = self.next(packed!("  process 1  sysMaster "));
        line.text(machine.version);
        let line = self.next(packed!("  since      "));
        line.span(Duration::from_ms(machine.uptime_ms));
        if let Some(ms) = machine.boot_ms {
            let line = self.next(packed!("  boot took  "));
            line.span(Duration::from_ms(ms));
        }
        let line = self.next(packed!("  units      "));
        line.number(machine.units);
        line.text(": ").number(machine.ready);
        line.say(packed!(" active, ")).number(machine.failed);
        line.say(packed!(" failed"));
        self.say();
    }
}

/// Adds a cell that ends at a column, and empties it.
fn end_at(line: &mut Line<'_>, column: usize, cell: &mut Line<'_>) {
    line.fill_to(column.saturating_sub(cell.len()))
        .bytes(cell.as_bytes());
    cell.clear();
}

fn kind_word(kind: UnitKind) -> Packed {
    texts!(kind, UnitKind {
        Target => "target",
        Task => "task",
        Service => "service",
        Mount => "mount",
    })
}

fn state_word(state: UnitState) -> Packed {
    texts!(state, UnitState {
        Inactive => "inactive",
        Waiting => "waiting",
        Starting => "starting",
        Active => "active",
        Restarting => "restarting",
        Stopping => "stopping",
        Failed => "failed",
    })
}
