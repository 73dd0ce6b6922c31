//! This file is the core's process: it decides, and calls the keeper for all else.

use super::{head, parts};
use crate::abi::{Kernel, Line, MESSAGE_BYTES};
use core::sync::atomic::AtomicU32;
use init_core::Driver;
use init_core::event::BootOptions;
use init_core::relay::{Bell, Remote};
use init_core::renewal::Handover;
use init_core::time::Instant;
use init_core::unit::Manifest;

/// What the exit code says of a core that comes to its end, which none does.
const OVER: u8 = 1;

/// The way to the keeper: a call that is answered when there is something for the core.
#[derive(Clone, Debug)]
pub struct CoreEnd<K> {
    line: Line<K>,
}

impl<K: Kernel> Bell for CoreEnd<K> {
    /// Calling is ringing.
    fn ring(&mut self) {}

    fn sleep(&mut self) {
        if self.line.ask(&[0; MESSAGE_BYTES]).is_none() {
            self.line.give_way();
        }
    }
}

/// Is a core, in the process that a keeper has made for it: goes on where another ended, or boots.
/// `channel` is what the process was given, and `words` what it shares with the keeper: as many as
/// [`super::shared_words`].
pub fn decide<K: Kernel + Clone, const UNITS: usize>(
    kernel: K,
    manifest: &'static Manifest,
    core: &'static mut init_core::Storage<UNITS>,
    (words, channel): (&'static [AtomicU32], i32),
) {
    let [head, ring, state] = parts(words);
    let why = match head.get(head::WHY) {
        0 => None,
        2 => Some(Handover::Again),
        _ => Some(Handover::Fault),
    };
    let [a, b, c, d] = head.get(head::NOW_LOW).to_le_bytes();
    let [e, f, g, h] = head.get(head::NOW_HIGH).to_le_bytes();
    let now = Instant::from_us(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    let line = Line::new(kernel, channel);
    let bell = CoreEnd { line: line.clone() };
    let remote = Remote::new(ring, state, manifest, bell, (why, now));
    let mut driver = Driver::new(core.core(manifest), remote);
    if !driver.resume() {
        driver.boot(BootOptions::default());
    }
    driver.run();
    line.exit(OVER);
}
