//! This file walks through all that can happen to small graphs of units, step by step.
//!
//! Every graph of two and of three units, and every one of four with at most two relations, is
//! walked breadth first up to a number of states. In each state the rules hold
//! (`common/witness.rs`), and from each state everything settles once everybody behaves.
//! In some of the states, the core also dies at every write that follows from anything that can
//! happen, and its heir once more: it must come to the same state as one that never died.
//! EXPLORE_FACTOR multiplies the number of states; 10 walks all graphs of two units to their end.
#![allow(missing_docs)]

mod common;

use common::graph::{Graph, PROGRAM, RESTART, rule, rules, unit};
use common::model::{Choice, FOR_EVER, Grave, Model, PLACES};
use init_core::Storage;
use init_core::time::Duration;
use init_core::unit::{
    EdgeKind, LimitAction, Manifest, Readiness, Restart, RestartPolicy, StartLimit, UnitKind,
};
use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

const KINDS: [EdgeKind; 5] = [
    EdgeKind::Requires,
    EdgeKind::Wants,
    EdgeKind::BindsTo,
    EdgeKind::After,
    EdgeKind::Conflicts,
];

/// The n-th graph of so many units; `None`: there are no more. Relations lead from lower to higher
/// indices only, so no order has a cycle; each pair has one or none.
fn graph(units: usize, number: usize) -> Option<(Graph, usize)> {
    let mut graph = Graph::empty();
    for index in 0..units {
        graph.units.push(settings(index, number));
    }
    let (mut rest, mut relations) = (number, 0);
    for low in 0..units {
        for high in low + 1..units {
            if let Some(kind) = (rest % 6).checked_sub(1) {
                graph.relate(low, KINDS[kind], high);
                relations += 1;
            }
            rest /= 6;
        }
    }
    (rest == 0).then_some((graph, relations))
}

fn settings(index: usize, number: usize) -> init_core::unit::UnitDesc {
    let names = ["a", "b", "c", "d"];
    let one_shot = index == 1 && number % 3 == 1;
    let mut desc = unit(
        names[index],
        if one_shot {
            UnitKind::Task
        } else {
            UnitKind::Service
        },
    );
    if !one_shot && (index + number).is_multiple_of(4) {
        rules(&mut desc).ready = Readiness::Probe(0);
        rules(&mut desc).start_timeout = Duration::from_secs(1);
    }
    if (index + number) % 4 == 1 {
        rules(&mut desc).stop = PROGRAM;
    }
    rules(&mut desc).restart = rule(RestartPolicy {
        when: [Restart::OnFailure, Restart::Never, Restart::Always][(index + number) % 3],
        limit: StartLimit {
            count: 1,
            within: Duration::from_secs(100_000),
            then: LimitAction::Fail,
        },
        ..RESTART
    });
    desc
}

/// Does the steps from the beginning.
fn replay<'a>(
    manifest: &'static Manifest,
    storage: &'a mut Storage<PLACES>,
    path: &[Choice],
) -> Model<'a> {
    let mut model = Model::new(manifest, storage);
    for choice in path {
        model.take(*choice);
    }
    model
}

/// Walks breadth first; the number of states seen, and whether that were all.
fn explore(manifest: &'static Manifest, most: usize) -> (usize, bool) {
    let mut storage = Storage::<PLACES>::new();
    let mut seen = HashSet::new();
    let mut open: VecDeque<Vec<Choice>> = VecDeque::from([vec![]]);
    while let Some(path) = open.pop_front() {
        let model = replay(manifest, &mut storage, &path);
        let choices = model.choices();
        for choice in choices {
            let mut path = path.clone();
            path.push(choice);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let mut storage = Storage::<PLACES>::new();
                let mut model = replay(manifest, &mut storage, &path);
                let digest = model.digest();
                let is_new = seen.insert(digest);
                if is_new {
                    model.settle();
                }
                is_new
            }));
            match outcome {
                Ok(true) if seen.len() >= most => return (seen.len(), false),
                Ok(true) => open.push_back(path),
                Ok(false) => {}
                Err(cause) => {
                    for unit in manifest.units {
                        println!(
                            "{} {:?} {:?}",
                            unit.name, unit.edges, unit.rules.restart.when
                        );
                    }
                    println!("edges {:?}", manifest.edges);
                    println!("after {path:?}");
                    std::panic::resume_unwind(cause);
                }
            }
        }
    }
    (seen.len(), true)
}

fn explore_all(units: usize, relations_max: usize, most: usize) {
    let factor = std::env::var("EXPLORE_FACTOR").ok();
    let most = most * factor.map_or(1, |factor| factor.parse().unwrap());
    let (mut graphs, mut states, mut complete) = (0, 0, 0);
    let mut number = 0;
    while let Some((graph, relations)) = graph(units, number) {
        number += 1;
        if relations > relations_max {
            continue;
        }
        let (seen, all) = explore(graph.manifest(), most);
        graphs += 1;
        states += seen;
        complete += usize::from(all);
    }
    println!("{units} units: {graphs} graphs, {complete} of them to the end, {states} states");
}

