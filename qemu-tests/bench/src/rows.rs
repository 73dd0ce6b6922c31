//! This file performs the rows: in each round every contender lives the same lives, one after the
//! other, and another one begins.

use crate::contender::{Contender, FLOOR, OURS, Ready};
use crate::extent::{Extent, FEW};
use crate::journal::Kind;
use crate::lives::{boot, command, orphans, restart, shutdown, steering};
use crate::plan::Plan;
use crate::samples::Samples;
use crate::stage::{Setup, Stage};
use crate::{healing, memory, own};
use anyhow::{Context, Result, bail};
use std::io::PipeWriter;
use std::path::Path;
use std::time::Duration;

/// Between the last service's first instruction and a look at what all cost.
pub const SETTLE: Duration = Duration::from_millis(400);

/// System calls of a start by the floor: clone and exec.
const FLOOR_CALLS: f64 = 2.0;

/// All lives of all contenders.
#[derive(Debug)]
pub struct Lives<'a> {
    /// Where they lie ready, with the programs that all share.
    pub folder: &'a Path,
    /// Tells how far it is.
    pub say: fn(&str),
    /// Who lives.
    pub contenders: &'a [Contender],
    /// How much.
    pub extent: &'a Extent,
    /// What is measured.
    pub samples: &'a mut Samples,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// What one contender does in one life.
