//! This file tests the log's exact text: it is what people and the host's scenarios read.

use super::*;
use crate::event::{Errno, ExitStatus, SpawnStep};
use crate::fixture::{BROKER, DATA, GETTY, KEYS, MANIFEST, ONLINE};
use std::format;
use std::string::String;
use std::vec::Vec;

const CODE_3: ExitStatus = ExitStatus::Code(3);
const NO_PROGRAM: Failure = Failure::Exited(ExitStatus::NotExecuted {
    step: SpawnStep::Exec,
    error: Errno(2),
});

fn ms(ms: u64) -> Duration {
    Duration::from_ms(ms)
}

fn status(state: UnitState, failure: Option<Failure>) -> Option<UnitStatus> {
    Some(UnitStatus {
        state,
        since: Instant::ZERO,
        pid: None,
        ready_after: None,
        restarts: 0,
        last_exit: None,
        failure,
        stale: false,
    })
}

fn said_at(level: LogLevel, notice: Notice, lookup: Lookup<'_>) -> String {
    static M: Manifest = MANIFEST;
    let mut report = Report::new(&M);
    report.set_level(level);
    let mut out = Vec::new();
    report.notice(
        &mut Sink(&mut out),
        Instant::from_us(1_234_567),
        &notice,
        lookup,
    );
    String::from_utf8(out).unwrap()
}

fn said(notice: Notice) -> String {
    said_at(LogLevel::Debug, notice, &|_| {
        status(UnitState::Active, None)
    })
}

/// What was added to a line.
fn words(add: impl for<'l> FnOnce(&'l mut Line<'static>) -> &'l mut Line<'static>) -> String {
    let mut line = Line::new(std::vec![0; 64].leak());
    String::from_utf8(add(&mut line).as_bytes().to_vec()).unwrap()
}

struct Sink<'a>(&'a mut Vec<u8>);

impl embedded_io::ErrorType for Sink<'_> {
    type Error = core::convert::Infallible;
}

impl embedded_io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn every_notice_is_one_located_line() {
    let restart = Next::Restart(ms(100), 2);
    let signal = ExitStatus::Signal {
        number: 11,
        core_dumped: true,
    };
    let table = [
        (Notice::Starting(BROKER), "broker: starting"),
        (Notice::Ready(BROKER, ms(45)), "broker: ready after 45 ms"),
        (
            Notice::Ended(BROKER, CODE_3, restart),
            "broker: ended: exit code 3; restart 2 in 100 ms",
        ),
        (
            Notice::Ended(KEYS, signal, Next::Nothing),
            "keys: ended: SIGSEGV, core dumped",
        ),
        (Notice::Stopping(GETTY), "getty@ttyAMA0: stopping"),
        (Notice::Stopped(DATA), "data: stopped"),
        (
            Notice::Killing(BROKER),
            "broker: did not stop in time, sent SIGKILL",
        ),
        (
            Notice::GivenUp(BROKER),
            "broker: does not die of SIGKILL, given up",
        ),
        (Notice::ShutdownBegun(FinalAction::Reboot), "reboot: begins"),
        (Notice::LeftoversAsked, "asked leftover processes to end"),
        (Notice::LeftoversKilled, "killed leftover processes"),
        (
            Notice::ShutdownFinal(FinalAction::PowerOff, ms(1_200)),
            "power-off: all stopped after 1200 ms",
        ),
        (
            Notice::ShutdownOverdue,
            "shutdown took too long; going down regardless",
        ),
        (Notice::Rescue, "going to the rescue target"),
        (
            Notice::Fault(Fault::UnexpectedEvent(DATA)),
            "data: internal fault, please report: unexpected event",
        ),
        (Notice::Starting(UnitId::SYSTEM), "system: starting"),
    ];
    for (notice, text) in table {
        assert_eq!(said(notice), format!("init: [    1.234] {text}\n"));
    }
}

#[test]
fn a_failure_names_step_operand_and_cause() {
    let step = |step, error| {
        Failure::Exited(ExitStatus::NotExecuted {
            step,
            error: Errno(error),
        })
    };
    let table = [
        (
            NO_PROGRAM,
            "exec /usr/sbin/mosquitto: No such file or directory \
             (it, or its interpreter or loader)",
        ),
        (
            step(SpawnStep::Exec, 13),
            "exec /usr/sbin/mosquitto: Permission denied",
        ),
        (
            step(SpawnStep::Directory, 2),
            "chdir /: No such file or directory",
        ),
        (step(SpawnStep::User, 1), "user: Operation not permitted"),
        (
            step(SpawnStep::Stdin, 5),
            "stdin /dev/null: Input/output error",
        ),
        (
            step(SpawnStep::Stdout, 6),
            "stdout (console): No such device or address",
        ),
        (
            Failure::Spawn(Errno(11)),
            "no process could be created: Resource temporarily unavailable",
        ),
        (Failure::Exited(CODE_3), "exit code 3"),
        (Failure::StartTimeout, "not ready in time"),
        (Failure::Dependency(DATA), "needs data, which is not active"),
        (Failure::Watchdog, "no heartbeat in time"),
        (Failure::StartLimit, "ended too often, start limit reached"),
        (
            Failure::Unkillable,
            "does not die of SIGKILL (stuck in the kernel)",
        ),
    ];
    for (failure, text) in table {
        let line = said_at(LogLevel::Quiet, Notice::Failed(BROKER, failure), &|_| None);
        assert_eq!(line, format!("init: [    1.234] broker: failed: {text}\n"));
    }
}

