//! This file is the program before process 1's, where the kernel cannot reach the disk by itself:
//! it loads the modules that lead there, makes the disk the root and executes `/init` from it.
//!
//! It understands the kernel's own words `root=`, `rootfstype=`, `rootflags=`, `ro`, `rw`,
//! `rootwait` and `init=`, so a kernel that has the drivers built in boots the same disk with the
//! same command line and without this program. It runs alone in an initramfs: nothing is supervised
//! yet, so it may wait. When it cannot go on it says why and ends, which the kernel takes as it
//! takes a missing root: `panic=` on the command line decides what follows.

use crate::bytes::{Bytes, Fields};
use crate::cause::Cause;
use crate::lines::Lines;
use crate::sys::fd::{self, Fd};
use crate::sys::module;
use crate::sys::text::c_text;
use crate::{Arguments, probe};
use core::ffi::CStr;
use init_core::report::{LINE_BYTES_MAX, Line};
use rustix::mount::{MountFlags, UnmountFlags};

/// The initramfs's list of modules: a path a line, in the order in which they are loaded.
pub const MODULES: &CStr = c"/modules";

/// Where the disk is mounted before it becomes the root.
const PLACE: &CStr = c"/root";

/// Longest operand on the kernel command line, with its end.
const WORD_BYTES_MAX: usize = 256;

/// Bytes of the kernel command line that are read; arm64's own limit is 2048.
const COMMAND_LINE_BYTES_MAX: usize = 2_048;

/// Between two looks for the disk's device.
const LOOK_MS: u16 = 20;

/// How often the device is looked for, which takes ten seconds; for ever with `rootwait`. An SD
/// card needs one second.
const LOOK_COUNT_MAX: u32 = 500;

type Word = Bytes<WORD_BYTES_MAX>;

/// What the command line says of the root.
struct Root {
    device: Word,
    kind: Word,
    options: Word,
    init: Word,
    flags: MountFlags,
    waits: bool,
}

/// What failed, with its operand.
struct Trouble<'a>(&'static str, &'a [u8], Cause);

/// Goes over to the disk. Returns the exit code, and only when that failed.
pub fn early(arguments: Arguments) -> u8 {
    let own = mount_own();
    let root = read_command_line();
    let Trouble(step, operand, Cause(error)) = own
        .and_then(|()| go_over(&root))
        .map_or_else(|trouble| trouble, |()| execute(&root, arguments));
    let mut room = [0; LINE_BYTES_MAX];
    let mut line = Line::new(&mut room);
    line.text("early: ").text(step).bytes(operand);
    say(line.text(": ").errno(error).end());
    1
}

fn mount_own() -> Result<(), Trouble<'static>> {
    for (kind, at) in [(c"proc", c"/proc"), (c"devtmpfs", c"/dev")] {
        rustix::mount::mount(kind, at, kind, MountFlags::empty(), None)
            .map_err(|error| Trouble("mount ", at.to_bytes(), error.into()))?;
    }
    Ok(())
}

fn execute(root: &Root, arguments: Arguments) -> Trouble<'_> {
    let cause = arguments.execute(text(&root.init));
    Trouble("execute ", trimmed(&root.init), cause.into())
}

fn go_over(root: &Root) -> Result<(), Trouble<'_>> {
    load_modules();
    let device = trimmed(&root.device);
    let trouble = |step, cause| Trouble(step, device, cause);
    if !device.starts_with(b"/dev/") {
        // Names such as PARTUUID= are the kernel's own; user space would have to read the disks.
        return Err(trouble(
            "root= must be a path below /dev, not ",
            Cause::INVALID,
        ));
    }
    wait_for(root).map_err(|cause| trouble("wait for ", cause))?;
    let data = (!trimmed(&root.options).is_empty()).then(|| text(&root.options));
    rustix::mount::mount(
        text(&root.device),
        PLACE,
        text(&root.kind),
        root.flags,
        data,
    )
    .map_err(|error| trouble("mount ", error.into()))?;
    leave().map_err(|cause| trouble("make the root of ", cause))
}

