//! This file is the machine's last act: file systems detached, caches written, then the kernel's
//! own call. Whatever of it may wait is done by a child; process 1 waits for that only so long.

use crate::linux::Linux;
use crate::probe::each_line;
use crate::sys::fd;
use crate::sys::process::{self, Fork};
use core::ffi::CStr;
use init_core::effect::FinalAction;
use init_core::hal::{Clock, Power};
use init_core::time::Instant;
use rustix::fs::Mode;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Signal, WaitOptions};
use rustix::system::{RebootCommand, reboot};
use rustix::thread::clock_nanosleep_relative;
use rustix::time::{ClockId, Timespec};

/// Between two looks whether the last child has ended.
const LOOK_AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

/// Rounds of unmounting: each can free what the next detaches (a loop device, say).
const ROUND_COUNT_MAX: usize = 8;

/// Longest mount point that is detached by name.
const PATH_BYTES_MAX: usize = 256;

/// Mount points looked at; the rest is written back by sync and left.
const MOUNT_COUNT_MAX: usize = 64;

/// File systems without anything to lose: left alone, the last steps still read some of them.
const VIRTUAL: [&[u8]; 12] = [
    b"proc",
    b"sysfs",
    b"devtmpfs",
    b"devpts",
    b"tmpfs",
    b"ramfs",
    b"rootfs",
    b"cgroup2",
    b"cgroup",
    b"securityfs",
    b"debugfs",
    b"mqueue",
];

impl Power for Linux {
    fn finish(&mut self, action: FinalAction, deadline: Instant) {
        match process::fork() {
            Ok(Fork::Child) => {
                detach_all();
                process::exit(0)
            }
            Ok(Fork::Parent(pid)) => self.wait_for(pid, deadline),
            // No process can be made: at least ask the kernel to write back what it has.
            Err(_) => {}
        }
        self.console.drain();
        let command = match action {
            FinalAction::PowerOff => RebootCommand::PowerOff,
            FinalAction::Reboot => RebootCommand::Restart,
            FinalAction::Halt => RebootCommand::Halt,
            FinalAction::Kexec => RebootCommand::Kexec,
        };
        // Returns only if it is refused: in a container without the right, or without a kernel
        // loaded for kexec.
        let _ = reboot(command);
        if action == FinalAction::Kexec {
            let _ = reboot(RebootCommand::Restart);
        }
    }
}

impl Linux {
    fn wait_for(&mut self, pid: u32, deadline: Instant) {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        while self.now() < deadline {
            self.console.drain();
            match rustix::process::waitpid(pid, WaitOptions::NOHANG) {
                Ok(None) => {
                    let _ = clock_nanosleep_relative(ClockId::Monotonic, &LOOK_AGAIN);
                }
                Ok(Some(_)) | Err(_) => return,
            }
        }
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// Swap off, then unmount or remount read-only until nothing more gives way, then sync.
fn detach_all() {
    each_line(c"/proc/swaps", |line| {
        if let Some(path) = line.split(|byte| *byte == b' ').next()
            && path.first() == Some(&b'/')
        {
            with_c_string(path, |path| {
                let _ = process::swap_off(path);
            });
        }
        true
    });
    rustix::fs::sync();
    for _ in 0..ROUND_COUNT_MAX {
        if !detach_round() {
            break;
        }
    }
    rustix::fs::sync();
}

/// One round, the latest mount first; whether anything was detached.
fn detach_round() -> bool {
    let mut ends: heapless::Vec<heapless::Vec<u8, PATH_BYTES_MAX>, MOUNT_COUNT_MAX> =
        heapless::Vec::new();
    each_line(c"/proc/self/mounts", |line| {
        let mut fields = line.split(|byte| *byte == b' ').skip(1);
        let (at, kind) = (fields.next().unwrap_or(&[]), fields.next().unwrap_or(&[]));
        let writable = fields
            .next()
            .is_some_and(|options| options.starts_with(b"rw"));
        if !VIRTUAL.contains(&kind) && (writable || at != b"/") {
            // One that is too long or too many stays mounted; sync has written it back.
            let mut path = heapless::Vec::new();
            if at.iter().all(|byte| path.push(*byte).is_ok()) {
                let _ = ends.push(path);
            }
        }
        true
    });
    let mut any = false;
    for at in ends.iter().rev() {
        with_c_string(at, |at| {
            let gone = rustix::mount::unmount(at, UnmountFlags::NOFOLLOW).is_ok();
            let read_only = || rustix::mount::mount_remount(at, MountFlags::RDONLY, c"").is_ok();
            if gone {
                any = true;
            } else {
                let _ = read_only();
            }
        });
    }
    any
}

/// The mount table writes blanks in names as `\040`; such names are left to sync.
fn with_c_string(bytes: &[u8], then: impl FnOnce(&CStr)) {
    let mut path: heapless::Vec<u8, PATH_BYTES_MAX> = heapless::Vec::new();
    if bytes
        .iter()
        .chain([&0])
        .any(|byte| path.push(*byte).is_err())
    {
        return;
    }
    if let Ok(path) = CStr::from_bytes_with_nul(&path) {
        then(path);
    }
}

/// Mounts `/proc` if it is not there, so that the kernel command line can be read.
pub(crate) fn ensure_proc() {
    if fd::open_to_read(c"/proc/cmdline").is_ok() {
        return;
    }
    let _ = rustix::fs::mkdir(c"/proc", Mode::from_raw_mode(0o555));
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let _ = rustix::mount::mount(c"proc", c"/proc", c"proc", flags, c"");
}
