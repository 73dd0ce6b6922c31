//! This file lets seeded histories of the simulation be recorded, deaths of process 1 among them,
//! and performs each recording again: it must come to the same after every step.
#![allow(missing_docs)]

use init_core::checkpoint::recording::{self, Recording};
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{Entry, Happening, words_for};
use init_core::event::{Event, ExitStatus};
use init_core::unit::Manifest;
use init_core_replay::{Desk, End, Replay, Trouble};
use init_core_sim::product::{PLACES, manifest};
use init_core_sim::run::Stage;
use init_core_sim::script::Script;
use init_core_sim::{generate, keep_panics};
use std::sync::atomic::{AtomicU32, Ordering};

/// Histories, each recorded twice.
const SEEDS: u64 = 800;

/// A history's recording, as it would be taken out of a device.
struct Taken {
    manifest: &'static Manifest,
    words: Vec<AtomicU32>,
    end: End,
}

impl Taken {
    fn of(stage: &mut Stage, script: &Script) -> Self {
        let manifest = manifest(&script.units);
        let units = manifest.units.len();
        let recorded = stage.record(script, manifest);
        let (_, region) = recorded.unwrap_or_else(|broken| panic!("{}", broken.rule));
        let words = region.after(words_for(units));
        let recording = Recording::of(words, units).expect("the stage has a recorder");
        let end = End {
            count: recording.count(),
            sum: recording::sum(region, units),
        };
        let words = (0..words.len()).map(|index| AtomicU32::new(words.get(index)));
        Self {
            manifest,
            words: words.collect(),
            end,
        }
    }

    fn recording(&self) -> Recording<'_> {
        let units = self.manifest.units.len();
        Recording::of(Words::new(&self.words), units).expect("it was one")
    }

    fn replay(&self, desk: &mut Desk<PLACES>) -> Replay {
        desk.replay(self.recording(), self.end, self.manifest)
    }

    /// The first entry from the middle on that is as wanted.
    fn find(&self, is_wanted: impl Fn(Event) -> bool) -> Option<(u32, Entry)> {
        let recording = self.recording();
        let mut numbers = self.end.count / 2..self.end.count;
        numbers.find_map(|number| {
            let entry = recording.entry(number)?;
            let Happening::Event(event) = entry.what else {
                return None;
            };
            is_wanted(event).then_some((number, entry))
        })
    }

    /// Puts another entry into the place of one, as whoever knows how could.
    fn forge(&self, number: u32, entry: Entry) {
        let place = self.recording().place_of(number);
        entry.write(Words::new(&self.words), place, number);
    }
}

#[test]
fn whatever_happened_happens_again() {
    keep_panics();
    let mut desk = Desk::<PLACES>::new();
    // Room for all of a history; and for so little of it that older events give way.
    for (entries, is_all) in [(8_192, true), (128, false)] {
        let mut stage = Stage::with_recorder(entries);
        let (mut performed, mut states, mut lives) = (0, 0, 0);
        let scripts = (0..SEEDS).map(|seed| (seed, generate::script(seed)));
        for (seed, script) in scripts.filter(|(_, script)| !script.damages()) {
            let taken = Taken::of(&mut stage, &script);
            let replay = taken.replay(&mut desk);
            let words = replay.trouble.as_ref().map(ToString::to_string);
            let last = replay.steps.last();
            assert_eq!(
                words, None,
                "seed {seed}, {entries} entries, after {last:#?}"
            );
            let wanted = match is_all {
                true => taken.end.count,
                // A state is copied when nothing is left to do, which may be some events late.
                false => taken.end.count.min(entries as u32 / 4),
            };
            assert!(
                replay.performed >= wanted,
                "seed {seed}: {}",
                replay.performed
            );
            performed += replay.performed;
            states += replay.states;
            let begins = |step: &&init_core_replay::Step| step.what.starts_with("this life");
            lives += replay.steps.iter().filter(begins).count();
        }
        println!("{entries}: {performed} performed, {states} states met, {lives} lives");
        assert!(performed > 10_000 && lives > 100, "{performed} {lives}");
        assert_eq!(states == 0, is_all, "{states}");
    }
}

/// Histories whose entries are forged.
fn honest(stage: &mut Stage) -> Vec<(u64, Taken)> {
    let scripts = (0..60).map(|seed| (seed, generate::script(seed)));
    let scripts = scripts.filter(|(_, script)| !script.damages());
    scripts
        .map(|(seed, script)| (seed, Taken::of(stage, &script)))
        .collect()
}

