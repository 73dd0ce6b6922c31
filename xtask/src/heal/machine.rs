//! This file runs process 1 with the campaign's services in namespaces of its own.
//!
//! Needs root and util-linux.

use super::Death;
use super::manifest;
use crate::{build, house};
use anyhow::{Context, Result, ensure};
use heal_campaign::answer::Course;
use heal_campaign::inject::Kind;
use heal_campaign::machine::{Machine, is_gone};
use heal_campaign::random::Random;
use heal_campaign::table::Case;
use heal_campaign::trial::Trial;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Until there are namespaces with a process 1.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Between two looks at something that has not happened yet.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// /run is its own, so that machines beside it and the host's keep theirs.
const OWN_RUN: &str = "mount -t tmpfs tmpfs /run && exec \"$@\"";

/// Executes what follows on a kernel that knows no younger calls.
const FILTER: &str = include_str!("../../../hal-linux/tests/namespace/filter.pl");

/// The witnesses' file.
const JOURNAL: &str = "witnesses";

/// What the filter answers to those: ENOSYS.
const NOT_THERE: u32 = 0x0005_0000 | 38;

/// Two calls as x86-64 numbers them: the one that installs the filter, and the youngest of Linux
/// 4.14, which all younger ones have higher numbers than.
const PRCTL: u32 = 157;
const STATX: u32 = 332;

/// What is started: a program and the folder of its files.
#[derive(Debug)]
pub struct Product {
    program: PathBuf,
    symbols: PathBuf,
    folder: PathBuf,
    services: usize,
    split: bool,
    old_calls: bool,
    /// Nobody else uses the folder as long as this is open.
    _lock: File,
}

impl Product {
    /// Builds process 1 of a product with so many services.
    ///
    /// # Errors
    /// No board has this machine's processor, or the build fails.
    pub fn build(death: &Death) -> Result<Self> {
        let Death {
            services,
            seed,
            heals,
            split,
            course,
            ..
        } = *death;
        let boards = house::boards()?;
        let own = |board: &&manifests::board::Board| {
            board.triple.starts_with(std::env::consts::ARCH) && board.debian_suite.is_none()
        };
        let board = boards.iter().find(own).with_context(|| {
            let arch = std::env::consts::ARCH;
            format!("no board has this machine's processor, {arch}")
        })?;
        let folder = house::target().join("heal");
        let lock = super::lock(&folder)?;
        let kind = if split { "-split" } else { "" };
        let end = match course {
            Course::Deaths | Course::OldCalls => "",
            Course::Sweep => "-sweep",
            Course::Ladder => "-ladder",
        };
        let product = folder.join(format!("heal-{services}{kind}{end}.toml"));
        let journal = folder.join(JOURNAL);
        let witness = std::env::current_exe()?;
        let text = manifest::of(&manifest::Wanted {
            services,
            board: &board.name,
            program: &witness,
            seed,
            journal: &journal,
            split,
            is_whole: false,
            course,
        })?;
        std::fs::write(&product, text)
            .with_context(|| format!("cannot write {}", product.display()))?;
        let built = build::firmware(&build::Request {
            board,
            product: &product,
            rootfs: None,
            features: &[],
            heals,
        })?;
        // Of this run alone; its machines append.
        File::create(folder.join("console"))?;
        Ok(Self {
            program: built.file,
            symbols: built.symbols,
            folder,
            services,
            split,
            old_calls: course == Course::OldCalls,
            _lock: lock,
        })
    }

    /// What executes process 1.
    fn first(&self) -> Vec<String> {
        if !self.old_calls {
            return Vec::new();
        }
        let mut words = ["perl", "-e", FILTER].map(String::from).to_vec();
        words.extend([PRCTL, NOT_THERE, STATX].map(|number| number.to_string()));
        words.push("--".to_string());
        words
    }

    /// Process 1's file.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The same with symbols and line tables.
    pub fn symbols(&self) -> &Path {
        &self.symbols
    }

    /// The file in which process 1 keeps how often its machine was started anew.
    pub fn record(&self) -> PathBuf {
        manifest::record(&self.folder.join(JOURNAL), false)
    }

    /// How many services there are.
    pub fn services(&self) -> usize {
        self.services
    }

