//! This file takes a recording out of a process 1 on a desk.

use super::*;
use crate::protocol::{SCHEMA, VERSION};
use crate::tool::recording::{LAYOUT, Numbers, TITLE};
use core::sync::atomic::Ordering;

/// A desk with a recorder of six units and some more words than two frames carry.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.recorder = (0..800).map(AtomicU32::new).collect();
    desk
}

#[test]
fn a_recording_is_who_made_it_and_all_of_its_words() {
    let mut desk = desk();
    assert_eq!(desk.run("sctl record"), DONE, "{}", desk.errors);
    let numbers = Numbers {
        layout: LAYOUT,
        version: VERSION.into(),
        schema: SCHEMA,
        manifest: 0,
        units: 6,
        count: 0,
        sum: 0,
        total: 800,
    };
    let mut wanted = TITLE.to_vec();
    let numbers = numbers.list();
    wanted.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    for text in [env!("CARGO_PKG_VERSION"), "gateway", "virt-aarch64"] {
        wanted.push(u8::try_from(text.len()).unwrap());
        wanted.extend(text.bytes());
    }
    let words = desk
        .recorder
        .iter()
        .map(|word| word.load(Ordering::Relaxed));
    wanted.extend(words.flat_map(u32::to_le_bytes));
    assert_eq!(desk.bytes, wanted);
    // A greeting, and as few frames as carry it.
    assert_eq!(desk.waits.len(), 1 + 4);
}

#[test]
fn without_a_recorder_nothing_is_written() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("sctl record"), FAILED);
    let why = "sctl: this process 1 records nothing: write recorder = \"16KiB\" into [healing]\n";
    assert_eq!((desk.errors.as_str(), desk.bytes.len()), (why, 0));
}

#[test]
fn what_cannot_be_written_is_a_failure() {
    let mut desk = desk();
    desk.output_is_broken = true;
    assert_eq!(desk.run("sctl record"), FAILED);
}

#[test]
fn another_word_is_one_too_many() {
    let mut desk = desk();
    assert_eq!(desk.run("sctl record /tmp/file"), USAGE);
    assert!(desk.errors.contains("/tmp/file: one word too many"));
}