#[test]
fn two_units_keep_every_rule_in_every_state() {
    explore_all(2, 1, 25_000);
}

#[test]
fn three_units_keep_every_rule() {
    explore_all(3, 3, 1_000);
}

#[test]
fn four_units_keep_every_rule() {
    explore_all(4, 2, 400);
}

/// Takes a choice after a path, with deaths on the way; the state that it comes to, and how often
/// the core died.
fn state_after(
    manifest: &'static Manifest,
    grave: Grave,
    (path, choice): (&[Choice], Choice),
    deaths: (u32, Option<u32>),
) -> (String, u32, u32) {
    let mut storage = Storage::<PLACES>::new();
    let mut model = Model::mortal(manifest, &mut storage, grave);
    for choice in path {
        model.take(*choice);
    }
    model.die(deaths.0, deaths.1);
    model.take(choice);
    let writes = if deaths.0 == FOR_EVER {
        model.writes(FOR_EVER)
    } else {
        0
    };
    (model.digest(), writes, model.deaths())
}

/// States of a graph with all that can happen in each, breadth first, at most so many of both.
fn situations(manifest: &'static Manifest, most: usize) -> Vec<(Vec<Choice>, Choice)> {
    let mut storage = Storage::<PLACES>::new();
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut open: VecDeque<Vec<Choice>> = VecDeque::from([vec![]]);
    while let Some(path) = open.pop_front() {
        let model = replay(manifest, &mut storage, &path);
        if !seen.insert(model.digest()) {
            continue;
        }
        for choice in model.choices() {
            if found.len() == most {
                return found;
            }
            found.push((path.clone(), choice));
            let mut longer = path.clone();
            longer.push(choice);
            open.push_back(longer);
        }
    }
    found
}

/// Lets the core die at every `stride`-th write; every other time, its heir dies as well.
fn die_everywhere(units: usize, relations_max: usize, most: usize, stride: u32) -> u64 {
    let factor = std::env::var("EXPLORE_FACTOR").ok();
    let most = most * factor.map_or(1, |factor| factor.parse().unwrap());
    let (grave, mut number, mut deaths) = (Grave::new(units), 0, 0_u64);
    while let Some((graph, relations)) = graph(units, number) {
        number += 1;
        if relations > relations_max {
            continue;
        }
        let manifest = graph.manifest();
        for (at, (path, choice)) in situations(manifest, most).iter().enumerate() {
            let what = (path.as_slice(), *choice);
            let (state, writes, _) = state_after(manifest, grave, what, (FOR_EVER, None));
            let offset = u32::try_from(at + number).unwrap() % stride;
            for first in (offset..writes).step_by(usize::try_from(stride).unwrap()) {
                let second = (first % 2 == 0).then_some((first * 7 + offset) % (2 * writes + 1));
                let (heirs, _, count) = state_after(manifest, grave, what, (first, second));
                assert_eq!(
                    heirs, state,
                    "{number}: {what:?}, dies at {first}, {second:?}"
                );
                deaths += u64::from(count);
            }
        }
    }
    println!("{units} units: {deaths} deaths");
    deaths
}

#[test]
fn three_units_come_to_the_same_wherever_the_core_dies() {
    assert!(die_everywhere(3, 3, 15, 11) > 50_000);
}

#[test]
fn four_units_come_to_the_same_wherever_the_core_dies() {
    assert!(die_everywhere(4, 2, 6, 11) > 10_000);
}

/// Pairs of writes at which a core and its heir can die, for something that can happen when a
/// machine has just come up.
#[test]
fn two_deaths_at_two_writes_change_nothing() {
    let (grave, mut pairs) = (Grave::new(3), 0_u64);
    let factor = std::env::var("EXPLORE_FACTOR").ok();
    let most = factor.map_or(1, |factor| factor.parse().unwrap());
    let manifest = graph(3, 43).unwrap().0.manifest();
    for (path, choice) in situations(manifest, 40).iter().skip(4).take(most) {
        let what = (path.as_slice(), *choice);
        let (state, writes, _) = state_after(manifest, grave, what, (FOR_EVER, None));
        for first in 0..writes {
            // Every fifth, up to the write that the heir no longer makes.
            for second in (first % 5..).step_by(5) {
                let (heirs, _, count) = state_after(manifest, grave, what, (first, Some(second)));
                assert_eq!(heirs, state, "{what:?}, at {first} and {second}");
                pairs += 1;
                if count < 2 {
                    break;
                }
            }
        }
    }
    println!("{pairs} pairs of deaths");
    assert!(pairs > 10_000);
}
