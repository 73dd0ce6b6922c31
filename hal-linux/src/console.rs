//! This file is process 1's voice: lines on the console that never wait for a reader.
//!
//! Lines are kept until process 1 sleeps: those of one turn are written together. What the console
//! does not take then stays; when the room for that is used up, lines are dropped and counted, and
//! the count is said as soon as there is room again. They are kept where the program's next life
//! finds them: a line may be written twice when a life ends, and none is lost.

use crate::region::{Region, TEXT_WORDS, at};
use crate::sys::fd::{self, Fd};
use crate::sys::shared::{self, SharedBytes};
use core::convert::Infallible;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::checkpoint::words::{load, store};
use init_core::event::Errno;
use init_core::packed::packed;
use init_core::report::{LINE_BYTES_MAX, Line};
use linux_raw_sys::general as abi;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::FileType;

/// How the console is opened: nothing of it may ever make us wait, or become our terminal.
const WITHOUT_WAITING: u32 = abi::O_WRONLY | abi::O_NONBLOCK | abi::O_NOCTTY;

/// Lines that the console has not taken yet, in words that outlive the program.
#[derive(Debug)]
struct Kept {
    text: SharedBytes,
    /// Which of them: from here, to there. Nothing, where the end is not behind the begin.
    begin: &'static AtomicU32,
    end: &'static AtomicU32,
    /// Lines that there was no room for.
    dropped: &'static AtomicU32,
}

impl Kept {
    fn of(region: &Region) -> Self {
        Self {
            text: shared::bytes(region.part(at::TEXT, TEXT_WORDS)),
            begin: region.word(at::TEXT_BEGIN),
            end: region.word(at::TEXT_END),
            dropped: region.word(at::DROPPED),
        }
    }

    /// What is there.
    fn text(&self) -> SharedBytes {
        let place = |word| usize::try_from(load(word)).unwrap_or(usize::MAX);
        let text = self.text.get(place(self.begin)..place(self.end));
        text.unwrap_or_default()
    }

    /// So many bytes in front were written. When that is all, the room is free again.
    fn remove(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        store(self.begin, load(self.begin).saturating_add(count));
        if self.text().is_empty() {
            store(self.end, 0);
            store(self.begin, 0);
        }
    }

    /// Keeps a whole line; `None`: there is no room, and nothing was changed.
    fn push(&self, line: &[u8]) -> Option<()> {
        if self.text().is_empty() {
            // Whatever a life before left half done.
            self.remove(0);
        }
        let end = usize::try_from(load(self.end)).ok()?;
        let behind = end.checked_add(line.len())?;
        let places = self.text.get(end..behind)?;
        for (place, byte) in places.iter().zip(line) {
            place.store(*byte, Ordering::Relaxed);
        }
        store(self.end, u32::try_from(behind).ok()?);
        Some(())
    }
}

/// The console, or nothing where there is none.
#[derive(Debug)]
pub struct Console {
    device: Option<Fd>,
    /// The device is what we were started with; the console's own takes its place.
    is_output: bool,
    /// Writing to the device can wait, so that its room is looked at before.
    may_wait: bool,
    kept: Kept,
}

impl Console {
    /// Opens the console. A device that cannot be opened is no error: there is nobody to tell.
    /// In a container the console is what we were started with, where its log is collected.
    /// `inherited`: the device, if the life before this one had opened it.
    pub(crate) fn open(
        path: &CStr,
        in_container: bool,
        inherited: Option<Fd>,
        region: &Region,
    ) -> Self {
        let kept = Kept::of(region);
        if inherited.is_some() {
            return Self {
                device: inherited,
                is_output: false,
                may_wait: false,
                kept,
            };
        }
        let own = output_without_waiting();
        let mut console = Self {
            may_wait: own.is_none(),
            device: own.or_else(|| fd::duplicate(Fd::OUTPUT).ok()),
            is_output: true,
            kept,
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
        !self.kept.text().is_empty()
    }

    /// Writes what the device takes of what is kept.
    pub fn drain(&self) {
        self.empty();
        let count = load(self.kept.dropped);
        if count > 0 && !self.is_waiting() {
            let mut room = [0; LINE_BYTES_MAX];
            let mut line = Line::new(&mut room);
            line.say(packed!("init: ")).number(count);
            line.say(packed!(" lines dropped here: the console was too slow"));
            let _ = self.kept.push(line.end());
            store(self.kept.dropped, 0);
            self.empty();
        }
    }

    fn empty(&self) {
        while self.is_waiting() {
            let text = self.kept.text();
            let written = match &self.device {
                Some(device) => self.send(device, text),
                None => text.len(),
            };
            if written == 0 {
                return;
            }
            self.kept.remove(written);
        }
    }

    /// Writes what the device takes now; how much that was. A device that is gone takes all.
    fn send(&self, device: &Fd, bytes: SharedBytes) -> usize {
        if self.may_wait && !has_room(device) {
            return 0;
        }
        match shared::write_from(device, bytes) {
            Ok(count) => count,
            Err(NO_ROOM | INTERRUPTED) => 0,
            Err(_) => bytes.len(),
        }
    }

    fn put(&mut self, line: &[u8]) {
        if self.kept.push(line).is_none() {
            self.drain();
            if self.kept.push(line).is_none() {
                let count = load(self.kept.dropped);
                store(self.kept.dropped, count.saturating_add(1));
            }
        }
    }
}

/// EAGAIN and EINTR.
const NO_ROOM: Errno = Errno(11);
const INTERRUPTED: Errno = Errno(4);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(words: &'static [AtomicU32; 7]) -> Kept {
        let [begin, end, dropped, text @ ..] = words;
        Kept {
            text: shared::bytes(text),
            begin,
            end,
            dropped,
        }
    }

    fn text(kept: &Kept) -> Vec<u8> {
        let bytes = kept.text().iter();
        bytes.map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn lines_are_whole_or_not_there_and_the_next_life_finds_them() {
        static WORDS: [AtomicU32; 7] = [const { AtomicU32::new(0) }; 7];
        let first = kept(&WORDS);
        assert_eq!(first.push(b"one\n"), Some(()));
        assert_eq!(first.push(b"two and \n"), Some(()));
        assert_eq!(first.push(b"four"), None, "16 bytes are all there is");
        let next = kept(&WORDS);
        assert_eq!(text(&next), b"one\ntwo and \n");
        next.remove(6);
        assert_eq!(text(&kept(&WORDS)), b"o and \n");
        next.remove(7);
        assert_eq!(text(&next), b"");
        assert_eq!(next.push(b"as long as it is"), Some(()));
    }

    #[test]
    fn whatever_stands_in_the_places_is_mended_by_the_next_line() {
        static WORDS: [AtomicU32; 7] = [const { AtomicU32::new(0) }; 7];
        let kept = kept(&WORDS);
        for (begin, end) in [(9, 0), (3, 3), (0, 17), (u32::MAX, 4), (5, u32::MAX)] {
            store(kept.begin, begin);
            store(kept.end, end);
            assert_eq!(text(&kept), b"", "{begin} to {end}");
            assert_eq!(kept.push(b"line\n"), Some(()));
            assert_eq!(text(&kept), b"line\n", "{begin} to {end}");
            kept.remove(5);
        }
    }
}
