//! This file follows process 1 of a board: in the virtual machine it is traced, and the moments are
//! chosen; from here they are counted off.

use super::Guest;
use crate::heal::sweep::{Followed, Found};
use anyhow::Result;
use heal_campaign::answer::{self, Traced};
use heal_campaign::moments::Strides;
use heal_campaign::sweep::{Turn, Who};
use heal_campaign::table::Case;
use std::time::Duration;

/// Each instruction of a turn is a stop of process 1, on an emulated machine.
const TRACE_WITHIN: Duration = Duration::from_secs(20 * 60);

/// A fault, and what came of it: more than all that it waits for lasts.
const FAULT_WITHIN: Duration = Duration::from_secs(5 * 60);

impl Followed for Guest {
    fn trace(&mut self, who: Who, turn: Turn, strides: &Strides) -> Result<Found> {
        let Strides {
            instruction,
            call,
            around,
            seed,
            is_quick,
            ..
        } = strides;
        // One that is followed quickly is followed from call to call.
        let instruction = if *is_quick { &0 } else { instruction };
        let (who, turn) = (who.word(), turn.word());
        let order = format!("trace {who} {turn} {instruction} {call} {around} {seed}");
        let Traced {
            moments,
            instructions,
            calls,
        } = Traced::read(&self.ask(&order, TRACE_WITHIN)?)?;
        Ok(Found {
            moments,
            instructions,
            delicate: 0,
            calls,
        })
    }

    fn fault(&mut self, moment: usize) -> Result<(Case, bool)> {
        let order = format!("fault {moment}");
        let said = self.ask(&order, FAULT_WITHIN)?;
        let (case, is_there) = answer::read(&format!("{order}: {said}"))?;
        Ok((case, is_there == 1))
    }
}
