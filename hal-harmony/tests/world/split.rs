//! This file is a whole machine whose core is a process of its own: keeper, core and services over
//! the simulated kernel. Whoever is a core shares words with the keeper that are the test's own.

use super::graph::rule;
use super::{Ground, PLACES, native_file};
use crate::sim::Sim;
use hal_harmony::{Harmony, Image, Keeper, Storage, decide, shared_words};
use init_core::event::MachineRequest;
use init_core::time::Duration;
use init_core::unit::Manifest;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How long a core may be silent.
pub const PATIENCE: Duration = Duration::from_ms(300);

/// What a core has when it begins.
#[derive(Clone)]
pub struct Life {
    pub sim: Sim,
    /// The number of the channel.
    pub channel: i32,
    /// Head, ring and state.
    pub words: &'static [AtomicU32],
    pub manifest: &'static Manifest,
    /// Which life it is, from 1 on.
    pub number: u32,
}

impl Life {
    /// Is the core that it should be.
    pub fn be_good(&self) {
        let core = Box::leak(Box::new(init_core::storage::Storage::<16>::new()));
        decide(
            self.sim.clone(),
            self.manifest,
            core,
            (self.words, self.channel),
        );
    }
}

/// Bytes of a page, and words.
const PAGE_BYTES: usize = 4_096;
const PAGE_WORDS: usize = PAGE_BYTES / 4;

/// So many words that nobody else has, at a page.
fn pages(words: usize) -> &'static [AtomicU32] {
    let whole = words.next_multiple_of(PAGE_WORDS) + PAGE_WORDS;
    let all = (0..whole).map(|_| AtomicU32::new(0));
    let all: &'static [AtomicU32] = Box::leak(all.collect());
    let begin = all.as_ptr().align_offset(PAGE_BYTES);
    &all[begin..begin + words]
}

/// The machine.
pub struct SplitWorld {
    pub sim: Sim,
    pub keeper: Keeper<Sim>,
    /// Cores so far.
    pub lives: Arc<AtomicU32>,
}

impl SplitWorld {
    /// A machine that has not begun, and whose cores are this.
    pub fn new(ground: Ground, core: impl Fn(&Life) + Send + Sync + 'static) -> Self {
        Self::asked(None, ground, core)
    }

    /// The same, of which the board asks this.
    pub fn asked(
        request: Option<MachineRequest>,
        ground: Ground,
        core: impl Fn(&Life) + Send + Sync + 'static,
    ) -> Self {
        let Ground { sim, config, graph } = ground;
        let manifest = rule(Manifest {
            split: Some(PATIENCE),
            ..*graph.manifest()
        });
        let words = pages(shared_words(manifest.units.len()));
        let lives = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&lives);
        let native = move |sim, channel: u64| {
            core(&Life {
                sim,
                channel: i32::try_from(channel).expect("a number"),
                words,
                manifest,
                number: count.fetch_add(1, Ordering::Relaxed) + 1,
            });
        };
        let program = Image {
            path: c"init-core",
            file: native_file(&sim, 99, Arc::new(native)),
        };
        let places = Box::leak(Box::new(Storage::<Sim, PLACES>::new()));
        let harmony = Harmony::new(sim.clone(), manifest, config, places);
        let mut harmony = harmony.expect("a kernel that is taken over");
        request.into_iter().for_each(|it| harmony.ask(it));
        let read = Box::leak(Box::new(AtomicU32::new(0)));
        let at = u64::try_from(words.as_ptr().addr()).expect("64 bits");
        let keeper = Keeper::new(harmony, manifest, &program, (read, at));
        let keeper = keeper.expect("memory to share");
        Self { sim, keeper, lives }
    }

    /// Goes on until the machine is switched off.
    pub fn keep(&mut self) {
        self.keeper.keep();
        assert!(self.sim.state().powered_off, "{}", self.sim.console());
    }

    /// Lines of the log that have this in them.
    pub fn lines(&self, words: &str) -> usize {
        let console = self.sim.console();
        console.lines().filter(|line| line.contains(words)).count()
    }
}

impl Drop for SplitWorld {
    fn drop(&mut self) {
        self.sim.end();
    }
}
