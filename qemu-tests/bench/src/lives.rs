//! This file is the lives that a contender lives once a round: it boots, its services end, orphans
//! come to it, it is steered and goes down.

use crate::contender::{Contender, filled};
use crate::journal::{Kind, Record};
use crate::memory;
use crate::plan::Plan;
use crate::rows::{Lives, lives_of};
use crate::stage::{self, Stage};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// It starts its services.
///
/// # Errors
/// Not all began.
pub fn boot(lives: &mut Lives<'_>, contender: &Contender, plan: &Plan) -> Result<()> {
    let row = plan.label();
    let name = &contender.name;
    if plan.is_chain && !contender.has_order {
        let words = "no order among services";
        lives.samples.say(&format!("boot.{row}"), name, words);
        return Ok(());
    }
    let mut stage = lives.begin(contender, plan)?;
    let time = stage.wait_for_all()?;
    std::thread::sleep(crate::rows::SETTLE);
    let cpu = stage.cgroups.time()?;
    lives.samples.add(&format!("boot.{row}"), name, ms(time));
    lives.samples.add(&format!("cpu.{row}"), name, ms(cpu));
    let is_looked_at = lives.extent.memories.contains(&plan.services)
        || lives.extent.scale.contains(&plan.services);
    if plan.is_chain || plan.deaf > 0 || !is_looked_at {
        return Ok(());
    }
    let memory = memory::memory(&mut stage)?;
    for (what, value) in [
        ("resident", memory.resident),
        ("proportional", memory.proportional),
        ("own", memory.own),
        ("kernel", memory.kernel),
        ("processes", memory.processes),
    ] {
        lives
            .samples
            .add(&format!("{what}.{row}"), name, value as f64);
    }
    let libraries = memory::library_bytes(&mut stage)?;
    lives.samples.add("file.libraries", name, libraries as f64);
    Ok(())
}

/// Services end after a good life, and again at once.
///
/// # Errors
/// None takes the place of one that ended.
pub fn restart(lives: &mut Lives<'_>, contender: &Contender, plan: &Plan) -> Result<()> {
    let mut stage = lives.begin(contender, plan)?;
    stage.wait_for_all()?;
    std::thread::sleep(lives.extent.life);
    let before = stage.cgroups.time()?;
    for index in 0..lives.extent.deaths {
        for row in ["restart.lived", "restart.soon"] {
            let nanos = stage.replace(index)?;
            lives.samples.add(row, &contender.name, nanos as f64 / 1e6);
        }
    }
    let spent = stage.cgroups.time()?.saturating_sub(before);
    let each = ms(spent) / (2 * lives.extent.deaths) as f64;
    lives.samples.add("restart.cpu", &contender.name, each);
    Ok(())
}

/// Many processes of nobody end at once.
///
/// # Errors
/// They are not reaped.
pub fn orphans(lives: &mut Lives<'_>, contender: &Contender, plan: &Plan) -> Result<()> {
    let mut stage = lives.begin(contender, plan)?;
    stage.wait_for_all()?;
    let name = &contender.name;
    for _ in 0..lives.extent.bursts {
        stage.journal.read()?;
        let known = stage.journal.records.len();
        let before = memory::activity_of(&mut stage)?;
        stage.probe(&["burst", &lives.extent.orphans.to_string()])?;
        let after = memory::activity_of(&mut stage)?;
        stage.journal.read()?;
        let records = stage.journal.records.get(known..).unwrap_or_default();
        let [from, until] = [Kind::Request, Kind::Reaped].map(|kind| stage::first(records, kind));
        let (from, until) = from.zip(until).context("the orphans were not reaped")?;
        let time = (until - from) as f64 / 1e6;
        lives.samples.add("orphans.time", name, time);
        let cpu = after.time.saturating_sub(before.time);
        lives.samples.add("orphans.cpu", name, ms(cpu));
    }
    Ok(())
}

