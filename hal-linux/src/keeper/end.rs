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
        Ok(Some(_)) => wait_for_end(),
        Err(_) => {}
    }
    let _ = reboot(match finally {
        Finally::PowerOff => RebootCommand::PowerOff,
        Finally::Reboot => RebootCommand::Restart,
        Finally::Halt => RebootCommand::Halt,
    });
}

fn wait_for_end() {
    let deadline = since_boot().after(DETACH_LIMIT);
    loop {
        while let Ok(Some(ended)) = wait::ended() {
            wait::reap(ended.pid);
        }
        let left = deadline.since(since_boot());
        if wait::ended().is_err() || left == Duration::ZERO {
            return;
        }
        let _ = wait::signal(Some(left));
    }
}
