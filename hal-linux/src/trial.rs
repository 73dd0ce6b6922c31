//! This file tries an image in a child of process 1: the child reads it into a file in memory,
//! looks whether it is what it should be, and executes it over a copy of the region. Process 1 only
//! makes the child and hears of its end.
//!
//! What it needs: a process, two descriptors, memory for the image and for the copy. The child may
//! wait for a flash as long as it takes; the core sees to the time.

use crate::bytes::Bytes;
#[cfg(feature = "exchange")]
use crate::exchange::become_core;
use crate::linux::Linux;
use crate::region::{self, EXCHANGES, EXIT_WORDS, Region, SPLIT, at, stage};
#[cfg(feature = "exchange")]
use crate::sys::cage;
use crate::sys::fd::{self, Fd};
use crate::sys::image::{self, Identity};
#[cfg(feature = "exchange")]
use crate::sys::load::{Birth, Runner};
use crate::sys::process::{self, duplicate_to};
use crate::sys::text::c_text;
use crate::sys::{shared, signals, wait};
use crate::upgrade::{ANSWERED, OTHER_LAYOUT, UNFED};
use core::ffi::CStr;
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::{load, store};
use init_core::event::{Errno, ExitStatus};
use init_core::hal::ControlPort;
use init_core::ident::{ClientId, UnitId};
use init_core::protocol::image_asked;
#[cfg(feature = "exchange")]
use init_core::relay::START_BYTES;
use init_core::renewal::Obstacle;

/// Bytes of a path, with its end.
const PATH_BYTES_MAX: usize = 256;

/// A program of ours is a fortieth of that; whatever is larger is something else.
const IMAGE_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// Read at once.
const PIECE_BYTES: usize = 1_024;

/// What every process 1 of sysMaster has in its file that can take over from another, because this
/// is in it. The first byte comes once, so that a search need not go back.
static MARK: [u8; 24] = *b"\x01sysMaster, process one\n";

/// ENAMETOOLONG, EFBIG, EBUSY, EINVAL, EINTR.
const TOO_LONG: Errno = Errno(36);
const TOO_LARGE: Errno = Errno(27);
const BUSY: Errno = Errno(16);
const INVALID: Errno = Errno(22);
const INTERRUPTED: i32 = 4;

impl Linux {
    /// Begins to try the image that the client asks for.
    #[inline(never)]
    pub(crate) fn begin_trial(&mut self, client: ClientId) -> Result<(), Errno> {
        let region = self.region;
        if region.get(at::TRIAL) != 0 {
            // Begun by the life before, or not yet gone.
            let is_ours = region.get(at::ANSWER) != 0;
            return if is_ours { Ok(()) } else { Err(BUSY) };
        }
        let mut path = Bytes::<PATH_BYTES_MAX>::new();
        for byte in image_asked(self.frame(client)).ok_or(INVALID)? {
            path.push(*byte).ok_or(TOO_LONG)?;
        }
        if path.is_empty() {
            for byte in image::own_path().ok_or(INVALID)?.to_bytes() {
                path.push(*byte).ok_or(TOO_LONG)?;
            }
        }
        path.push(0).ok_or(TOO_LONG)?;
        let path = c_text(&path).ok_or(INVALID)?;
        let is_of_core = is_of_core(self.frame(client));
        self.forget_image();
        self.ensure_descriptors();
        if is_of_core {
            store(region.trial_passed(), stage::CORE_TRIAL);
        }
        let (image, answer) = (image::file()?, copy_of(&region)?);
        region.set(at::TRIAL_FAILURE, 0);
        region::note(region.word(at::IMAGE), Some(&image));
        region::note(region.word(at::ANSWER), Some(&answer));
        let fork = process::fork_noted(region.word(at::TRIAL)).inspect_err(|_| {
            // They are closed next.
            region::note(region.word(at::IMAGE), None);
            region::note(region.word(at::ANSWER), None);
        })?;
        if fork.child().is_none() {
            let failure = try_image(path, (&image, &answer), is_of_core, self);
            region.set(at::TRIAL_FAILURE, encode(failure));
            process::exit(1);
        }
        image.leak();
        answer.leak();
        Ok(())
    }

    /// Ends the trial that there may be, and forgets the image.
    pub(crate) fn forget_image(&self) {
        let region = self.region;
        let pid = region.get(at::TRIAL);
        let ended = wait::taken(region.part(at::EXIT, EXIT_WORDS));
        // Once its exit was taken the number may be another's.
        if pid != 0 && ended.is_none_or(|(ended, _)| ended != pid) {
            let _ = process::signal(pid, 9);
        }
        if SPLIT {
            store(region.trial_passed(), 0);
        }
        for word in [at::IMAGE, at::ANSWER] {
            close_noted(region.word(word));
        }
    }

