//! This file says how each message is written and read.
//!
//! What is in the wrong place here fails the test that compares with the `postcard` crate.

use super::message::{Change, Detail, MachineRecord, Malformed, Request, Response, UnitRecord};
use crate::event::MachineRequest;
use crate::report::Operands;
use crate::status::{MachinePhase, UnitState};
use crate::unit::UnitKind;
use crate::wire::Problem;
use crate::wire::describe::{fields, variants, words};

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
words!(Problem { NotOurs = 0, OtherVersion = 1, TooShort = 2, TooLong = 3, BadValue = 4 });

fields!(Malformed { problem, offset });
fields!(Operands<'f> { path, unit });
fields!(Detail<'f> { program, critical, failure, about });
fields!(UnitRecord<'f> {
    index, name, kind, state, pid, age_ms, ready_ms, restarts, last_exit, stale
});
fields!(MachineRecord<'f> {
    version, product, board, phase, units, ready, failed, boot_ms, uptime_ms
});

variants!(Request<'f>, Self::Machine => {
    0 => Machine,
    1 => Units { from },
    2 => Unit { name },
    3 => Change { change, name, wait },
    4 => Act(request),
    5 => Reexec,
    6 => Upgrade { image },
    #[cfg(feature = "recorder")]
    7 => Recording { from },
    #[cfg(feature = "exchange")]
    8 => Exchange { image },
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
    9 => NotUpgraded { obstacle, unit },
    #[cfg(feature = "recorder")]
    10 => Recording { manifest, count, sum, total, words },
});
