//! This file says things: help, complaints, and with `--verbose` what is done.
//!
//! While a command is kept, a child writes each line, which is left out where nobody reads: not
//! even a terminal that was opened to wait, to which root leads the console's words (`TIOCCONS`),
//! or a file that never answers holds the keeper for longer than [`PATIENCE`].

use super::end::is_over;
use crate::sys::clock::since_boot;
use crate::sys::fd::Fd;
use crate::sys::process::{self, Fork};
use crate::sys::wait;
use core::cell::Cell;
use init_core::event::Errno;
use init_core::keeper::options::{Complaint, Options};
use init_core::keeper::{Action, Status};
use init_core::report::{LINE_BYTES_MAX, Line};
use init_core::time::{Duration, Instant};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a line may take: longer than on a slow, busy machine that reads.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long nothing is said after one that took longer: a flood of signals, each with a line, must
/// not keep a stop waiting.
const PAUSE: Duration = Duration::from_secs(10);

const ENOENT: Errno = Errno(2);

/// Shows text that was asked for; the exit code.
pub(super) fn show(text: &str) -> u8 {
    match rustix::io::write(Fd::OUTPUT, text.as_bytes()) {
        Ok(_) => 0,
        Err(_) => init_core::keeper::OWN_FAILURE,
    }
}

/// Refuses a command line, before anybody is kept.
pub(super) fn refuse(complaint: &Complaint<'_>) {
    tell(0, &|line| {
        line.text(complaint.0).text(" ").bytes(complaint.1);
        line.text(" (keeper --help)");
    });
}

/// Writes where there is room, and may wait all the same.
fn tell(dropped: u32, words: &dyn Fn(&mut Line<'_>)) {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut places = [PollFd::from_borrowed_fd(Fd::ERRORS, PollFlags::OUT)];
    let _ = poll(&mut places, Some(&at_once));
    if places.iter().all(|place| place.revents() == PollFlags::OUT) {
        write(dropped, words);
    }
}

#[inline(never)]
fn write(dropped: u32, words: &dyn Fn(&mut Line<'_>)) {
    let mut room = [0; LINE_BYTES_MAX];
    let mut line = Line::new(&mut room);
    line.text("keeper: ");
    if dropped > 0 {
        line.number(dropped).text(" lines dropped here; ");
    }
    words(&mut line);
    // Nobody reads what cannot be written.
    let _ = rustix::io::write(Fd::ERRORS, line.end());
}

/// What says things while a command is kept.
#[derive(Debug)]
pub(super) struct Voice {
    /// Nothing is said before.
    silent_until: Cell<Instant>,
    /// Who writes the last line that took too long, for ever perhaps; 0: nobody. Nothing is said
    /// meanwhile.
    writer: Cell<u32>,
    /// Lines that nobody took since the last.
    dropped: Cell<u32>,
}

impl Voice {
    pub(super) const fn new() -> Self {
        Self {
            silent_until: Cell::new(Instant::from_us(0)),
            writer: Cell::new(0),
            dropped: Cell::new(0),
        }
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

    /// Says a line, where all signals are blocked.
    #[inline(never)]
    fn say(&self, words: &dyn Fn(&mut Line<'_>)) {
        let dropped = self.dropped.get();
        self.dropped.set(dropped.saturating_add(1));
        if since_boot() < self.silent_until.get() || wait::is_child(self.writer.get()) {
            return;
        }
        match process::fork().map(Fork::child) {
            Ok(None) => {
                write(dropped, words);
                process::exit(0)
            }
            Ok(Some(pid)) if !is_over(pid, PATIENCE) => {
                let _ = process::signal(pid, super::SIGKILL);
                self.writer.set(pid);
                self.silent_until.set(since_boot().after(PAUSE));
                return;
            }
            Ok(Some(_)) => {}
            // That may be just what is to be said.
            Err(_) => tell(dropped, words),
        }
        self.dropped.set(0);
    }
}
