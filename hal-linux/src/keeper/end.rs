//! This file takes a machine down whose process 1 has nothing left to do. Were it to end, the
//! kernel would panic.

use crate::power;
use crate::sys::clock::since_boot;
use crate::sys::process::{self, Fork};
use crate::sys::wait;
use init_core::keeper::options::Finally;
use init_core::time::Duration;
use rustix::system::{RebootCommand, reboot};

/// How long detaching file systems may take: a device that does not answer must not keep the
/// machine up.
const DETACH_LIMIT: Duration = Duration::from_secs(20);

/// Whether this process 1 is a machine's and not a container's. Then Ctrl-Alt-Del is a SIGINT from
/// now on.
pub(super) fn is_machine() -> bool {
    reboot(RebootCommand::CadOff).is_ok()
}

/// Detaches file systems in a child, then switches off. Returns if that is refused.
pub(super) fn go_down(finally: Finally) {
    match process::fork().map(Fork::child) {
        Ok(None) => {
            power::detach_all();
            process::exit(0)
        }
        Ok(Some(pid)) => {
            is_over(pid, DETACH_LIMIT);
        }
        Err(_) => {}
    }
    let _ = reboot(match finally {
        Finally::PowerOff => RebootCommand::PowerOff,
        Finally::Reboot => RebootCommand::Restart,
        Finally::Halt => RebootCommand::Halt,
    });
}

/// Waits for a child's end, at most so long, and lets it go; whether it has ended. What tells of
/// others' ends is lost: whoever sleeps next looks at them before.
pub(super) fn is_over(pid: u32, limit: Duration) -> bool {
    let deadline = since_boot().after(limit);
    loop {
        wait::reap(pid);
        let left = deadline.since(since_boot());
        let is_there = wait::is_child(pid);
        if !is_there || left == Duration::ZERO {
            return !is_there;
        }
        wait::child(left);
    }
}
