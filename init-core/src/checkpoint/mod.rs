//! This room keeps the core's state outside the program, so that its next incarnation goes on where
//! the last one died.
//!
//! Working state is ordinary memory. After each step the units that it touched, the machine's own
//! state and the effects that it asks for are written into a region of words, each beside its older
//! copy; then one word commits them all. Whoever finds the region later reads the copies that are
//! committed: the state after a step or before it, never between. The cost is that of the records
//! touched; the size is fixed by the number of units.
//!
//! An effect is noted as begun before the driver performs it, and as done when the driver comes
//! back. One that is pending after a restart is performed then; one that was begun, as
//! [`Core::keep_in`] says.

mod machine;
pub(crate) mod pack;
pub mod words;

use crate::effect::{Effect, Fault, Notice};
use crate::ident::UnitId;
use crate::job::Job;
use crate::supervisor::unit::Unit;
use crate::supervisor::{Core, EFFECT_COUNT_MAX};
use crate::system::System;
use crate::time::Instant;
use crate::unit::Manifest;
use pack::{EFFECT_WORDS, Kept, UNIT_WORDS};
use words::{Found, Place, RECORD_WORDS_MAX, Sheet, Words, next};

/// "This region is of sysMaster, in this layout." Raised whenever the meaning of a word changes.
const MAGIC: u32 = 0x534d_0001;

/// Words of the machine's own record.
const MACHINE_WORDS: usize = RECORD_WORDS_MAX;

const _: () = assert!(UNIT_WORDS <= RECORD_WORDS_MAX);

/// Where a word lies that is written alone.
mod at {
    pub const MAGIC: usize = 0;
    /// Of the manifest.
    pub const FINGERPRINT: usize = 1;
    /// The last commit's number.
    pub const COMMITTED: usize = 2;
    /// The number of the effect that was begun last.
    pub const BEGUN: usize = 3;
    /// The number of the effect that was done last.
    pub const DONE: usize = 4;
    /// Incarnations that found the region.
    pub const LIVES: usize = 5;
    pub const MACHINE: usize = 8;
}

const EFFECTS: usize = at::MACHINE + Place::words_for(MACHINE_WORDS);
const UNITS: usize = EFFECTS + EFFECT_PLACES * EFFECT_WORDS;

/// Pending effects are those that wait, and the one that is being performed.
const EFFECT_PLACES: usize = 2 * EFFECT_COUNT_MAX;

/// Words that the region of a product with this many units has.
pub const fn words_for(units: usize) -> usize {
    UNITS.saturating_add(units.saturating_mul(Place::words_for(UNIT_WORDS)))
}

/// What is kept, and how far it has come.
#[derive(Debug)]
pub(crate) struct Checkpoint<'a> {
    words: Words<'a>,
    committed: u32,
    /// Effects asked for since the region was made; the number of the last.
    emitted: u32,
    /// Effects given to the driver. When it asks for the next, all of them are done.
    taken: u32,
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
            committed: 1,
            emitted: 0,
            taken: 0,
        }
    }

    fn machine(&self) -> Place<'a> {
        Place::new(self.words, at::MACHINE, MACHINE_WORDS)
    }

    fn unit(&self, id: UnitId) -> Place<'a> {
        let size = Place::words_for(UNIT_WORDS);
        let begin = UNITS.saturating_add(id.index().saturating_mul(size));
        Place::new(self.words, begin, UNIT_WORDS)
    }

    /// The first word of an effect by its number.
    fn effect(number: u32) -> usize {
        const _: () = assert!(EFFECT_PLACES.is_power_of_two() && EFFECT_PLACES <= 256);
        let [low, ..] = number.to_le_bytes();
        let slot = usize::from(low) & (EFFECT_PLACES - 1);
        EFFECTS.saturating_add(slot.saturating_mul(EFFECT_WORDS))
    }

    /// Notes an effect; it is pending once it is committed.
    pub(crate) fn emitted(&mut self, effect: Effect) {
        if self.words.is_empty() {
            return;
        }
        self.emitted = self.emitted.wrapping_add(1);
        let mut sheet = Sheet::new();
        pack::pack_effect(effect, &mut sheet);
        sheet.rewind();
        let begin = Self::effect(self.emitted);
        for index in 0..EFFECT_WORDS {
            self.words.set(begin.saturating_add(index), sheet.take());
        }
    }

    /// The driver comes back: what it was given is done.
    pub(crate) fn all_done(&mut self) {
        if self.words.is_empty() {
            return;
        }
        if self.words.get(at::DONE) != self.taken {
            self.words.set(at::DONE, self.taken);
        }
    }

    /// The driver is given the next effect.
    pub(crate) fn begun(&mut self) {
        if self.words.is_empty() {
            return;
        }
        self.taken = self.taken.wrapping_add(1);
        self.words.set(at::BEGUN, self.taken);
    }

    fn read_effect(&self, number: u32) -> Option<Kept> {
        let begin = Self::effect(number);
        let mut sheet = Sheet::new();
        for index in 0..EFFECT_WORDS {
            sheet.put(self.words.get(begin.saturating_add(index)));
        }
        sheet.rewind();
        pack::unpack_effect(&mut sheet)
    }

    fn sequence(&self) -> u32 {
        next(self.committed)
    }
}

