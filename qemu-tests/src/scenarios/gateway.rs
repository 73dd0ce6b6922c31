//! This file holds the scenarios of the gateway: its services, its control tool, its shutdown.

use super::{Boards, Guest, Scenario};
use anyhow::{Result, ensure};
use std::time::Duration;

/// How long a service may take to come back on a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(60);

const GATEWAY: Scenario = Scenario {
    product: "gateway",
    boards: Boards::Native,
    ..Scenario::PLAIN
};

/// What is shown of the gateway.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a killed broker comes back and carries messages again",
        body: killed_broker,
        ..GATEWAY
    },
    Scenario {
        name: "sctl lists, stops and starts units, and its exit codes tell",
        boards: Boards::Arm,
        body: control,
        ..GATEWAY
    },
    Scenario {
        name: "orphans by the hundred are reaped",
        boards: Boards::Arm,
        body: orphans,
        ..GATEWAY
    },
    Scenario {
        name: "a process that ignores SIGTERM does not keep the machine up",
        boards: Boards::One,
        body: stubborn,
        ..GATEWAY
    },
];

fn killed_broker(guest: &mut Guest) -> Result<()> {
    let nonce = guest.nonce.clone();
    let mut shell = guest.up("online")?;
    shell.success("old=$(pidof mosquitto) && kill -KILL $old")?;
    shell.until("new=$(pidof mosquitto) && [ $new != $old ]", BACK_WITHIN)?;
    // A message of our own through the new broker, to a subscriber of our own.
    let receive = "mosquitto_sub -h 127.0.0.1 -t gateway/test -C 1 -W 20";
    let send = "mosquitto_pub -h 127.0.0.1 -t gateway/test";
    shell.until(
        &format!("{send} -r -m \"again $((20+3)) {nonce}\""),
        BACK_WITHIN,
    )?;
    let output = shell.success(receive)?;
    ensure!(
        output.contains(&format!("again 23 {nonce}")),
        "no message came: {output}"
    );
    shell.last_command("poweroff")?;
    guest.powered_off()
}

fn control(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("online")?;
    let list = shell.success("sctl list")?;
    for unit in ["broker", "subscriber", "http", "flaky", "identity"] {
        ensure!(
            list.contains(unit),
            "sctl list does not name {unit}:\n{list}"
        );
    }
    // What sctl says of itself is believed only when the guest shows it another way.
    shell.success("sctl stop http")?;
    let page = shell.command("wget -q -O - http://127.0.0.1:8080/")?;
    ensure!(
        page.code != 0,
        "the stopped web server still answers:\n{}",
        page.output
    );
    let status = shell.command("sctl status http")?;
    ensure!(
        status.code == 3,
        "sctl status of a stopped unit: exit code {}",
        status.code
    );
    shell.success("sctl start http")?;
    let page = shell.success("wget -q -O - http://127.0.0.1:8080/")?;
    ensure!(
        page.contains("page: gateway"),
        "the started web server does not answer:\n{page}"
    );
    shell.success("old=$(pidof mosquitto)")?;
    shell.success("sctl restart broker")?;
    shell.success("new=$(pidof mosquitto) && [ $new != $old ]")?;
    for (command, wanted) in [
        ("sctl start borker", 4),
        ("sctl strat broker", 2),
        ("sctl stop", 2),
    ] {
        let outcome = shell.command(command)?;
        let code = outcome.code;
        ensure!(
            code == wanted,
            "`{command}`: exit code {code}, wanted {wanted}"
        );
    }
    shell.last_command("sctl poweroff")?;
    guest.powered_off()
}

fn orphans(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("online")?;
    // Each inner shell ends at once and leaves its child to process 1.
    shell.success("for i in $(seq 300); do (usleep 900000 &); done")?;
    shell.until("! pidof usleep >/dev/null", BACK_WITHIN)?;
    shell.until(
        "! grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null",
        BACK_WITHIN,
    )?;
    shell.success("sctl status broker")?;
    shell.last_command("poweroff")?;
    guest.powered_off()
}

fn stubborn(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("online")?;
    let deaf = "trap '' TERM HUP INT; while :; do sleep 1000; done";
    shell.success(&format!("{{ ({deaf}) </dev/null >/dev/null 2>&1 & }}"))?;
    shell.last_command("poweroff")?;
    guest.powered_off()
}
