//! This file runs process 1 with the campaign's services in namespaces of its own.
//!
//! Needs root and util-linux. A machine that is dropped is killed with all it runs.

use super::record::Record;
use super::witness::{Line, Role};
use crate::{build, house};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far above what the start of 500 services takes on a slow, busy machine.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at something that has not happened yet.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// /run is its own, so that machines beside it and the host's keep theirs.
const OWN_RUN: &str = "mount -t tmpfs tmpfs /run && exec \"$@\"";

/// What a product says whose core is a process of its own. A campaign has no time for the silence
/// that is usual; it is longer than a tracer takes for its steps.
const SPLIT: &str = "[product]\ncomposition = \"split\"\ncore-timeout = \"1s\"\n";

/// The name of a service.
pub fn unit_name(index: usize) -> String {
    format!("witness@{index}")
}

/// What is started: a program and the folder of its files.
#[derive(Debug)]
pub struct Product {
    program: PathBuf,
    folder: PathBuf,
    services: usize,
    /// The core is a process of its own.
    pub split: bool,
    /// Nobody else uses the folder as long as this is open.
    _lock: File,
}

impl Product {
    /// Builds process 1 of a product with so many services.
    ///
    /// # Errors
    /// No board has this machine's processor, or the build fails.
    pub fn build(services: usize, seed: u64, heals: bool, split: bool) -> Result<Self> {
        let boards = house::boards()?;
        let own = |board: &&manifests::board::Board| {
            board.triple.starts_with(std::env::consts::ARCH) && board.debian_suite.is_none()
        };
        let board = boards.iter().find(own).with_context(|| {
            let arch = std::env::consts::ARCH;
            format!("no board has this machine's processor, {arch}")
        })?;
        let folder = house::target().join("heal");
        std::fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock()
            .context("another campaign runs in this checkout; wait for its end")?;
        let kind = if split { "-split" } else { "" };
        let product = folder.join(format!("heal-{services}{kind}.toml"));
        let journal = folder.join("witnesses");
        let witness = std::env::current_exe()?;
        let mut text = manifest(services, &board.name, &witness, seed, &journal)?;
        if split {
            text = text.replacen("[product]\n", SPLIT, 1);
        }
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
            folder,
            services,
            split,
            _lock: lock,
        })
    }

    /// Where process 1's console goes.
    pub fn console(&self) -> PathBuf {
        self.folder.join("console")
    }
}

/// The product: every service a witness, restarted for ever and at once.
fn manifest(
    services: usize,
    board: &str,
    witness: &Path,
    seed: u64,
    journal: &Path,
) -> Result<String> {
    let witness = toml::Value::from(witness.to_str().context("a path is no text")?);
    let journal = toml::Value::from(journal.to_str().context("a path is no text")?);
    let mut text = format!(
        "# Written by `cargo xtask heal`.\n\
         [product]\nname = \"heal\"\nboards = [\"{board}\"]\ndefault-target = \"all\"\n\n\
         [target.all]\nwants = [\"witness\"]\n\n\
         [service.witness]\ninstances = ["
    );
    for index in 0..services {
        write!(text, "\"{index}\", ")?;
    }
    write!(
        text,
        "]\nexec = [{witness}, \"witness\", \"{{instance}}\", \"{seed}\", {journal}]\n\
         stdout = \"null\"\nstderr = \"null\"\nrestart = \"always\"\n\
         backoff = {{ from = \"1ms\", to = \"1ms\", reset-after = \"1h\" }}\n\
         start-limit = {{ count = 0, within = \"1min\", then = \"fail\" }}\n"
    )?;
    Ok(text)
}

/// A running process 1.
#[derive(Debug)]
pub struct Machine {
    /// `unshare`, whose only child is process 1.
    outside: Child,
    /// Process 1's number outside, and the moment of its start as the kernel counts it.
    pid: u32,
    born: String,
    journal: File,
    /// A line of which only the beginning was there.
    unfinished: String,
    /// What the witnesses told.
    pub record: Record,
}

impl Machine {
    /// Starts process 1 and waits until every service has begun.
    ///
    /// # Errors
    /// It does not start, or a service does not begin in time.
    pub fn boot(product: &Product) -> Result<Self> {
        let path = product.folder.join("witnesses");
        File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let console = File::options()
            .append(true)
            .create(true)
            .open(product.console())?;
        let outside = Command::new("unshare")
            .args(["--pid", "--fork", "--mount", "--uts", "--net", "--ipc"])
            .args(["--mount-proc", "--kill-child", "--"])
            .args(["sh", "-c", OWN_RUN, "sh"])
            .arg(&product.program)
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .spawn()
            .context("cannot start unshare; it is part of util-linux")?;
        let mut machine = Self {
            outside,
            pid: 0,
            born: String::new(),
            journal: File::open(&path)?,
            unfinished: String::new(),
            record: Record::new(product.services),
        };
        machine.wait_for_all(&product.console())?;
        Ok(machine)
    }

