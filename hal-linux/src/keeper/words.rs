//! This file says things: help, complaints, and with `--verbose` what is done.
//!
//! While a command is kept, a line that the reader has no room for is left out.

use crate::sys::fd::Fd;
use init_core::event::Errno;
use init_core::keeper::options::{Complaint, Options};
use init_core::keeper::{Action, Status};
use init_core::report::{LINE_BYTES_MAX, Line};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const ENOENT: Errno = Errno(2);

/// Shows text that was asked for; the exit code.
pub(super) fn show(text: &str) -> u8 {
    match rustix::io::write(Fd::OUTPUT, text.as_bytes()) {
        Ok(_) => 0,
        Err(_) => init_core::keeper::OWN_FAILURE,
    }
}

pub(super) fn refuse(complaint: &Complaint<'_>) {
    say(&|line| {
        line.text(complaint.0).text(" ").bytes(complaint.1);
        line.text(" (keeper --help)");
    });
}

/// By the child that was to become the command.
pub(super) fn not_executed(name: &[u8], error: Errno) {
    say(&|line| {
        line.bytes(name).text(": ").errno(error);
        if error == ENOENT && name.contains(&b'/') {
            line.text(" (it, or its interpreter or loader)");
        }
    });
}

pub(super) fn not_started(error: Errno) {
    say(&|line| {
        line.text("no process for the command: ").errno(error);
    });
}

pub(super) fn ended(options: &Options, status: Status) {
    if options.verbose {
        say(&|line| {
            match status {
                Status::Code(code) => line.text("ended with exit code ").number(code),
                Status::Signal(number) => line.text("ended by signal ").number(number),
                Status::NotStarted => line,
            };
        });
    }
}

pub(super) fn action(options: &Options, action: Action) {
    if options.verbose {
        say(&|line| {
            match action {
                Action::Start => line.text("starts the command"),
                Action::Pass(number) => line.text("passes on signal ").number(number),
                Action::Kill => line.text("kills the command"),
                Action::AskRest => line.text("asks who is left to end"),
                Action::KillRest => line.text("kills who is left"),
                Action::Finish(code) => line.text("ends with exit code ").number(code),
            };
        });
    }
}

#[inline(never)]
fn say(words: &dyn Fn(&mut Line<'_>)) {
    let mut room = [0; LINE_BYTES_MAX];
    let mut line = Line::new(&mut room);
    line.text("keeper: ");
    words(&mut line);
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut places = [PollFd::from_borrowed_fd(Fd::ERRORS, PollFlags::OUT)];
    let _ = poll(&mut places, Some(&at_once));
    if places.iter().all(|place| place.revents() == PollFlags::OUT) {
        // Nobody reads what cannot be written.
        let _ = rustix::io::write(Fd::ERRORS, line.end());
    }
}