    /// Where process 1's console goes.
    pub fn console(&self) -> PathBuf {
        self.folder.join("console")
    }
}

/// Whatever holds process 1's namespaces. Dropped, it is killed with all it runs.
#[derive(Debug)]
pub struct Outside(Child);

impl Outside {
    /// Waits until process 1 has ended; whether it asked for another boot.
    ///
    /// # Errors
    /// It does not end.
    pub fn end(&mut self, limit: Duration) -> Result<bool> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait()? {
                // The kernel ends a namespace by this signal for that; unshare ends alike, or with
                // the shell's number for it.
                return Ok(status.signal() == Some(1) || status.code() == Some(129));
            }
            ensure!(Instant::now() < until, "process 1 does not end");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Process 1's number here.
    fn child(&self) -> Option<u32> {
        let outside = self.0.id();
        let file = format!("/proc/{outside}/task/{outside}/children");
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let inside = self.child();
        // `--kill-child`: all inside go with it. Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
        // Only when process 1 has ended has everybody in there. Who does not end cannot be helped.
        let _ = inside.is_none_or(is_gone);
    }
}

/// Starts process 1 and waits until every service has begun.
///
/// # Errors
/// It does not start, or a service does not begin in time.
pub fn boot(product: &Product) -> Result<(Machine, Outside)> {
    let path = product.folder.join(JOURNAL);
    File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let console = File::options()
        .append(true)
        .create(true)
        .open(product.console())?;
    let outside = Command::new("unshare")
        .args(["--pid", "--fork", "--mount", "--uts", "--net", "--ipc"])
        .args(["--mount-proc", "--kill-child", "--"])
        .args(["sh", "-c", OWN_RUN, "sh"])
        .args(product.first())
        .arg(&product.program)
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
        .context("cannot start unshare; it is part of util-linux")?;
    let mut outside = Outside(outside);
    let until = Instant::now() + START_LIMIT;
    let pid = loop {
        if let Some(pid) = outside.child() {
            break pid;
        }
        let has_ended = !matches!(outside.0.try_wait(), Ok(None));
        ensure!(
            !has_ended && Instant::now() < until,
            "no process 1 in namespaces of its own: it takes root"
        );
        std::thread::sleep(POLL_INTERVAL);
    };
    let shown = product.console();
    let filtered = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| status.contains("\nSeccomp:\t2"))
    };
    let begun = Machine::of(pid, &path, product.services).and_then(|mut machine| {
        machine.wait_for_all()?;
        ensure!(
            !product.old_calls || filtered(),
            "process 1 runs without the filter"
        );
        Ok(machine)
    });
    let machine = begun.with_context(|| format!("process 1's console is {}", shown.display()))?;
    Ok((machine, outside))
}

/// A process 1 in namespaces that is injured under load.
#[derive(Debug)]
pub struct Patient {
    /// Dropped in this order; none where another could not be booted.
    running: Option<(Trial, Outside)>,
    product: Product,
    seed: u64,
}

impl Patient {
    /// Boots, and begins the load.
    ///
    /// # Errors
    /// It does not boot.
    pub fn boot(product: Product, seed: u64) -> Result<Self> {
        let mut patient = Self {
            running: None,
            product,
            seed,
        };
        patient.begin()?;
        Ok(patient)
    }

    fn begin(&mut self) -> Result<()> {
        // Those of the one before write into the same file.
        self.running = None;
        let (machine, outside) = boot(&self.product)?;
        let Product {
            services, split, ..
        } = self.product;
        let trial = Trial::begin(machine, services, self.seed, split);
        self.running = Some((trial, outside));
        Ok(())
    }
}

impl super::Patient for Patient {
    fn injure(&mut self, kind: Kind, seed: u64) -> Result<Case> {
        let (trial, _) = self.running.as_mut().context("no process 1 runs")?;
        trial.injure(kind, &mut Random::new(seed))
    }

    fn again(&mut self) -> Result<()> {
        self.begin()
    }

    fn requests(&self) -> u64 {
        let running = self.running.as_ref();
        running.map_or(0, |(trial, _)| trial.requests())
    }

    fn console(&self) -> PathBuf {
        self.product.console()
    }
}