    /// What speaks against the image, now that its trial has ended so.
    pub(crate) fn trial_result(&self, status: ExitStatus) -> Option<Obstacle> {
        let obstacle = self.trial_obstacle(status);
        if SPLIT {
            let passed = match self.is_trial_of_core() {
                true => stage::CORE_PASSED,
                false => stage::PASSED,
            };
            let stage = if obstacle.is_none() { passed } else { 0 };
            store(self.region.trial_passed(), stage);
        }
        obstacle
    }

    fn trial_obstacle(&self, status: ExitStatus) -> Option<Obstacle> {
        if let Some(obstacle) = decode(self.region.get(at::TRIAL_FAILURE)) {
            return Some(obstacle);
        }
        match status {
            ExitStatus::Code(OTHER_LAYOUT) => Some(Obstacle::OtherLayout),
            ExitStatus::Code(UNFED) => Some(Obstacle::Unfed),
            ExitStatus::Code(0) if self.is_trial_of_core() => None,
            ExitStatus::Code(0) if self.answer(0) == Some(ANSWERED) => None,
            _ => Some(Obstacle::Ended(status)),
        }
    }

    /// Whether the image on trial knows a unit.
    pub(crate) fn is_known_to_image(&self, unit: UnitId) -> bool {
        if self.is_trial_of_core() {
            // Its tables are ours.
            return true;
        }
        let place = unit.index().saturating_add(1);
        self.answer(place).is_some_and(|word| word != 0)
    }

    /// Whether the image is, or was, on trial for its core alone.
    fn is_trial_of_core(&self) -> bool {
        let stage = || load(self.region.trial_passed());
        EXCHANGES && matches!(stage(), stage::CORE_TRIAL | stage::CORE_PASSED)
    }

    /// A word of what the trial answered.
    fn answer(&self, index: usize) -> Option<u32> {
        let file = region::adopt(self.region.word(at::ANSWER))?;
        let at = self.region.size().saturating_add(index).saturating_mul(4);
        let mut bytes = [0; 4];
        let count = rustix::io::pread(&file, &mut bytes, u64::try_from(at).ok()?);
        file.leak();
        (count == Ok(4)).then_some(u32::from_ne_bytes(bytes))
    }
}

impl Region {
    /// How many units it has.
    pub(crate) fn unit_count(&self) -> usize {
        usize::try_from(self.get(at::UNIT_COUNT)).unwrap_or(0)
    }
}

/// Closes a descriptor that was noted. In this order: what is noted when a life ends is handed over
/// by its number, which may lead elsewhere by then.
pub(crate) fn close_noted(word: &AtomicU32) {
    let descriptor = region::adopt(word);
    region::note(word, None);
    drop(descriptor);
}

/// A file in memory with all that the region has now, and room for an answer.
fn copy_of(region: &Region) -> Result<Fd, Errno> {
    let units = region.unit_count();
    let file = shared::sized_file(region.size().saturating_add(units).saturating_add(1))?;
    for (begin, part) in region.parts() {
        shared::write_words(&file, begin, part)?;
    }
    Ok(file)
}

/// Whether a client asks for an image's core alone.
fn is_of_core(frame: &[u8]) -> bool {
    #[cfg(feature = "exchange")]
    return init_core::protocol::is_core_asked(frame);
    #[cfg(not(feature = "exchange"))]
    {
        let _ = frame;
        false
    }
}

/// The child that tries an image's core: why that was not entered.
#[cfg(feature = "exchange")]
#[inline(never)]
fn try_core(path: &CStr, image: &Fd, answer: &Fd, linux: &Linux) -> Obstacle {
    let cannot = Obstacle::NotExecuted;
    let region = linux.region;
    let (words, ring) = match region.shared_words_of(answer) {
        Ok(words) => words,
        Err(error) => return cannot(error),
    };
    let left = region.mappings();
    let [own, shared] = left;
    cage::keep_memory(&[own, shared, words]);
    // What it is mapped from is closed next.
    let runner = match Runner::map() {
        Ok(runner) => runner,
        Err(error) => return cannot(error),
    };
    process::close_from(3, Some(image.number()), fd::highest(), linux.kernel);
    if let Err(obstacle) = read_image(path, image) {
        return obstacle;
    }
    let birth = Birth::new(words, ring, true, [0; START_BYTES]);
    become_core(image, None, (&runner, &birth), &left, linux.kernel)
}

