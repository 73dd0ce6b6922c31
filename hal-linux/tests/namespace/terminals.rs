//! This file makes terminals, fills them, and lets them make a process wait.

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};

/// A terminal: where what it shows is read, and the terminal itself.
pub fn terminal() -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&master).expect("it is ours");
    unlockpt(&master).expect("it is ours");
    let path = ptsname(&master, Vec::new()).expect("it has a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(path, flags, Mode::empty()).expect("it is there");
    (master.into(), slave)
}

/// Fills a terminal or a pipe as far as it goes.
pub fn fill(writer: &OwnedFd) {
    let place = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let own = rustix::fs::open(place, flags, Mode::empty()).expect("it is open");
    for count in [100, 1] {
        while rustix::io::write(&own, &[b'x'; 100][..count]).is_ok() {}
    }
}

/// Writing to the terminal waits, also by what a process has opened in order not to; how many open
/// files of it lead there.
pub fn make_wait(pid: u32, terminal: &OwnedFd) -> usize {
    let place = |number: &str, of: &str| std::fs::read_link(format!("/proc/{of}/fd/{number}"));
    let ours = place(&terminal.as_raw_fd().to_string(), "self").expect("it is open");
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = pidfd_open(process.expect("a pid"), PidfdFlags::empty()).expect("it is there");
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is there");
    let numbers = all.map(|entry| entry.expect("it is there").file_name());
    let numbers = numbers.map(|name| name.into_string().expect("a number"));
    let same = numbers.filter(|number| {
        let theirs = place(number, &pid.to_string());
        theirs.is_ok_and(|theirs| theirs == ours)
    });
    let mut count = 0;
    for number in same {
        let number = number.parse().expect("a number");
        let file = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).expect("we are root");
        let flags = fcntl_getfl(&file).expect("it is open") - OFlags::NONBLOCK;
        fcntl_setfl(&file, flags).expect("it is open");
        count += 1;
    }
    count
}
