//! This file says what lies where in the memory that outlives the program: why the program is
//! executed again, descriptors, who serves which unit, what was taken from the kernel and not yet
//! by the core. The core's own records follow.
//!
//! Words only, each written at once. The kernel writes some of them itself: the number of a child
//! that it makes, how a child ended, what was read. So nothing is ever in our hands alone.

use crate::carried::upgrades;
pub(crate) mod at;
mod head;
#[cfg(feature = "freestanding")]
pub(crate) mod stage;

use crate::heal;
use crate::sys::fd::Fd;
use crate::sys::kernel::Kernel;
use crate::sys::shared::{self, SharedWords};
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};
pub(crate) use head::Head;
use init_core::checkpoint::words::{Words, load, store};
use init_core::checkpoint::{mend_title, name_units, name_words_for, words_for};
use init_core::event::Errno;
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::protocol::with_counts;
use init_core::relay;
use init_core::unit::Manifest;

/// "This is a region of sysMaster on Linux, in this layout." Raised when a word's meaning changes.
const MAGIC: u32 = {
    let meaning = if SPLIT { 0x5253_8008 } else { 0x5253_0006 };
    let keeper = if SPLIT { KEEPER_WORDS } else { 0 };
    let places = with_counts(meaning, &at::ALL);
    with_counts(places, &[UNIT_WORDS, name_words_for(1), keeper])
};

/// Whether there are heirs at all; if not, the compiler drops what they need.
pub(crate) const HEALS: bool = cfg!(feature = "heal");

/// Whether the core is a process of its own.
pub(crate) const SPLIT: bool = cfg!(feature = "split");

/// Whether the core can be exchanged alone.
pub(crate) const EXCHANGES: bool = cfg!(feature = "exchange");

/// Whether process 1 records what reaches its core.
pub(crate) const RECORDS: bool = cfg!(feature = "recorder");

/// Words of a `siginfo_t`.
pub(crate) const EXIT_WORDS: usize = 32;
/// Room for a signal's record, or for what a service says to be ready.
pub(crate) const BYTES_WORDS: usize = crate::ready::READY_BYTES_MAX / 4;

/// Room for lines of a console that is slower than we are: about 40 of them, 0.2 s at 115 200 baud.
pub(crate) const TEXT_WORDS: usize = 512;

/// For each unit: its readiness descriptor plus 1 (or [`EXECUTION`]), then for each role a
/// process's number, its generation, and whether and why its program was not executed.
const UNIT_WORDS: usize = 1 + 3 * Role::COUNT;

/// Words that belong together; of a place that is not there, words that nobody else uses.
type Three = &'static [AtomicU32; 3];

static NOWHERE: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

/// The words of a client: its descriptor plus 1, its generation, its state: 0 (it may say
/// something), [`BUSY`] or [`ANSWERING`].
pub(crate) type ClientWords = Three;

/// A client waits for its answer.
pub(crate) const BUSY: u32 = 1;
/// A client's answer is being sent: whether it was, nobody can tell any more.
pub(crate) const ANSWERING: u32 = 2;

/// The words of a process: its number, or 0; its generation and, once that is known to us, its
/// number again; why its program was not executed, which it writes itself.
pub(crate) type Entry = Three;

/// The memory that outlives the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) head: Head,
    units: SharedWords,
    /// Head, units, and what only a keeper has.
    own: SharedWords,
    ring: SharedWords,
    core: SharedWords,
}

/// Words that only a keeper has, behind the names of all units, which come behind all others of its
/// own: the core's process, its place in the ring, how long that is, and whether the image stood
/// its trial.
const KEEPER_WORDS: usize = 4;
/// Behind those, where a program without it has nothing: which image's core was chosen.
const CHOICE_WORDS: usize = if EXCHANGES { 1 } else { 0 };
const RING_WORDS: usize = if SPLIT { relay::WORDS } else { 0 };

impl Deref for Region {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Region {
    /// What the life before this one left, whatever units it had.
    #[inline(never)]
    pub(crate) fn inherited() -> Option<Self> {
        let region = Self::found()?;
        (region.get(at::HANDOVER) != 0).then_some(region)
    }

    /// What the life before this one left, if it was of this very program. What follows from that
    /// is not taken from the words, which may be damaged, but put right.
    pub(crate) fn left_to(manifest: &Manifest) -> Option<Self> {
        let (own, others) = sizes(manifest);
        let (own, others) = if SPLIT {
            shared::inherited_parts(own, others)?
        } else {
            let words = shared::found_words()?;
            let is_whole = words.len() == own.saturating_add(others);
            words.split_at_checked(own).filter(|_| is_whole)?
        };
        let region = Self::of(own, others, manifest.units.len())?;
        let handover = region.get(at::HANDOVER);
        if handover == 0 || handover == heal::HANDOVER_UPGRADE {
            if SPLIT {
                // Whatever stays mapped a core would have as well.
                shared::unmap(own);
                shared::unmap(others);
            }
            return None;
        }
        region.mark_kept(manifest);
        mend_title(region.core(), manifest);
        Some(region)
    }

