//! This file boots where a kernel lacks what products expect: file systems that cannot be mounted,
//! and nothing at `/proc`, `/dev` and `/sys`.

use crate::kernels;
use crate::machine::End;
use linux_raw_sys::general as abi;

/// ENODEV: what mount answers for a type that the kernel was built without.
pub const NO_SUCH_TYPE: u32 = 0x0005_0000 | 19;

/// Covers the three with empty directories, of which `/dev` gets the one device that a root file
/// system without devtmpfs brings at least, then executes what follows.
pub const BARE: [&str; 4] = [
    "sh",
    "-c",
    "for at in /proc /dev /sys; do mount -t tmpfs none $at || exit; done; \
     mknod /dev/null c 1 3; exec \"$@\"",
    "sh",
];

#[test]
fn what_a_kernel_lacks_is_told_once_each_and_the_rest_runs() {
    let filter = [(abi::__NR_mount, NO_SUCH_TYPE)];
    let Some(mut machine) = kernels::boot_by(&BARE, &filter, "bare-kernel") else {
        return;
    };
    machine.wait_for("boot: bare-kernel");
    // It may have said so before.
    const RUNS: &str = "needs no file system: runs";
    if !machine.console().contains(RUNS) {
        machine.wait_for(RUNS);
    }
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    for missing in [
        "mount proc at /proc: No such device",
        "mount devtmpfs at /dev: No such device",
        "mount sysfs at /sys: No such device",
        "mount cgroup2 at /sys/fs/cgroup: No such device",
    ] {
        let count = console.matches(missing).count();
        assert_eq!(count, 1, "{missing}:\n{console}");
    }
    assert!(console.contains("units ready, 8 failed"), "{console}");
}
