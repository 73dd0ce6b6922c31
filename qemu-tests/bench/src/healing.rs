//! This file is the row in which process 1 itself has a fault: a wild jump, made by a debugger that
//! is gone before it happens.

use crate::contender::{Contender, OURS};
use crate::journal::Kind;
use crate::lives::ms;
use crate::plan::Plan;
use crate::rows::Lives;
use crate::stage::{Stage, first_begins};
use anyhow::{Result, ensure};
use heal_campaign::client::{Client, HANG_LIMIT, Outcome};
use heal_campaign::inject::{self, Stopped};
use heal_campaign::random::Random;
use init_core::protocol::Request;
use std::time::{Duration, Instant};

/// What happens to process 1.
pub(crate) const FAULT: &str = "segv-null";

/// After this a machine whose process 1 has a fault is down, or it is not.
const FALL: Duration = Duration::from_millis(500);

/// How long a service that ends then may take to be replaced.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Makes process 1 fault, and looks whether the machine is still run by it.
///
/// # Errors
/// It cannot be traced, or one that heals did not.
pub fn fault(lives: &mut Lives<'_>, contender: &Contender, plan: &Plan) -> Result<()> {
    let mut stage = lives.begin(contender, plan)?;
    stage.wait_for_all()?;
    std::thread::sleep(Duration::from_millis(200));
    let name = &contender.name;
    if contender.name == OURS {
        return heal(lives, &mut stage, plan, ["heal.time", "heal.lost"]);
    }
    let stopped = Stopped::stop(stage.pid()?)?;
    stopped.injure(inject::named(FAULT)?, &mut Random::new(0))?;
    drop(stopped);
    std::thread::sleep(FALL);
    let words = if stage.has_ended() {
        "device down"
    } else if stage.replace_within(0, PATIENCE)? {
        "in control"
    } else {
        "alive, replaces nothing any more"
    };
    lives.samples.say("heal.time", name, words);
    Ok(())
}

/// Makes sysMaster's process 1 fault, and measures until it answers again, and what it lost.
///
/// # Errors
/// It cannot be traced, or did not heal.
pub fn heal(
    lives: &mut Lives<'_>,
    stage: &mut Stage,
    plan: &Plan,
    [time_row, lost_row]: [&str; 2],
) -> Result<()> {
    let pid = stage.pid()?;
    let socket = format!("/proc/{pid}/root/run/sysmaster/control");
    let mut client = Client::new(socket.as_ref());
    let before = client.insist(Request::Machine, Instant::now() + HANG_LIMIT, || false)?;
    ensure!(
        matches!(before, Outcome::Answered(_)),
        "no answer before the fault"
    );
    let stopped = Stopped::stop(pid)?;
    client.send(Request::Machine)?;
    stopped.injure(inject::named(FAULT)?, &mut Random::new(0))?;
    let injured = Instant::now();
    drop(stopped);
    // Hung up is told at once; the next life answers.
    let mut outcome = client.receive(HANG_LIMIT)?;
    if !matches!(outcome, Outcome::Answered(_)) {
        let until = Instant::now() + HANG_LIMIT;
        outcome = client.insist(Request::Machine, until, || false)?;
    }
    let time = injured.elapsed();
    ensure!(
        matches!(outcome, Outcome::Answered(_)),
        "no answer after the fault"
    );
    lives.samples.add(time_row, OURS, ms(time));
    let lost = lost(stage, plan)?;
    lives.samples.add(lost_row, OURS, lost as f64);
    ensure!(
        stage.replace_within(0, PATIENCE)?,
        "it replaces no service any more"
    );
    Ok(())
}

/// Services that began again, or whose process is gone.
fn lost(stage: &mut Stage, plan: &Plan) -> Result<usize> {
    std::thread::sleep(FALL);
    stage.journal.read()?;
    let begins = stage.journal.records.iter();
    let begun = begins.filter(|it| it.kind == Kind::Begin).count();
    let again = begun - first_begins(&stage.journal.records).len();
    let processes = stage.processes()?;
    let alive = processes
        .iter()
        .filter(|(_, is_service)| *is_service)
        .count();
    Ok(again + plan.services.saturating_sub(alive))
}
