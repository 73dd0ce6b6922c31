//! This file plans a request: which units must start and stop for it, all of them or none.
//!
//! A start spreads to what the unit requires, binds to (as strongly as itself) and wants (softly),
//! and stops what conflicts with any of these, together with what requires those. If a unit is
//! both to start and to stop, the softer side gives way: it is banned and the plan made anew. If
//! both sides are hard, the request is refused and names the pair. A plan only marks; nothing is
//! changed before it is complete.

use crate::effect::Refusal;
use crate::ident::UnitId;
use crate::supervisor::Core;
use crate::unit::EdgeKind;

/// What the plan in the making has decided for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Its edges are still to be followed.
    fresh: bool,
    /// It gave way to a harder unit of this request.
    banned: bool,
    /// For [`Mark::Stop`]: the unit whose start asks for it.
    origin: UnitId,
    /// The list of touched units: entry at this index, not about this unit.
    touched: UnitId,
}

impl Scratch {
    /// Nothing planned.
    pub const EMPTY: Self = Self {
        mark: Mark::None,
        fresh: false,
        banned: false,
        origin: UnitId(0),
        touched: UnitId(0),
    };
}

/// The scratch space of planning. Between plans it holds the last one.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    scratch: &'a mut [Scratch],
    touched_count: usize,
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
            touched_count: 0,
        }
    }

    /// Units touched by the plan.
    pub(crate) fn len(&self) -> usize {
        self.touched_count
    }

    /// The unit at an index below [`Self::len`], and what is planned for it.
    pub(crate) fn entry(&self, at: usize) -> Option<(UnitId, Mark)> {
        let id = self.scratch.get(at)?.touched;
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

    fn is_banned(&self, id: UnitId) -> bool {
        self.scratch.get(id.index()).is_some_and(|own| own.banned)
    }

    fn is_hard(&self, id: UnitId) -> bool {
        self.mark(id) == Mark::StartHard
    }

    /// Forgets the plan; with `bans`, also who gave way.
    fn clear(&mut self, bans: bool) {
        for at in 0..self.touched_count {
            let Some(id) = self.scratch.get(at).map(|entry| entry.touched) else {
                continue;
            };
            if let Some(own) = self.scratch.get_mut(id.index()) {
                own.mark = Mark::None;
                own.fresh = false;
            }
        }
        self.touched_count = 0;
        if bans {
            for own in &mut *self.scratch {
                own.banned = false;
            }
        }
    }

    fn ban(&mut self, id: UnitId) {
        if let Some(own) = self.scratch.get_mut(id.index()) {
            own.banned = true;
        }
    }

    fn set(&mut self, id: UnitId, mark: Mark, origin: UnitId) {
        let Some(own) = self.scratch.get_mut(id.index()) else {
            return;
        };
        let is_new = own.mark == Mark::None;
        own.mark = mark;
        own.fresh = true;
        own.origin = origin;
        if is_new && let Some(entry) = self.scratch.get_mut(self.touched_count) {
            entry.touched = id;
            self.touched_count = self.touched_count.saturating_add(1);
        }
    }

    /// Takes the next unit whose edges are to be followed, searching from `at` on.
    fn take_fresh(&mut self, at: &mut usize) -> Option<(UnitId, Mark)> {
        while *at < self.touched_count {
            let id = self.scratch.get(*at)?.touched;
            *at = at.saturating_add(1);
            let own = self.scratch.get_mut(id.index())?;
            if own.fresh {
                own.fresh = false;
                return Some((id, own.mark));
            }
        }
        None
    }

    /// The unit is to start. `by` asks for it and is as strong as `mark` says.
    fn start(&mut self, id: UnitId, mark: Mark, by: UnitId) -> Result<bool, Obstacle> {
        if self.is_banned(id) {
            return Err(give_way(mark, by, Refusal::Conflict(by, id)));
        }
        match self.mark(id) {
            Mark::Stop => {
                let origin = self.scratch.get(id.index()).map_or(id, |own| own.origin);
                if mark == Mark::StartSoft {
                    return Err(Obstacle::Ban(id));
                }
                if self.is_hard(origin) {
                    return Err(Obstacle::Refuse(Refusal::Conflict(id, origin)));
                }
                Err(Obstacle::Ban(origin))
            }
            present if present >= mark => Ok(false),
            Mark::None | Mark::StartSoft | Mark::StartHard => {
                self.set(id, mark, by);
                Ok(true)
            }
        }
    }

    /// The unit is to stop because `origin` starts.
    fn stop(&mut self, id: UnitId, origin: UnitId) -> Result<(), Obstacle> {
        match self.mark(id) {
            Mark::Stop => Ok(()),
            Mark::None => {
                self.set(id, Mark::Stop, origin);
                Ok(())
            }
            Mark::StartSoft if self.is_hard(origin) => Err(Obstacle::Ban(id)),
            Mark::StartSoft => Err(Obstacle::Ban(origin)),
            Mark::StartHard if self.is_hard(origin) => {
                Err(Obstacle::Refuse(Refusal::Conflict(origin, id)))
            }
            Mark::StartHard => Err(Obstacle::Ban(origin)),
        }
    }
}