fn boot_done(failed: u16) -> Notice {
    Notice::BootDone {
        target: ONLINE,
        ready: 6 - failed,
        failed,
        retrying: 0,
        took: ms(912),
    }
}

#[test]
fn the_summary_of_the_boot_repeats_what_failed_and_why() {
    let all_well = said_at(LogLevel::Normal, boot_done(0), &|_| {
        status(UnitState::Active, None)
    });
    let text = "init: [    1.234] boot: online reached after 912 ms: 6 units ready, 0 failed\n";
    assert_eq!(all_well, text);

    let failing = |unit| match unit {
        BROKER => status(UnitState::Failed, Some(NO_PROGRAM)),
        ONLINE => status(UnitState::Failed, Some(Failure::Dependency(BROKER))),
        _ => status(UnitState::Active, None),
    };
    let text = "\
init: [    1.234] boot: online NOT reached after 912 ms: 4 units ready, 2 failed
init: [    1.234] boot: failed: broker: exec /usr/sbin/mosquitto: No such file or directory \
(it, or its interpreter or loader)
init: [    1.234] boot: failed: online: needs broker, which is not active
";
    assert_eq!(said_at(LogLevel::Quiet, boot_done(2), &failing), text);
}

#[test]
fn a_summary_with_many_failures_is_bounded() {
    static UNITS: [crate::unit::UnitDesc; 12] = [MANIFEST.units[0]; 12];
    static MANY: Manifest = Manifest {
        units: &UNITS,
        ..MANIFEST
    };
    let mut out = Vec::new();
    let failing: Lookup<'_> = &|_| status(UnitState::Failed, Some(Failure::StartLimit));
    Report::new(&MANY).notice(&mut Sink(&mut out), Instant::ZERO, &boot_done(6), failing);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 1 + 8 + 1);
    assert!(text.contains("boot: and "), "{text}");
}

#[test]
fn each_level_says_what_it_should() {
    let quiet = [
        Notice::Rescue,
        Notice::ShutdownOverdue,
        Notice::GivenUp(BROKER),
        boot_done(1),
    ];
    let normal = [
        boot_done(0),
        Notice::Ready(BROKER, ms(1)),
        Notice::Killing(BROKER),
    ];
    let debug = [Notice::Starting(BROKER), Notice::Stopping(BROKER)];
    let silent = |level, notice| said_at(level, notice, &|_| None).is_empty();
    for notice in quiet {
        assert!(!silent(LogLevel::Quiet, notice), "{notice:?}");
    }
    for notice in normal {
        assert!(
            silent(LogLevel::Quiet, notice) && !silent(LogLevel::Normal, notice),
            "{notice:?}"
        );
    }
    for notice in debug {
        assert!(
            silent(LogLevel::Normal, notice) && !silent(LogLevel::Debug, notice),
            "{notice:?}"
        );
    }
}

#[test]
fn banner_warnings_and_memory_are_lines_like_the_others() {
    static M: Manifest = MANIFEST;
    let report = Report::new(&M);
    let mut out = Vec::new();
    report.banner(&mut Sink(&mut out), Instant::ZERO);
    crate::cmdline::read_line(
        b"quiet sysmaster.log=\x1b[2J",
        &M,
        &mut Default::default(),
        &mut |warning| report.warning(&mut Sink(&mut out), Instant::from_us(9_000), &warning),
    );
    let argument = crate::cmdline::read_argument(b"sysmaster.", 2, &M, &mut Default::default());
    report.warning(
        &mut Sink(&mut out),
        Instant::from_us(9_999),
        &argument.unwrap_err(),
    );
    let version = env!("CARGO_PKG_VERSION");
    let text = format!(
        "init: [    0.000] sysMaster {version}: gateway on virt-aarch64, 6 units, target online\n\
init: [    0.009] kernel command line, word 2, column 7: sysmaster.log=?[2J: use quiet, normal \
or debug\n\
init: [    0.009] argument 2: sysmaster.: unknown; known are sysmaster.target= and \
sysmaster.log=\n"
    );
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

#[test]
fn spans_are_read_at_a_glance() {
    let table = [
        (0, "0 ms"),
        (999, "999 ms"),
        (9_999, "9999 ms"),
        (10_000, "10.0 s"),
        (59_999, "59.9 s"),
        (60_000, "1min 0s"),
        (3_599_000, "59min 59s"),
        (3_600_000, "1h 0min"),
        (86_400_000, "24h 0min"),
        (172_800_000, "2d 0h"),
        (8_640_000_000, "100d 0h"),
    ];
    for (span, text) in table {
        assert_eq!(words(|line| line.span(ms(span))), text);
    }
    let longest = Duration::from_us(u64::MAX);
    assert_eq!(words(|line| line.span(longest)), "49710d 6h");
}

#[test]
fn signals_have_names() {
    let table = [
        (1, "SIGHUP"),
        (9, "SIGKILL"),
        (15, "SIGTERM"),
        (31, "SIGSYS"),
        (34, "signal 34"),
    ];
    for (number, name) in table {
        assert_eq!(words(|line| line.signal(number)), name);
    }
    assert_eq!(words(|line| line.signal(0)), "signal 0");
}