#[test]
fn a_process_that_ended_otherwise_is_told_with_the_step() {
    keep_panics();
    let (mut stage, mut desk) = (Stage::with_recorder(8_192), Desk::<PLACES>::new());
    let mut told = 0;
    for (seed, taken) in honest(&mut stage) {
        let status = ExitStatus::Code(77);
        let ended = |event| {
            matches!(
                event,
                Event::Exited {
                    status: ExitStatus::Code(_),
                    ..
                }
            )
        };
        let Some((number, mut entry)) = taken.find(ended) else {
            continue;
        };
        if let Happening::Event(Event::Exited { child, .. }) = entry.what {
            entry.what = Happening::Event(Event::Exited { child, status });
        }
        taken.forge(number, entry);
        let Some(trouble) = taken.replay(&mut desk).trouble else {
            // The exit of an incarnation that is gone changes nothing, whatever it was.
            continue;
        };
        let is_it = match trouble {
            Trouble::Differs { step, .. } => step == Some(number),
            // Another process is asked for, or none, or process 1 died right after it.
            Trouble::OtherAnswer { number: next, .. }
            | Trouble::NotAsked { number: next, .. }
            | Trouble::NoSuchState { number: next } => next == number + 1,
            Trouble::Damaged { .. } | Trouble::NoBeginning => false,
        };
        assert!(is_it, "seed {seed}, step {number}: {trouble}");
        told += 1;
    }
    assert!(told >= 20, "{told}");
}

#[test]
fn another_answer_and_a_damaged_entry_are_told_with_their_places() {
    keep_panics();
    let (mut stage, mut desk) = (Stage::with_recorder(8_192), Desk::<PLACES>::new());
    let mut told = 0;
    for (seed, taken) in honest(&mut stage) {
        let spawned = |event| matches!(event, Event::Spawned { .. });
        let Some((number, original)) = taken.find(spawned) else {
            continue;
        };
        let mut entry = original;
        if let Happening::Event(Event::Spawned { mut child, pid }) = entry.what {
            child.generation = child.generation.next();
            entry.what = Happening::Event(Event::Spawned { child, pid });
        }
        taken.forge(number, entry);
        let trouble = taken.replay(&mut desk).trouble;
        let told_at = match &trouble {
            Some(Trouble::OtherAnswer { number, .. }) => Some(*number),
            _ => None,
        };
        assert_eq!(
            told_at,
            Some(number),
            "seed {seed}, step {number}: {trouble:?}"
        );
        taken.forge(number, original);
        let word = taken.recording().place_of(number);
        taken.words[word + 3].fetch_xor(1 << 9, Ordering::Relaxed);
        let trouble = taken.replay(&mut desk).trouble;
        assert_eq!(
            trouble,
            Some(Trouble::Damaged { number, word }),
            "seed {seed}"
        );
        told += 1;
    }
    assert!(told >= 20, "{told}");
}

/// Whatever is in the region: a replay says what is wrong and comes to its end.
#[test]
fn damaged_regions_are_read_to_an_end() {
    keep_panics();
    let (mut stage, mut desk) = (Stage::with_recorder(64), Desk::<PLACES>::new());
    let damaging = (0..3_000).map(generate::script).filter(Script::damages);
    let mut ends = [0; 2];
    for script in damaging.take(100) {
        let manifest = manifest(&script.units);
        let units = manifest.units.len();
        let Ok((_, region)) = stage.record(&script, manifest) else {
            continue;
        };
        let Some(recording) = Recording::of(region.after(words_for(units)), units) else {
            continue;
        };
        let end = End {
            count: recording.count(),
            sum: recording::sum(region, units),
        };
        let replay = desk.replay(recording, end, manifest);
        ends[usize::from(replay.trouble.is_some())] += 1;
    }
    println!("{ends:?}");
    assert!(ends[0] > 0, "{ends:?}");
}

/// Bits turned anywhere among the words of a recording.
#[test]
fn noise_is_read_to_an_end() {
    keep_panics();
    let (mut stage, mut desk) = (Stage::with_recorder(128), Desk::<PLACES>::new());
    let mut random = 88_172_645_463_325_252_u64;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).unwrap_or(0) % limit
    };
    let mut troubled = 0;
    for (_, taken) in honest(&mut stage) {
        for _ in 0..20 {
            let mut turned = Vec::new();
            for _ in 0..1 + below(8) {
                let (word, bit) = (below(taken.words.len()), below(32));
                taken.words[word].fetch_xor(1 << bit, Ordering::Relaxed);
                turned.push((word, bit));
            }
            let units = taken.manifest.units.len();
            if let Some(noise) = Recording::of(Words::new(&taken.words), units) {
                let replay = desk.replay(noise, taken.end, taken.manifest);
                troubled += u32::from(replay.trouble.is_some());
            }
            for (word, bit) in turned {
                taken.words[word].fetch_xor(1 << bit, Ordering::Relaxed);
            }
        }
    }
    assert!(troubled > 100, "{troubled}");
}
