//! This room keeps the core's state outside the program, so that its next incarnation goes on where
//! the last one died.
//!
//! Working state is ordinary memory. After each step the units that it touched and the machine's
//! own state, with the number of effects that it asks for, are committed to a region of words
//! (`records`), all at once: whoever finds the region later finds the state after a step or before
//! it, never between. The cost is that of the records touched; the size is fixed by the number of
//! units.
//!
//! An effect is noted as begun before the driver performs it, and as done when the driver comes
//! back. One that is pending after a restart is performed then; one that was begun, as
//! [`Core::keep_in`] says.

mod at;
mod entry;
mod last;
mod legacy;
mod names;
#[cfg(not(feature = "recorder"))]
mod no_recorder;
mod pack;
mod recorder;
#[cfg(feature = "fake")]
pub mod recording;
mod records;
#[cfg(test)]
mod schema;
pub mod words;

use crate::effect::{Effect, Fault, Notice};
use crate::event::Event;
use crate::ident::UnitId;
use crate::supervisor::unit::Unit;
use crate::supervisor::{Core, EFFECT_COUNT_MAX};
use crate::system::{Phase, System};
use crate::time::Instant;
use crate::unit::{Manifest, Signal};
use crate::wire::{Value, Wire};
use core::sync::atomic::AtomicU32;
pub use entry::{Entry, Happening};
pub use last::last_act;
use last::{LIFE, code};
pub(crate) use legacy::describe;
pub use legacy::{Legacy, name_units, name_words_for};
use names::Names;
pub(crate) use names::Renames;
#[cfg(not(feature = "recorder"))]
pub use no_recorder::NoRecorder as OwnRecorder;
use pack::Rest;
#[cfg(feature = "recorder")]
pub use recorder::Recorder as OwnRecorder;
pub use recorder::{ENTRY_COUNT_MIN, RECORDS, Recorder, bytes_for as recorder_bytes_for};
use records::{RECORD_BYTES, Records};
use words::{KEEPS, Words, load};

/// "This region is of sysMaster, in this layout." Raised whenever the meaning of a word changes.
const MAGIC: u32 = 0x534d_0006;

/// Pending effects are those that wait, and the one that is being performed.
const EFFECT_PLACES: usize = 2 * EFFECT_COUNT_MAX;

/// Words of an effect: the largest is a reply that says why a unit failed.
const EFFECT_WORDS: usize = 4;

const NAMES: usize = at::EFFECTS + EFFECT_PLACES * EFFECT_WORDS;

const fn records_at(units: usize) -> usize {
    NAMES.wrapping_add(Names::words_for(units))
}

/// Words that the region of a product with this many units has.
pub const fn words_for(units: usize) -> usize {
    records_at(units).wrapping_add(Records::words_for(record_count(units)))
}

/// Another number where a core would not find what one of another program wrote, or not understand
/// it, though both are of the same tables.
#[cfg(feature = "exchange")]
pub const LAYOUT: u32 = {
    let recorded = if RECORDS { entry::ENTRY_WORDS } else { 0 };
    let counts = [NAMES, EFFECT_WORDS, records::RECORD_WORDS, recorded];
    let records = crate::protocol::fnv1a(include_bytes!("schema.txt"));
    crate::protocol::with_counts(MAGIC ^ records, &counts)
};

/// What a record is about. The machine has two: what changes seldom need not be kept anew each
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    System,
    Rest,
    Unit(UnitId),
}

impl Part {
    const MACHINE: [Self; 2] = [Self::System, Self::Rest];

    /// The number of its record.
    fn record(self) -> usize {
        match self {
            Self::System => 0,
            Self::Rest => 1,
            Self::Unit(id) => id.index().wrapping_add(Self::MACHINE.len()),
        }
    }
}

/// Records of so many units and of the machine.
const fn record_count(units: usize) -> usize {
    units.wrapping_add(Part::MACHINE.len())
}

/// Puts the title of a region right, which an earlier incarnation of this very program is known to
/// have left: one of its two words may be damaged. One that was never whole stays so.
#[inline(never)]
pub fn mend_title(words: Words<'_>, manifest: &Manifest) {
    let (magic, names) = (words.get(at::MAGIC), fingerprint(manifest));
    if magic == MAGIC || (magic != 0 && words.get(at::FINGERPRINT) == names) {
        words.set(at::MAGIC, MAGIC);
        words.set(at::FINGERPRINT, names);
    }
}

