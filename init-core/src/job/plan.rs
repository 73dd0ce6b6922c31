//! This file plans a request: which units must start and stop for it, all of them or none.
//!
//! A start is planned in two passes. The first marks what the root cannot do without: the closure
//! over requires and binds-to, all of it hard. The second follows wishes (soft, with what they
//! require) and conflicts: whatever conflicts with a starting unit is to stop, together with what
//! runs and requires it. Where a unit is both to start and to stop,
//! - two hard sides refuse the request and name the pair;
//! - a soft side gives way to a hard one, and of two soft ones the later: it is banned, with what
//!   requires it, and the plan is made anew without it.
//!
//! Each pass looks at a unit once. A plan only marks; nothing is changed before it is complete.

use crate::effect::Refusal;
use crate::ident::UnitId;
use crate::supervisor::Core;
use crate::unit::{EdgeKind, EdgeKinds};
use crate::uses::CONFLICTS;

/// What the plan in the making has decided for a unit. A mark is never changed in one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    None,
    /// It starts if that is possible.
    StartSoft,
    /// It must start.
    StartHard,
    /// It must stop, or stay at rest.
    Stop,
}

/// One unit's part of the scratch space.
#[derive(Clone, Copy, Debug)]
pub struct Scratch {
    mark: Mark,
    /// The request in which it last gave way to another unit.
    banned_in: u16,
    /// For [`Mark::Stop`]: the unit whose start asks for it.
    origin: UnitId,
    /// The list of marked units: entry at this index, not about this unit.
    marked: UnitId,
}

impl Scratch {
    /// Nothing planned.
    pub const EMPTY: Self = Self {
        mark: Mark::None,
        banned_in: 0,
        origin: UnitId(0),
        marked: UnitId(0),
    };
}

/// The scratch space of planning. Between plans it holds the last one.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    scratch: &'a mut [Scratch],
    marked_count: usize,
    /// Which request is being planned; never 0.
    request: u16,
}

/// Why an attempt stopped.
enum Obstacle {
    /// Give up this soft unit and plan again.
    Ban(UnitId),
    Refuse(Refusal),
}

impl<'a> Plan<'a> {
    pub(crate) fn new(scratch: &'a mut [Scratch]) -> Self {
        scratch.fill(Scratch::EMPTY);
        Self {
            scratch,
            marked_count: 0,
            request: 0,
        }
    }

    /// How many units are marked.
    pub(crate) fn len(&self) -> usize {
        self.marked_count
    }

    /// The unit at an index below [`Self::len`], and what is planned for it.
    pub(crate) fn entry(&self, at: usize) -> Option<(UnitId, Mark)> {
        if at >= self.marked_count {
            return None;
        }
        let id = self.scratch.get(at)?.marked;
        Some((id, self.mark(id)))
    }

    pub(crate) fn is_to_start(&self, id: UnitId) -> bool {
        matches!(self.mark(id), Mark::StartSoft | Mark::StartHard)
    }

    fn mark(&self, id: UnitId) -> Mark {
        self.scratch
            .get(id.index())
            .map_or(Mark::None, |own| own.mark)
    }

    fn origin(&self, id: UnitId) -> UnitId {
        self.scratch.get(id.index()).map_or(id, |own| own.origin)
    }

    fn is_banned(&self, id: UnitId) -> bool {
        let own = self.scratch.get(id.index());
        CONFLICTS && own.is_some_and(|own| own.banned_in == self.request)
    }

    /// Begins to plan another request: no marks, no bans.
    fn begin(&mut self) {
        self.clear();
        self.request = self.request.wrapping_add(1);
        if self.request == 0 {
            self.request = 1;
            for own in &mut *self.scratch {
                own.banned_in = 0;
            }
        }
    }

    /// Forgets all marks.
    fn clear(&mut self) {
        for at in 0..self.marked_count {
            let id = self.scratch.get(at).map(|entry| entry.marked);
            if let Some(own) = id.and_then(|id| self.scratch.get_mut(id.index())) {
                own.mark = Mark::None;
            }
        }
        self.marked_count = 0;
    }

    fn ban(&mut self, id: UnitId) {
        if let Some(own) = self.scratch.get_mut(id.index()) {
            own.banned_in = self.request;
        }
    }

    /// Marks a unit that has no mark.
    #[inline(never)]
    fn set(&mut self, id: UnitId, mark: Mark, origin: UnitId) {
        let Some(own) = self.scratch.get_mut(id.index()) else {
            return;
        };
        own.mark = mark;
        own.origin = origin;
        if let Some(entry) = self.scratch.get_mut(self.marked_count) {
            entry.marked = id;
            self.marked_count = self.marked_count.wrapping_add(1);
        }
    }