    /// It is ours, and heirs will find it.
    pub(crate) fn mark_kept(&self, manifest: &Manifest) {
        let count = u32::try_from(manifest.units.len());
        self.set(at::UNIT_COUNT, count.unwrap_or(0));
        if SPLIT {
            let [_, _, ring_words, _] = self.keeper();
            store(ring_words, u32::try_from(RING_WORDS).unwrap_or(0));
            if upgrades().is_some() {
                name_units(self.names(), manifest);
            }
        }
        self.set(at::KEPT, 1);
        self.set(at::MAGIC, MAGIC);
    }

    /// The region under [`shared::WORDS_FD`].
    pub(crate) fn found() -> Option<Self> {
        if !HEALS {
            return None;
        }
        let words = shared::found_words()?;
        let count = words.get(at::UNIT_COUNT)?.load(Ordering::Acquire);
        let count = usize::try_from(count).ok()?;
        let own = own_words(count);
        let (own, others) = match SPLIT {
            true => shared::parts_of(words, own)?,
            false => words.split_at_checked(own)?,
        };
        let mut region = Self::of(own, others, count)?;
        if SPLIT {
            let [_, _, ring_words, _] = region.keeper();
            let ring_words = usize::try_from(load(ring_words)).ok()?;
            (region.ring, region.core) = others.split_at_checked(ring_words)?;
        }
        (region.get(at::MAGIC) == MAGIC).then_some(region)
    }

    /// A region in memory of its own, for one that is left to be written down anew.
    #[cfg(feature = "freestanding")]
    pub(crate) fn blank(manifest: &Manifest) -> Option<(Self, Fd)> {
        let (own, others) = sizes(manifest);
        let (file, own, others) = if SPLIT {
            shared::file_of_parts(own, others).ok()?
        } else {
            let (file, words) = shared::file_of_words(own.saturating_add(others)).ok()?;
            let (own, others) = words.split_at_checked(own)?;
            (file, own, others)
        };
        Some((Self::of(own, others, manifest.units.len())?, file))
    }

    /// Gives up one that was found: nobody uses it any more.
    #[cfg(feature = "freestanding")]
    pub(crate) fn give_up(&self) {
        shared::unmap_all(self.own, self.size());
    }

    /// Words from its begin to its end.
    #[cfg(feature = "freestanding")]
    pub(crate) fn size(&self) -> usize {
        let others = self.ring.len().saturating_add(self.core.len());
        self.others_at().saturating_add(others)
    }

    /// Where those begin that the core may write.
    #[cfg(feature = "freestanding")]
    fn others_at(&self) -> usize {
        match SPLIT {
            true => shared::begin_of_second(self.own.len()),
            false => self.own.len(),
        }
    }

    /// What a core may write of a copy, as [`Self::shared_words`].
    ///
    /// # Errors
    /// What the kernel answers, for lack of memory.
    #[cfg(all(feature = "freestanding", feature = "exchange"))]
    pub(crate) fn shared_words_of(&self, copy: &Fd) -> Result<(SharedWords, usize), Errno> {
        let count = self.ring.len().saturating_add(self.core.len());
        let words = shared::second_part(copy, self.own.len(), count)?;
        Ok((words, self.ring.len()))
    }

    /// All that is mapped of it.
    #[cfg(all(feature = "freestanding", feature = "exchange"))]
    pub(crate) fn mappings(&self) -> [SharedWords; 2] {
        [self.own, self.shared_words().0]
    }

    /// All of it, and where each part begins.
    #[cfg(feature = "freestanding")]
    pub(crate) fn parts(&self) -> [(usize, SharedWords); 3] {
        let others = self.others_at();
        [
            (0, self.own),
            (others, self.ring),
            (others.saturating_add(self.ring.len()), self.core),
        ]
    }

    /// The words of a unit: those of its readiness descriptor and of its processes.
    #[cfg(feature = "freestanding")]
    pub(crate) fn unit(&self, unit: UnitId) -> SharedWords {
        let begin = unit.index().saturating_mul(UNIT_WORDS);
        let words = self.units.get(begin..).unwrap_or_default();
        words.get(..UNIT_WORDS).unwrap_or_default()
    }