/// Turns a bit of a word of a unit's record, for tests. `false`: a journal is there that mends it.
#[cfg(feature = "fake")]
pub fn damage(words: Words<'_>, units: usize, unit: UnitId, word: usize, bit: u32) -> bool {
    let records = Records::new(words, records_at(units), record_count(units));
    records.damage(Part::Unit(unit).record(), word, bit)
}

/// Words that are written alone.
type Head = [AtomicU32; at::EFFECTS];

/// Those where nothing is kept.
static NOWHERE: Head = [const { AtomicU32::new(0) }; at::EFFECTS];

/// Where it is kept, and which effects.
#[derive(Debug)]
pub(crate) struct Checkpoint<'a> {
    words: Words<'a>,
    /// The first of them.
    head: &'a Head,
    records: Records<'a>,
    /// Effects asked for since the region was made; the number of the last.
    emitted: u32,
    /// Effects given to the driver. When it asks for the next, all of them are done.
    taken: u32,
    /// Something of what was found could not be read.
    pub(crate) is_damaged: bool,
    pub(crate) recorder: OwnRecorder<'a>,
}

/// What was found when the region was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Nothing of use: the machine is to be booted.
    None,
    /// The state that the last incarnation left; which one this is, from 2.
    Restored(u32),
}

impl<'a> Checkpoint<'a> {
    /// Keeps nothing.
    pub(crate) const fn nowhere() -> Self {
        Self {
            words: Words::new(&[]),
            head: &NOWHERE,
            records: Records::new(Words::new(&[]), 0, 0),
            emitted: 0,
            taken: 0,
            is_damaged: false,
            recorder: OwnRecorder::new(Words::new(&[]), 0),
        }
    }

    fn new(words: Words<'a>, units: usize) -> Self {
        Self {
            words,
            head: words.head().unwrap_or(&NOWHERE),
            records: Records::new(words, records_at(units), record_count(units)),
            emitted: 0,
            taken: 0,
            is_damaged: false,
            recorder: OwnRecorder::new(words.after(words_for(units)), units),
        }
    }

    /// A word that is written alone.
    fn get(&self, at: usize) -> u32 {
        match KEEPS {
            true => self.head.get(at).map_or(0, load),
            false => 0,
        }
    }

    /// Writes such a word.
    fn set(&self, at: usize, value: u32) {
        if let Some(word) = self.head.get(at) {
            self.words.put(word, value);
        }
    }

    /// Whether nothing is kept.
    pub(crate) const fn is_nowhere(&self) -> bool {
        self.words.is_empty()
    }

    /// The first word of an effect by its number.
    fn effect(number: u32) -> usize {
        const _: () = assert!(EFFECT_PLACES.is_power_of_two() && EFFECT_PLACES <= 256);
        let [low, ..] = number.to_le_bytes();
        let slot = usize::from(low) & (EFFECT_PLACES - 1);
        at::EFFECTS.wrapping_add(slot.wrapping_mul(EFFECT_WORDS))
    }

    /// Notes an effect; it is pending once it is committed.
    pub(crate) fn emitted(&mut self, effect: Effect) {
        if self.words.is_empty() {
            return;
        }
        self.emitted = self.emitted.wrapping_add(1);
        let (mut effect, mut bytes) = (effect, [0; EFFECT_WORDS * 4]);
        effect.pass(&mut Wire::writing(&mut bytes));
        self.words.write(Self::effect(self.emitted), &bytes);
    }

    /// The effect of that number. What cannot be read is told in its place.
    fn read_effect(&self, number: u32) -> Effect {
        let (mut effect, mut bytes) = (Effect::EMPTY, [0; EFFECT_WORDS * 4]);
        self.words.read(Self::effect(number), &mut bytes);
        let mut wire = Wire::reading(&bytes);
        effect.pass(&mut wire);
        if wire.is_whole() {
            effect
        } else {
            Effect::Notice(Notice::Fault(Fault::DamagedEffect))
        }
    }

    /// The driver comes back: what it was given is done.
    pub(crate) fn all_done(&mut self) {
        self.set(at::DONE, self.taken);
    }

    /// The driver is given the next effect.
    pub(crate) fn begun(&mut self) {
        self.taken = self.taken.wrapping_add(1);
        self.set(at::BEGUN, self.taken);
    }
}

