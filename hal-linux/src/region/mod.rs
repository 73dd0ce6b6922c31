//! This file says what lies where in the memory that outlives the program: why the program is
//! executed again, descriptors, who serves which unit, what was taken from the kernel and not yet
//! by the core. The core's own records follow.
//!
//! Words only, each written at once. The kernel writes some of them itself: the number of a child
//! that it makes, how a child ended, what was read. So nothing is ever in our hands alone.

pub(crate) mod at;
#[cfg(feature = "freestanding")]
mod copy;
mod descriptor;
mod head;
mod keeper;
mod origin;
#[cfg(feature = "freestanding")]
pub(crate) mod stage;
mod units;

use crate::sys::kernel::Kernel;
#[cfg(feature = "freestanding")]
use crate::sys::shared;
use crate::sys::shared::SharedWords;
use core::ops::Deref;
use core::sync::atomic::AtomicU32;
pub(crate) use descriptor::{EXECUTION, IS_OUTPUT, adopt, note, number};
pub(crate) use head::Head;
use init_core::checkpoint::name_words_for;
use init_core::checkpoint::words::Words;
use init_core::protocol::with_counts;
use init_core::relay;
use keeper::KEEPER_WORDS;
use units::UNIT_WORDS;
pub(crate) use units::{is_sound, noted_twice};

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

/// Words of the ring between a keeper and its core.
const RING_WORDS: usize = if SPLIT { relay::WORDS } else { 0 };

impl Deref for Region {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Region {
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

    /// The core's part; none if nobody will find it.
    pub(crate) fn core(&self) -> Words<'static> {
        Words::new(if self.is_kept() { self.core } else { &[] })
    }
}

fn three(words: SharedWords, begin: usize) -> Three {
    let words = words.get(begin..).and_then(<[AtomicU32]>::first_chunk);
    words.unwrap_or(&NOWHERE)
}
