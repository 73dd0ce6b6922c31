//! This file makes random graphs, scripts and requests from a seed.

use super::machine::{Machine, ms, secs};
use init_core::event::{ControlRequest, Errno, Event, ExitStatus, MachineRequest};
use init_core::hal::fake::Script;
use init_core::ident::{Role, UnitId};
use init_core::renewal::Image;
use init_core::unit::{
    EdgeKind, LimitAction, Readiness, Restart, RestartPolicy, StartLimit, StopPolicy, UnitKind,
};
use init_core_sim::graph::{Graph, PROGRAM, RESTART, rule, rules, unit};
pub use init_core_sim::random::Random;

/// A graph whose order has no cycle: edges of order lead from later to earlier units only.
pub fn graph(random: &mut Random, units: usize) -> Graph {
    let mut graph = Graph::empty();
    for index in 0..units {
        let name: &'static str = match index {
            1 => "rescue",
            _ => format!("u{index}").leak(),
        };
        let kind = match random.below(10) {
            _ if index < 2 => UnitKind::Target,
            0 => UnitKind::Target,
            1 => UnitKind::Mount,
            2 | 3 => UnitKind::Task,
            _ => UnitKind::Service,
        };
        graph.units.push(settings(random, name, kind));
    }
    let edges = random.below(units * 3);
    for _ in 0..edges {
        let (a, b) = (random.below(units), random.below(units));
        let (low, high) = (a.min(b), a.max(b));
        if low == high {
            continue;
        }
        // The targets, at the front, come last in the order.
        let kind = match random.below(16) {
            0..=5 => EdgeKind::Requires,
            6..=9 => EdgeKind::Wants,
            10 | 11 => EdgeKind::BindsTo,
            12 => EdgeKind::Conflicts,
            _ => EdgeKind::After,
        };
        if kind == EdgeKind::Wants && random.once_in(8) {
            graph.relate(high, kind, low);
        } else {
            graph.relate(low, kind, high);
        }
    }
    for index in 2..units {
        if random.once_in(3) {
            graph.relate(0, EdgeKind::Wants, index);
        }
    }
    graph
}

fn settings(random: &mut Random, name: &'static str, kind: UnitKind) -> init_core::unit::UnitDesc {
    let mut desc = unit(name, kind);
    if kind == UnitKind::Service {
        rules(&mut desc).awaited = random.once_in(2);
        rules(&mut desc).ready = match random.below(4) {
            0 => Readiness::Newline(3),
            1 => Readiness::Probe(0),
            _ => Readiness::Exec,
        };
        if random.once_in(4) {
            rules(&mut desc).stop = PROGRAM;
        }
    }
    if kind != UnitKind::Target {
        rules(&mut desc).start_timeout = ms(500);
        let when = [Restart::Never, Restart::OnFailure, Restart::Always];
        rules(&mut desc).restart = rule(RestartPolicy {
            when: when[random.below(3)],
            limit: StartLimit {
                count: 4,
                within: secs(20),
                then: if random.once_in(20) {
                    LimitAction::Rescue
                } else {
                    LimitAction::Fail
                },
            },
            ..RESTART
        });
        rules(&mut desc).stopping = rule(StopPolicy {
            timeout: ms(200),
            ..StopPolicy::USUAL
        });
    }
    desc
}

/// What a process does: mostly well, sometimes not at all well.
pub fn script(random: &mut Random, one_shot: bool) -> Script {
    let soon = ms(40);
    let mut script = Script {
        ready_after: Some(random.span(soon)),
        on_stop: Some(random.span(soon)),
        on_kill: Some(random.span(ms(5))),
        ..Script::RUNS
    };
    if one_shot || random.once_in(6) {
        let code = u8::from(random.once_in(4));
        script.exit = Some((random.span(ms(80)), ExitStatus::Code(code)));
    }
    match random.below(20) {
        0 => script.spawn_error = Some(Errno(11)),
        1 => script.ready_after = None,
        2 => script.on_stop = None,
        3 => script.on_stop = Some(secs(1)),
        4 if random.once_in(3) => {
            script.on_stop = None;
            script.on_kill = [None, Some(secs(1))][random.below(2)];
        }
        _ => {}
    }
    script
}

/// Gives every unit three scripts a role.
pub fn write_scripts(random: &mut Random, machine: &mut Machine) {
    for (index, desc) in machine.manifest.units.iter().enumerate() {
        let id = UnitId(u16::try_from(index).unwrap());
        for role in [Role::Main, Role::Stop, Role::Probe] {
            let one_shot = role != Role::Main || matches!(desc.rules.ready, Readiness::Exit);
            let scripts = [0; 3].map(|_| script(random, one_shot));
            machine.fake.script(id, role, &scripts);
        }
    }
}

/// One thing that happens to a machine.
pub fn disturb(random: &mut Random, machine: &mut Machine) {
    let unit = UnitId(u16::try_from(random.below(machine.manifest.units.len())).unwrap());
    match random.below(12) {
        0..=2 => drop(machine.ask(ControlRequest::Start(unit))),
        3 | 4 => drop(machine.ask(ControlRequest::Stop(unit))),
        5 | 6 => drop(machine.ask(ControlRequest::Restart(unit))),
        7 => drop(machine.ask(ControlRequest::ResetFailed(unit))),
        8 => machine.fake.crash(unit, ExitStatus::Code(1)),
        9 => {
            if let Some(client) = machine.witness.first_waiting() {
                machine.event(Event::ClientGone(client));
            }
        }
        10 if random.once_in(10) => drop(machine.machine(MachineRequest::Rescue)),
        11 if random.once_in(3) => drop(machine.ask(ControlRequest::Renew(Image::Same))),
        _ => drop(machine.run_for(random.span(ms(300)))),
    }
}