    /// The unit is to start because `by`, a starting unit of that mark, cannot do without it.
    fn need(&mut self, id: UnitId, mark: Mark, by: UnitId) -> Result<(), Obstacle> {
        match self.mark(id) {
            Mark::StartSoft | Mark::StartHard => Ok(()),
            // Hard marks are complete before the first stop or ban, so `by` is soft.
            Mark::None if self.is_banned(id) => Err(Obstacle::Ban(by)),
            Mark::Stop if CONFLICTS => Err(Obstacle::Ban(by)),
            Mark::None | Mark::Stop => {
                self.set(id, mark, by);
                Ok(())
            }
        }
    }

    /// The unit is wanted: it starts unless something speaks against it.
    fn want(&mut self, id: UnitId, by: UnitId) {
        if self.mark(id) == Mark::None && !self.is_banned(id) {
            self.set(id, Mark::StartSoft, by);
        }
    }

    /// The unit is to stop because `origin` starts.
    fn stop(&mut self, id: UnitId, origin: UnitId) -> Result<(), Obstacle> {
        let origin_is_hard = self.mark(origin) == Mark::StartHard;
        match self.mark(id) {
            Mark::Stop => Ok(()),
            Mark::None => {
                self.set(id, Mark::Stop, origin);
                Ok(())
            }
            Mark::StartSoft => Err(Obstacle::Ban(id)),
            Mark::StartHard if origin_is_hard => {
                Err(Obstacle::Refuse(Refusal::Conflict(origin, id)))
            }
            Mark::StartHard => Err(Obstacle::Ban(origin)),
        }
    }
}

impl Core<'_> {
    /// Plans the start of a unit. On success the plan is complete and consistent; on refusal it is
    /// empty.
    pub(crate) fn plan_start(&mut self, root: UnitId) -> Result<(), Refusal> {
        self.plan.begin();
        // Each round bans one more unit, so there are at most as many rounds as units.
        for _ in 0..=self.units.len() {
            self.plan.clear();
            match self.try_start(root) {
                Ok(()) => return Ok(()),
                Err(Obstacle::Ban(unit)) => self.plan.ban(unit),
                Err(Obstacle::Refuse(refusal)) => {
                    self.plan.clear();
                    return Err(refusal);
                }
            }
        }
        self.plan.clear();
        self.plan_fault();
        Err(Refusal::NoSuchUnit)
    }

    /// Plans the stop of a unit, with all that requires it or is bound to it.
    pub(crate) fn plan_stop(&mut self, root: UnitId) {
        self.plan.begin();
        self.plan.set(root, Mark::Stop, root);
        let mut at = 0;
        while let Some((id, _)) = self.plan.entry(at) {
            for other in self.manifest.edges(id, EdgeKinds::DEPENDENTS) {
                if self.plan.mark(other) == Mark::None {
                    self.plan.set(other, Mark::Stop, root);
                }
            }
            at = at.wrapping_add(1);
        }
    }

    fn try_start(&mut self, root: UnitId) -> Result<(), Obstacle> {
        self.plan.set(root, Mark::StartHard, root);
        let mut at = 0;
        while let Some((id, mark)) = self.plan.entry(at) {
            self.follow_needs(id, mark)?;
            at = at.wrapping_add(1);
        }
        at = 0;
        while let Some((id, mark)) = self.plan.entry(at) {
            match mark {
                Mark::None => {}
                Mark::StartSoft | Mark::StartHard => {
                    self.follow_needs(id, mark)?;
                    self.follow_wishes_and_conflicts(id)?;
                }
                Mark::Stop if CONFLICTS => self.follow_stop(id)?,
                Mark::Stop => {}
            }
            at = at.wrapping_add(1);
        }
        Ok(())
    }

    fn follow_needs(&mut self, id: UnitId, mark: Mark) -> Result<(), Obstacle> {
        for needed in self.manifest.edges(id, EdgeKinds::NEEDS) {
            self.plan.need(needed, mark, id)?;
        }
        Ok(())
    }

    fn follow_wishes_and_conflicts(&mut self, id: UnitId) -> Result<(), Obstacle> {
        for wanted in self.manifest.edges(id, EdgeKind::Wants) {
            self.plan.want(wanted, id);
        }
        if CONFLICTS {
            for other in self.manifest.edges(id, EdgeKind::Conflicts) {
                self.plan.stop(other, id)?;
            }
        }
        Ok(())
    }

    /// What requires a unit that must stop must stop too, if it runs or is about to.
    fn follow_stop(&mut self, id: UnitId) -> Result<(), Obstacle> {
        let origin = self.plan.origin(id);
        for other in self.manifest.edges(id, EdgeKinds::DEPENDENTS) {
            if self.units.get(other).is_wanted() || self.plan.is_to_start(other) {
                self.plan.stop(other, origin)?;
            }
        }
        Ok(())
    }
}
