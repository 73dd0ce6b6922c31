//! This file follows the way back of one function: where it is, and what each instruction does with
//! it.

use super::code::Step;

/// What the register of the way back holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Link {
    /// The way back of the function itself.
    Own,
    /// What a call left there.
    Lost,
    /// The way back of whoever called it, from that one's stack.
    Callers,
}

/// Whether the way back is on the stack as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Saved {
    No,
    Yes,
    /// It is, or was: it has been taken from there.
    Taken,
}

/// Where the way back of a function is, at one of its instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) link: Link,
    pub(super) saved: Saved,
    /// In this register as well.
    pub(super) copy: Option<u32>,
    /// In a function that comes back by a register of its own: to there.
    pub(super) visit_from: Option<u64>,
}

/// As a function begins that is called.
pub(super) const CALLED: State = State {
    link: Link::Own,
    saved: Saved::No,
    copy: None,
    visit_from: None,
};

impl State {
    /// A call came back; `is_given_back`: with this function's way back, from its stack.
    pub(super) fn after_call(self, is_given_back: bool) -> Self {
        match is_given_back {
            true => self.after(Step::Load),
            false => Self {
                link: Link::Lost,
                ..self
            },
        }
    }

    /// An instruction was performed that neither calls nor leaves.
    pub(super) fn after(self, step: Step) -> Self {
        let is_own = self.link == Link::Own;
        match step {
            Step::Save if is_own => Self {
                saved: Saved::Yes,
                ..self
            },
            Step::Load if self.saved == Saved::No => Self {
                link: Link::Callers,
                ..self
            },
            Step::Load => Self {
                link: Link::Own,
                saved: Saved::Taken,
                ..self
            },
            Step::CopyTo(register) if is_own => Self {
                copy: Some(register),
                ..self
            },
            Step::CopyTo(register) if self.copy == Some(register) => Self { copy: None, ..self },
            Step::CopyFrom(register) => Self {
                link: match self.copy == Some(register) {
                    true => Link::Own,
                    false => Link::Lost,
                },
                ..self
            },
            _ => self,
        }
    }
}