impl<'a> Core<'a> {
    /// Keeps the core's state in these words from now on, at least [`words_for`] its units. If they
    /// hold what an earlier incarnation left, that becomes the core's state, and the effects that
    /// were pending wait in [`Core::next_effect`]:
    /// - a spawn: the platform gives the process that there is for this child, if there is one;
    /// - a signal that was begun: not again, but for SIGKILL, of which a second does nothing, and
    ///   none would leave a process that is taken for one that cannot be killed;
    /// - a reply: the client is hung up on instead;
    /// - the execution of the program: not again, this is its next life;
    /// - a signal to all, or the machine's last act: again;
    /// - a notice: told as lost, its text is not kept.
    ///
    /// An event that was on its way in is in [`Core::event_count`], or it is to be delivered again.
    /// The order of the run queue is not kept: jobs that were waiting for their turn are looked at
    /// in the units' order.
    #[inline(never)]
    pub fn keep_in(&mut self, words: Words<'a>) -> Past {
        self.begin_keeping(words);
        let checkpoint = &self.checkpoint;
        let known = !checkpoint.is_nowhere()
            && checkpoint.get(at::MAGIC) == MAGIC
            && checkpoint.get(at::FINGERPRINT) == fingerprint(self.manifest);
        if known {
            let life = checkpoint.get(at::LIVES).wrapping_add(1);
            checkpoint.set(at::LIVES, life);
            let before = |place| if RECORDS { checkpoint.get(place) } else { 0 };
            let before = [before(at::BEGUN), before(at::DONE)];
            if self.restore() {
                let life = life & LIFE;
                if self.system.is_going_down() {
                    self.checkpoint
                        .set(at::LIVES, life | code(self.system.action));
                }
                self.record_life(life, before);
                return Past::Restored(life);
            }
        }
        self.format();
        Past::None
    }

    #[inline(never)]
    fn begin_keeping(&mut self, words: Words<'a>) {
        self.checkpoint = Checkpoint::new(words, self.units.len());
    }

    /// Makes the region one in which nothing has happened yet, and holds it for one only then.
    fn format(&mut self) {
        self.begin_keeping(self.checkpoint.words);
        *self.system = System::new();
        self.waiters = Default::default();
        (self.orphan_count, self.event_count) = (0, 0);
        let words = self.checkpoint.words;
        self.checkpoint.set(at::MAGIC, 0);
        self.checkpoint.set(at::BEGUN, 0);
        self.checkpoint.set(at::DONE, 0);
        for id in self.units.ids() {
            let _touched = self.units.get_mut(id);
        }
        if let Some(code) = self.manifest.hot_upgrade {
            code.describe(words, self.manifest);
        }
        self.commit();
        let checkpoint = &mut self.checkpoint;
        checkpoint.set(at::FINGERPRINT, fingerprint(self.manifest));
        checkpoint.set(at::LIVES, 1);
        checkpoint.recorder.begin(&checkpoint.records);
        checkpoint.set(at::MAGIC, MAGIC);
    }

    /// Says once more what another image has to know: it finds units by what was written at boot,
    /// and one whose name was damaged since it would start beside itself.
    pub(crate) fn describe_again(&self) {
        describe(self.checkpoint.words, self.manifest);
    }

    fn record_life(&mut self, life: u32, [begun, done]: [u32; 2]) {
        let life = Happening::Life { life, begun, done };
        let checkpoint = &mut self.checkpoint;
        let life = (!checkpoint.is_damaged).then_some(life);
        checkpoint.recorder.go_on(&checkpoint.records, life);
    }

    /// Records what is taken in next.
    pub(crate) fn record(&mut self, event: Event, now: Instant) {
        if RECORDS {
            self.checkpoint.recorder.put(Happening::Event(event), now);
        }
    }

    /// Nothing is left to do.
    pub(crate) fn record_rest(&mut self, now: Instant) {
        if RECORDS {
            let checkpoint = &mut self.checkpoint;
            let life = checkpoint.get(at::LIVES) & LIFE;
            checkpoint.recorder.rest(&checkpoint.records, life, now);
        }
    }

    /// Makes what the last step did the state that an heir finds.
    pub(crate) fn commit(&mut self) {
        if !KEEPS {
            return;
        }
        if self.checkpoint.words.is_empty() {
            return self.units.forget_touched();
        }
        self.checkpoint.recorder.count_open();
        while let Some(id) = self.units.next_touched() {
            self.stage(Part::Unit(id));
        }
        if self.system.take_changed() {
            self.stage(Part::System);
        }
        self.stage(Part::Rest);
        self.checkpoint.records.commit();
        #[cfg(feature = "fake")]
        self.checkpoint.words.tell_commit();
    }

