//! This file holds the whole table: what every event does in every state, a service's and a
//! mount's. A cell is the state that follows; `.` is no change, `!` a fault that is reported.

use super::unit::{Rung, State, Then};
use super::{Core, UnitEvent};
use crate::effect::{Effect, Failure, Fault, Notice};
use crate::event::{Errno, ExitStatus};
use crate::fixture;
use crate::ident::{Role, UnitId};
use crate::setup;
use crate::storage::Storage;
use crate::time::{Duration, Instant};
use crate::unit::{Manifest, Program, Readiness, Rules, SetupOp, UnitDesc, UnitKind};
use std::format;
use std::string::String;
use std::vec::Vec;

/// A service that says newline, and a mount; both have a stop program and are restarted.
static UNITS: [UnitDesc; 2] = [
    UnitDesc {
        rules: &Rules {
            kind: UnitKind::Service,
            ready: Readiness::Newline(3),
            watchdog: Duration::from_secs(1),
            stop: Program::Setup(0),
            ..*fixture::UNITS[0].rules
        },
        ..fixture::UNITS[0]
    },
    UnitDesc {
        rules: &Rules {
            kind: UnitKind::Mount,
            ready: Readiness::Exit,
            stop: Program::Setup(0),
            ..*fixture::UNITS[0].rules
        },
        ..fixture::UNITS[0]
    },
];

static MANIFEST: Manifest = Manifest {
    units: &UNITS,
    setups: &[setup![SetupOp::Unmount(c"/data")]],
    ..fixture::MANIFEST
};

const GOOD: ExitStatus = ExitStatus::Code(0);
const BAD: ExitStatus = ExitStatus::Code(1);
const NOW: Instant = Instant::from_us(7);

fn states() -> Vec<State> {
    let mut states = Vec::from([State::Inactive, State::Starting, State::Up]);
    let thens = [
        Then::Rest,
        Then::Retry(Failure::StartTimeout),
        Then::Ended(BAD),
        Then::Silent,
    ];
    for rung in [Rung::Program, Rung::Signal, Rung::Kill] {
        states.extend(thens.map(|then| State::Stopping { rung, then }));
    }
    states.extend([State::Backoff, State::Failed(Failure::StartTimeout)]);
    states.extend(thens.map(State::GivenUp));
    states
}

fn events() -> Vec<(&'static str, UnitEvent)> {
    Vec::from([
        ("start", UnitEvent::Start),
        ("stop", UnitEvent::Stop),
        ("main-spawned", UnitEvent::Spawned(Role::Main, 1)),
        ("stop-spawned", UnitEvent::Spawned(Role::Stop, 1)),
        ("probe-spawned", UnitEvent::Spawned(Role::Probe, 1)),
        (
            "main-not-spawned",
            UnitEvent::SpawnFailed(Role::Main, Errno(11)),
        ),
        (
            "stop-not-spawned",
            UnitEvent::SpawnFailed(Role::Stop, Errno(11)),
        ),
        (
            "probe-not-spawned",
            UnitEvent::SpawnFailed(Role::Probe, Errno(11)),
        ),
        ("ready", UnitEvent::Ready),
        ("heartbeat", UnitEvent::Heartbeat),
        ("main-good", UnitEvent::Exited(Role::Main, GOOD)),
        ("main-bad", UnitEvent::Exited(Role::Main, BAD)),
        ("stop-good", UnitEvent::Exited(Role::Stop, GOOD)),
        ("stop-bad", UnitEvent::Exited(Role::Stop, BAD)),
        ("probe-good", UnitEvent::Exited(Role::Probe, GOOD)),
        ("probe-bad", UnitEvent::Exited(Role::Probe, BAD)),
        ("deadline", UnitEvent::Deadline),
    ])
}

fn word(state: State) -> &'static str {
    let then = |then, words: [&'static str; 4]| match then {
        Then::Rest => words[0],
        Then::Retry(_) => words[1],
        Then::Ended(_) => words[2],
        Then::Silent => words[3],
    };
    match state {
        State::Inactive => "off",
        State::Starting => "starting",
        State::Up => "up",
        State::Stopping { rung, then: next } => match rung {
            Rung::Program => then(
                next,
                [
                    "program",
                    "program+retry",
                    "program+ended",
                    "program+silent",
                ],
            ),
            Rung::Signal => then(
                next,
                ["signal", "signal+retry", "signal+ended", "signal+silent"],
            ),
            Rung::Kill => then(next, ["kill", "kill+retry", "kill+ended", "kill+silent"]),
        },
        State::Backoff => "backoff",
        State::Failed(_) => "failed",
        State::GivenUp(next) => then(
            next,
            [
                "given-up",
                "given-up+retry",
                "given-up+ended",
                "given-up+silent",
            ],
        ),
    }
}

/// Which processes a unit has in a state.
fn alive(state: State, is_service: bool) -> &'static [Role] {
    match state {
        State::Inactive | State::Backoff | State::Failed(_) => &[],
        State::Up if !is_service => &[],
        State::Starting | State::Up => &[Role::Main],
        State::Stopping { .. } | State::GivenUp(_) if !is_service => &[Role::Stop],
        State::Stopping {
            rung: Rung::Program,
            ..
        } => &[Role::Main, Role::Stop],
        State::Stopping { .. } | State::GivenUp(_) => &[Role::Main],
    }
}

/// The state that follows, in a word.
fn cell(core: &mut Core, id: UnitId, state: State, event: UnitEvent) -> String {
    while core.next_effect(NOW).is_some() {}
    *core.units.get_mut(id) = super::Unit::NEW;
    core.units.get_mut(id).state = state;
    for role in alive(state, id.0 == 0) {
        core.units.get_mut(id).alive.insert(*role);
    }
    if let UnitEvent::Exited(role, _) | UnitEvent::SpawnFailed(role, _) = event {
        core.units.get_mut(id).alive.remove(role);
    }
    core.transition(id, event, NOW);
    let fault = Effect::Notice(Notice::Fault(Fault::UnexpectedEvent(id)));
    let mut faulty = false;
    while let Some(effect) = core.effects.pop() {
        faulty |= effect == fault;
    }
    let after = core.units.get(id).state;
    assert!(!faulty || after == state, "a fault changes nothing");
    match (faulty, after == state) {
        (true, _) => "!".into(),
        (false, true) => ".".into(),
        (false, false) => word(after).into(),
    }
}

/// One line a state: cells that are not `!`, as event=cell.
fn table(id: UnitId) -> Vec<String> {
    let mut lines = Vec::new();
    for state in states() {
        let mut storage = Storage::<2>::new();
        let mut core = storage.core(&MANIFEST);
        let mut line = String::from(word(state));
        line.push(':');
        for (name, event) in events() {
            let cell = cell(&mut core, id, state, event);
            if cell != "!" {
                line.push_str(&format!(" {name}={cell}"));
            }
        }
        lines.push(line);
    }
    lines
}

#[test]
fn every_event_does_in_every_state_what_the_table_says() {
    for (id, expected) in [
        (UnitId(0), include_str!("service.table")),
        (UnitId(1), include_str!("mount.table")),
    ] {
        let found = table(id);
        let expected: Vec<&str> = expected.lines().collect();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    }
}