type Life = fn(&mut Lives<'_>, &Contender, &Plan) -> Result<()>;

impl Lives<'_> {
    /// Measures everything.
    pub fn perform(&mut self) {
        for round in 0..self.extent.rounds {
            (self.say)(&format!("round {} of {}", round + 1, self.extent.rounds));
            for services in self.extent.boots.clone() {
                self.all(round, "boot", &Plan::flat(services), boot);
            }
            if let Some(services) = self.extent.chain {
                self.all(round, "chain", &Plan::chain(services), boot);
            }
            self.all(round, "restart", &Plan::flat(FEW), restart);
            self.all(round, "orphans", &Plan::flat(FEW), orphans);
            let steered = self.extent.steered;
            self.all(round, "steering", &Plan::flat(steered), steering);
            for (services, deaf) in self.extent.down.clone() {
                let plan = Plan {
                    deaf,
                    ..Plan::flat(services)
                };
                self.all(round, "shutdown", &plan, shutdown);
            }
            self.all(round, "healing", &Plan::flat(FEW), healing::fault);
            for services in self.extent.scale.clone() {
                self.scale(services);
            }
        }
        // Last, because what others read lies in memory no more after it.
        for _ in 0..self.extent.rounds {
            own::perform(self);
        }
        self.calls();
        self.idle();
    }

    /// One life of each, beginning with another one each round.
    fn all(&mut self, round: usize, what: &str, plan: &Plan, life: Life) {
        let contenders = self.contenders;
        let count = contenders.len();
        (self.say)(&format!("  {what}: {}", plan.label()));
        for place in 0..count {
            let Some(contender) = contenders.get((round + place) % count) else {
                continue;
            };
            // Each is told: who listens gives up after a long silence.
            (self.say)(&format!("    {}", contender.name));
            self.note(contender, what, |lives| life(lives, contender, plan));
        }
    }

    /// Keeps a failure, and goes on with the next contender.
    pub fn note(
        &mut self,
        contender: &Contender,
        what: &str,
        life: impl FnOnce(&mut Self) -> Result<()>,
    ) {
        if let Err(error) = life(self) {
            let text = format!("{}: {what}: {error:#}", contender.name);
            (self.say)(&text);
            self.failures.push(text);
        }
    }

    /// Starts a contender.
    pub fn begin(&self, contender: &Contender, plan: &Plan) -> Result<Stage> {
        self.begin_with(contender, plan, None, None)
    }

    /// Starts a contender whose calls are counted into a file, or whose output goes somewhere.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn begin_with(
        &self,
        contender: &Contender,
        plan: &Plan,
        calls: Option<&Path>,
        output: Option<&PipeWriter>,
    ) -> Result<Stage> {
        let Ready {
            root,
            files,
            command,
        } = contender.ready(self.folder, plan)?;
        // A folder for each: several may run at once.
        let shared = self.folder.join("machines").join(&contender.name);
        std::fs::create_dir_all(&shared)?;
        for program in ["probe", "floor"] {
            let target = shared.join(program);
            if !target.exists() {
                let source = self.folder.join("shared").join(program);
                std::fs::hard_link(source, target)?;
            }
        }
        Stage::begin(&Setup {
            root: &root,
            files: &files,
            shared: &shared,
            command: &command,
            plan: *plan,
            calls,
            output,
        })
    }

    /// System calls that one more service costs, the service's own left out by the floor's two.
    fn calls(&mut self) {
        let Some([few, many]) = self.extent.calls else {
            return;
        };
        let contenders = self.contenders;
        (self.say)("system calls");
        let mut counts = Vec::new();
        for contender in contenders {
            (self.say)(&format!("    {}", contender.name));
            let count = |lives: &Self, services| lives.count(contender, &Plan::flat(services));
            let result = count(self, few).and_then(|low| Ok(count(self, many)? - low));
            match result {
                Ok(difference) => {
                    let each = difference / (many - few) as f64;
                    counts.push((&contender.name, each));
                }
                Err(error) => self.note(contender, "system calls", |_| Err(error)),
            }
        }
        let floor = counts.iter().find(|(name, _)| *name == FLOOR);
        let own = floor.map(|(_, each)| each - FLOOR_CALLS);
        for (name, each) in counts {
            match own {
                Some(own) => self.samples.add("calls", name, each - own),
                None => self.samples.say("calls", name, "the floor was not counted"),
            }
        }
    }

    fn count(&self, contender: &Contender, plan: &Plan) -> Result<f64> {
        let file = self.folder.join("calls");
        let mut stage = self.begin_with(contender, plan, Some(&file), None)?;
        stage.wait_for_all()?;
        std::thread::sleep(SETTLE);
        drop(stage);
        let text = std::fs::read_to_string(&file)?;
        let total = text
            .lines()
            .find(|line| line.trim_end().ends_with(" total"))
            .and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
        total.context("strace has no total")
    }

    /// All at once: who does nothing does not disturb.
    fn idle(&mut self) {
        let plan = Plan::flat(FEW);
        (self.say)("idle");
        let mut stages = Vec::new();
        for contender in self.contenders {
            let begun = || -> Result<Stage> {
                let mut stage = self.begin(contender, &plan)?;
                stage.wait_for_all()?;
                Ok(stage)
            };
            match begun() {
                Ok(stage) => stages.push((contender, stage)),
                Err(error) => self.failures.push(format!("{}: {error:#}", contender.name)),
            }
        }
        let [time, settle] = self.extent.idle;
        std::thread::sleep(settle);
        let mut quiet: Vec<&mut Stage> = stages.iter_mut().map(|(_, stage)| stage).collect();
        match memory::idle(&mut quiet, time) {
            Ok(idles) => {
                for ((contender, _), idle) in stages.iter().zip(idles) {
                    let name = &contender.name;
                    self.samples
                        .add("idle.wake-ups", name, idle.wake_ups as f64);
                    let micros = idle.time.as_secs_f64() * 1e6;
                    self.samples.add("idle.cpu", name, micros);
                }
            }
            Err(error) => self.failures.push(format!("idle: {error:#}")),
        }
    }

    /// What only sysMaster is asked to do.
    fn scale(&mut self, services: usize) {
        let contenders = self.contenders;
        let Some(contender) = contenders.iter().find(|it| it.name == OURS) else {
            return;
        };
        let plan = Plan::flat(services);
        self.note(contender, "scale", |lives| {
            boot(lives, contender, &plan)?;
            let mut stage = lives.begin(contender, &plan)?;
            stage.wait_for_all()?;
            let runs = lives.extent.tool_runs;
            let status = command(&contender.commands.status, &plan, services - 1);
            lives.tool(
                &mut stage,
                contender,
                &format!("status.{services}"),
                &status,
                runs,
            )?;
            let list = command(&contender.commands.list, &plan, 0);
            lives.tool(&mut stage, contender, &format!("list.{services}"), &list, 1)
        });
    }

    /// Runs a tool within a machine and keeps how long each of its lives was, in microseconds.
    ///
    /// # Errors
    /// It did not end well.
    pub fn tool(
        &mut self,
        stage: &mut Stage,
        contender: &Contender,
        row: &str,
        command: &[String],
        count: u32,
    ) -> Result<()> {
        for nanos in lives_of(stage, command, count)? {
            self.samples.add(row, &contender.name, nanos as f64 / 1e3);
        }
        Ok(())
    }
}

/// How long each of a tool's lives was, in nanoseconds.
///
/// # Errors
/// It did not end well.
pub fn lives_of(stage: &mut Stage, command: &[String], count: u32) -> Result<Vec<u64>> {
    stage.journal.read()?;
    let before = stage.journal.records.len();
    let count = count.to_string();
    let mut words = vec!["time", &count, "2000"];
    words.extend(command.iter().map(String::as_str));
    stage.probe(&words)?;
    stage.journal.read()?;
    let records = stage.journal.records.get(before..).unwrap_or_default();
    if let Some(refused) = records.iter().find(|it| it.kind == Kind::Refused) {
        bail!("`{}` ended with {}", command.join(" "), refused.value);
    }
    let timed = records.iter().filter(|it| it.kind == Kind::Timed);
    Ok(timed.map(|record| record.value).collect())
}
