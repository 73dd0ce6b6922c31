//! This file makes recordings of the simulation's histories, as `sctl record` writes them, and
//! performs damaged ones.

use anyhow::{Context, Result};
use init_core::checkpoint::recording::{self, Recording};
use init_core::checkpoint::words_for;
use init_core::protocol::{SCHEMA, VERSION};
use init_core::tool::recording::{LAYOUT, Numbers, TITLE};
use init_core::unit::Manifest;
use init_core_replay::file::File;
use init_core_replay::{Desk, End};
use init_core_sim::generate;
use init_core_sim::product::{PLACES, manifest};
use init_core_sim::run::Stage;
use std::cell::RefCell;
use std::sync::LazyLock;

/// Histories to begin with, by their seeds; none of them damages what it keeps.
const SEEDS: std::ops::Range<u64> = 0..8;

/// Events that there is room for: fewer than a history has, so that states are copied, too.
const ENTRIES: usize = 64;

/// What a recording says of the program that it was made by.
const VERSION_TEXT: &str = "0.1.0";
const BOARD: &str = "desk";

thread_local! {
    static DESK: RefCell<Desk<PLACES>> = RefCell::new(Desk::new());
}

/// The histories' manifests, by their seeds.
static MANIFESTS: LazyLock<Vec<(u64, &Manifest)>> = LazyLock::new(|| {
    let scripts = SEEDS.map(|seed| (seed, generate::script(seed)));
    let manifests = scripts.map(|(seed, script)| (seed, manifest(&script.units)));
    manifests.collect()
});

/// Where the good recordings end.
static ENDS: LazyLock<Vec<End>> = LazyLock::new(|| {
    let files = corpus().unwrap_or_default();
    let files = files.iter().filter_map(|bytes| File::parse(bytes).ok());
    files.map(|file| end(&file)).collect()
});

fn end(file: &File) -> End {
    End {
        count: file.numbers.count,
        sum: file.numbers.sum,
    }
}

/// Good recordings. The product's name is the history's seed.
pub(super) fn corpus() -> Result<Vec<Vec<u8>>> {
    let mut stage = Stage::with_recorder(ENTRIES);
    let scripts = SEEDS.map(|seed| (seed, generate::script(seed)));
    let sound = scripts.filter(|(_, script)| !script.damages());
    let taken = sound.map(|(seed, script)| {
        let manifest = manifest(&script.units);
        let units = manifest.units.len();
        let recorded = stage.record(&script, manifest);
        let recorded = recorded.map_err(|broken| anyhow::anyhow!("{}", broken.rule));
        let (_, region) = recorded?;
        let words = region.after(words_for(units));
        let recorder = Recording::of(words, units).context("the stage has no recorder")?;
        let numbers = Numbers {
            layout: LAYOUT,
            version: VERSION.into(),
            schema: SCHEMA,
            manifest: 0,
            units: u32::try_from(units)?,
            count: recorder.count(),
            sum: recording::sum(region, units),
            total: u32::try_from(words.len())?,
        };
        let mut bytes = TITLE.to_vec();
        let list = numbers.list().map(u32::to_le_bytes);
        bytes.extend(list.as_flattened());
        for text in [VERSION_TEXT, &seed.to_string(), BOARD] {
            bytes.push(u8::try_from(text.len())?);
            bytes.extend(text.bytes());
        }
        let words = (0..words.len()).map(|index| words.get(index).to_le_bytes());
        bytes.extend(words.flatten());
        Ok(bytes)
    });
    taken.collect()
}

/// Reads a recording and performs it; whether it came to what was recorded.
pub(super) fn perform(bytes: &[u8]) -> Result<bool, String> {
    let Ok(file) = File::parse(bytes) else {
        return Ok(false);
    };
    let [_, product, _] = &file.texts;
    let named = |(seed, _): &&(u64, _)| product.parse() == Ok(*seed);
    let Some((_, manifest)) = MANIFESTS.iter().find(named) else {
        return Ok(false);
    };
    let Some(recording) = Recording::of(file.words(), manifest.units.len()) else {
        return Ok(false);
    };
    let end = end(&file);
    let replay = DESK.with_borrow_mut(|desk| desk.replay(recording, end, manifest));
    let room = recording.capacity();
    if replay.performed > room {
        return Err(format!("{} of {room} entries performed", replay.performed));
    }
    // Where all was performed and nothing told, it came to what a good recording comes to.
    let is_whole = replay.trouble.is_none() && replay.left_out == 0;
    if is_whole && !ENDS.contains(&end) {
        return Err(format!(
            "{end:?} is the end of no recording, and nobody told"
        ));
    }
    Ok(replay.trouble.is_none())
}
