//! This file is how children are taken when thousands of them end that are nobody's.
//!
//! To look for any child that has ended has the kernel walk over all that still run. Where they end
//! faster than that, nearly each walk finds a single one: ten thousand took more than a second. So
//! in a storm those are taken by their numbers of which signals tell, which needs no walk (since
//! Linux 5.13), and all are looked at now and then: a signal is lost that comes while one of its
//! kind has not been read.

/// So many children that were nobody's, and none in between that was somebody's, are a storm.
const STRANGERS: u8 = 18;

/// Looks at the descriptors until all children are looked at, unless there is nothing else to do.
const LOOKS: u8 = u8::MAX;

/// How long there must be nothing else to do, in milliseconds.
pub(crate) const CALM_MS: u16 = 1;

/// Children taken in one turn in a storm, before it is seen whether a signal tells of another.
pub(crate) const PER_TURN_MAX: usize = 4;

/// Whether many children end that are nobody's, and when all are looked at next.
#[derive(Debug)]
pub(crate) struct Storm {
    /// Children that were nobody's, since one was somebody's.
    strangers: u8,
    /// Looks at the descriptors until all children are looked at; 0: that is not due.
    looks_left: u8,
}

impl Storm {
    pub(crate) const NONE: Self = Self {
        strangers: 0,
        looks_left: 0,
    };

    /// A child has ended; whether it was nobody's.
    pub(crate) fn ended(&mut self, is_stranger: bool) {
        self.strangers = match is_stranger {
            true => self.strangers.saturating_add(1),
            false => 0,
        };
    }

    pub(crate) fn is_on(&self) -> bool {
        self.strangers >= STRANGERS
    }

    /// A child is taken of which a signal told: another's signal may be lost.
    pub(crate) fn put_off(&mut self) {
        if self.looks_left == 0 {
            self.looks_left = LOOKS;
        }
    }

    /// Whether all children are looked at soon.
    pub(crate) fn is_put_off(&self) -> bool {
        self.looks_left > 0
    }

    /// The descriptors were looked at, and told something or nothing; whether it is time to look at
    /// all children.
    pub(crate) fn is_due(&mut self, told: bool) -> bool {
        let was_put_off = self.is_put_off();
        self.looks_left = match told {
            true => self.looks_left.saturating_sub(1),
            false => 0,
        };
        was_put_off && !self.is_put_off()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_nobody_are_a_storm_until_one_is_somebodys() {
        let mut storm = Storm::NONE;
        for _ in 0..1_000 {
            storm.ended(true);
        }
        assert!(storm.is_on());
        storm.ended(false);
        assert!(!storm.is_on());
        for _ in 1..STRANGERS {
            storm.ended(true);
            assert!(!storm.is_on());
        }
        storm.ended(true);
        assert!(storm.is_on());
    }

    #[test]
    fn all_are_looked_at_when_there_is_nothing_else_and_else_after_some_looks() {
        let mut storm = Storm::NONE;
        assert!(!storm.is_due(false), "nothing was put off");
        storm.put_off();
        assert!(storm.is_due(false));
        assert!(!storm.is_due(false), "once is enough");
        storm.put_off();
        for _ in 1..LOOKS {
            assert!(!storm.is_due(true));
            storm.put_off();
        }
        assert!(storm.is_due(true), "however many are taken meanwhile");
    }
}
