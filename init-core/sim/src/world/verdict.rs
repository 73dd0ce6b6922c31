//! This file judges the rules that were broken by what is promised at that time.

use super::World;
use crate::rules::first_that_counts;

impl World {
    /// Judges what was broken since this was last done, before what is promised changes.
    pub(super) fn judge(&mut self) {
        let broken = std::mem::take(&mut self.model.broken);
        let counts = first_that_counts(&broken, self.damaged).cloned();
        self.verdict = self.verdict.take().or(counts);
    }

    /// The first broken rule that counts. Of damage, that there are never two of one.
    pub fn broken(&mut self) -> Option<String> {
        self.judge();
        self.verdict.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Region;
    use super::*;
    use crate::product::{PLACES, UnitSpec, manifest};
    use init_core::checkpoint::words_for;
    use init_core::unit::UnitKind;
    use std::sync::atomic::AtomicU32;

    fn world() -> World {
        let units = [0, 1].map(|number| UnitSpec::new(number, UnitKind::Target));
        let words = (0..words_for(PLACES)).map(|_| AtomicU32::new(0));
        let region = Region {
            words: words.collect::<Vec<_>>().leak(),
            fuse: Box::leak(Box::new(AtomicU32::new(0))),
        };
        World::new(manifest(&units), &[0, 1], &[], region)
    }

    #[test]
    fn what_was_broken_before_the_damage_is_not_excused_by_it() {
        let mut world = world();
        world.store.damage.push((None, 0, 0));
        world.model.fail("a client is answered twice");
        world.bury();
        assert!(world.damaged);
        assert_eq!(
            world.broken().as_deref(),
            Some("a client is answered twice")
        );
        // And from then on it is.
        world.model.fail("a client is answered twice");
        assert_eq!(world.broken(), None);
    }
}
