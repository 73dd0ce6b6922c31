//! This file is what only sysMaster is measured by: how long its longest turns are, how late its
//! timers, what becomes of its log when nobody reads it, how long a life of it is without handlers,
//! and how it heals when nothing of its files is in memory, or memory is short.

use crate::contender::{Contender, LATE, OURS};
use crate::extent::FEW;
use crate::healing;
use crate::lives::{command, under_load};
use crate::plan::Plan;
use crate::rows::Lives;
use crate::stage::{self, Stage};
use crate::turns::Trace;
use anyhow::{Context, Result, ensure};
use heal_campaign::inject::{self, Stopped};
use heal_campaign::random::Random;
use rustix::event::{PollFd, PollFlags};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What the services wait for before they are started again.
pub const BACKOFF: Duration = Duration::from_millis(100);

/// How many ends of services are looked at in a round.
const LATE_COUNT: usize = 20;

/// Services end so often while nobody reads the log: some 20 KiB of it.
const FLOOD_COUNT: usize = 100;

/// What the pipe that the log goes to has room for: a page, as little as a pipe can have.
const PIPE_BYTES: usize = 4_096;

/// Ends the line by which process 1 says how many it dropped.
const DROPPED: &str = " lines dropped here: the console was too slow\n";

/// While process 1's turns are recorded, its tool is run so often.
const ASKED_COUNT: u32 = 40;

/// How much more a machine may use than it does, where memory is short.
const SPARE_BYTES: u64 = 2 << 20;

/// What is read meanwhile, again and again, by somebody whose memory counts as the machine's.
const READ_BYTES: usize = 32 << 20;

/// How often; it is ended long before.
const READ_COUNT: usize = 4_000;

/// All rows of a round.
pub fn perform(lives: &mut Lives<'_>) {
    let contenders = lives.contenders;
    let Some(ours) = contenders.iter().find(|it| it.name == OURS) else {
        return;
    };
    let own = lives.extent.own;
    let few = Plan::flat(FEW);
    if own.turns {
        let steered = Plan::flat(lives.extent.steered);
        lives.note(ours, "turns", |lives| turns(lives, ours, &steered));
    }
    if own.late {
        lives.note(ours, "timers", |lives| late(lives, ours, &few));
    }
    if own.flood {
        lives.note(ours, "flood", |lives| flood(lives, ours, &few));
    }
    if own.window {
        lives.note(ours, "window", |lives| window(lives, ours, &few));
    }
    if own.hardship {
        lives.note(ours, "healing, cold", |lives| cold(lives, ours, &few));
        lives.note(ours, "healing, pressed", |lives| pressed(lives, ours, &few));
    }
}

/// Its turns while orphans end, services end, and somebody asks.
fn turns(lives: &mut Lives<'_>, ours: &Contender, plan: &Plan) -> Result<()> {
    let mut stage = lives.begin(ours, plan)?;
    stage.wait_for_all()?;
    std::thread::sleep(lives.extent.life);
    let Some(trace) = Trace::begin(stage.pid()?)? else {
        return Ok(());
    };
    let asked = command(&ours.commands.list, plan, 0);
    under_load(lives, &mut stage, ours, ("turn.asked", ASKED_COUNT), &asked)?;
    for index in 0..plan.services / 2 {
        stage.replace(index)?;
    }
    let mut turns = trace.end()?;
    turns.sort_unstable();
    let count = turns.len();
    ensure!(count > 0, "process 1 had no turn");
    let share = |parts: usize| turns.get((count * parts / 1_000).min(count - 1)).copied();
    for (row, value) in [
        ("turn.count", u64::try_from(count).ok()),
        ("turn.median", share(500)),
        ("turn.p999", share(999)),
        ("turn.max", turns.last().copied()),
    ] {
        let value = value.context("there are turns")?;
        lives.samples.add(row, OURS, value as f64);
    }
    Ok(())
}

/// Services that wait for their back-off: by how much more than that they are late.
fn late(lives: &mut Lives<'_>, ours: &Contender, plan: &Plan) -> Result<()> {
    let waiting = Contender {
        name: LATE.to_string(),
        ..ours.clone()
    };
    let mut stage = lives.begin(&waiting, plan)?;
    stage.wait_for_all()?;
    let mut worst: f64 = 0.0;
    for turn in 0..LATE_COUNT {
        let nanos = stage.replace(turn % plan.services)?;
        let late = Duration::from_nanos(nanos).checked_sub(BACKOFF);
        let late = late.with_context(|| format!("started {nanos} ns after its end: too soon"))?;
        let micros = late.as_secs_f64() * 1e6;
        lives.samples.add("late", OURS, micros);
        worst = worst.max(micros);
    }
    lives.samples.add("late.max", OURS, worst);
    Ok(())
}

