//! This file damages words of regions that cores left behind, and has heirs go on with them.
//!
//! An input is the number of a history and a list of changes: a word, and what is turned in it. So
//! each change is one that a fault of the memory may make, and all else is as it was left.

use anyhow::{Context, Result};
use heal_campaign::random::Random;
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{Past, recording, words_for};
use init_core::effect::{Effect, Fault, Notice};
use init_core::event::{BootOptions, Event, ExitStatus, MachineRequest};
use init_core::hal::Wake;
use init_core::hal::fake::Fake;
use init_core::ident::{Role, UnitId};
use init_core::time::Duration;
use init_core::unit::Manifest;
use init_core::{Driver, Storage};
use init_core_sim::generate;
use init_core_sim::product::{PLACES, manifest};
use std::cell::RefCell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Histories, by their seeds.
const HISTORIES: u64 = 48;

/// Units that a history may have: of many, most words would be those of records like others.
const UNITS_MAX: usize = 24;

/// Turns of a history.
const TURNS_MAX: usize = 120;

/// Turns until an heir has gone down: each unit's stop with all its time-outs, many times over.
const END_TURNS_MAX: usize = 20_000;

/// Words in front of the records that are looked at one by one, and those of effects among them.
const LONE_WORDS: usize = 8;

/// What a change is made of: which word, and what is turned in it.
const CHANGE_BYTES: usize = 6;

/// What a core left, and what its platform was doing then.
struct Left {
    manifest: &'static Manifest,
    words: Vec<u32>,
    platform: Fake,
    /// Of all records, as a sound heir finds them.
    sum: u32,
    /// What such an heir says to be broken.
    complaints: usize,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room::new());
}

/// What is used for one case after the other.
struct Room {
    storage: Box<Storage<PLACES>>,
    words: &'static [AtomicU32],
}

static LEFT: LazyLock<Vec<Left>> = LazyLock::new(|| {
    let seeds = (0..).filter(|seed| generate::script(*seed).units.len() <= UNITS_MAX);
    let seeds = seeds.take(usize::try_from(HISTORIES).unwrap_or(0));
    seeds
        .map(|seed| ROOM.with_borrow_mut(|room| room.leave(seed)))
        .collect()
});

impl Room {
    fn new() -> Self {
        let words = (0..words_for(PLACES)).map(|_| AtomicU32::new(0));
        Self {
            storage: Box::new(Storage::new()),
            words: words.collect::<Vec<_>>().leak(),
        }
    }

    /// So many words with this in them.
    fn hold(&self, content: &[u32]) -> Words<'static> {
        for (word, value) in self.words.iter().zip(content) {
            word.store(*value, Ordering::Relaxed);
        }
        Words::new(self.words.get(..content.len()).unwrap_or_default())
    }

    /// Lets a history happen up to some moment of it.
    fn leave(&mut self, seed: u64) -> Left {
        let mut random = Random::new(seed);
        let manifest = manifest(&generate::script(seed).units);
        let count = words_for(manifest.units.len());
        let region = self.hold(&vec![0; count]);
        // Every other one ends at a write, and not between two turns.
        let fuse: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(u32::MAX - 1)));
        let mut platform = Fake::default();
        platform.keeps = Some(region.with_fuse(fuse));
        let mut driver = Driver::new(self.storage.core(manifest), platform);
        if !driver.resume() {
            driver.boot(BootOptions::default());
        }
        for _ in 0..random.below(TURNS_MAX) {
            happen(driver.platform(), manifest, &mut random);
            let _goes_on = driver.turn();
        }
        if random.below(2) == 0 {
            let writes = u32::try_from(random.below(200)).unwrap_or(0);
            fuse.store(writes, Ordering::Relaxed);
            happen(driver.platform(), manifest, &mut random);
            let _goes_on = driver.turn();
        }
        let mut platform = driver.platform().clone();
        platform.keeps = None;
        platform.acts.clear();
        let words: Vec<u32> = (0..count).map(|index| region.get(index)).collect();
        let (sum, complaints) = self.found(manifest, &words).unwrap_or_default();
        Left {
            manifest,
            words,
            platform,
            sum,
            complaints,
        }
    }

    /// What an heir takes these words for: the sum of all records, and how many it says to be
    /// damaged. `None`: nothing of use.
    fn found(&mut self, manifest: &'static Manifest, content: &[u32]) -> Option<(u32, usize)> {
        let region = self.hold(content);
        let mut core = self.storage.core(manifest);
        if core.keep_in(region) == Past::None {
            return None;
        }
        let sum = recording::sum(region, manifest.units.len());
        let mut complaints = 0;
        while let Some(effect) = core.next_effect(init_core::time::Instant::ZERO) {
            let broken = Fault::DamagedEffect;
            complaints += usize::from(match effect {
                Effect::Notice(Notice::Fault(Fault::DamagedUnit(_))) => true,
                Effect::Notice(Notice::Fault(fault)) => fault == broken,
                _ => false,
            });
        }
        Some((sum, complaints))
    }

    /// Has an heir live in these words until it has switched the machine off. Where what was asked
    /// for is as it was, nobody may run twice.
    fn live(&mut self, left: &Left, content: &[u32], is_asked: bool) -> Result<(), String> {
        let mut platform = left.platform.clone();
        platform.keeps = Some(self.hold(content));
        let manifest = left.manifest;
        let mut driver = Driver::new(self.storage.core(manifest), platform);
        if !driver.resume() {
            driver.boot(BootOptions::default());
        }
        for turn in 0..END_TURNS_MAX {
            if turn == TURNS_MAX {
                let off = Wake::Event(Event::Machine(MachineRequest::PowerOff));
                driver.platform().arrange(Duration::ZERO, off);
            }
            if !driver.turn() {
                return Ok(());
            }
            if is_asked && is_doubled(driver.platform(), manifest) {
                return Err("somebody runs twice".to_string());
            }
        }
        Err("it does not go down".to_string())
    }
}

