//! This file is what was handed out to the core: it stays noted until the core has taken it in, and
//! what keeps ending lives or cores is put aside.

use crate::escalation::VAIN_MAX;
use crate::linux::Linux;
use crate::region::{self, EXIT_WORDS, Head, SPLIT, at};
use crate::storm::Storm;
use crate::sys::{signals, wait};
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use init_core::ident::{Child, UnitId};

/// Lives that may end of the same thing before it is put aside.
pub(crate) const DEATHS_MAX: u32 = 2;

/// Lives in a row that may end before anything was dealt with: two things that kill by turns, each
/// of which would never be the same as the last. Fewer than lead to a new start of the machine.
const VAIN_DEATHS_MAX: u32 = 6;

const _: () = assert!(VAIN_DEATHS_MAX < VAIN_MAX);

/// Cores in a row that somebody may kill over their work before that is put aside: by then each
/// is waited with for as long as any is.
pub(crate) const KILLED_MAX: u32 = VAIN_MAX * 2;

/// What was handed out to the core, as one word of the region: the kind, and above it a number.
/// 0: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// The exit in [`at::EXIT`].
    Exit,
    /// The signal in [`at::BYTES`].
    Signal,
    /// A unit's readiness; what it wrote may be in [`at::BYTES`].
    Ready(UnitId),
    /// A client's frame, which is still in its socket.
    Frame(u8),
}

impl Handed {
    pub(crate) fn word(self) -> u32 {
        match self {
            Self::Exit => 1,
            Self::Signal => 2,
            Self::Ready(unit) => 3 | u32::from(unit.0) << 8,
            Self::Frame(slot) => 4 | u32::from(slot) << 8,
        }
    }

    /// The word of the same where units have other numbers; of one that is gone, nothing.
    #[cfg(feature = "freestanding")]
    pub(crate) fn renamed(word: u32, rename: impl Fn(UnitId) -> Option<UnitId>) -> u32 {
        match Self::of(word) {
            Some(Self::Ready(unit)) => rename(unit).map_or(0, |unit| Self::Ready(unit).word()),
            Some(Self::Exit | Self::Signal | Self::Frame(_)) | None => word,
        }
    }

    pub(crate) fn of(word: u32) -> Option<Self> {
        let [kind, slot, high, _] = word.to_le_bytes();
        match kind {
            1 => Some(Self::Exit),
            2 => Some(Self::Signal),
            3 => Some(Self::Ready(UnitId(u16::from_le_bytes([slot, high])))),
            4 => Some(Self::Frame(slot)),
            _ => None,
        }
    }
}

/// What a death is blamed on: what was handed out, with whose exit or which signal it is. 0:
/// nothing was.
pub(crate) fn suspect(region: &Head) -> u32 {
    let handed = Handed::of(region.get(at::HANDED));
    let which = match handed {
        Some(Handed::Exit) => wait::taken(region.part(at::EXIT, EXIT_WORDS)).map(|(pid, _)| pid),
        Some(Handed::Signal) => Some(region.get(at::BYTES)),
        Some(Handed::Ready(_) | Handed::Frame(_)) | None => None,
    };
    handed.map_or(0, |handed| handed.word() | which.unwrap_or(0) << 8)
}

/// The signal that was taken from the kernel.
pub(crate) fn signal_taken(region: &Head) -> u8 {
    u8::try_from(region.get(at::BYTES)).unwrap_or(0)
}

/// The child of whose end that signal tells, which nobody but the kernel can say; 0: of none's.
pub(crate) fn ended_child(region: &Head) -> u32 {
    let word = |index| region.get(at::BYTES.wrapping_add(index));
    signals::ended_child([word(0), word(2), word(3)])
}

/// Whether this life, or this core, was given what is handed out. What a life before it was given
/// is still noted when it begins.
static IN_HANDS: AtomicBool = AtomicBool::new(false);

/// A life or a core ends by itself. Other deaths, and what is dealt with between them, change
/// nothing of what it may have died of.
pub(crate) fn blame(region: &Head) {
    let suspect = suspect(region);
    if suspect == 0 || !IN_HANDS.load(Ordering::Relaxed) {
        return;
    }
    let count = match region.get(at::BLAMED) == suspect {
        true => region.get(at::BLAMES).saturating_add(1),
        false => 1,
    };
    region.set(at::BLAMES, count);
    region.set(at::BLAMED, suspect);
}

