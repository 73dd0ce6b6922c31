//! This file keeps a core's process from going away though it was killed. Another takes its place.

use crate::machine::{End, Machine};
use crate::split::{self, KILL, core, named, send, services, status, until};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

const STAYS: &str = "it was killed, and its process stays; another takes its place";

/// Another core is there, and serves; no service has noticed.
fn goes_on(machine: &mut Machine, lost: u32, before: &[u32]) {
    machine.wait_for("goes on where it was");
    assert!(machine.sctl(&["list"]).status.success());
    assert_ne!(core(machine), lost, "{}", machine.console());
    assert_eq!(named(machine, "sleep"), before, "{}", machine.console());
}

/// Only its tracer sees that it ended, and does not look.
#[test]
fn a_core_that_is_traced_and_killed_is_replaced_though_its_tracer_keeps_it() {
    let Some(mut machine) = split::boot("holding") else {
        return;
    };
    let before = services(&machine);
    let kept: Vec<u32> = (0..2)
        .map(|_| {
            let lost = core(&machine);
            let pid = Pid::from_raw(lost.try_into().expect("a pid is small"));
            ptrace::seize(pid, ptrace::Options::empty()).expect("it is there");
            send(lost, KILL);
            machine.wait_for(STAYS);
            assert!(status(lost, "State").starts_with('Z'));
            goes_on(&mut machine, lost, &before);
            lost
        })
        .collect();
    machine.signal(15);
    machine.wait_for("power-off: begins");
    // The kernel ends no namespace before all in it are gone.
    for lost in kept {
        let pid = Pid::from_raw(lost.try_into().expect("a pid is small"));
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it is traced");
    }
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// A control group of this test that holds still who is in it.
#[cfg(target_arch = "x86_64")]
struct Frozen {
    root: std::path::PathBuf,
    name: String,
}

#[cfg(target_arch = "x86_64")]
impl Frozen {
    /// Holds this process still. `None`: this kernel has no such group in which nothing ends.
    fn hold(pid: u32) -> Option<Self> {
        use std::fs::{create_dir_all, write};
        let name = format!("sysmaster-frozen-{pid}");
        let root = std::env::temp_dir().join(&name);
        create_dir_all(&root).expect("there is room");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "cgroup", "-o", "freezer", "none"]);
        let status = mount.arg(&root).status().expect("mount starts");
        let frozen = Self { root, name };
        if !status.success() {
            return None;
        }
        create_dir_all(frozen.group()).expect("a group can be made");
        write(frozen.group().join("cgroup.procs"), pid.to_string()).expect("it is there");
        write(frozen.group().join("freezer.state"), "FROZEN").expect("it can be held");
        until("it is held", || {
            let state = std::fs::read_to_string(frozen.group().join("freezer.state"));
            state.is_ok_and(|state| state.trim() == "FROZEN")
        });
        Some(frozen)
    }

    fn group(&self) -> std::path::PathBuf {
        self.root.join(&self.name)
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = std::fs::write(self.group().join("freezer.state"), "THAWED");
        // Empty as soon as who was in it has ended.
        for _ in 0..1_000 {
            if std::fs::remove_dir(self.group()).is_ok() || !self.group().exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = std::process::Command::new("umount")
            .arg(&self.root)
            .status();
        let _ = std::fs::remove_dir(&self.root);
    }
}

/// It ends as soon as it may go on, and does nothing before that. The keeper that finds it is
/// another than its own.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_core_in_a_frozen_control_group_is_replaced_and_ends_when_it_may_go_on() {
    use crate::inject::{Injury, injure};
    let Some(mut machine) = split::boot("holding") else {
        return;
    };
    let (before, lost) = (services(&machine), core(&machine));
    let Some(frozen) = Frozen::hold(lost) else {
        crate::skip::skip("this kernel has no freezer of the first kind");
        return;
    };
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for("process 1 died of SIGSEGV");
    machine.wait_for("goes on where it was");
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{}", machine.console());
    assert_eq!(named(&machine, "sleep"), before, "{}", machine.console());
    assert!(!status(lost, "State").is_empty(), "{}", machine.console());
    assert_eq!(named(&machine, "init-core").len(), 2);
    machine.signal(15);
    machine.wait_for("power-off: begins");
    // The kernel ends no namespace before all in it are gone.
    drop(frozen);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}
