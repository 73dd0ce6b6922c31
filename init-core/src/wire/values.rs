//! This file describes the values of the core that both clients and heirs are told.

use super::describe::{fields, variants, words};
use crate::effect::{Failure, Refusal};
use crate::event::{Errno, ExitStatus, SpawnStep};
use crate::ident::UnitId;
use crate::renewal::Obstacle;
use crate::wire::{Value, Wire};

words!(SpawnStep {
    Session = 0,
    Signals = 1,
    Limits = 2,
    Nice = 3,
    OomScore = 4,
    Stdin = 5,
    Stdout = 6,
    Stderr = 7,
    ReadyDescriptor = 8,
    Groups = 9,
    Group = 10,
    User = 11,
    Directory = 12,
    Exec = 13
});

fields!(Errno { 0 });

/// Passed on between programs whose units have other numbers, it is translated.
impl<'f> Value<'f> for UnitId {
    const EMPTY: Self = Self(0);

    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        self.0.pass(wire);
        self.0 = wire.renamed(self.0);
    }
}

variants!(ExitStatus, Self::Code(0) => {
    0 => Code(code),
    1 => Signal { number, core_dumped },
    2 => NotExecuted { step, error },
});
variants!(Failure, Self::StartTimeout => {
    0 => Spawn(error),
    1 => Exited(status),
    2 => StartTimeout,
    3 => Dependency(unit),
    4 => StartLimit,
    5 => Unkillable,
    6 => Watchdog,
});
variants!(Obstacle, Self::NotOurs => {
    0 => NotRead(error),
    1 => NotOurs,
    2 => OtherMachine,
    3 => NotExecuted(error),
    4 => OtherLayout,
    5 => Ended(status),
    6 => Late,
    7 => Stuck(unit),
    8 => RolledBack(signal),
    9 => Died,
    10 => Unfed,
    #[cfg(feature = "exchange")]
    11 => NoCore,
    #[cfg(feature = "exchange")]
    12 => OtherTables,
    #[cfg(feature = "exchange")]
    13 => OtherKeeper,
});
variants!(Refusal, Self::NoSuchUnit => {
    0 => Conflict(first, second),
    1 => ShuttingDown,
    2 => NoSuchUnit,
    3 => NoRescueTarget,
    4 => Renewing,
    5 => NoHeirs,
    6 => NoUpgrade,
});
