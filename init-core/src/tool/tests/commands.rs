//! This file tests what each command asks, shows and returns.

use super::*;
use crate::effect::{Failure, Refusal};
use crate::event::{MachineRequest, SpawnStep};
use crate::fixture::{BROKER, DATA, KEYS};
use crate::protocol::{SCHEMA, VERSION};

#[test]
fn list_is_aligned_and_shows_what_matters() {
    let mut desk = Desk::new();
    desk.states[3] = UnitState::Failed;
    let text = "\
UNIT           KIND     STATE           PID      SINCE  RESTARTS  LAST EXIT
broker         service  active          100    2000 ms         0  -
data           mount    active          101    2000 ms         0  -
getty@ttyAMA0  service  active          102    2000 ms         0  -
keys           task     failed            -    2000 ms         1  exit code 3
online         target   active          104    2000 ms         0  -
rescue         target   active          105    2000 ms         0  -
";
    for line in ["sctl", "sctl list", "/sbin/sctl list"] {
        desk.output.clear();
        assert_eq!(desk.run(line), DONE, "{line}");
        assert_eq!(desk.output, text, "{line}");
    }
    assert_eq!(desk.errors, "");
}

#[test]
fn status_shows_a_unit_and_tells_scripts_whether_it_is_active() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("sctl status broker"), DONE);
    let text = "\
broker: service, active for 2000 ms
  program    /usr/sbin/mosquitto
  process    100
  ready      after 45 ms
";
    assert_eq!(desk.output, text);
    desk.states[3] = UnitState::Failed;
    desk.output.clear();
    assert_eq!(desk.run("sctl status keys"), NOT_ACTIVE);
    let text = "\
keys: task, failed for 2000 ms
  program    /usr/sbin/mosquitto
  ready      after 45 ms
  restarts   1
  last exit  exit code 3
  failed     ended too often, start limit reached
";
    assert_eq!(desk.output, text);
    assert_eq!(desk.run("sctl status broker keys nothing"), NOT_ACTIVE);
    assert_eq!(desk.run("sctl status nothing keys"), NO_SUCH_UNIT);
}

#[test]
fn status_without_a_unit_shows_the_machine() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("sctl status"), DONE);
    let version = env!("CARGO_PKG_VERSION");
    let text = std::format!(
        "\
gateway on virt-aarch64: up
  process 1  sysMaster {version}
  since      3000 ms
  boot took  912 ms
  units      6: 6 active, 0 failed
"
    );
    assert_eq!(desk.output, text);
    desk.states[0] = UnitState::Failed;
    assert_eq!(desk.run("sctl status"), NOT_ACTIVE);
    desk.states[0] = UnitState::Active;
    desk.phase = MachinePhase::Booting;
    assert_eq!(desk.run("sctl status"), NOT_ACTIVE);
}

#[test]
fn changes_are_asked_in_order_and_are_silent_when_done() {
    let mut desk = Desk::new();
    let lines = [
        "sctl start broker data",
        "sctl stop keys",
        "sctl --no-wait restart keys",
        "sctl reset-failed keys",
    ];
    for line in lines {
        assert_eq!(desk.run(line), DONE, "{line}");
    }
    let asked = [
        (ControlRequest::Start(BROKER), true),
        (ControlRequest::Start(DATA), true),
        (ControlRequest::Stop(KEYS), true),
        (ControlRequest::Restart(KEYS), false),
        (ControlRequest::ResetFailed(KEYS), true),
    ];
    assert_eq!(desk.asked, asked);
    assert_eq!((desk.output.as_str(), desk.errors.as_str()), ("", ""));
}

#[test]
fn every_way_of_going_down_is_asked_for_what_it_says() {
    let table = [
        ("sctl poweroff", MachineRequest::PowerOff),
        ("sctl reboot", MachineRequest::Reboot),
        ("sctl halt", MachineRequest::Halt),
        ("sctl kexec", MachineRequest::Kexec),
        ("sctl rescue", MachineRequest::Rescue),
        ("/sbin/poweroff", MachineRequest::PowerOff),
        ("reboot", MachineRequest::Reboot),
        ("halt", MachineRequest::Halt),
        ("halt -p", MachineRequest::PowerOff),
    ];
    for (line, request) in table {
        let mut desk = Desk::new();
        assert_eq!(desk.run(line), DONE, "{line}");
        assert_eq!(
            desk.asked,
            [(ControlRequest::Machine(request), true)],
            "{line}"
        );
    }
}

#[test]
fn a_failure_is_told_with_its_reason_and_the_others_are_still_done() {
    let step = ExitStatus::NotExecuted {
        step: SpawnStep::Exec,
        error: Errno(13),
    };
    let table = [
        (
            Reply::Failed {
                unit: BROKER,
                reason: Failure::Exited(step),
            },
            "sctl: broker: failed: exec /usr/sbin/mosquitto: Permission denied\n",
        ),
        (
            Reply::Failed {
                unit: KEYS,
                reason: Failure::Dependency(DATA),
            },
            "sctl: keys: failed: needs data, which is not active\n",
        ),
        (
            Reply::Refused(Refusal::Conflict(BROKER, DATA)),
            "sctl: keys: refused: starting broker needs data, and stops it as well\n",
        ),
        (
            Reply::Refused(Refusal::ShuttingDown),
            "sctl: refused: the machine is going down\n",
        ),
        (
            Reply::Refused(Refusal::NoRescueTarget),
            "sctl: refused: the manifest names no rescue target\n",
        ),
        (
            Reply::Superseded,
            "sctl: keys: a later request took its place\n",
        ),
    ];
    for (reply, text) in table {
        let mut desk = Desk::new();
        desk.reply = reply;
        assert_eq!(desk.run("sctl start keys"), FAILED);
        assert_eq!(desk.errors, text);
        assert_eq!(desk.run("sctl start keys data"), FAILED);
        assert_eq!(desk.asked.len(), 3, "{text}");
    }
}