    /// A new one, shared with children; also with heirs if the kernel has files in memory and
    /// process 1 heals.
    ///
    /// # Errors
    /// What the kernel answers, for lack of memory.
    #[inline(never)]
    pub(crate) fn new(manifest: &Manifest, kernel: Kernel) -> Result<Self, Errno> {
        let unit_count = manifest.units.len();
        let (own, others) = sizes(manifest);
        let lasting = match HEALS && kernel.memfd {
            true if SPLIT => shared::lasting_parts(own, others).ok(),
            true => shared::lasting_words(own.saturating_add(others))
                .ok()
                .and_then(|words| words.split_at_checked(own)),
            false => None,
        };
        let is_kept = lasting.is_some();
        let (own, others) = match lasting {
            Some(parts) => parts,
            None if others == 0 => (shared::new_words(own)?, &[][..]),
            None => (shared::new_words(own)?, shared::new_words(others)?),
        };
        let region = Self::of(own, others, unit_count).ok_or(Errno(0))?;
        region.set(at::KERNEL, kernel.bits());
        region.mark_kept(manifest);
        region.set(at::KEPT, is_kept.into());
        Ok(region)
    }

    fn of(own: SharedWords, others: SharedWords, unit_count: usize) -> Option<Self> {
        let (head, rest) = own.split_first_chunk()?;
        let units = rest.get(..unit_count.checked_mul(UNIT_WORDS)?)?;
        let (ring, core) = others.split_at_checked(RING_WORDS)?;
        Some(Self {
            head: Head(head),
            units,
            own,
            ring,
            core,
        })
    }

    /// For a keeper: the number of the core's process, or 0, which the kernel writes.
    pub(crate) fn core_process(&self) -> &'static AtomicU32 {
        let [word, ..] = self.keeper();
        word
    }

    /// For a keeper: where it stands in the ring.
    pub(crate) fn ring_place(&self) -> &'static AtomicU32 {
        let [_, word, ..] = self.keeper();
        word
    }

    /// For a keeper: whether the image stood its trial, and what for.
    pub(crate) fn trial_passed(&self) -> &'static AtomicU32 {
        let [.., word] = self.keeper();
        word
    }

    fn keeper(&self) -> &'static [AtomicU32; KEEPER_WORDS] {
        static NOBODY: [AtomicU32; KEEPER_WORDS] = [const { AtomicU32::new(0) }; KEEPER_WORDS];
        let end = self.own.len().saturating_sub(CHOICE_WORDS);
        let words = self.own.get(..end).and_then(<[AtomicU32]>::last_chunk);
        words.unwrap_or(&NOBODY)
    }

    /// For a keeper: whether an image, or its core, stood its trial.
    pub(crate) fn has_passed_trial(&self) -> bool {
        let stage = load(self.trial_passed());
        #[cfg(feature = "exchange")]
        return matches!(stage, stage::PASSED | stage::CORE_PASSED);
        #[cfg(not(feature = "exchange"))]
        {
            stage != 0
        }
    }

    /// For a keeper: the image whose core was chosen, by its descriptor plus 1; 0: its own core.
    #[cfg(feature = "exchange")]
    pub(crate) fn choice(&self) -> &'static AtomicU32 {
        let [nowhere, ..] = &NOWHERE;
        self.own.last().unwrap_or(nowhere)
    }

    /// For a keeper: what the units are called, where no core can change it.
    pub(crate) fn names(&self) -> Words<'static> {
        let begin = at::UNITS.saturating_add(self.units.len());
        Words::new(self.own.get(begin..).unwrap_or_default())
    }

    /// What a core that is a process of its own may write: the ring, and its own part, which its
    /// heirs find even where process 1 itself has none.
    pub(crate) fn core_words(&self) -> (Words<'static>, Words<'static>) {
        (Words::new(self.ring), Words::new(self.core))
    }

    /// As [`Self::core_words`], in one; and how many are the ring's.
    #[cfg(feature = "freestanding")]
    pub(crate) fn shared_words(&self) -> (SharedWords, usize) {
        shared::joined(self.ring, self.core)
    }

    /// Whether heirs will find it.
    pub(crate) fn is_kept(&self) -> bool {
        HEALS && self.get(at::KEPT) != 0
    }

    /// What the first life found out about the kernel.
    pub(crate) fn kernel(&self) -> Kernel {
        Kernel::of_bits(self.get(at::KERNEL))
    }

    pub(crate) fn client(&self, slot: u8) -> ClientWords {
        let words = self.part(at::CLIENTS, at::CLIENT_WORDS);
        three(words, usize::from(slot).saturating_mul(3))
    }

    /// Where a unit's readiness descriptor is noted, plus 1, or [`EXECUTION`].
    pub(crate) fn ready(&self, unit: UnitId) -> &'static AtomicU32 {
        let [word, ..] = three(self.units, unit.index().saturating_mul(UNIT_WORDS));
        word
    }

    /// The process of a unit in a role.
    pub(crate) fn entry(&self, child: Child) -> Entry {
        let skip = match child.role {
            Role::Main => 1,
            Role::Stop => 4,
            Role::Probe => 7,
        };
        let begin = child.unit.index().saturating_mul(UNIT_WORDS);
        three(self.units, begin.saturating_add(skip))
    }

    /// The core's part; none if nobody will find it.
    pub(crate) fn core(&self) -> Words<'static> {
        Words::new(if self.is_kept() { self.core } else { &[] })
    }

    /// No program that is started from now on is to have what images and trials need.
    pub(crate) fn keep_images(&self) {
        let words = self.part(at::IMAGE, 2).iter();
        #[cfg(feature = "exchange")]
        let words = words.chain(core::iter::once(self.choice()));
        for descriptor in words.filter_map(adopt) {
            descriptor.leak();
        }
    }

    /// Does this with every descriptor that an heir gets.
    pub(crate) fn each_descriptor(&self, work: fn(u16)) {
        each_of(self.part(at::SPARE, 4), 1, work);
        each_of(self.part(at::IMAGE, 2), 1, work);
        #[cfg(feature = "exchange")]
        each_of(core::slice::from_ref(self.choice()), 1, work);
        each_of(self.part(at::CLIENTS, at::CLIENT_WORDS), 3, work);
        each_of(self.units, UNIT_WORDS, work);
    }
}