/// Makes the disk the root, and gives the memory of what is left behind back.
fn leave() -> Result<(), Cause> {
    // Process 1 mounts its own, as it does where it is started by the kernel.
    for at in [c"/proc", c"/dev"] {
        rustix::mount::unmount(at, UnmountFlags::DETACH)?;
    }
    for file in [MODULES, c"/init"] {
        // What stays costs memory and nothing else.
        let _ = rustix::fs::unlink(file);
    }
    rustix::process::chdir(PLACE)?;
    rustix::mount::mount_move(c".", c"/")?;
    rustix::process::chroot(c".")?;
    Ok(rustix::process::chdir(c"/")?)
}

fn read_command_line() -> Root {
    let mut root = Root {
        device: word(b""),
        kind: word(b"ext4"),
        options: word(b""),
        init: word(b"/init"),
        flags: MountFlags::RDONLY,
        waits: false,
    };
    let mut buffer = [0; COMMAND_LINE_BYTES_MAX];
    let count = fd::open_to_read(c"/proc/cmdline")
        .ok()
        .and_then(|file| rustix::io::read(&file, &mut buffer).ok());
    let line = buffer.get(..count.unwrap_or(0)).unwrap_or_default();
    for field in Fields::of(line.trim_ascii_end()) {
        match field {
            b"ro" => root.flags.insert(MountFlags::RDONLY),
            b"rw" => root.flags.remove(MountFlags::RDONLY),
            b"rootwait" => root.waits = true,
            _ => read_operand(&mut root, field),
        }
    }
    root
}

fn read_operand(root: &mut Root, field: &[u8]) {
    let operands = [
        (&b"root="[..], &mut root.device),
        (b"rootfstype=", &mut root.kind),
        (b"rootflags=", &mut root.options),
        (b"init=", &mut root.init),
    ];
    for (name, place) in operands {
        if let Some(value) = field.strip_prefix(name) {
            *place = word(value);
        }
    }
}

/// Loads every module of the list; one that fails is told, and the disk may be there without it.
fn load_modules() {
    let mut lines = Lines::of(MODULES);
    while let Some(path) = lines.next() {
        let path = word(path);
        if let Err(error) = module::load(text(&path)) {
            let mut room = [0; LINE_BYTES_MAX];
            let mut line = Line::new(&mut room);
            line.text("early: load ").bytes(trimmed(&path));
            say(line.text(": ").errno(error).end());
        }
        let _ = rustix::fs::unlink(text(&path));
    }
}

/// Waits for the root's device.
fn wait_for(root: &Root) -> Result<(), Cause> {
    let mut count = 0_u32;
    loop {
        match rustix::fs::stat(text(&root.device)) {
            Ok(_) => return Ok(()),
            Err(error) if count == LOOK_COUNT_MAX && !root.waits => return Err(error.into()),
            Err(_) => {}
        }
        if count == LOOK_COUNT_MAX {
            let mut room = [0; LINE_BYTES_MAX];
            let mut line = Line::new(&mut room);
            line.text("early: still waiting for ");
            say(line.bytes(trimmed(&root.device)).end());
        }
        probe::pause(None, LOOK_MS);
        count = count.saturating_add(1);
    }
}

/// A word with its end; one that is too long is empty.
fn word(value: &[u8]) -> Word {
    let mut word = Word::new();
    for byte in value.iter().chain([&0]) {
        if word.push(*byte).is_none() {
            word.truncate(0);
            break;
        }
    }
    word
}

fn text(word: &Word) -> &CStr {
    c_text(word).unwrap_or_default()
}

fn trimmed(word: &Word) -> &[u8] {
    text(word).to_bytes()
}

fn say(line: &[u8]) {
    // There is nobody to tell that nothing can be told.
    let _ = rustix::io::write(Fd::OUTPUT, line);
}
