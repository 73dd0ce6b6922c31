//! This file is process 1's voice: lines on the console that never wait for a reader.
//!
//! Lines are kept until process 1 sleeps: those of one turn are written together. What the console
//! does not take then stays; when the room for that is used up, lines are dropped and counted, and
//! the count is said as soon as there is room again. They are kept where the program's next life
//! finds them: a line may be written twice when a life ends, and none is lost.

use crate::heal;
use crate::region::{self, Region, TEXT_WORDS, at};
use crate::sys::fd::{self, Fd};
use crate::sys::shared::{self, SharedBytes};
use crate::sys::slices;
use core::cell::Cell;
use core::convert::Infallible;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::checkpoint::words::{load, store};
use init_core::event::Errno;
use init_core::packed::packed;
use init_core::report::{LINE_BYTES_MAX, Line, Words};
use linux_raw_sys::general as abi;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};

/// How the console is opened: nothing of it may ever make us wait, or become our terminal.
pub(crate) const WITHOUT_WAITING: u32 = abi::O_WRONLY | abi::O_NONBLOCK | abi::O_NOCTTY;

/// Lines that the console has not taken yet, in words that outlive the program.
#[derive(Debug)]
struct Kept {
    text: SharedBytes,
    /// Which of the bytes: the low half says from where, the high half to where.
    place: &'static AtomicU32,
    /// Lines that there was no room for.
    dropped: &'static AtomicU32,
}

const _: () = assert!(TEXT_WORDS * 4 <= 0xffff);

impl Kept {
    fn of(region: &Region) -> Self {
        Self {
            text: shared::bytes(region.part(at::TEXT, TEXT_WORDS)),
            place: region.word(at::TEXT_PLACE),
            dropped: region.word(at::DROPPED),
        }
    }

    /// From where to where. Whatever a damaged word says, it is within the text.
    fn place(&self) -> (usize, usize) {
        let [low, high, to_low, to_high] = load(self.place).to_le_bytes();
        let end = usize::from(u16::from_le_bytes([to_low, to_high])).min(self.text.len());
        (usize::from(u16::from_le_bytes([low, high])).min(end), end)
    }

    /// Both at once: what is kept is what was, or what is now. When that is nothing, all room is
    /// free again.
    fn set_place(&self, begin: usize, end: usize) {
        let half = |place| u32::try_from(place).unwrap_or(0);
        let place = if begin < end {
            half(end) << 16 | half(begin)
        } else {
            0
        };
        store(self.place, place);
    }

    /// What is there.
    fn text(&self) -> SharedBytes {
        let (begin, end) = self.place();
        self.text.get(begin..end).unwrap_or_default()
    }

    /// So many bytes in front were written.
    fn remove(&self, count: usize) {
        let (begin, end) = self.place();
        self.set_place(begin.saturating_add(count), end);
    }

    /// Keeps a whole line; `None`: there is no room, and what is kept is the same.
    fn push(&self, line: &[u8]) -> Option<()> {
        let (begin, mut end) = self.place();
        let length = end.saturating_sub(begin);
        if self.text.len().saturating_sub(end) < line.len() && length <= begin {
            // To the front, where it overlaps nothing that a next life may have to write.
            for (to, from) in self.text.iter().zip(self.text()) {
                to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            self.set_place(0, length);
            end = length;
        }
        let behind = end.saturating_add(line.len());
        let places = self.text.get(end..behind)?;
        for (place, byte) in places.iter().zip(line) {
            place.store(*byte, Ordering::Relaxed);
        }
        self.set_place(end.saturating_sub(length), behind);
        Some(())
    }
}

/// How the console takes bytes without making us wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It was opened for that, by us alone.
    Opened,
    /// It is a socket, and each call says so.
    Socket,
    /// It is a file, or a pipe that could not be opened once more: its room is looked at before.
    Looked,
}

