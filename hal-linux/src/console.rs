//! This file is process 1's voice: lines on the console that never wait for a reader.
//!
//! A line that the console does not take at once is kept; when the room for that is used up, lines
//! are dropped and counted, and the count is said as soon as there is room again.

use crate::bytes::Bytes;
use crate::sys::fd::{self, Fd};
use core::convert::Infallible;
use core::ffi::CStr;
use init_core::packed::packed;
use init_core::report::{LINE_BYTES_MAX, Line};
use linux_raw_sys::general as abi;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::FileType;
use rustix::io::Errno as Os;

/// Bytes kept for a console that is slower than we are: about 40 lines, 0.2 s at 115 200 baud.
const KEPT_BYTES_MAX: usize = 2_048;

/// How the console is opened: nothing of it may ever make us wait, or become our terminal.
const WITHOUT_WAITING: u32 = abi::O_WRONLY | abi::O_NONBLOCK | abi::O_NOCTTY;

/// What the console has not taken yet.
pub(crate) type Kept = Bytes<KEPT_BYTES_MAX>;

/// The console, or nothing where there is none.
#[derive(Debug)]
pub struct Console {
    device: Option<Fd>,
    /// The device is what we were started with; the console's own takes its place.
    is_output: bool,
    /// Writing to the device can wait, so that its room is looked at before.
    may_wait: bool,
    kept: &'static mut Kept,
    dropped_lines: u32,
}

impl Console {
    /// Opens the console. A device that cannot be opened is no error: there is nobody to tell.
    /// In a container the console is what we were started with, where its log is collected.
    /// `inherited`: the device, if the life before this one had opened it.
    pub(crate) fn open(
        path: &CStr,
        in_container: bool,
        inherited: Option<Fd>,
        kept: &'static mut Kept,
    ) -> Self {
        if inherited.is_some() {
            return Self {
                device: inherited,
                is_output: false,
                may_wait: false,
                kept,
                dropped_lines: 0,
            };
        }
        let own = output_without_waiting();
        let mut console = Self {
            may_wait: own.is_none(),
            device: own.or_else(|| fd::duplicate(Fd::OUTPUT).ok()),
            is_output: true,
            kept,
            dropped_lines: 0,
        };
        if !in_container {
            console.open_device(path);
        }
        console
    }

    /// Opens the device, unless that has been done.
    pub fn open_device(&mut self, path: &CStr) {
        if self.is_output
            && let Ok(device) = fd::open(path, WITHOUT_WAITING, 0)
        {
            self.device = Some(device);
            self.is_output = false;
            self.may_wait = false;
        }
    }

    /// The device, where there is one.
    pub fn device(&self) -> Option<BorrowedFd<'_>> {
        self.device.as_ref().map(AsFd::as_fd)
    }

    /// The device, unless it is what we were started with.
    pub(crate) fn own_device(&self) -> Option<&Fd> {
        self.device.as_ref().filter(|_| !self.is_output)
    }

    /// Whether it is the device, which a child can open for itself.
    pub fn is_device(&self) -> bool {
        !self.is_output
    }

    /// Whether something waits for the device to take it.
    pub fn is_waiting(&self) -> bool {
        !self.kept.is_empty()
    }

    /// The device takes bytes again.
    pub fn drain(&mut self) {
        while !self.kept.is_empty() {
            let written = match &self.device {
                Some(device) => self.send(device, self.kept),
                None => self.kept.len(),
            };
            if written == 0 {
                return;
            }
            self.kept.remove_front(written);
        }
        if self.dropped_lines > 0 {
            let count = core::mem::take(&mut self.dropped_lines);
            let mut room = [0; LINE_BYTES_MAX];
            let mut line = Line::new(&mut room);
            line.say(packed!("init: ")).number(count);
            line.say(packed!(" lines dropped here: the console was too slow"));
            self.put(line.end());
        }
    }

    /// Writes what the device takes now; how much that was. A device that is gone takes all.
    fn send(&self, device: &Fd, bytes: &[u8]) -> usize {
        if self.may_wait && !has_room(device) {
            return 0;
        }
        match rustix::io::write(device, bytes) {
            Ok(count) => count,
            Err(Os::AGAIN | Os::INTR) => 0,
            Err(_) => bytes.len(),
        }
    }

    fn put(&mut self, line: &[u8]) {
        let mut rest = line;
        if self.kept.is_empty()
            && let Some(device) = &self.device
        {
            let written = self.send(device, rest);
            rest = rest.get(written..).unwrap_or(&[]);
        }
        let room = KEPT_BYTES_MAX.saturating_sub(self.kept.len());
        if rest.len() > room {
            self.dropped_lines = self.dropped_lines.saturating_add(1);
            return;
        }
        for byte in rest {
            let _ = self.kept.push(*byte);
        }
    }
}

/// Says a line in a child, which may wait for the console; `None`: that is what we were started
/// with.
pub(crate) fn say(console: Option<&CStr>, line: &[u8]) {
    match console.map(fd::open_to_write) {
        Some(Ok(device)) => drop(rustix::io::write(&device, line)),
        Some(Err(_)) | None => drop(rustix::io::write(Fd::OUTPUT, line)),
    }
}

/// Whether a line can be written without waiting: true of files, and of sockets with room.
fn has_room(device: &Fd) -> bool {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut looked_at = [PollFd::new(device, PollFlags::OUT)];
    matches!(poll(&mut looked_at, Some(&at_once)), Ok(1..))
}

/// What we were given as standard output, opened once more, so that not waiting is ours alone and
/// no service's. A terminal says that it has room when it has too little for a line, and then
/// waits. Files stay as they are: who opens one again writes over what others wrote.
fn output_without_waiting() -> Option<Fd> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(Fd::OUTPUT).ok()?.st_mode);
    if !matches!(kind, FileType::Fifo | FileType::CharacterDevice) {
        return None;
    }
    fd::open(c"/proc/self/fd/1", WITHOUT_WAITING, 0).ok()
}

impl embedded_io::ErrorType for Console {
    type Error = Infallible;
}

impl embedded_io::Write for Console {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> Result<usize, Infallible> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        self.drain();
        Ok(())
    }
}