fn is_doubled(platform: &Fake, manifest: &Manifest) -> bool {
    let mut units = (0..=u16::MAX).map(UnitId).zip(manifest.units);
    units.any(|(unit, _)| platform.count(unit, Role::Main) > 1)
}

/// Something that may happen to a machine.
fn happen(platform: &mut Fake, manifest: &Manifest, random: &mut Random) {
    let unit = u16::try_from(random.below(manifest.units.len())).map_or(UnitId(0), UnitId);
    match random.below(4) {
        0 => platform.crash(unit, ExitStatus::Code(3)),
        1 if platform.count(unit, Role::Main) > 0 => {
            platform.crash(
                unit,
                ExitStatus::Signal {
                    number: 11,
                    core_dumped: false,
                },
            );
        }
        2 => platform.arrange(Duration::from_ms(1), Wake::Event(Event::OrphanExited)),
        _ => {}
    }
}

/// Changes of the lone words and of some others, one each.
pub(super) fn corpus() -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for history in 0..LEFT.len() {
        let length = LEFT.get(history).context("it is one of them")?.words.len();
        let mut random = Random::new(u64::try_from(history)?);
        for index in 0..LONE_WORDS * 2 {
            let index = if index < LONE_WORDS {
                index
            } else {
                random.below(length)
            };
            let mut bytes = vec![u8::try_from(history)?];
            bytes.extend(u16::try_from(index)?.to_le_bytes());
            let turned = [1, u32::MAX, 1 << random.below(32)][random.below(3)];
            bytes.extend(turned.to_le_bytes());
            all.push(bytes);
        }
        // One that changes nothing.
        all.push(vec![u8::try_from(history)?]);
    }
    Ok(all)
}

/// Has heirs go on; whether they found all that was left.
pub(super) fn inherit(bytes: &[u8]) -> Result<bool, String> {
    let Some((history, changes)) = bytes.split_first() else {
        return Ok(false);
    };
    let Some(left) = LEFT.get(usize::from(*history) % LEFT.len()) else {
        return Ok(false);
    };
    let mut words = left.words.clone();
    let mut is_asked = true;
    let (changes, _) = changes.as_chunks::<CHANGE_BYTES>();
    for [low, high, turned @ ..] in changes {
        let index = usize::from(u16::from_le_bytes([*low, *high])) % words.len();
        if let Some(word) = words.get_mut(index) {
            *word ^= u32::from_le_bytes(*turned);
        }
        is_asked &= !recording::asked().contains(&index);
    }
    ROOM.with_borrow_mut(|room| {
        let found = room.found(left.manifest, &words);
        if let Some((sum, complaints)) = found
            && sum != left.sum
            && complaints <= left.complaints
        {
            return Err("records are not as they were left, and nobody says so".to_string());
        }
        room.live(left, &words, is_asked)?;
        Ok(found.is_some_and(|(sum, _)| sum == left.sum))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regions that are looked at word by word.
    const REGIONS: usize = 12;

    /// Every word of some regions, turned in some ways.
    #[test]
    fn no_word_that_is_damaged_changes_a_record_without_a_word() {
        let mut failures = Vec::new();
        for (history, left) in LEFT.iter().enumerate().take(REGIONS) {
            for index in 0..left.words.len() {
                for turned in [2, 3, 1 << (index % 32), u32::MAX] {
                    let mut bytes = vec![u8::try_from(history).expect("a few")];
                    bytes.extend(u16::try_from(index).expect("a few").to_le_bytes());
                    bytes.extend(u32::to_le_bytes(turned));
                    if let Err(why) = inherit(&bytes) {
                        failures.push((history, index, turned, why));
                    }
                }
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
    }
}
