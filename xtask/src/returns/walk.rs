//! This file walks all ways through each function of a program.
//!
//! A function that was called is walked by itself, and its callers go on where it is found to
//! return; one that is jumped to by a function that has called others is walked as a part of it.

use super::code::{Code, Step};
use super::state::{CALLED, Link, Saved, State};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// An instruction that is reached: in which function that was called, and with what state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    root: u64,
    index: usize,
    state: State,
}

/// What was before an instruction: the last call, and the jump into another function since.
#[derive(Debug, Clone, Copy, Default)]
struct Past {
    call: Option<u64>,
    jump: Option<u64>,
}

impl Past {
    fn of(call: u64) -> Self {
        Self {
            call: Some(call),
            jump: None,
        }
    }
}

/// Who goes on when a function returns.
#[derive(Debug, Clone, Copy)]
enum Waiter {
    /// Its caller, with the state in which it called, behind the call at this address.
    Caller(Place, u64),
    /// A function that ended by a jump to it.
    Jumper(u64),
}

/// A function that is called.
#[derive(Debug, Default)]
struct Called {
    waiters: Vec<Waiter>,
    /// It returns; and it returns having given back the way back of its caller.
    returns: BTreeSet<bool>,
}

struct Walk<'a> {
    code: &'a Code,
    seen: HashSet<Place>,
    reached: Vec<bool>,
    next: VecDeque<(Place, Past)>,
    called: HashMap<u64, Called>,
    /// Jumps by a table or by a register, by the begin of the function they stand in.
    tables: Vec<(u64, Place, Past)>,
    /// The call, and the instruction that leaves.
    lost: BTreeSet<(u64, u64)>,
}

/// Where functions lose their way back: each the call, and the instruction that leaves without.
pub(super) fn lost(code: &Code) -> BTreeSet<(u64, u64)> {
    let mut walk = Walk {
        code,
        seen: HashSet::new(),
        reached: vec![false; code.instructions.len()],
        next: VecDeque::new(),
        called: HashMap::new(),
        tables: Vec::new(),
        lost: BTreeSet::new(),
    };
    let jumped_to = jumped_to(code);
    for function in &code.functions {
        // What is only jumped to goes on where others were.
        if !jumped_to.contains(&function.begin) {
            walk.call(function.begin);
        }
    }
    let mut by_table = BTreeMap::new();
    loop {
        while let Some((place, past)) = walk.next.pop_front() {
            walk.step(place, past);
        }
        if !walk.follow_tables(&mut by_table) {
            break;
        }
    }
    walk.lost
}

/// The begins of functions that others jump to, or visit.
fn jumped_to(code: &Code) -> HashSet<u64> {
    let mut found = HashSet::new();
    for function in &code.functions {
        let first = code
            .instructions
            .partition_point(|i| i.address < function.begin);
        let own = code.instructions[first..].iter();
        for instruction in own.take_while(|i| i.address < function.end) {
            if let Step::Jump(to) | Step::Branch(to) | Step::Visit(to) = instruction.step
                && to != function.begin
            {
                found.insert(to);
            }
        }
    }
    found
}

