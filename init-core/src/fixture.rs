//! This file holds a small manifest for tests that need names and kinds, not behaviour.

use crate::event::MachineRequest;
use crate::ident::UnitId;
use crate::setup;
use crate::time::Duration;
use crate::unit::{
    Backoff, Context, Exec, LimitAction, LogLevel, Manifest, Program, Restart, RestartPolicy,
    Rules, ShutdownDesc, StartLimit, Stream, UnitDesc, UnitKind,
};

pub const BROKER: UnitId = UnitId(0);
pub const DATA: UnitId = UnitId(1);
pub const GETTY: UnitId = UnitId(2);
pub const KEYS: UnitId = UnitId(3);
pub const ONLINE: UnitId = UnitId(4);
pub const RESCUE: UnitId = UnitId(5);

const MOSQUITTO: Exec = Exec {
    program: c"/usr/sbin/mosquitto",
    arguments: &[None],
    context: &PLAIN,
};

static PLAIN: Context = Context {
    environment: &[None],
    directory: c"/",
    credentials: None,
    umask: 0o022,
    nice: 0,
    priority: 0,
    oom_score: None,
    limits: &[],
    stdin: Stream::Null,
    stdout: Stream::Console,
    stderr: Stream::Console,
};

const RESTART: RestartPolicy = RestartPolicy {
    when: Restart::Always,
    backoff: Backoff {
        from: Duration::from_ms(100),
        to: Duration::from_secs(30),
        reset_after: Duration::from_secs(60),
    },
    limit: StartLimit {
        count: 0,
        within: Duration::ZERO,
        then: LimitAction::Fail,
    },
};

const fn unit(name: &'static str, kind: UnitKind, start: Program) -> UnitDesc {
    UnitDesc {
        name,
        edges: 0,
        start,
        rules: match kind {
            UnitKind::Service => &Rules {
                kind: UnitKind::Service,
                ..RULES
            },
            UnitKind::Mount => &Rules {
                kind: UnitKind::Mount,
                ..RULES
            },
            UnitKind::Task => &Rules {
                kind: UnitKind::Task,
                ..RULES
            },
            UnitKind::Target => &RULES,
        },
    }
}

const RULES: Rules = Rules {
    awaited: true,
    restart: &RESTART,
    ..Rules::USUAL
};

pub const UNITS: [UnitDesc; 6] = [
    unit("broker", UnitKind::Service, Program::Exec(0)),
    unit("data", UnitKind::Mount, Program::Setup(0)),
    unit("getty@ttyAMA0", UnitKind::Service, Program::Exec(0)),
    unit("keys", UnitKind::Task, Program::Exec(0)),
    unit("online", UnitKind::Target, Program::None),
    unit("rescue", UnitKind::Target, Program::None),
];

/// Six units of all kinds, in the order of their names.
pub const MANIFEST: Manifest = Manifest {
    product: "gateway",
    board: "virt-aarch64",
    units: &UNITS,
    edges: &[],
    programs: &[MOSQUITTO],
    setups: &[setup![]],
    probes: &[],
    definitions: &[],
    default_target: ONLINE,
    rescue_target: Some(RESCUE),
    shutdown: ShutdownDesc {
        timeout: Duration::from_secs(30),
        leftover_grace: Duration::from_secs(2),
    },
    watchdog: None,
    healing: None,
    ctrl_alt_del: MachineRequest::Reboot,
    console: c"/dev/console",
    log_level: LogLevel::Normal,
    hot_upgrade: crate::renewal::HOT_UPGRADE,
    split: None,
};

/// A small generator for seeded tests (xorshift64*): the same seed gives the same numbers.
pub struct Random(u64);

impl Random {
    /// A generator; the seed is what a failing test prints.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number() >> 33).unwrap() % limit
    }
}
