//! This file holds what must be so when all has come to its end, and of whom an image knows.

use super::Program;
use super::kernel::{Handed, Happening, Kernel, ORPHAN, Running, Trial};
use init_core::time::{Duration, Instant};
use init_core::unit::{Manifest, Program as Executable};

/// A core that wants to be woken later than this waits for nobody: back-offs, time-outs and trials
/// are shorter, but for a trial that never ends.
const QUIET: Duration = Duration::from_secs(10);

/// In which all that has to stop for an image has: some stop ladders, one after the other.
const LEAVING_TIME: Duration = Duration::from_secs(3);

impl Kernel {
    /// Nothing is to happen any more but the machine's end.
    pub(super) fn ends_soon(&self) -> bool {
        let mut left = self.agenda.values();
        let are_last = left.all(|it| matches!(it, Happening::Off));
        are_last && !self.goes_down && self.has_nothing_to_tell()
    }

    fn has_nothing_to_tell(&self) -> bool {
        let silent = |it: &Running| !it.speaks && it.ended.is_none();
        self.processes.iter().all(silent)
            && self.clients.iter().all(|it| it.is_heard)
            && self.gone.is_empty()
            && !matches!(self.trial, Trial::Ended(_))
    }

    /// Everything has come to its end: what runs is what the program wants, and nobody waits.
    pub(super) fn check_settled(&mut self) {
        if !self.clients.is_empty() {
            self.fail("a client waits for ever");
        }
        if self.exchange.goes_on() {
            self.fail("a core is for ever about to take another's place");
        }
        if self.trial != Trial::None {
            self.fail(format!("an image is never forgotten: {:?}", self.trial));
        }
        let manifest = self.manifest();
        for it in &self.processes.clone() {
            if it.name != ORPHAN && manifest.find(it.name.as_bytes()).is_none() {
                self.fail(format!("{} runs, and nobody knows it", it.name));
            }
        }
        for unit in manifest.units {
            let has_program = !matches!(unit.start, Executable::None);
            let lives = |it: &&Running| it.name == unit.name && it.ended.is_none();
            let count = self.processes.iter().filter(lives).count();
            if has_program && count != 1 {
                self.fail(format!("{} has {count} processes", unit.name));
            }
        }
    }

    /// Where nothing happens any more before the machine goes down, and the core waits for nothing.
    pub(super) fn look(&mut self, until: Option<Instant>) {
        let later = self.now.after(QUIET);
        if self.ends_soon() && until.is_none_or(|until| until > later) {
            self.check_settled();
        }
    }

    /// Nobody is let go of by an image that does not know whose it is.
    pub(super) fn has_strangers(&self, manifest: &Manifest) -> bool {
        let is_known = |it: &Running| {
            it.name == ORPHAN || self.is_told(it) || manifest.find(it.name.as_bytes()).is_some()
        };
        !self.processes.iter().all(is_known)
    }

    /// Which units have to stop for the image: those that it does not know, and who requires one.
    /// Nobody has to, for a core alone.
    pub(super) fn note_leaving(&mut self) {
        let now = self.now;
        self.leaving.retain(|(_, until)| *until > now);
        if self.tries_core {
            return;
        }
        let program = |index: usize| Program::of(self.manifests[index]);
        let (own, other) = (program(self.program), program(1 - self.program));
        let names = self.manifest().units.iter().map(|unit| unit.name);
        let leaves = |name: &&str| own.needs(name).iter().any(|it| !other.has(it));
        let leaving = names.filter(leaves);
        self.leaving
            .extend(leaving.map(|it| (it, now.after(LEAVING_TIME))));
    }

    /// Whether a unit has to stop for an image that is tried, or had to not long ago.
    pub(super) fn leaves(&self, name: &str) -> bool {
        let mut leaving = self.leaving.iter();
        leaving.any(|(it, until)| *it == name && *until > self.now)
    }

    /// Whether the core was told that it ended.
    pub(super) fn is_told(&self, it: &Running) -> bool {
        self.handed == Some(Handed::Exit(it.serial))
    }
}