impl Walk<'_> {
    /// A function is called, by whomever.
    fn call(&mut self, root: u64) {
        if self.called.contains_key(&root) {
            return;
        }
        self.called.insert(root, Called::default());
        match self.code.at(root) {
            Some(index) => self.reach(root, index, CALLED, Past::default()),
            // None of this program's: it keeps what it has to.
            None => self.give_back(root, false),
        }
    }

    fn reach(&mut self, root: u64, index: usize, state: State, past: Past) {
        let place = Place { root, index, state };
        if self.seen.insert(place) {
            if let Some(reached) = self.reached.get_mut(index) {
                *reached = true;
            }
            self.next.push_back((place, past));
        }
    }

    /// Goes on to the instruction behind this one, if that is of the same function.
    fn go_on(&mut self, place: Place, state: State, past: Past) {
        let here = self.code.instructions[place.index];
        let next = here.address + here.bytes;
        let is_same = self
            .code
            .function(here.address)
            .is_none_or(|f| next < f.end);
        if let Some(index) = self.code.at(next).filter(|_| is_same) {
            self.reach(place.root, index, state, past);
        }
    }

    fn step(&mut self, place: Place, past: Past) {
        let here = self.code.instructions[place.index];
        let state = place.state;
        if here.may_be_skipped {
            self.go_on(place, state, past);
        }
        match here.step {
            Step::Call(None) => self.go_on(place, state.after_call(false), Past::of(here.address)),
            Step::Call(Some(to)) => {
                self.call(to);
                self.wait(to, Waiter::Caller(place, here.address));
            }
            Step::Visit(to) => match self.code.at(to) {
                Some(index) => {
                    let visit_from = Some(here.address + here.bytes);
                    self.reach(
                        place.root,
                        index,
                        State {
                            visit_from,
                            ..state
                        },
                        past,
                    );
                }
                None => self.go_on(place, state, past),
            },
            Step::Jump(to) => self.jump(place, to, past),
            Step::Branch(to) => {
                self.jump(place, to, past);
                self.go_on(place, state, past);
            }
            Step::Through(register) => self.through(place, register, past),
            Step::ReturnByStack => self.leave(place, state.saved != Saved::No, past),
            Step::Table => self.by_table(place, past),
            Step::End => {}
            step => self.go_on(place, state.after(step), past),
        }
    }

    fn jump(&mut self, place: Place, to: u64, past: Past) {
        let here = self.code.instructions[place.index].address;
        let own = self.code.function(here).map(|f| f.begin);
        let there = self.code.function(to).map(|f| f.begin);
        let State {
            link,
            saved,
            visit_from,
            ..
        } = place.state;
        // Nothing of its own is left to be done.
        let is_plain = link == Link::Own && saved != Saved::Yes && visit_from.is_none();
        match self.code.at(to) {
            // As if it had been called by this function's caller.
            Some(_) if is_plain && own != there && there == Some(to) => {
                self.call(to);
                self.wait(to, Waiter::Jumper(place.root));
            }
            Some(index) => {
                let is_left = own != there && past.jump.is_none();
                let jump = if is_left { Some(here) } else { past.jump };
                self.reach(place.root, index, place.state, Past { jump, ..past });
            }
            None => self.leave(place, place.state.link == Link::Own, past),
        }
    }

    fn through(&mut self, place: Place, register: u32, past: Past) {
        let state = place.state;
        if register == self.code.link {
            return self.leave(place, state.link == Link::Own, past);
        }
        if let (Some(from), true) = (state.visit_from, Some(register) == self.code.second_link) {
            let state = State {
                visit_from: None,
                ..state
            };
            if let Some(index) = self.code.at(from) {
                self.reach(place.root, index, state, past);
            }
            return;
        }
        if state.copy == Some(register) {
            return self.give_back(place.root, state.link == Link::Callers);
        }
        // A call that takes this function's place, or a jump inside of it.
        if state.link == Link::Own {
            self.give_back(place.root, false);
        }
        self.by_table(place, past);
    }

    fn by_table(&mut self, place: Place, past: Past) {
        let here = self.code.instructions[place.index].address;
        let begin = self.code.function(here).map_or(here, |f| f.begin);
        self.tables.push((begin, place, past));
    }

    /// The function is left: rightly, or for a place that is no way back.
    fn leave(&mut self, place: Place, is_right: bool, past: Past) {
        let here = self.code.instructions[place.index].address;
        if is_right {
            self.give_back(place.root, false);
        } else {
            let leaves = past.jump.unwrap_or(here);
            self.lost.insert((past.call.unwrap_or(leaves), leaves));
        }
    }

    /// A function returns: whoever waits for that goes on.
    fn give_back(&mut self, root: u64, is_given_back: bool) {
        let mut all = vec![root];
        while let Some(root) = all.pop() {
            let called = self.called.entry(root).or_default();
            if !called.returns.insert(is_given_back) {
                continue;
            }
            for waiter in called.waiters.clone() {
                all.extend(self.resume(waiter, is_given_back));
            }
        }
    }

    fn wait(&mut self, to: u64, waiter: Waiter) {
        let called = self.called.entry(to).or_default();
        called.waiters.push(waiter);
        for is_given_back in called.returns.clone() {
            if let Some(root) = self.resume(waiter, is_given_back) {
                self.give_back(root, is_given_back);
            }
        }
    }

    /// Who waited goes on; the function that returns by that, if one does.
    fn resume(&mut self, waiter: Waiter, is_given_back: bool) -> Option<u64> {
        match waiter {
            Waiter::Caller(place, call) => {
                let state = place.state.after_call(is_given_back);
                self.go_on(place, state, Past::of(call));
                None
            }
            Waiter::Jumper(root) => Some(root),
        }
    }

    /// A table leads to every part of its function that nothing else leads to; where there is none,
    /// it was no table, but a call by a register that takes the function's place. Whether there is
    /// anything new to walk.
    fn follow_tables(&mut self, by_table: &mut BTreeMap<u64, Vec<usize>>) -> bool {
        let tables = std::mem::take(&mut self.tables);
        let parts: Vec<u64> = tables.iter().map(|(begin, _, _)| *begin).collect();
        for begin in parts {
            let found = self.unreached(begin);
            by_table.entry(begin).or_default().extend(found);
        }
        for (begin, place, past) in &tables {
            let parts = &by_table[begin];
            let is_table = !parts.is_empty() || place.state.link == Link::Own;
            let here = self.code.instructions[place.index];
            if !is_table && matches!(here.step, Step::Through(_)) {
                self.leave(*place, false, *past);
            }
            for index in parts.clone() {
                self.reach(place.root, index, place.state, *past);
            }
        }
        !self.next.is_empty()
    }

    /// Where parts of a function begin that nothing was found to lead to.
    fn unreached(&self, begin: u64) -> Vec<usize> {
        let end = self.code.function(begin).map_or(begin, |f| f.end);
        let first = self
            .code
            .instructions
            .partition_point(|i| i.address < begin);
        let mut found = Vec::new();
        // Whether the instruction before leads here.
        let mut is_led_to = true;
        for index in first..self.code.instructions.len() {
            let here = self.code.instructions[index];
            if here.address >= end {
                break;
            }
            let is_reached = self.reached[index];
            if !is_reached && !is_led_to {
                found.push(index);
            }
            // Behind what was reached, only a call that never returns leads nowhere.
            is_led_to = !is_reached && !here.step.leaves();
        }
        found
    }
}