#[test]
fn an_unknown_unit_gives_its_own_code_and_a_guess() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("sctl stop borker"), NO_SUCH_UNIT);
    assert_eq!(
        desk.errors,
        "sctl: borker: no such unit; did you mean broker?\n"
    );
    desk.errors.clear();
    assert_eq!(desk.run("sctl status network"), NO_SUCH_UNIT);
    assert_eq!(desk.errors, "sctl: network: no such unit; see sctl list\n");
    let long = String::from("sctl start ") + &"x".repeat(5_000);
    assert_eq!(desk.run(&long), NO_SUCH_UNIT);
    assert_eq!(desk.asked, []);
}

#[test]
fn wrong_arguments_are_explained_and_ask_nothing() {
    let table = [
        (
            "sctl strat",
            "sctl: strat: unknown command; did you mean start?\n",
        ),
        ("sctl xyzzy", "sctl: xyzzy: unknown command\n"),
        ("sctl start", "sctl: start: which unit? See sctl list\n"),
        ("sctl list broker", "sctl: broker: one word too many\n"),
        ("sctl reboot now", "sctl: now: one word too many\n"),
        ("sctl -x", "sctl: -x: unknown option\n"),
        ("sctl poweroff -f", "sctl: -f: unknown option\n"),
        ("reboot -w", "reboot: -w: unknown option\n"),
        ("reboot now", "reboot: now: one word too many\n"),
        ("reboot -f", "reboot: -f is not supported: process 1"),
        (
            "poweroff --force",
            "poweroff: --force is not supported: process 1",
        ),
    ];
    for (line, text) in table {
        let mut desk = Desk::new();
        assert_eq!(desk.run(line), USAGE, "{line}");
        assert!(desk.errors.starts_with(text), "{line}: {}", desk.errors);
        assert!(desk.errors.ends_with(": see sctl help\n"), "{line}");
        assert_eq!((desk.asked.len(), desk.waits.len()), (0, 0), "{line}");
    }
}

#[test]
fn help_is_short_complete_and_needs_no_process_1() {
    for line in [
        "sctl help",
        "sctl -h",
        "sctl --help",
        "sctl start --help",
        "reboot --help",
    ] {
        let mut desk = Desk::new();
        desk.connection = Err(Errno(2));
        assert_eq!(desk.run(line), DONE, "{line}");
        assert!(desk.output.lines().count() < 34);
        assert!(desk.output.lines().all(|line| line.len() <= 80));
        for word in super::super::arguments::COMMANDS.split_whitespace() {
            assert!(desk.output.contains(word), "{word}");
        }
        for code in DONE..=OTHER_VERSION {
            assert!(desk.output.contains(&std::format!(" {code} ")), "{code}");
        }
    }
}

#[test]
fn version_names_both_ends() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("sctl version"), DONE);
    let version = env!("CARGO_PKG_VERSION");
    let text = std::format!(
        "sctl {version}, protocol {VERSION}/{SCHEMA}\n\
         process 1: sysMaster {version}\n"
    );
    assert_eq!(desk.output, text);
}

#[test]
fn a_question_needs_no_greeting_and_a_change_does() {
    let table = [
        ("sctl status broker", &["Unit"][..]),
        ("sctl status broker data", &["Unit", "Unit"]),
        ("sctl status", &["Machine"]),
        ("sctl list", &["Units", "Units"]),
        ("sctl stop broker", &["Machine", "Change"]),
        ("sctl poweroff", &["Machine", "Act"]),
    ];
    for (line, requests) in table {
        let mut desk = Desk::new();
        desk.run(line);
        assert_eq!(desk.requests, requests, "{line}");
    }
}

#[test]
fn an_upgrade_is_of_the_whole_or_of_the_core_alone() {
    use crate::event::ControlRequest;
    use crate::renewal::Image;
    for (line, request) in [
        ("sctl upgrade /x", "Upgrade"),
        ("sctl upgrade", "Upgrade"),
        ("sctl upgrade --core /x", "Exchange"),
        ("sctl --core upgrade", "Exchange"),
        ("sctl upgrade /x --core --no-wait", "Exchange"),
    ] {
        let mut desk = Desk::new();
        assert_eq!(desk.run(line), DONE, "{line}: {}", desk.errors);
        assert_eq!(desk.requests.last().map(String::as_str), Some(request));
        // The core goes the same way in both cases.
        assert_eq!(desk.asked, [(ControlRequest::Renew(Image::New), true)]);
    }
    for line in [
        "sctl --core",
        "sctl --core list",
        "sctl reexec --core",
        "sctl stop upgrade --core",
        "sctl upgrade --core relative",
        "sctl upgrade --core /x /y",
    ] {
        let mut desk = Desk::new();
        assert_eq!(desk.run(line), USAGE, "{line}");
        assert!(desk.requests.is_empty(), "{line}");
    }
}
