//! This file is how the program begins: as process 1, or as the tool that talks to it.

use crate::Linux;
#[cfg(feature = "freestanding")]
use crate::carried;
#[cfg(feature = "freestanding")]
use crate::left::Left;
#[cfg(feature = "freestanding")]
use crate::region::SPLIT;
use crate::split::{self, Decide};
use crate::sys::fd;
#[cfg(feature = "freestanding")]
use crate::sys::shared::Once;
#[cfg(feature = "freestanding")]
use core::cell::Cell;
use init_core::Driver;
use init_core::cmdline;
use init_core::event::BootOptions;
use init_core::hal::{Clock, Platform};
use init_core::report::Report;
use init_core::tool::Words;
use init_core::unit::Manifest;

/// Bytes of the kernel command line that are read; arm64's own limit is 2048.
const COMMAND_LINE_BYTES_MAX: usize = 2_048;

/// All memory of process 1 but its stacks. What is always used comes first, so that it is on as few
/// pages as possible.
#[cfg(feature = "freestanding")]
#[derive(Debug)]
#[repr(C)]
pub struct Memory<const UNITS: usize> {
    core: init_core::Storage<UNITS>,
    system: crate::Storage<UNITS>,
    buffers: crate::Buffers,
}

#[cfg(feature = "freestanding")]
impl<const UNITS: usize> Memory<UNITS> {
    /// A core of these tables.
    #[cfg(feature = "exchange")]
    pub(crate) fn core(&'static mut self, manifest: &'static Manifest) -> init_core::Core<'static> {
        self.core.core(manifest)
    }

    /// Memory in which nothing has happened.
    #[expect(clippy::new_without_default, reason = "made once, in a static")]
    pub const fn new() -> Self {
        Self {
            core: init_core::Storage::new(),
            system: crate::Storage::new(),
            buffers: crate::Buffers::new(),
        }
    }
}

/// What this run of the program is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Process 1 of a machine or a container.
    Init,
    /// The control tool.
    Tool,
    /// An image that is to show whether it could be process 1.
    Trial,
}

/// What to be: process 1 is init whatever its name; everyone else is the tool, but for an image
/// that process 1 tries.
pub fn role(arguments: Words<'_>) -> Role {
    if rustix::process::getpid().as_raw_nonzero().get() == 1 {
        Role::Init
    } else if is_on_trial(arguments(0)) {
        Role::Trial
    } else {
        Role::Tool
    }
}

/// Whether it was called by the name that an image on trial has.
fn is_on_trial(name: Option<&[u8]>) -> bool {
    #[cfg(feature = "freestanding")]
    let is_it = carried::upgrades().is_some() && name == Some(crate::sys::image::TRIAL.to_bytes());
    #[cfg(not(feature = "freestanding"))]
    let is_it = {
        let _ = name;
        false
    };
    is_it
}

/// Runs as init in process 1, as the control tool elsewhere; the exit code.
#[cfg(feature = "freestanding")]
pub fn run<const UNITS: usize>(
    manifest: &'static Manifest,
    memory: &'static Once<Memory<UNITS>>,
    arguments: crate::Arguments,
) -> u8 {
    let words: Words<'_> = &|index| arguments.get(index);
    match role(words) {
        Role::Tool => return crate::sctl(words),
        Role::Trial => {
            let core = memory.take().map(|memory| memory.core.core(manifest));
            let code = carried::upgrades();
            return core.zip(code).map_or(1, |(mut core, code)| {
                (code.stand_trial)(&mut core, manifest)
            });
        }
        Role::Init => {}
    }
    crate::sys::fault::install();
    crate::sys::image::remember(arguments);
    let Some(memory) = memory.take() else {
        return 1;
    };
    let left = Left::find(manifest, &mut memory.buffers);
    let is_heir = left.is_heir();
    if SPLIT {
        let platform = Linux::new(manifest, &mut memory.system, left);
        let core = Cell::new(Some(&mut memory.core));
        begin_split(platform, is_heir, manifest, words, &|remote, options| {
            if let Some(core) = core.take() {
                decide(&mut Driver::new(core.core(manifest), remote), options);
            }
        });
        return 0;
    }
    // Descriptors are closed when the program ends, which it does next.
    let mut driver = Driver::new(
        memory.core.core(manifest),
        Linux::new(manifest, &mut memory.system, left),
    );
    driver.platform().enter(is_heir);
    begin(&mut driver, manifest, words);
    core::mem::forget(driver);
    0
}

/// As [`begin`], with a core that is a process of its own and does what `decide` does.
#[inline(never)]
pub fn begin_split(
    mut platform: Linux,
    is_heir: bool,
    manifest: &'static Manifest,
    arguments: Words<'_>,
    decide: Decide<'_>,
) {
    platform.enter(is_heir);
    let options = options(&mut platform, manifest, arguments);
    split::keep(platform, manifest, options, decide);
}

/// Is a core that is a process of its own: goes on where another died, or boots.
#[cfg(feature = "freestanding")]
pub(crate) fn decide(
    driver: &mut Driver<'_, init_core::relay::Remote<split::CoreEnd>>,
    options: BootOptions,
) {
    if !driver.resume() {
        driver.boot(options);
    }
    driver.run();
}

/// Goes on where a life before this one died, or reads the boot's choices and boots; then runs the
/// machine. Returns when the last act was refused, as in a
/// container: the caller ends the program.
#[inline(never)]
pub fn begin(driver: &mut Driver<'_, Linux>, manifest: &'static Manifest, arguments: Words<'_>) {
    if !driver.resume() {
        if crate::region::HEALS && driver.platform().heritage.is_some() {
            driver.platform().console.drain();
            crate::heal::go_back();
        }
        let options = options(driver.platform(), manifest, arguments);
        driver.boot(options);
    }
    driver.run();
}

/// What the kernel command line and the program's arguments choose. Apart from [`begin`], so that
/// its buffer does not stay on the stack.
#[inline(never)]
fn options(platform: &mut Linux, manifest: &'static Manifest, arguments: Words<'_>) -> BootOptions {
    let report = Report::new(manifest);
    let mut options = BootOptions::default();
    let now = platform.now();
    let mut buffer = [0; COMMAND_LINE_BYTES_MAX];
    let line = if platform.in_container {
        &[]
    } else {
        command_line(&mut buffer)
    };
    cmdline::read_line(line, manifest, &mut options, &mut |warning| {
        report.warning(platform.console(), now, &warning);
    });
    for index in 1..u16::MAX {
        let Some(text) = arguments(index.into()) else {
            break;
        };
        if let Err(warning) = cmdline::read_argument(text, index, manifest, &mut options) {
            report.warning(platform.console(), now, &warning);
        }
    }
    options
}

/// The kernel command line without its newline; empty if it cannot be read.
fn command_line(buffer: &mut [u8]) -> &[u8] {
    let Ok(file) = fd::open_to_read(c"/proc/cmdline") else {
        return &[];
    };
    let count = rustix::io::read(&file, &mut *buffer).unwrap_or(0);
    match buffer.get(..count).unwrap_or(&[]) {
        [line @ .., b'\n'] | line => line,
    }
}
