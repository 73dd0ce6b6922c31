//! This program measures on a board, within its virtual machine: `referee FOLDER` performs the
//! order that lies there and says on the console what was measured.
//!
//! It needs root, and makes what a whole system would have made: cgroups, and a root from which
//! another can be made.

use anyhow::{Context, Result};
use bench_lives::order::{Answer, Order};
use bench_lives::rows::Lives;
use bench_lives::samples::Samples;
use rustix::mount::{MountFlags, mount, mount_bind_recursive, mount_move};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many lines were said.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Where the kernel records who is given the processor.
const TRACING: &str = "/sys/kernel/tracing";

/// The hierarchies of cgroups: folder, type, options.
const HIERARCHIES: [(&str, &str, &str); 4] = [
    ("cpuacct", "cgroup", "cpuacct"),
    ("memory", "cgroup", "memory"),
    ("systemd", "cgroup", "none,name=systemd"),
    ("unified", "cgroup2", ""),
];

const CGROUPS: &str = "/sys/fs/cgroup";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let done = match words.as_slice() {
        [_, folder] => measure(Path::new(folder)),
        _ => Err(anyhow::anyhow!("referee FOLDER")),
    };
    if let Err(error) = done {
        say(&Answer::Failure(format!("{error:#}")));
    }
    let count = COUNT.load(Ordering::Relaxed);
    say(&Answer::End(count));
    ExitCode::SUCCESS
}

fn measure(folder: &Path) -> Result<()> {
    let order = Order::read(folder)?;
    leave_rootfs().context("making a root that can be left")?;
    make_cgroups()?;
    mount(
        "tracefs",
        TRACING,
        "tracefs",
        MountFlags::empty(),
        None::<&std::ffi::CStr>,
    )
    .with_context(|| format!("mounting {TRACING}"))?;
    let mut samples = Samples::default();
    let system = rustix::system::uname();
    let kernel = [system.sysname(), system.release()].map(|part| part.to_string_lossy());
    samples.say("kernel", "machine", &kernel.join(" "));
    let mut lives = Lives {
        folder,
        say: |words| say(&Answer::Progress(words.to_string())),
        contenders: &order.contenders,
        extent: &order.extent,
        samples: &mut samples,
        failures: Vec::new(),
    };
    lives.perform();
    let failures = lives.failures;
    for failure in failures {
        say(&Answer::Failure(failure));
    }
    for answer in samples.all() {
        say(&answer);
    }
    Ok(())
}

/// The first root of a kernel cannot be exchanged for another, so this program's becomes one over
/// it, with the same files.
fn leave_rootfs() -> Result<()> {
    mount_bind_recursive("/", "/mnt")?;
    std::env::set_current_dir("/mnt")?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    std::env::set_current_dir("/")?;
    Ok(())
}

fn make_cgroups() -> Result<()> {
    let none = MountFlags::empty();
    mount("tmpfs", CGROUPS, "tmpfs", none, None::<&std::ffi::CStr>)
        .with_context(|| format!("mounting {CGROUPS}"))?;
    for (name, kind, options) in HIERARCHIES {
        let folder = Path::new(CGROUPS).join(name);
        std::fs::create_dir(&folder)?;
        let options = std::ffi::CString::new(options)?;
        let options = (!options.is_empty()).then_some(options.as_c_str());
        mount(name, &folder, kind, none, options)
            .with_context(|| format!("mounting the cgroups {name}"))?;
    }
    Ok(())
}

fn say(answer: &Answer) {
    if !matches!(answer, Answer::End(_)) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    // Without a console nobody hears it.
    let _ = std::io::stdout().write_all(answer.line().as_bytes());
}
