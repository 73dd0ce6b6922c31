//! This file is the machine's last act: file systems detached, caches written, then the kernel's
//! own call. Whatever of it may wait is done by a child; process 1 waits for that only so long.

use crate::bytes::{Bytes, Fields};
use crate::lines::Lines;
use crate::linux::Linux;
use crate::region::HEALS;
use crate::sys::fd;
use crate::sys::process;
use crate::sys::text::c_text;
use crate::sys::wait;
use init_core::effect::FinalAction;
use init_core::hal::{Clock, Power};
use init_core::text::index;
use init_core::time::{Duration, Instant};
use rustix::fs::Mode;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Pid, WaitOptions};
use rustix::system::{RebootCommand, reboot};

/// While helpers are waited for, lines that wait are given to the console so often.
const CONSOLE_PAUSE: Duration = Duration::from_ms(20);

/// Rounds of unmounting: each can free what the next detaches (a loop device, say).
const ROUND_COUNT_MAX: usize = 8;

/// Longest mount point that is detached by name.
const PATH_BYTES_MAX: usize = 256;

/// A path, ended with nul.
type Path = Bytes<PATH_BYTES_MAX>;

/// Mount points tried in a round; the rest is written back by sync and left.
const TRIED_COUNT_MAX: u16 = 256;

/// File systems without anything to lose: left alone, the last steps still read some of them.
const VIRTUAL: &str = "proc sysfs devtmpfs devpts rootfs cgroup2 cgroup securityfs debugfs mqueue ";

/// File systems in memory: they go too, as they may lie on top of others.
const TEMPORARY: &str = "tmpfs ramfs ";

/// Where those stay.
const KEPT: &str = "/ /dev /run ";

impl Power for Linux {
    #[inline(never)]
    fn finish(&mut self, action: FinalAction, deadline: Instant) {
        self.leave_watchdog();
        // Two children, so that caches are written back whatever detaching gets stuck on. A
        // container's file systems are its host's: making those read-only would reach the host.
        let detacher = if self.in_container {
            None
        } else {
            helper(&detach_all)
        };
        self.wait_for(&mut [helper(&rustix::fs::sync), detacher], deadline);
        self.console.drain();
        if HEALS && let (FinalAction::Reboot, Some(word)) = (action, self.restart_word) {
            // Refused, or not understood by the board: it starts anew as ever.
            let _ = process::restart(word);
        }
        let command = match action {
            FinalAction::PowerOff => RebootCommand::PowerOff,
            FinalAction::Reboot => RebootCommand::Restart,
            FinalAction::Halt => RebootCommand::Halt,
            FinalAction::Kexec => RebootCommand::Kexec,
        };
        // Returns only if it is refused: in a container without the right, or without a kernel
        // loaded for kexec.
        let _ = reboot(command);
        if action == FinalAction::Kexec && !self.in_container {
            let _ = reboot(RebootCommand::Restart);
        }
    }
}

/// Does it in a child; the child's number, if there is one.
pub(crate) fn helper(work: &dyn Fn()) -> Option<Pid> {
    // Not done; the machine goes down all the same.
    let fork = process::fork().ok()?;
    match fork.child() {
        None => {
            work();
            process::exit(0)
        }
        Some(pid) => Pid::from_raw(i32::try_from(pid).ok()?),
    }
}

impl Linux {
    /// Sleeps until the helpers have ended or time is up, whichever comes first. Nothing else is
    /// looked at: what has ended, as a core may have, is told for ever, and what a life that ends
    /// here had taken in is still there for the next.
    pub(crate) fn wait_for(&mut self, helpers: &mut [Option<Pid>], deadline: Instant) {
        loop {
            for helper in &mut *helpers {
                *helper = helper.filter(|pid| {
                    matches!(
                        rustix::process::waitpid(Some(*pid), WaitOptions::NOHANG),
                        Ok(None)
                    )
                });
            }
            self.now.set(None);
            if helpers.iter().all(Option::is_none) || self.now() >= deadline {
                return;
            }
            self.console.drain();
            wait::child(CONSOLE_PAUSE);
        }
    }
}