/// The child: why the image was not executed.
fn try_image(
    path: &CStr,
    (image, answer): (&Fd, &Fd),
    is_of_core: bool,
    linux: &Linux,
) -> Obstacle {
    let _ = rustix::process::setsid();
    #[cfg(feature = "exchange")]
    if is_of_core {
        return try_core(path, image, answer, linux);
    }
    let _ = is_of_core;
    let _ = signals::unblock_all();
    let moved = duplicate_to(answer.number(), shared::WORDS_FD);
    let first = shared::WORDS_FD.saturating_add(1);
    process::close_from(first, Some(image.number()), fd::highest(), linux.kernel);
    if let Err(error) = moved.and_then(|()| fd::keep_over_exec(shared::WORDS_FD)) {
        return Obstacle::NotRead(error);
    }
    match read_image(path, image) {
        Ok(()) => Obstacle::NotExecuted(image::execute_on_trial(image)),
        Err(obstacle) => obstacle,
    }
}

/// Reads the file into memory where nothing can change it, and looks whether it is one of ours.
fn read_image(path: &CStr, image: &Fd) -> Result<(), Obstacle> {
    let not_read = Obstacle::NotRead;
    let file = fd::open_to_read(path).map_err(not_read)?;
    let mut piece = [0; PIECE_BYTES];
    let (mut total, mut marked) = (0_usize, 0_usize);
    loop {
        let count = match rustix::io::read(&file, &mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.raw_os_error() == INTERRUPTED => continue,
            Err(error) => return Err(not_read(crate::errno(error))),
        };
        let bytes = piece.get(..count).unwrap_or_default();
        if total == 0 {
            check_identity(bytes)?;
        }
        total = total.saturating_add(count);
        if total > IMAGE_BYTES_MAX {
            return Err(not_read(TOO_LARGE));
        }
        for byte in bytes {
            marked = match MARK.get(marked) {
                None => marked,
                Some(wanted) if wanted == byte => marked.saturating_add(1),
                Some(_) => usize::from(MARK.first() == Some(byte)),
            };
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = rustix::io::write(image, rest).map_err(|it| not_read(crate::errno(it)))?;
            rest = rest.get(count.max(1)..).unwrap_or_default();
        }
    }
    if marked < MARK.len() {
        return Err(Obstacle::NotOurs);
    }
    image::seal_file(image).map_err(not_read)
}

/// Looks at the front of a file.
fn check_identity(bytes: &[u8]) -> Result<(), Obstacle> {
    let found: Option<&Identity> = bytes.first_chunk();
    let own = image::own_identity();
    match found {
        Some(found) if found.starts_with(b"\x7fELF") => {
            // Width and order; processor. The version of the system interface is nobody's business.
            let differs = |at: usize| found.get(at) != own.get(at);
            match [4, 5, 18, 19].into_iter().any(differs) {
                false => Ok(()),
                true => Err(Obstacle::OtherMachine),
            }
        }
        Some(_) | None => Err(Obstacle::NotOurs),
    }
}

/// What kept the child from executing the image, in one word; never 0.
fn encode(obstacle: Obstacle) -> u32 {
    let (kind, error) = match obstacle {
        Obstacle::NotRead(Errno(error)) => (1, error),
        Obstacle::NotExecuted(Errno(error)) => (2, error),
        Obstacle::OtherMachine => (3, 0),
        #[cfg(feature = "exchange")]
        Obstacle::NoCore => (5, 0),
        #[cfg(feature = "exchange")]
        Obstacle::OtherTables => (6, 0),
        #[cfg(feature = "exchange")]
        Obstacle::OtherKeeper => (7, 0),
        #[cfg(feature = "exchange")]
        Obstacle::OtherLayout => (8, 0),
        _ => (4, 0),
    };
    kind << 16 | u32::from(error)
}

fn decode(word: u32) -> Option<Obstacle> {
    let [low, high, kind, _] = word.to_le_bytes();
    let error = Errno(u16::from_le_bytes([low, high]));
    match kind {
        1 => Some(Obstacle::NotRead(error)),
        2 => Some(Obstacle::NotExecuted(error)),
        3 => Some(Obstacle::OtherMachine),
        4 => Some(Obstacle::NotOurs),
        #[cfg(feature = "exchange")]
        5 => Some(Obstacle::NoCore),
        #[cfg(feature = "exchange")]
        6 => Some(Obstacle::OtherTables),
        #[cfg(feature = "exchange")]
        7 => Some(Obstacle::OtherKeeper),
        #[cfg(feature = "exchange")]
        8 => Some(Obstacle::OtherLayout),
        _ => None,
    }
}