/// Its tool asks, stops and starts.
///
/// # Errors
/// The tool says no, or did not do what it says.
pub fn steering(lives: &mut Lives<'_>, contender: &Contender, plan: &Plan) -> Result<()> {
    let commands = &contender.commands;
    let rows = [("status", &commands.status), ("list", &commands.list)];
    let absent = "no such command";
    let busy = ("status.busy", &commands.status);
    for (row, words) in rows.into_iter().chain([busy]) {
        if words.is_none() {
            lives.samples.say(row, &contender.name, absent);
        }
    }
    if commands.stop.is_none() {
        lives.samples.say("stop-start", &contender.name, absent);
    }
    if [&commands.status, &commands.list, &commands.stop]
        .iter()
        .all(|it| it.is_none())
    {
        return Ok(());
    }
    let mut stage = lives.begin(contender, plan)?;
    stage.wait_for_all()?;
    std::thread::sleep(lives.extent.life);
    let middle = plan.services / 2;
    for (row, words) in rows {
        if words.is_some() {
            let command = command(words, plan, middle);
            let runs = lives.extent.tool_runs;
            lives.tool(&mut stage, contender, row, &command, runs)?;
        }
    }
    if commands.status.is_some() {
        let command = command(&commands.status, plan, middle);
        let busy = ("status.busy", lives.extent.tool_runs);
        for _ in 0..lives.extent.bursts {
            under_load(lives, &mut stage, contender, busy, &command)?;
        }
    }
    if commands.stop.is_none() || commands.start.is_none() {
        return Ok(());
    }
    let [stop, start] = [&commands.stop, &commands.start].map(|it| command(it, plan, middle));
    for _ in 0..lives.extent.tool_runs.div_ceil(3) {
        let before = begins(&stage.journal.records, middle);
        let down: u64 = lives_of(&mut stage, &stop, 1)?.iter().sum();
        let up: u64 = lives_of(&mut stage, &start, 1)?.iter().sum();
        // Both did what they say.
        stage.wait(|records| begins(records, middle) > before)?;
        let micros = (down + up) as f64 / 1e3;
        lives.samples.add("stop-start", &contender.name, micros);
    }
    Ok(())
}

/// Asks so often while orphans end, from when they are killed on.
///
/// # Errors
/// Nobody answers, or they are not reaped.
pub fn under_load(
    lives: &mut Lives<'_>,
    stage: &mut Stage,
    contender: &Contender,
    (row, runs): (&str, u32),
    command: &[String],
) -> Result<()> {
    let orphans = lives.extent.orphans.to_string();
    stage.journal.read()?;
    let known = stage.journal.records.len();
    let mut burst = stage.inside(&["/bench/probe", "burst", &orphans])?;
    let mut burst = burst.spawn().context("cannot enter the machine")?;
    let is_killing = |records: &[Record]| {
        let new = records.get(known..).unwrap_or_default();
        stage::first(new, Kind::Request).is_some()
    };
    let told = stage
        .wait(is_killing)
        .and_then(|()| lives.tool(stage, contender, row, command, runs));
    let ended = burst.wait();
    told?;
    ensure!(ended?.success(), "the orphans were not reaped");
    Ok(())
}

fn begins(records: &[Record], index: usize) -> usize {
    let is_it = |it: &&Record| it.kind == Kind::Begin && it.index as usize == index;
    records.iter().filter(is_it).count()
}

/// It takes its machine down.
///
/// # Errors
/// It does not.
pub fn shutdown(lives: &mut Lives<'_>, contender: &Contender, plan: &Plan) -> Result<()> {
    let row = format!("down.{}", plan.label());
    let command = command(&contender.commands.power_off, plan, 0);
    if command.is_empty() {
        lives.samples.say(&row, &contender.name, "no such command");
        return Ok(());
    }
    let mut stage = lives.begin(contender, plan)?;
    stage.wait_for_all()?;
    std::thread::sleep(crate::rows::SETTLE);
    // Everybody writes to disk before the end: nobody is to write what others left.
    rustix::fs::sync();
    let mut words = vec!["/bench/probe", "request"];
    words.extend(command.iter().map(String::as_str));
    let mut request = stage
        .inside(&words)?
        .spawn()
        .context("cannot enter the machine")?;
    let end = stage.wait_for_end();
    // It goes down with the machine, or has ended before.
    let _ = request.kill();
    let _ = request.wait();
    let end = end?;
    stage.journal.read()?;
    let from = stage::first(&stage.journal.records, Kind::Request);
    let from = from.context("nobody asked it to")?;
    ensure!(end > from, "it ended before it was asked to");
    lives
        .samples
        .add(&row, &contender.name, (end - from) as f64 / 1e6);
    Ok(())
}

/// One of a contender's commands, filled; without words if it has none.
pub fn command(words: &Option<Vec<String>>, plan: &Plan, index: usize) -> Vec<String> {
    filled(words.as_deref().unwrap_or_default(), plan, index)
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
