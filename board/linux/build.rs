//! This file stands in for the manifest compiler: one service, the console's shell.

const TABLES: &str = r#"
use ::init_core::ident::UnitId;
use ::init_core::time::Duration;
use ::init_core::unit::*;

pub const UNIT_COUNT: usize = 2;
static SHELL: Exec = Exec {
    program: c"/bin/sh",
    arguments: &[Some(&b"sh\0"[0]), None],
    environment: &[Some(&b"PATH=/bin:/sbin:/usr/bin:/usr/sbin\0"[0]), None],
    directory: c"/",
    credentials: None,
    umask: 0o022,
    nice: 0,
    oom_score: None,
    limits: &[],
    stdin: Stream::Console,
    stdout: Stream::Console,
    stderr: Stream::Console,
};
static UNITS: [UnitDesc; 2] = [
    UnitDesc { name: "shell", kind: UnitKind::Service, start: Program::Exec(&SHELL),
        edges: [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2], awaited: true, restart: RestartPolicy {
        when: Restart::Always, backoff: Backoff { from: Duration::from_ms(100),
        to: Duration::from_secs(1), reset_after: Duration::from_secs(10) },
        limit: StartLimit { count: 0, within: Duration::ZERO, then: LimitAction::Fail } },
        ..UnitDesc::NOTHING },
    UnitDesc { name: "up", edges: [2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4], ..UnitDesc::NOTHING },
];
static EDGES: [UnitId; 4] = [UnitId(1), UnitId(1), UnitId(0), UnitId(0)];
pub static MANIFEST: Manifest = Manifest {
    product: "stand-in",
    board: "any",
    units: &UNITS,
    edges: &EDGES,
    by_name: &[UnitId(0), UnitId(1)],
    default_target: UnitId(1),
    rescue_target: None,
    shutdown: ShutdownDesc { timeout: Duration::from_secs(10),
        leftover_grace: Duration::from_secs(1) },
    ctrl_alt_del: ::init_core::event::MachineRequest::Reboot,
    console: c"/dev/console",
    log_level: LogLevel::Normal,
};
"#;

fn main() {
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(format!("{out}/manifest.rs"), TABLES).expect("OUT_DIR can be written");
}