/// Swap off, then unmount or remount read-only until nothing more gives way, then sync.
pub(crate) fn detach_all() {
    let mut lines = Lines::of(c"/proc/swaps");
    while let Some(line) = lines.next() {
        let path = Fields::of(line).behind(0);
        if path.starts_with(b"/")
            && let Some(path) = unescaped(path)
            && let Some(path) = c_text(&path)
        {
            let _ = process::swap_off(path);
        }
    }
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
    let (mut any, mut stuck) = (false, 0);
    for _ in 0..TRIED_COUNT_MAX {
        let Some(path) = last_mount(stuck) else {
            break;
        };
        let Some(at) = c_text(&path) else {
            break;
        };
        if rustix::mount::unmount(at, UnmountFlags::NOFOLLOW).is_ok() {
            any = true;
        } else {
            let _ = rustix::mount::mount_remount(at, MountFlags::RDONLY, c"");
            stuck = stuck.saturating_add(1);
        }
    }
    any
}

/// The path of the last mount that is to go, ended with nul, but for so many behind it.
fn last_mount(stuck: u16) -> Option<Path> {
    let count = find_mount(u16::MAX).err()?;
    find_mount(count.checked_sub(stuck)?.checked_sub(1)?).ok()
}

/// The mount with this index among those that are to go; or how many there are.
fn find_mount(wanted: u16) -> Result<Path, u16> {
    let mut lines = Lines::of(c"/proc/self/mounts");
    let mut count = 0;
    while let Some(line) = lines.next() {
        let mut fields = Fields::of(line);
        let (at, kind, options) = (fields.behind(1), fields.behind(0), fields.behind(0));
        if !is_detached(at, kind) || (at == b"/" && !options.starts_with(b"rw")) {
            continue;
        }
        // One whose path is too long stays mounted; sync has written it back.
        let Some(path) = unescaped(at) else {
            continue;
        };
        if count == wanted {
            return Ok(path);
        }
        count = count.saturating_add(1);
    }
    Err(count)
}

/// Whether a file system goes: all with something to lose, and temporary ones, which may lie on
/// top of such.
fn is_detached(at: &[u8], kind: &[u8]) -> bool {
    if index(TEMPORARY, kind).is_some() {
        index(KEPT, at).is_none()
    } else {
        index(VIRTUAL, kind).is_none()
    }
}

/// A path of the kernel's tables, ended with nul: they write blanks and the like as a backslash and
/// three octal digits. `None` if it is too long.
fn unescaped(text: &[u8]) -> Option<Path> {
    let mut path = Path::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = if byte == b'\\' { octal(after) } else { None };
        let (byte, after) = escaped.unwrap_or((byte, after));
        path.push(byte)?;
        rest = after;
    }
    path.push(0)?;
    Some(path)
}

/// Three octal digits at the start: their byte and what follows.
fn octal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.split_at_checked(3)?;
    let mut value: u8 = 0;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value = value.checked_mul(8)?.checked_add(digit)?;
    }
    Some((value, rest))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_lose_data_or_lies_on_top_of_it_is_detached() {
        let table: [(&[u8], &[u8], bool); 8] = [
            (b"/", b"ext4", true),
            (b"/data", b"ext4", true),
            (b"/data/cache", b"tmpfs", true),
            (b"/mnt", b"nfs4", true),
            (b"/", b"rootfs", false),
            (b"/run", b"tmpfs", false),
            (b"/dev", b"tmpfs", false),
            (b"/proc", b"proc", false),
        ];
        for (at, kind, wanted) in table {
            assert_eq!(is_detached(at, kind), wanted, "{}", at.escape_ascii());
        }
    }

    #[test]
    fn escapes_of_the_mount_table_are_undone() {
        let table: [(&str, &[u8]); 5] = [
            ("/run", b"/run\0"),
            ("/a\\040b\\134c\\012", b"/a b\\c\n\0"),
            ("/a\\04", b"/a\\04\0"),
            ("/a\\777", b"/a\\777\0"),
            ("", b"\0"),
        ];
        for (text, wanted) in table {
            assert_eq!(&*unescaped(text.as_bytes()).unwrap(), wanted, "{text}");
        }
        assert_eq!(unescaped(&[b'x'; PATH_BYTES_MAX]), None);
    }

    #[test]
    fn mounts_are_found_by_their_index_and_counted() {
        // Whatever is mounted on this host.
        let count = find_mount(u16::MAX).unwrap_err();
        for index in 0..count {
            assert!(find_mount(index).is_ok(), "{index} of {count}");
        }
        assert_eq!(find_mount(count).err(), Some(count));
        assert_eq!(last_mount(count), None);
    }
}