/// Services end while nobody reads what process 1 says of it; then somebody does.
fn flood(lives: &mut Lives<'_>, ours: &Contender, plan: &Plan) -> Result<()> {
    let (mut reader, writer) = std::io::pipe()?;
    rustix::pipe::fcntl_setpipe_size(&writer, PIPE_BYTES).context("making a pipe small")?;
    let mut stage = lives.begin_with(ours, plan, None, Some(&writer))?;
    drop(writer);
    stage.wait_for_all()?;
    for turn in 0..FLOOD_COUNT {
        let nanos = stage.replace(turn % plan.services)?;
        lives.samples.add("flood.restart", OURS, nanos as f64 / 1e6);
    }
    let mut said = String::new();
    while !said.contains(DROPPED) {
        let limit = rustix::event::Timespec {
            tv_sec: i64::try_from(stage::LIMIT.as_secs())?,
            tv_nsec: 0,
        };
        let mut waits = [PollFd::new(&reader, PollFlags::IN)];
        let count = rustix::event::poll(&mut waits, Some(&limit))?;
        ensure!(count > 0, "it does not say that it dropped lines: {said}");
        let mut bytes = [0; PIPE_BYTES];
        let count = reader.read(&mut bytes)?;
        ensure!(count > 0, "the log ended without such a line: {said}");
        said.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap_or(&[])));
    }
    let (before, _) = said.split_once(DROPPED).context("it was said")?;
    let (came, count) = before.rsplit_once('\n').context("a log of one line")?;
    let dropped = count.rsplit(' ').next().unwrap_or_default();
    let dropped: u32 = dropped.parse().with_context(|| format!("in {count:?}"))?;
    let came = u32::try_from(came.lines().count())?;
    lives
        .samples
        .add("flood.lines", OURS, f64::from(came + dropped));
    lives.samples.add("flood.dropped", OURS, f64::from(dropped));
    Ok(())
}

/// The instructions of its own that a life has executed when it catches its faults: a system call
/// is one.
fn window(lives: &mut Lives<'_>, ours: &Contender, plan: &Plan) -> Result<()> {
    if cfg!(target_arch = "arm") {
        let words = "this kernel stops nobody after one instruction";
        lives.samples.say("window", OURS, words);
        return Ok(());
    }
    let mut stage = lives.begin(ours, plan)?;
    stage.wait_for_all()?;
    let stopped = Stopped::stop(stage.pid()?)?;
    stopped.injure(inject::named(healing::FAULT)?, &mut Random::new(0))?;
    stopped.follow_to_next_life()?;
    let places = stopped.trace_to_protection()?;
    drop(stopped);
    ensure!(
        stage.replace_within(0, healing::PATIENCE)?,
        "it replaces no service any more"
    );
    lives.samples.add("window", OURS, places.len() as f64);
    Ok(())
}

/// A fault when no file is in memory that is not in use.
fn cold(lives: &mut Lives<'_>, ours: &Contender, plan: &Plan) -> Result<()> {
    let mut stage = lives.begin(ours, plan)?;
    stage.wait_for_all()?;
    std::thread::sleep(lives.extent.life);
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").context("dropping what is in memory")?;
    healing::heal(lives, &mut stage, plan, ["heal.cold", "heal.cold.lost"])
}

/// A fault when every page must be taken from somebody else.
fn pressed(lives: &mut Lives<'_>, ours: &Contender, plan: &Plan) -> Result<()> {
    let mut stage = lives.begin(ours, plan)?;
    stage.wait_for_all()?;
    std::thread::sleep(lives.extent.life);
    let _reader = Reader::begin(lives, &stage)?;
    std::thread::sleep(lives.extent.life);
    let rows = ["heal.pressed", "heal.pressed.lost"];
    healing::heal(lives, &mut stage, plan, rows)
}

/// Somebody who reads more than there is room for. Dropped, it ends.
#[derive(Debug)]
struct Reader {
    child: Child,
    file: PathBuf,
}

impl Reader {
    fn begin(lives: &Lives<'_>, stage: &Stage) -> Result<Self> {
        let file = lives.folder.join("read");
        fs::write(&file, vec![1; READ_BYTES])?;
        rustix::fs::sync();
        // What is in memory already is nobody's.
        fs::write("/proc/sys/vm/drop_caches", "1")?;
        stage.cgroups.limit(SPARE_BYTES)?;
        let [_, memory] = stage.cgroups.lists();
        let child = Command::new("sh")
            .args(["-c", r#"echo 0 > "$1"; shift; exec cat "$@""#, "sh"])
            .arg(memory)
            .args(std::iter::repeat_n(&file, READ_COUNT))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        Ok(Self { child, file })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.file);
    }
}