impl<'a> Core<'a> {
    /// Keeps the core's state in these words from now on, at least [`words_for`] its units. If they
    /// hold what an earlier incarnation left, that becomes the core's state, and the effects that
    /// were pending wait in [`Core::next_effect`]:
    /// - a spawn: the platform gives the process that there is for this child, if there is one;
    /// - a signal that was begun: not again; a reply: the client is hung up on instead;
    /// - a signal to all, or the machine's last act: again;
    /// - a notice: told as lost, its text is not kept.
    ///
    /// An event that was on its way in is in [`Core::event_count`], or it is to be delivered again.
    /// The order of the run queue is not kept: jobs that were waiting for their turn are looked at
    /// in the units' order.
    pub fn keep_in(&mut self, words: Words<'a>) -> Past {
        self.checkpoint = Checkpoint {
            words,
            ..Checkpoint::nowhere()
        };
        let known = words.get(at::MAGIC) == MAGIC
            && words.get(at::FINGERPRINT) == fingerprint(self.manifest);
        if known {
            let life = words.get(at::LIVES).wrapping_add(1);
            words.set(at::LIVES, life);
            if self.restore() {
                return Past::Restored(life);
            }
            self.system = System::new();
            self.waiters = Default::default();
        }
        self.format();
        Past::None
    }

    /// An empty region. Its first word comes last.
    fn format(&mut self) {
        let words = self.checkpoint.words;
        words.set(at::MAGIC, 0);
        for index in 1..words.len() {
            words.set(index, 0);
        }
        words.set(at::FINGERPRINT, fingerprint(self.manifest));
        words.set(at::COMMITTED, self.checkpoint.committed);
        words.set(at::LIVES, 1);
        words.set(at::MAGIC, MAGIC);
    }

    /// Makes what the last step did the state that an heir finds.
    pub(crate) fn commit(&mut self) {
        if !words::KEEPS {
            return;
        }
        if self.checkpoint.words.is_empty() {
            return self.units.forget_touched();
        }
        let (committed, sequence) = (self.checkpoint.committed, self.checkpoint.sequence());
        while let Some(id) = self.units.next_touched() {
            let mut sheet = Sheet::new();
            pack::pack_unit(self.units.get(id), self.deadlines.of(id), &mut sheet);
            self.checkpoint.unit(id).write(&sheet, committed, sequence);
        }
        let mut sheet = Sheet::new();
        machine::pack(self, &mut sheet);
        sheet.put(self.checkpoint.emitted);
        sheet.put(self.checkpoint.taken);
        sheet.put(self.event_count);
        self.checkpoint.machine().write(&sheet, committed, sequence);
        self.checkpoint.words.set(at::COMMITTED, sequence);
        self.checkpoint.committed = sequence;
    }

    /// Reads what is committed. `false`: there is not even the machine's record.
    fn restore(&mut self) -> bool {
        let committed = self.checkpoint.words.get(at::COMMITTED);
        self.checkpoint.committed = committed;
        let place = self.checkpoint.machine();
        place.drop_uncommitted(committed);
        let Found::Sheet(mut sheet) = place.read(committed) else {
            return false;
        };
        if machine::unpack(self, &mut sheet).is_none() {
            return false;
        }
        self.checkpoint.emitted = sheet.take();
        self.checkpoint.taken = sheet.take();
        self.event_count = sheet.take();
        self.restore_effects();
        for index in 0..self.units.len() {
            let id = UnitId(u16::try_from(index).unwrap_or(u16::MAX));
            if !self.restore_unit(id) {
                self.fault(Fault::DamagedUnit(id));
            }
        }
        self.units.forget_touched();
        true
    }

    /// `false`: the unit's record is damaged.
    fn restore_unit(&mut self, id: UnitId) -> bool {
        let committed = self.checkpoint.committed;
        let place = self.checkpoint.unit(id);
        place.drop_uncommitted(committed);
        let found = match place.read(committed) {
            Found::Nothing => return true,
            Found::Damaged => None,
            Found::Sheet(mut sheet) => pack::unpack_unit(&mut sheet),
        };
        let Some((unit, deadline)) = found else {
            return false;
        };
        self.put_back(id, unit);
        if deadline != Instant::MAX {
            self.deadlines.set(id, deadline);
        }
        true
    }

    fn put_back(&mut self, id: UnitId, unit: Unit) {
        self.replace(id, unit);
        if unit.job != Job::None {
            self.enqueue(id);
        }
    }

    /// Takes up the effects that were pending, under their numbers.
    fn restore_effects(&mut self) {
        let words = self.checkpoint.words;
        let (begun, done) = (words.get(at::BEGUN), words.get(at::DONE));
        let pending = self.checkpoint.emitted.wrapping_sub(self.checkpoint.taken);
        // Done is what the commit says, or more, if the driver came back since.
        if done.wrapping_sub(self.checkpoint.taken) <= pending {
            self.checkpoint.taken = done;
        }
        let mut number = self.checkpoint.taken;
        while number != self.checkpoint.emitted {
            number = number.wrapping_add(1);
            let effect = match self.checkpoint.read_effect(number) {
                Some(Kept::Effect(effect)) => effect,
                Some(Kept::Notice) => Effect::Notice(Notice::Lost),
                None => Effect::Notice(Notice::Fault(Fault::DamagedEffect)),
            };
            // What was begun may have been performed, and some must not be twice.
            match effect {
                Effect::Signal { .. } if number == begun => {
                    self.checkpoint.taken = number;
                    self.checkpoint.all_done();
                }
                Effect::Reply { client, .. } if number == begun => {
                    let _room = self.effects.push(Effect::HangUp(client));
                }
                Effect::Spawn(_)
                | Effect::Signal { .. }
                | Effect::KillAll(_)
                | Effect::Reply { .. }
                | Effect::HangUp(_)
                | Effect::Notice(_)
                | Effect::Final(_) => {
                    let _room = self.effects.push(effect);
                }
            }
        }
    }
}

/// Tells one manifest from another: its units' names, in their order.
fn fingerprint(manifest: &Manifest) -> u32 {
    // FNV-1a.
    let names = manifest
        .units
        .iter()
        .flat_map(|unit| unit.name.bytes().chain([0]));
    names.fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
