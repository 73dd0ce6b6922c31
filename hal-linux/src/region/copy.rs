//! This file is what another image and its trial want of a region: all its parts, their sizes, and
//! its end.

use super::{Region, SPLIT};
#[cfg(feature = "exchange")]
use crate::sys::fd::Fd;
use crate::sys::shared::{self, SharedWords};
#[cfg(feature = "exchange")]
use init_core::event::Errno;

impl Region {
    /// Gives up one that was found: nobody uses it any more.
    pub(crate) fn give_up(&self) {
        shared::unmap_all(self.own, self.size());
    }

    /// Words from its begin to its end.
    pub(crate) fn size(&self) -> usize {
        let others = self.ring.len().saturating_add(self.core.len());
        self.others_at().saturating_add(others)
    }

    /// Where those begin that the core may write.
    fn others_at(&self) -> usize {
        match SPLIT {
            true => shared::begin_of_second(self.own.len()),
            false => self.own.len(),
        }
    }

    /// What a core may write of a copy, as [`Self::shared_words`].
    ///
    /// # Errors
    /// What the kernel answers, for lack of memory.
    #[cfg(feature = "exchange")]
    pub(crate) fn shared_words_of(&self, copy: &Fd) -> Result<(SharedWords, usize), Errno> {
        let count = self.ring.len().saturating_add(self.core.len());
        let words = shared::second_part(copy, self.own.len(), count)?;
        Ok((words, self.ring.len()))
    }

    /// All that is mapped of it.
    #[cfg(feature = "exchange")]
    pub(crate) fn mappings(&self) -> [SharedWords; 2] {
        [self.own, self.shared_words().0]
    }

    /// All of it, and where each part begins.
    pub(crate) fn parts(&self) -> [(usize, SharedWords); 3] {
        let others = self.others_at();
        [
            (0, self.own),
            (others, self.ring),
            (others.saturating_add(self.ring.len()), self.core),
        ]
    }
}