    /// Stages a record.
    fn stage(&mut self, part: Part) {
        let mut bytes = [0; RECORD_BYTES];
        self.pass(part, &mut Wire::writing(&mut bytes));
        let (record, checkpoint) = (part.record(), &mut self.checkpoint);
        let new = checkpoint.records.stage(record, &bytes);
        if RECORDS {
            let old = checkpoint.records.stored_checksum(record);
            checkpoint.recorder.changed(record, old, new);
        }
    }

    /// Reads a record. `false`: it is damaged, and what was read is not what was written.
    fn read(&mut self, part: Part) -> bool {
        let mut bytes = [0; RECORD_BYTES];
        if !self.checkpoint.records.read(part.record(), &mut bytes) {
            return false;
        }
        let mut wire = Wire::reading(&bytes);
        self.pass(part, &mut wire);
        wire.is_whole()
    }

    /// Passes what is kept in a record.
    fn pass(&mut self, part: Part, wire: &mut Wire<'_, '_>) {
        match part {
            Part::System => self.system.as_kept().pass(wire),
            Part::Rest => {
                let mut rest = Rest {
                    waiters: self.waiters,
                    orphan_count: self.orphan_count,
                    event_count: self.event_count,
                    emitted: self.checkpoint.emitted,
                    taken: self.checkpoint.taken,
                };
                rest.pass(wire);
                self.waiters = rest.waiters;
                self.orphan_count = rest.orphan_count;
                self.event_count = rest.event_count;
                self.checkpoint.emitted = rest.emitted;
                self.checkpoint.taken = rest.taken;
            }
            Part::Unit(id) => pack::unit(self.units.link(id), wire),
        }
    }

    /// Reads what is committed. `false`: there is no machine's record, or it was never booted.
    fn restore(&mut self) -> bool {
        self.checkpoint.records.settle();
        let is_known = self.read(Part::System) && self.read(Part::Rest);
        if !is_known || self.system.phase == Phase::Off {
            return false;
        }
        self.restore_effects();
        for id in self.units.ids() {
            if !self.read(Part::Unit(id)) {
                *self.units.link(id) = Unit::NEW;
                self.checkpoint.is_damaged = true;
                self.fault(Fault::DamagedUnit(id));
            }
            self.units.thread_due(id);
            self.enqueue(id);
        }
        true
    }

    /// Takes up the effects that were pending, under their numbers.
    fn restore_effects(&mut self) {
        let emitted = self.checkpoint.emitted;
        let (begun, done) = (
            self.checkpoint.get(at::BEGUN),
            self.checkpoint.get(at::DONE),
        );
        let taken = self.checkpoint.taken;
        // Done is what the commit says, or more, if the driver came back since.
        if done.wrapping_sub(taken) <= emitted.wrapping_sub(taken) {
            self.checkpoint.taken = done;
        }
        let mut number = self.checkpoint.taken;
        while number != emitted {
            number = number.wrapping_add(1);
            let mut effect = self.checkpoint.read_effect(number);
            // What was begun may have been performed, and some must not be twice. An execution was
            // performed, or is given up: this is another life either way.
            if number == begun || matches!(effect, Effect::Renew(_)) {
                let asks = |signal| signal != Signal::KILL;
                let stays_lost = matches!(effect, Effect::Signal { signal, .. } if asks(signal))
                    || matches!(effect, Effect::Renew(_));
                if stays_lost {
                    self.checkpoint.taken = number;
                    self.checkpoint.all_done();
                    continue;
                }
                if let Effect::Reply { client, .. } = effect {
                    effect = Effect::HangUp(client);
                }
            }
            self.take_up(effect);
        }
    }

    /// Apart, as it is seldom: an effect is copied piece by piece where it is queued.
    #[inline(never)]
    fn take_up(&mut self, effect: Effect) {
        let _room = self.effects.push(effect);
    }
}

/// Tells one manifest from another: its units' names, in their order.
#[inline(never)]
fn fingerprint(manifest: &Manifest) -> u32 {
    // FNV-1a.
    let units = manifest.units.iter();
    let names = units.flat_map(|unit| unit.name.bytes().chain([0]));
    names.fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
