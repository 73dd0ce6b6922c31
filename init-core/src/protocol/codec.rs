//! This file says how each message is written and read: its fields in order, its words by number.
//!
//! A field or word that is forgotten here does not compile; one in the wrong place fails the test
//! that compares with the `postcard` crate.

use super::message::{
    Change, Detail, MachineRecord, Malformed, Problem, Request, Response, UnitRecord,
};
use super::wire::{Value, Wire};
use crate::effect::{Failure, Refusal};
use crate::event::{Errno, ExitStatus, MachineRequest, SpawnStep};
use crate::ident::UnitId;
use crate::report::Operands;
use crate::status::{MachinePhase, UnitState};
use crate::unit::UnitKind;

/// An enum without data: each word's number.
macro_rules! words {
    ($type:ident { $first:ident = 0 $(, $word:ident = $number:literal)* }) => {
        impl<'f> Value<'f> for $type {
            const EMPTY: Self = Self::$first;

            fn pass(&mut self, wire: &mut Wire<'f, '_>) {
                let number = match self {
                    Self::$first => 0,
                    $(Self::$word => $number),*
                };
                *self = match wire.word(number) {
                    0 => Self::$first,
                    $($number => Self::$word,)*
                    _ => wire.bad_word(Self::EMPTY),
                }
            }
        }
    };
}

/// A struct: its fields in order.
macro_rules! fields {
    ($type:ident $(<$life:lifetime>)? { $($field:tt),+ }) => {
        impl<'f> Value<'f> for $type $(<$life>)? {
            const EMPTY: Self = Self { $($field: Value::EMPTY),+ };

            fn pass(&mut self, wire: &mut Wire<'f, '_>) {
                $(self.$field.pass(wire);)+
            }
        }
    };
}

/// An enum with data: each variant's number and what follows it; and what a reader goes on with
/// after an unknown number.
macro_rules! variants {
    ($type:ident $(<$life:lifetime>)?, $empty:expr => { $(
        $number:literal => $variant:ident $(($($item:ident),+))? $({ $($field:ident),+ })?
    ),+ $(,)? }) => {
        impl<'f> Value<'f> for $type $(<$life>)? {
            const EMPTY: Self = $empty;

            fn pass(&mut self, wire: &mut Wire<'f, '_>) {
                let number = match self { $(Self::$variant { .. } => $number),+ };
                let passed = wire.word(number);
                if passed != number {
                    *self = match passed {
                        $($number => Self::$variant
                            $(($({ let $item = Value::EMPTY; $item }),+))?
                            $({ $($field: Value::EMPTY),+ })?,)+
                        _ => wire.bad_word(Self::EMPTY),
                    }
                }
                match self {
                    $(Self::$variant $(($($item),+))? $({ $($field),+ })? => {
                        $($($item.pass(wire);)+)?
                        $($($field.pass(wire);)+)?
                    })+
                }
            }
        }
    };
}

words!(Change { Start = 0, Stop = 1, Restart = 2, ResetFailed = 3 });
words!(UnitKind { Target = 0, Task = 1, Service = 2, Mount = 3 });
words!(MachinePhase { Booting = 0, Up = 1, ShuttingDown = 2 });
words!(UnitState {
    Inactive = 0,
    Waiting = 1,
    Starting = 2,
    Active = 3,
    Restarting = 4,
    Stopping = 5,
    Failed = 6
});
words!(MachineRequest {
    PowerOff = 0,
    Reboot = 1,
    Halt = 2,
    Kexec = 3,
    Rescue = 4,
    CtrlAltDel = 5,
    Ignore = 6
});
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
words!(Problem { NotOurs = 0, OtherVersion = 1, TooShort = 2, TooLong = 3, BadValue = 4 });

fields!(Errno { 0 });
fields!(UnitId { 0 });
fields!(Malformed { problem, offset });
fields!(Operands<'f> { path, unit });
fields!(Detail<'f> { program, critical, failure, about });
fields!(UnitRecord<'f> {
    index, name, kind, state, pid, age_ms, ready_ms, restarts, last_exit
});
fields!(MachineRecord<'f> {
    version, product, board, phase, units, ready, failed, boot_ms, uptime_ms
});

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
});
variants!(Refusal, Self::NoSuchUnit => {
    0 => Conflict(first, second),
    1 => ShuttingDown,
    2 => NoSuchUnit,
    3 => NoRescueTarget,
});
variants!(Request<'f>, Self::Machine => {
    0 => Machine,
    1 => Units { from },
    2 => Unit { name },
    3 => Change { change, name, wait },
    4 => Act(request),
});
variants!(Response<'f>, Self::Done => {
    0 => Machine(machine),
    1 => Units { total },
    2 => Unit(unit, detail),
    3 => Done,
    4 => Begun,
    5 => Refused { refusal, first, second },
    6 => Failed { unit, failure, about },
    7 => Superseded,
    8 => Error(malformed),
});