/// The console, or nothing where there is none: then lines are kept for it.
#[derive(Debug)]
pub struct Console {
    device: Option<Fd>,
    /// The device is what we were started with; the console's own takes its place.
    is_output: bool,
    way: Way,
    /// The device has made us wait, and is left alone until the next alarm.
    is_left: Cell<bool>,
    kept: Kept,
    /// The next life finds what is kept; where it does not, nothing waits for the turn's end.
    outlives: bool,
}

impl Console {
    /// What we were started with, until the device takes its place. In a container that is the
    /// console, where its log is collected. An heir takes what is [noted](Self::note), and opens
    /// nothing: whatever is mounted over `/proc` by then may never answer.
    pub(crate) fn open(region: &Region, in_container: bool) -> Self {
        let word = region.word(at::CONSOLE);
        let noted = region::adopt(word);
        let is_output = in_container || noted.is_none() || load(word) & region::IS_OUTPUT != 0;
        let (device, way) = match noted {
            Some(noted) => (Some(noted), Way::Opened),
            None => output(load(word) == 0),
        };
        Self {
            device,
            is_output,
            way,
            is_left: Cell::new(false),
            kept: Kept::of(region),
            outlives: region.is_kept(),
        }
    }

    /// The device takes the place of what we were started with.
    pub(crate) fn replace(&mut self, device: Fd) {
        self.device = Some(device);
        self.is_output = false;
        self.way = Way::Opened;
    }

    /// The device, where there is one.
    pub fn device(&self) -> Option<BorrowedFd<'_>> {
        self.device.as_ref().map(AsFd::as_fd)
    }

    /// Notes for the next life what it needs not open anew, and whether it is the device.
    pub(crate) fn note(&self, region: &Region) {
        let device = self.device.as_ref().filter(|_| self.way == Way::Opened);
        let kind = match self.is_output {
            true => region::IS_OUTPUT,
            false => 0,
        };
        store(region.word(at::CONSOLE), region::number(device) | kind);
    }

    /// Whether it is the device, which a child can open for itself.
    pub fn is_device(&self) -> bool {
        !self.is_output
    }

    /// Whether something waits for the device to take it.
    pub fn is_waiting(&self) -> bool {
        !self.kept.text().is_empty()
    }

    /// Whether the device is left alone for a while.
    pub fn is_left(&self) -> bool {
        self.is_left.get()
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

    /// Writes for as long as the device takes what there is, and does not make us wait for longer
    /// than [`PATIENCE_US`]. No alarm is set by a life that has not taken over: the one by which it
    /// is waited for is on.
    fn empty(&self) {
        let Some(device) = &self.device else {
            return;
        };
        if !self.is_waiting() || self.is_left() && !slices::has_rung() {
            return;
        }
        let is_timed = !heal::is_taking_over();
        if is_timed {
            slices::alarm(0, PATIENCE_US);
        }
        while self.write(device) > 0 && self.is_waiting() && !slices::has_rung() {}
        if is_timed {
            let is_left = slices::has_rung();
            self.is_left.set(is_left);
            slices::alarm(if is_left { PAUSE_SECONDS } else { 0 }, 0);
        }
    }

    /// Writes what the device takes now; how much that was. A device that is gone takes all.
    fn write(&self, device: &Fd) -> usize {
        if self.way == Way::Looked && !has_room(device) {
            return 0;
        }
        let bytes = self.kept.text();
        let written = match shared::write_from(device, bytes, self.way == Way::Socket) {
            Ok(count) => count,
            Err(NO_ROOM | INTERRUPTED) => 0,
            Err(_) => bytes.len(),
        };
        self.kept.remove(written);
        written
    }

    fn put(&mut self, line: &[u8]) {
        if self.kept.push(line).is_none() {
            self.drain();
            if self.kept.push(line).is_none() {
                let count = load(self.kept.dropped);
                store(self.kept.dropped, count.saturating_add(1));
            }
        }
        if !self.outlives {
            self.drain();
        }
    }
}

/// What was opened not to make us wait may do so all the same, where root has led its words
/// elsewhere: for so long.
const PATIENCE_US: usize = 100_000;