/// What is known of what was taken.
#[derive(Debug)]
pub(crate) struct Intake {
    region: Head,
    /// A child may be there to be reaped.
    pub(crate) reap: bool,
    /// Exits since the descriptors were looked at.
    pub(crate) reaped_count: usize,
    /// The child that ended and is taken next; 0: any.
    pub(crate) named: u32,
    pub(crate) storm: Storm,
    /// Tell when no child is left.
    pub(crate) tell_no_child: bool,
    /// Whose exit is handed out.
    pub(crate) leaving: Option<Child>,
    /// Nothing was handed out in this life.
    is_new: bool,
    /// The core has no state: whatever it counts, it has taken nothing in.
    pub(crate) is_forsaken: bool,
    /// How many events the core has taken in.
    taken_in: u32,
    /// Cores in a row that somebody killed while they had something to do, none of which has dealt
    /// with anything.
    pub(crate) killed: Cell<u32>,
}

impl Intake {
    pub(crate) fn new(region: Head) -> Self {
        Self {
            region,
            // What a predecessor or an initramfs left may already have ended.
            reap: true,
            reaped_count: 0,
            named: 0,
            storm: Storm::NONE,
            tell_no_child: region.get(at::ALONE) != 0,
            leaving: None,
            is_new: true,
            is_forsaken: false,
            taken_in: 0,
            killed: Cell::new(0),
        }
    }

    /// Hands something out, which is settled when the core has taken it in.
    pub(crate) fn hand_out(&self, what: Handed) {
        self.region.set(at::STAMP, self.taken_in);
        self.region.set(at::HANDED, what.word());
        IN_HANDS.store(true, Ordering::Relaxed);
    }

    /// What was handed out and is not settled.
    pub(crate) fn handed(&self) -> Option<Handed> {
        Handed::of(self.region.get(at::HANDED))
    }

    /// What was handed out, the suspect, has been dealt with: this life is not in vain.
    pub(crate) fn settled(&self, suspect: u32) {
        self.region.set(at::VAIN, 0);
        if SPLIT {
            self.killed.set(0);
        }
        if self.region.get(at::BLAMED) == suspect {
            self.region.set(at::BLAMED, 0);
        }
        self.region.set(at::HANDED, 0);
    }

    /// A core begins that is not the one that was told the last: what that one had not taken in is
    /// handed out again.
    pub(crate) fn begin_again(&mut self) {
        IN_HANDS.store(false, Ordering::Relaxed);
        self.is_new = true;
        self.reap = true;
        self.tell_no_child = self.region.get(at::ALONE) != 0;
    }

    /// One core after the other was killed, and who by is not known.
    pub(crate) fn is_killed_for_ever(&self) -> bool {
        SPLIT && self.killed.get() >= KILLED_MAX
    }

    /// From now on, tells when no child is left.
    pub(crate) fn tell_when_alone(&mut self) {
        self.region.set(at::ALONE, 1);
        self.tell_no_child = true;
        self.reap = true;
    }
}

impl Linux {
    /// The core has dealt with what was handed out: it need not be kept any longer. If an heir's
    /// core has not, because that was lost with the life before, it is handed out again.
    pub(crate) fn settle(&mut self, taken_in: u32) {
        // Generations begin anew with a core without a state: what is said of a process that is
        // gone would be taken for the next one's.
        let of_a_process = matches!(self.intake.handed(), Some(Handed::Exit | Handed::Ready(_)));
        let is_forsaken = region::HEALS && self.intake.is_forsaken && !of_a_process;
        let is_lost = self.region.get(at::STAMP) == taken_in || is_forsaken;
        let mut was_lost = self.intake.is_new && is_lost;
        self.intake.is_new = false;
        self.intake.is_forsaken = false;
        self.intake.taken_in = taken_in;
        let Some(handed) = self.intake.handed() else {
            return;
        };
        let suspect = suspect(&self.region);
        let is_blamed = self.region.get(at::BLAMED) == suspect;
        let is_guilty = is_blamed && self.region.get(at::BLAMES) >= DEATHS_MAX;
        let is_in_vain = || self.region.get(at::VAIN) >= VAIN_DEATHS_MAX;
        let is_hopeless = || is_guilty || is_in_vain() || self.intake.is_killed_for_ever();
        if region::HEALS && was_lost && is_hopeless() {
            was_lost = self.put_aside(handed);
        }
        match handed {
            Handed::Frame(slot) if was_lost => {
                self.listen_again(slot);
                return self.region.set(at::HANDED, 0);
            }
            Handed::Ready(unit) if was_lost => {
                self.ready.tell_again(unit);
                return self.region.set(at::HANDED, 0);
            }
            _ if was_lost => return self.region.set(at::HANDED, 0),
            Handed::Exit => self.forget_exit(),
            Handed::Signal => self.region.set(at::SOURCE, 0),
            Handed::Ready(unit) => {
                self.close_ready(unit);
                self.region.set(at::SOURCE, 0);
            }
            Handed::Frame(slot) => self.consume_frame(slot),
        }
        self.intake.settled(suspect);
    }
}
