//! This file walks through all that can happen to small graphs of units, step by step.
//!
//! Every graph of two and of three units, and every one of four with at most two relations, is
//! walked breadth first up to a number of states. In each state the rules hold
//! (`common/witness.rs`), and from each state everything settles once everybody behaves.
//! EXPLORE_FACTOR multiplies the number of states; 10 walks all graphs of two units to their end.
#![allow(missing_docs)]

mod common;

use common::graph::{Graph, PROGRAM, RESTART, rule, rules, unit};
use common::model::{Choice, Model, PLACES};
use init_core::Storage;
use init_core::time::Duration;
use init_core::unit::{
    EdgeKind, LimitAction, Manifest, Probe, Program, Readiness, Restart, RestartPolicy, StartLimit,
    UnitKind,
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
        desc.ready = Readiness::Probe(&Probe::Path(c"/run/ready"));
        rules(&mut desc).start_timeout = Duration::from_secs(1);
    }
    if (index + number) % 4 == 1 {
        rules(&mut desc).stop = Program::Exec(&PROGRAM);
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
