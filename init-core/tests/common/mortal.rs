//! This file makes a core die, at a write of its region or before an effect, and come back.

use super::random::Random;
use init_core::checkpoint::words::{BURNT, Words};
use init_core::checkpoint::{Past, words_for};
use init_core::supervisor::Core;
use std::sync::atomic::{AtomicU32, Ordering};

/// A region, and the deaths of those who keep their state in it.
pub struct Mortal {
    words: &'static [AtomicU32],
    fuse: &'static AtomicU32,
    random: Random,
    /// The most writes from one death to the next: enough to make the region and to boot, now and
    /// then.
    writes_max: usize,
    /// Whether it also dies after it has noted an effect as begun, and before it performs it.
    pub dies_before_effects: bool,
    effect_death: bool,
    /// How often it died.
    pub deaths: u32,
}

impl Mortal {
    /// A fresh region for this core, which will die again and again.
    pub fn new(seed: u64, steps: usize, core: &mut Core<'static>) -> Self {
        let units = core.manifest().units.len();
        let memory = (0..words_for(units)).map(|_| AtomicU32::new(0));
        let mut mortal = Self {
            words: memory.collect::<Vec<_>>().leak(),
            fuse: Box::leak(Box::new(AtomicU32::new(u32::MAX - 1))),
            random: Random::new(seed),
            writes_max: 4 * words_for(units) * steps,
            dies_before_effects: false,
            effect_death: false,
            deaths: 0,
        };
        assert_eq!(core.keep_in(mortal.region()), Past::None);
        mortal.light();
        mortal
    }

    fn region(&self) -> Words<'static> {
        Words::new(self.words).with_fuse(self.fuse)
    }

    fn light(&mut self) {
        let writes = u32::try_from(self.random.below(self.writes_max)).unwrap();
        self.fuse.store(writes, Ordering::Relaxed);
    }

    pub fn is_dead(&self) -> bool {
        self.effect_death || self.fuse.load(Ordering::Relaxed) == BURNT
    }

    /// Whether it dies between noting an effect and performing it.
    pub fn dies_here(&mut self) -> bool {
        self.effect_death = self.dies_before_effects && self.random.once_in(9);
        self.effect_death
    }

    /// Lets a new core find what is in the region.
    pub fn revive(&mut self, core: &mut Core<'static>) {
        assert!(self.deaths < 50_000, "it never gets on");
        self.effect_death = false;
        self.light();
        let _past = core.keep_in(self.region());
    }

    /// No more deaths.
    pub fn spare(&mut self) {
        self.dies_before_effects = false;
        self.fuse.store(u32::MAX - 1, Ordering::Relaxed);
    }
}