/// So long a device that has made us wait is left alone.
const PAUSE_SECONDS: usize = 10;

/// EAGAIN and EINTR.
const NO_ROOM: Errno = Errno(11);
const INTERRUPTED: Errno = Errno(4);

/// Says a line in a child, which may wait for the console; `None`: that is what we were started
/// with.
#[inline(never)]
pub(crate) fn say(console: Option<&CStr>, words: Words<'_>) {
    let mut room = [0; LINE_BYTES_MAX];
    let mut line = Line::new(&mut room);
    words(line.say(packed!("init: ")));
    let line = line.end();
    match console.map(fd::open_to_write) {
        Some(Ok(device)) => drop(rustix::io::write(&device, line)),
        Some(Err(_)) | None => drop(rustix::io::write(Fd::OUTPUT, line)),
    }
}

/// Whether a line can be written without waiting: true of files, and of pipes with room.
fn has_room(device: &Fd) -> bool {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut looked_at = [PollFd::new(device, PollFlags::OUT)];
    matches!(poll(&mut looked_at, Some(&at_once)), Ok(1..))
}

/// What we were given as standard output: opened once more, so that not waiting is ours alone and
/// no service's, unless a life before has tried that.
#[inline(never)]
fn output(is_first: bool) -> (Option<Fd>, Way) {
    let kind = fd::kind(Fd::OUTPUT);
    let way = match kind {
        abi::S_IFSOCK => Way::Socket,
        // Files stay as they are: who opens one again writes over what others wrote.
        abi::S_IFCHR | abi::S_IFIFO => {
            if is_first && let Ok(own) = fd::open(c"/proc/self/fd/1", WITHOUT_WAITING, 0) {
                return (Some(own), Way::Opened);
            }
            if kind == abi::S_IFCHR {
                // A terminal says that it has room when it has too little for a line, and then
                // waits: nothing is written there.
                return (None, Way::Looked);
            }
            Way::Looked
        }
        _ => Way::Looked,
    };
    (fd::duplicate(Fd::OUTPUT).ok(), way)
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

    type TextOf16 = [AtomicU32; 6];

    fn kept(words: &'static TextOf16) -> Kept {
        let [place, dropped, text @ ..] = words;
        Kept {
            text: shared::bytes(text),
            place,
            dropped,
        }
    }

    fn text(kept: &Kept) -> Vec<u8> {
        let bytes = kept.text().iter();
        bytes.map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn lines_are_whole_or_not_there_and_the_next_life_finds_them() {
        static WORDS: TextOf16 = [const { AtomicU32::new(0) }; 6];
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
    fn room_in_front_is_used_once_what_is_left_fits_there() {
        static WORDS: TextOf16 = [const { AtomicU32::new(0) }; 6];
        let kept = kept(&WORDS);
        assert_eq!(kept.push(b"sixteen bytes .\n"), Some(()));
        kept.remove(7);
        assert_eq!(kept.push(b"!"), None, "9 bytes do not fit into 7");
        assert_eq!(text(&kept), b" bytes .\n");
        kept.remove(1);
        assert_eq!(kept.push(b"7 more\n"), Some(()));
        assert_eq!(text(&kept), b"bytes .\n7 more\n");
    }

    #[test]
    fn whatever_stands_in_the_word_lines_can_be_kept() {
        static WORDS: TextOf16 = [const { AtomicU32::new(0) }; 6];
        let kept = kept(&WORDS);
        for word in [9, 3 << 16 | 3, 4 << 16 | 9, 17 << 16 | 17, 0xffff_ffff] {
            store(kept.place, word);
            assert_eq!(text(&kept), b"", "{word:#x}");
            assert_eq!(kept.push(b"line\n"), Some(()), "{word:#x}");
            assert_eq!(text(&kept), b"line\n", "{word:#x}");
            kept.remove(5);
        }
        store(kept.place, 0xffff << 16 | 12);
        assert_eq!(text(&kept).len(), 4);
    }
}