    fn wait_for_all(&mut self, console: &Path) -> Result<()> {
        let until = Instant::now() + BOOT_LIMIT;
        let console = console.display();
        while !self.record.all_begun() {
            ensure!(
                !self.has_ended(),
                "process 1 ended while it booted (it takes root); its console is {console}"
            );
            ensure!(
                Instant::now() < until,
                "not every service began within {} s; process 1's console is {console}",
                BOOT_LIMIT.as_secs()
            );
            std::thread::sleep(POLL_INTERVAL);
            self.pid = self.child().unwrap_or_default();
            self.read_record()?;
        }
        self.born = birth(self.pid).context("process 1 ended after its boot")?;
        Ok(())
    }

    /// Process 1's number outside.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The number of the core's process outside.
    ///
    /// # Errors
    /// There is none for long.
    pub fn core(&self) -> Result<u32> {
        let until = Instant::now() + BOOT_LIMIT;
        let file = format!("/proc/{0}/task/{0}/children", self.pid);
        while Instant::now() < until {
            let children = std::fs::read_to_string(&file).unwrap_or_default();
            for pid in children.split_whitespace() {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
                if name.is_ok_and(|name| name.trim_end() == "init-core") {
                    return Ok(pid.parse()?);
                }
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        bail!("process 1 has no core")
    }

    /// The number of a service's process outside.
    ///
    /// # Errors
    /// There is none.
    pub fn witness(&self, unit: usize) -> Result<u32> {
        let file = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = std::fs::read_to_string(&file)?;
        let mut pids = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        let pid = pids.find(|pid| is_witness(&format!("/proc/{pid}/cmdline"), unit));
        pid.with_context(|| format!("service {unit} has no process"))
    }

    fn child(&self) -> Option<u32> {
        let outside = self.outside.id();
        let file = format!("/proc/{outside}/task/{outside}/children");
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    /// Whether process 1 is gone.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.outside.try_wait(), Ok(None))
    }

    /// Whether process 1 is still the process that booted.
    pub fn is_the_same(&self) -> bool {
        self.child() == Some(self.pid) && birth(self.pid).as_ref() == Some(&self.born)
    }

    /// The control socket, as seen from outside.
    pub fn socket(&self) -> PathBuf {
        format!("/proc/{}/root/run/sysmaster/control", self.pid).into()
    }

    /// Takes in what the witnesses have written since.
    ///
    /// # Errors
    /// Their file cannot be read, or holds what no witness writes.
    pub fn read_record(&mut self) -> Result<()> {
        self.journal.read_to_string(&mut self.unfinished)?;
        let end = self.unfinished.rfind('\n').map_or(0, |end| end + 1);
        let rest = self.unfinished.split_off(end);
        let whole = std::mem::replace(&mut self.unfinished, rest);
        let pid = self.pid;
        for text in whole.lines() {
            let Some(line) = Line::read(text) else {
                bail!("no witness writes {text:?}");
            };
            self.record.take(line, |unit, its| lives(pid, unit, its));
        }
        Ok(())
    }

    /// Looks for steady services whose process is gone.
    pub fn look_for_lost(&mut self) {
        let pid = self.pid;
        self.record.look_for_lost(|unit, its| lives(pid, unit, its));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // `--kill-child`: all inside go with it. Gone already is as good.
        let _ = self.outside.kill();
        let _ = self.outside.wait();
    }
}

/// Whether process `pid` of the machine is a living witness of the unit.
fn lives(machine: u32, unit: usize, pid: u32) -> bool {
    is_witness(&format!("/proc/{machine}/root/proc/{pid}/cmdline"), unit)
}

fn is_witness(command_line: &str, unit: usize) -> bool {
    let Ok(line) = std::fs::read(command_line) else {
        return false;
    };
    // A process that ended and was not reaped yet has no command line.
    let mut words = line.split(|byte| *byte == 0).skip(1);
    words.next() == Some(b"witness") && words.next() == Some(unit.to_string().as_bytes())
}

/// When a process was started, in the kernel's ticks.
fn birth(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The 22nd word; the second is a name in parentheses, which may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(19).map(str::to_string)
}

/// The indices of the services with a role.
pub fn units(services: usize, role: Role) -> Vec<usize> {
    (0..services)
        .filter(|unit| Role::of(*unit) == role)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_product_is_a_good_manifest_with_every_service() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("heal-10.toml");
        let board = house::board("pc-x86_64").expect("it is of the house");
        let (witness, journal) = (Path::new("/bin/true"), Path::new("/a \"b\"/c"));
        let text = manifest(10, &board.name, witness, 7, journal).expect("both are text");
        std::fs::write(&file, &text).expect("there is room");
        for index in 0..10 {
            assert!(text.contains(&format!("\"{index}\"")), "{text}");
        }
        let table: toml::Table = toml::from_str(&text).expect("it is TOML");
        assert!(table.contains_key("service"));
    }
}