/// The second word of a process that runs: its generation, and above that its number again, which
/// the generation is mixed into. Until that is written, after the kernel has told the number, the
/// upper half is 0.
pub(crate) fn noted_twice(generation: Generation, pid: u32) -> u32 {
    let low = u32::from(generation.0);
    (pid ^ pid.wrapping_shr(16) ^ low).wrapping_shl(16) | low
}

/// Whether both words of a process are as they were written.
pub(crate) fn is_sound(noted: u32, generation: Generation, pid: u32) -> bool {
    noted == noted_twice(generation, pid) || noted == generation.0.into()
}

/// Of so many words each, the first is a descriptor plus 1, or 0.
fn each_of(words: SharedWords, distance: usize, work: fn(u16)) {
    let mut rest = words;
    while let Some(word) = rest.first() {
        if let Ok(number) = u16::try_from(load(word).wrapping_sub(1)) {
            work(number);
        }
        rest = rest.get(distance..).unwrap_or_default();
    }
}

fn three(words: SharedWords, begin: usize) -> Three {
    let words = words.get(begin..).and_then(<[AtomicU32]>::first_chunk);
    words.unwrap_or(&NOWHERE)
}

/// Words that are process 1's own, and those that the core may write.
fn sizes(manifest: &Manifest) -> (usize, usize) {
    let unit_count = manifest.units.len();
    let core = if HEALS { words_for(unit_count) } else { 0 };
    let core = core.saturating_add(recorder_words(manifest));
    (own_words(unit_count), core.saturating_add(RING_WORDS))
}

fn own_words(unit_count: usize) -> usize {
    let units = unit_count.saturating_mul(UNIT_WORDS);
    let own = at::UNITS.saturating_add(units);
    let keeper = match SPLIT {
        true => name_words_for(unit_count).saturating_add(KEEPER_WORDS + CHOICE_WORDS),
        false => 0,
    };
    own.saturating_add(keeper)
}

/// Words of the flight recorder, behind the core's own.
fn recorder_words(manifest: &Manifest) -> usize {
    if !RECORDS {
        return 0;
    }
    let recorder = manifest.healing.and_then(|healing| healing.recorder);
    let bytes = recorder.map_or(0, |recorder| recorder.bytes);
    usize::try_from(bytes / 4).unwrap_or(0)
}

/// Stands for a readiness descriptor where a program's execution is awaited. No descriptor has the
/// number.
pub(crate) const EXECUTION: u32 = u32::MAX;

/// Notes a descriptor, or that there is none.
pub(crate) fn note(word: &AtomicU32, descriptor: Option<&Fd>) {
    let number = descriptor.map_or(0, |fd| u32::from(fd.number()).saturating_add(1));
    store(word, number);
}

/// Takes over a descriptor that was noted, if one was.
pub(crate) fn adopt(word: &AtomicU32) -> Option<Fd> {
    let number = load(word).checked_sub(1)?;
    Fd::adopt(u16::try_from(number).ok()?)
}
