//! This file finds the shortest way to an instruction of a turn that was traced before.
//!
//! To count every instruction up to the k-th costs a stop of the process each. It suffices to let
//! it run to a place nearby that it passes seldom, by a breakpoint of the processor, and to count
//! the rest.

use crate::follow::Moment;
use std::collections::{HashMap, HashSet};

/// Where a traced process was.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Where it stood after so many instructions.
    pub places: Vec<u64>,
    /// After so many it had executed another program.
    pub executed: Option<usize>,
    /// It slept in the end: there was no more to do.
    pub is_whole: bool,
}

/// Where a breakpoint is passed how often, before the rest is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The place.
    pub place: u64,
    /// How often it is reached.
    pub times: u64,
}

/// How to come to an instruction, or to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// It is one of the program that is executed meanwhile.
    pub is_behind_execution: bool,
    /// Where to run to first.
    pub anchor: Option<Anchor>,
    /// How far from there.
    pub rest: Moment,
    /// How many instructions from there.
    pub steps: u64,
}

impl Route {
    /// Goes on where this ends with what was traced from there.
    pub fn append(&mut self, rest: Self) {
        let end = self.places.len().saturating_sub(1);
        let before = self.executed;
        self.executed = rest.executed.map(|executed| end + executed).or(before);
        self.places.truncate(end);
        self.places.extend(rest.places);
        self.is_whole = rest.is_whole;
    }

    /// The cheapest way to each instruction. `is_fixed` tells places that are the same in each life
    /// of the program.
    #[must_use]
    pub fn ways(&self, is_fixed: impl Fn(u64) -> bool) -> Vec<Way> {
        let repeating = self.repeating();
        let mut ways = Vec::with_capacity(self.places.len());
        let mut seen: HashMap<u64, u64> = HashMap::new();
        // The best so far, how much of it is to be counted, and what it costs here.
        let (mut is_behind_execution, mut anchor) = (false, None);
        let (mut steps, mut cost) = (0_u64, 0_u64);
        for (index, &place) in self.places.iter().enumerate() {
            if self.executed == Some(index) {
                seen.clear();
                (is_behind_execution, anchor) = (true, None);
                (steps, cost) = (0, 0);
            } else if index > 0 {
                steps += 1;
                cost += 1;
                if is_fixed(place) && !repeating.contains(&place) {
                    let times = seen.entry(place).or_insert(0);
                    *times += 1;
                    if *times < cost {
                        anchor = Some(Anchor {
                            place,
                            times: *times,
                        });
                        (steps, cost) = (0, *times);
                    }
                }
            }
            ways.push(Way {
                is_behind_execution,
                anchor,
                rest: Moment::Instruction(steps),
                steps: 0,
            });
        }
        ways
    }

    /// Places that are stopped at twice for one instruction: of one that repeats itself, or a call.
    /// How often a breakpoint there is hit is another matter.
    fn repeating(&self) -> HashSet<u64> {
        let pairs = self.places.windows(2);
        let same = pairs.filter(|pair| pair.first() == pair.last());
        let same = same.filter_map(|pair| pair.first());
        same.chain(self.places.first()).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one comes to who goes this way over the places.
    fn walked(route: &Route, way: Way) -> usize {
        let begin = match (way.is_behind_execution, route.executed) {
            (true, Some(executed)) => executed,
            _ => 0,
        };
        let mut at = begin;
        if let Some(anchor) = way.anchor {
            for _ in 0..anchor.times {
                at += 1;
                while route.places[at] != anchor.place {
                    at += 1;
                }
            }
        }
        at + usize::try_from(way.rest.count()).expect("it is short")
    }

    #[test]
    fn what_was_traced_in_parts_is_one_route() {
        let mut route = Route {
            places: vec![1, 2, 3],
            ..Route::default()
        };
        let rest = Route {
            places: vec![3, 4, 5],
            executed: Some(1),
            is_whole: true,
        };
        route.append(rest);
        assert_eq!(route.places, [1, 2, 3, 4, 5]);
        assert_eq!((route.executed, route.is_whole), (Some(3), true));
        route.append(Route {
            places: vec![5],
            ..Route::default()
        });
        assert_eq!((route.places.len(), route.executed), (5, Some(3)));
    }

    #[test]
    fn every_way_leads_to_its_instruction_and_none_is_longer_than_counting() {
        // A loop of three places, one that repeats itself, another program, the same loop.
        let mut places = vec![90, 91, 91, 91, 1];
        for _ in 0..50 {
            places.extend([10, 11, 12]);
        }
        places.extend([2, 3, 4, 91, 91, 5]);
        let executed = places.len();
        places.extend([1, 1, 10, 11, 12, 10, 11, 12, 2, 3]);
        let route = Route {
            places,
            executed: Some(executed),
            is_whole: true,
        };
        let ways = route.ways(|place| place != 3);
        assert_eq!(ways.len(), route.places.len());
        for (index, way) in ways.iter().enumerate() {
            assert_eq!(walked(&route, *way), index, "{way:?}");
            let anchor = way.anchor.map_or(0, |anchor| anchor.times);
            assert!(anchor + way.rest.count() <= u64::try_from(index).expect("it is short"));
            assert!(
                way.anchor
                    .is_none_or(|anchor| ![3, 91].contains(&anchor.place))
            );
        }
        // Behind the loop it does not cost the loop.
        let behind = ways[executed - 2];
        assert_eq!(
            behind.rest.count() + behind.anchor.map_or(0, |anchor| anchor.times),
            3
        );
    }
}