fn give_way(mark: Mark, unit: UnitId, refusal: Refusal) -> Obstacle {
    if mark == Mark::StartHard {
        Obstacle::Refuse(refusal)
    } else {
        Obstacle::Ban(unit)
    }
}

impl Core<'_> {
    /// Plans the start of a unit. On success the plan is complete and consistent.
    pub(crate) fn plan_start(&mut self, root: UnitId) -> Result<(), Refusal> {
        self.plan.clear(true);
        // Each round bans one more unit, so there are at most as many rounds as units.
        for _ in 0..=self.units.len() {
            self.plan.clear(false);
            match self.try_start(root) {
                Ok(()) => return Ok(()),
                Err(Obstacle::Ban(unit)) => self.plan.ban(unit),
                Err(Obstacle::Refuse(refusal)) => {
                    self.plan.clear(true);
                    return Err(refusal);
                }
            }
        }
        self.plan.clear(true);
        self.plan_fault();
        Err(Refusal::NoSuchUnit)
    }

    /// Plans the stop of a unit, with all that requires it or is bound to it.
    pub(crate) fn plan_stop(&mut self, root: UnitId) {
        self.plan.clear(true);
        self.plan.set(root, Mark::Stop, root);
        let mut at = 0;
        while let Some((id, _)) = self.plan.take_fresh(&mut at) {
            let dependents = [EdgeKind::RequiredBy, EdgeKind::BoundBy];
            for other in dependents
                .iter()
                .flat_map(|kind| self.manifest.edges(id, *kind))
            {
                if self.plan.mark(*other) == Mark::None {
                    self.plan.set(*other, Mark::Stop, root);
                }
            }
        }
    }

    fn try_start(&mut self, root: UnitId) -> Result<(), Obstacle> {
        self.plan.set(root, Mark::StartHard, root);
        let mut at = 0;
        while let Some((id, mark)) = self.plan.take_fresh(&mut at) {
            let strengthened = match mark {
                Mark::None => false,
                Mark::StartSoft | Mark::StartHard => self.follow_start(id, mark)?,
                Mark::Stop => {
                    self.follow_stop(id)?;
                    false
                }
            };
            if strengthened {
                // A unit passed already may have become harder: look from the front again.
                at = 0;
            }
        }
        Ok(())
    }

    /// Whether a unit that had been marked before was marked harder.
    fn follow_start(&mut self, id: UnitId, mark: Mark) -> Result<bool, Obstacle> {
        let before = self.plan.len();
        let mut changed = 0_usize;
        for kind in [EdgeKind::Requires, EdgeKind::BindsTo] {
            for needed in self.manifest.edges(id, kind) {
                changed = changed.saturating_add(usize::from(self.plan.start(*needed, mark, id)?));
            }
        }
        for wanted in self.manifest.edges(id, EdgeKind::Wants) {
            if !self.plan.is_banned(*wanted) {
                let is_new = self.plan.start(*wanted, Mark::StartSoft, id)?;
                changed = changed.saturating_add(usize::from(is_new));
            }
        }
        for kind in [EdgeKind::Conflicts, EdgeKind::ConflictedBy] {
            for other in self.manifest.edges(id, kind) {
                self.plan.stop(*other, id)?;
            }
        }
        let added = self.plan.len().saturating_sub(before);
        Ok(changed > added)
    }

    /// What requires a unit that must stop must stop too, if it runs or is about to.
    fn follow_stop(&mut self, id: UnitId) -> Result<(), Obstacle> {
        let origin = self
            .plan
            .scratch
            .get(id.index())
            .map_or(id, |own| own.origin);
        let dependents = [EdgeKind::RequiredBy, EdgeKind::BoundBy];
        for other in dependents
            .iter()
            .flat_map(|kind| self.manifest.edges(id, *kind))
        {
            let runs = self.units.get(*other).is_wanted();
            if runs || self.plan.is_to_start(*other) {
                self.plan.stop(*other, origin)?;
            }
        }
        Ok(())
    }
}
