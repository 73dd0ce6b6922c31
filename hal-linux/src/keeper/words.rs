//! This file says things: help, complaints, and with `--verbose` what is done.
//!
//! While a command is kept, a line that the reader has no room for is left out.

use crate::sys::fd::{self, Fd};
use init_core::event::Errno;
use init_core::keeper::options::{Complaint, Options};
use init_core::keeper::{Action, Status};
use init_core::report::{LINE_BYTES_MAX, Line};
use linux_raw_sys::general as abi;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::fs::{FileType, fstat, makedev};
use rustix::net::SendFlags;

const ENOENT: Errno = Errno(2);

/// Shows text that was asked for; the exit code.
pub(super) fn show(text: &str) -> u8 {
    match rustix::io::write(Fd::OUTPUT, text.as_bytes()) {
        Ok(_) => 0,
        Err(_) => init_core::keeper::OWN_FAILURE,
    }
}

/// Where it says things.
#[derive(Debug)]
pub(super) struct Voice {
    /// Standard error, opened once more where it is a terminal or a pipe, so that not waiting is
    /// ours alone and not the command's.
    own: Option<Fd>,
    kind: Option<FileType>,
}

impl Voice {
    /// For who may wait: nobody is kept yet, or it is a child that says something.
    pub(super) const MAY_WAIT: Self = Self {
        own: None,
        kind: None,
    };

    pub(super) fn open() -> Self {
        let stat = fstat(Fd::ERRORS).ok();
        let kind = stat.map(|stat| FileType::from_raw_mode(stat.st_mode));
        let flags = abi::O_WRONLY | abi::O_NONBLOCK | abi::O_NOCTTY;
        // What the kernel starts process 1 with, where there may be no /proc.
        let is_console = stat.is_some_and(|stat| stat.st_rdev == makedev(5, 1));
        let own = match kind {
            _ if is_console => fd::open(c"/dev/console", flags, 0).ok(),
            Some(FileType::CharacterDevice | FileType::Fifo) => {
                fd::open(c"/proc/self/fd/2", flags, 0).ok()
            }
            _ => None,
        };
        Self { own, kind }
    }

    pub(super) fn refuse(&self, complaint: &Complaint<'_>) {
        self.say(&|line| {
            line.text(complaint.0).text(" ").bytes(complaint.1);
            line.text(" (keeper --help)");
        });
    }

    /// By the child that was to become the command.
    pub(super) fn not_executed(&self, name: &[u8], error: Errno) {
        self.say(&|line| {
            line.bytes(name).text(": ").errno(error);
            if error == ENOENT && name.contains(&b'/') {
                line.text(" (it, or its interpreter or loader)");
            }
        });
    }

    pub(super) fn not_started(&self, error: Errno) {
        self.say(&|line| {
            line.text("no process for the command: ").errno(error);
        });
    }

    pub(super) fn ended(&self, options: &Options, status: Status) {
        if options.verbose {
            self.say(&|line| {
                match status {
                    Status::Code(code) => line.text("ended with exit code ").number(code),
                    Status::Signal(number) => line.text("ended by signal ").number(number),
                    Status::NotStarted => line,
                };
            });
        }
    }

    pub(super) fn action(&self, options: &Options, action: Action) {
        if options.verbose {
            self.say(&|line| {
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
    fn say(&self, words: &dyn Fn(&mut Line<'_>)) {
        let mut room = [0; LINE_BYTES_MAX];
        let mut line = Line::new(&mut room);
        line.text("keeper: ");
        words(&mut line);
        let line = line.end();
        let to = self.own.as_ref().map_or(Fd::ERRORS, AsFd::as_fd);
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut places = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
        let _ = poll(&mut places, Some(&at_once));
        if places.iter().any(|place| place.revents() != PollFlags::OUT) {
            return;
        }
        // Nobody reads what cannot be written.
        let _ = match self.kind {
            Some(FileType::Socket) => rustix::net::send(to, line, SendFlags::DONTWAIT),
            // A terminal says that it has room when it has too little for a line, and then waits.
            Some(FileType::CharacterDevice) if self.own.is_none() => Ok(0),
            _ => rustix::io::write(to, line),
        };
    }
}
