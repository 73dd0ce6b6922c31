//! This file looks at the judgement of a boot whose lines may be missing.

use super::{LINE_MISSING, unreached};
use qemu_tests::expect::{Expectation, Scenario};
use qemu_tests::report::BootReport;

const REACHED: &str = "init: [    0.018] boot: up reached after 18 ms: 4 units ready, 0 failed";
const MISSED: &str = "init: [    0.018] boot: up NOT reached after 18 ms: 4 units ready, 1 failed";

fn scenario(core_deaths: u32, expects: bool) -> Scenario {
    let one = Expectation {
        what: "it works".to_string(),
        lines: vec!["it does".to_string()],
    };
    Scenario {
        core_deaths,
        expect: expects.then_some(one).into_iter().collect(),
        ..Scenario::default()
    }
}

#[test]
fn a_target_is_reached_or_its_line_is_missing_for_a_cause() {
    let missing = format!("init: [    0.020] incarnation 3; {LINE_MISSING}");
    let table = [
        (REACHED, 0, false, true),
        (MISSED, 200, true, false),
        ("", 200, true, false),
        (missing.as_str(), 0, true, false),
        (missing.as_str(), 200, false, false),
        (missing.as_str(), 200, true, true),
    ];
    for (console, deaths, expects, wanted) in table {
        let report = BootReport::read(console.lines());
        let problem = unreached(&report, &scenario(deaths, expects), console);
        assert_eq!(
            problem.is_none(),
            wanted,
            "{console:?} {deaths} {expects}: {problem:?}"
        );
    }
    // That one is missing excuses no line that is there.
    let both = format!("{missing}\n{MISSED}");
    let report = BootReport::read(both.lines());
    assert!(unreached(&report, &scenario(200, true), &both).is_some());
}
