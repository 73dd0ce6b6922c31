//! This file holds the simulation itself to its word: what once failed stays well, the same script
//! gives the same history, and a failing one is made short.
#![allow(missing_docs)]

use init_core_sim::generate;
use init_core_sim::run::{Stage, Tally};
use init_core_sim::script::{Script, Step};
use init_core_sim::shrink::shrink;
use std::path::Path;

/// Scripts that were found by the simulation, shortened.
fn found() -> Vec<(String, Script)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    let files = std::fs::read_dir(folder).expect("a folder of scripts");
    let mut scripts: Vec<(String, Script)> = files
        .map(|file| {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("a script");
            let name = path.display().to_string();
            let script = text.parse().unwrap_or_else(|why| panic!("{name}: {why}"));
            (name, script)
        })
        .collect();
    scripts.sort_by(|a, b| a.0.cmp(&b.0));
    scripts
}

#[test]
fn what_once_broke_a_rule_breaks_none() {
    let mut stage = Stage::new();
    for (name, script) in found() {
        if let Err(broken) = stage.replay(&script) {
            panic!("{name}: {}\n{}", broken.rule, broken.console);
        }
    }
}

#[test]
fn a_script_is_read_as_it_was_written() {
    for seed in 0..200 {
        let script = generate::script(seed);
        assert_eq!(script.to_string().parse(), Ok(script), "seed {seed}");
    }
    let wrong = "unit target u0\nunit target rescue\nwait soon\n".parse::<Script>();
    assert_eq!(wrong, Err("line 3: \"soon\" is no number".to_string()));
}

#[test]
fn a_script_gives_the_same_history_each_time() {
    let mut stage = Stage::new();
    for seed in 0..40 {
        let script = generate::script(seed);
        let tally = |stage: &mut Stage| {
            let Tally { turns, deaths, .. } = stage.replay(&script).expect("no rule is broken");
            (turns, deaths)
        };
        assert_eq!(tally(&mut stage), tally(&mut stage), "seed {seed}");
    }
}

/// The model is read in a few minutes, and takes nothing from the core but names.
#[test]
fn the_model_is_small_and_independent() {
    for (file, lines_max) in [("model.rs", 300), ("facts.rs", 150)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let text = std::fs::read_to_string(path).expect("a source file");
        assert!(text.lines().count() <= lines_max, "{file}");
        let foreign = |line: &&str| line.contains("init_core::") && !line.contains("::ident::");
        assert_eq!(text.lines().find(foreign), None, "{file}");
    }
}

/// A rule that is none, for the shrinker: process 1 never dies where a unit was asked to stop.
fn breaks_the_planted_rule(stage: &mut Stage, script: &Script) -> bool {
    let stops = |step: &Step| matches!(step, Step::Ask(init_core::protocol::Change::Stop, ..));
    let Some(first) = script.steps.iter().position(stops) else {
        return false;
    };
    let mut before = script.clone();
    before.steps.truncate(first);
    let deaths = |stage: &mut Stage, script: &Script| stage.replay(script).map(|t| t.deaths);
    matches!((deaths(stage, script), deaths(stage, &before)), (Ok(all), Ok(some)) if all > some)
}

#[test]
fn a_failing_script_is_shortened_to_what_the_failure_needs() {
    let mut stage = Stage::new();
    let mut seeds = (0..1_000).map(generate::script);
    let long = seeds.find(|script| breaks_the_planted_rule(&mut stage, script));
    let long = long.expect("a history with a stop and a death after it");
    let short = shrink(&long, &mut |script| {
        breaks_the_planted_rule(&mut stage, script)
    });
    assert!(breaks_the_planted_rule(&mut stage, &short), "{short}");
    // The stop, an end of process 1, and a moment in which they happen.
    assert_eq!(short.steps.len(), 3, "{short}");
    assert!(short.units.len() <= 3 && short.lives.is_empty(), "{short}");
    // Typed in again, it is the same.
    assert_eq!(short.to_string().parse(), Ok(short));
}
