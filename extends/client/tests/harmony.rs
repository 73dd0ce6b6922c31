//! This file runs the service as a process of the simulated Harmony kernel, under the core and the
//! HAL of that kernel.

#[path = "../demo/pump.rs"]
mod pump;
#[path = "../../../hal-harmony/tests/sim/mod.rs"]
mod sim;
#[expect(
    unexpected_cfgs,
    reason = "the feature is hal-harmony's, whose tests this is shared with"
)]
#[path = "../../../hal-harmony/tests/world/mod.rs"]
mod world;

use hal_harmony::abi::Line;
use hal_harmony::abi::number::Number;
use init_core::event::{ExitStatus, MachineRequest};
use init_core::limits::FRAME_BYTES_MAX;
use init_core::protocol::{Reader, Request, Response, Writer};
use init_core::status::UnitState;
use init_core::time::Duration;
use init_core::unit::Readiness;
use service_client::{Channel, Link, Order, Refused};
use world::graph::{Graph, RESTART, rule, rules};
use world::{Runs, World, runs_native};

/// The service, whose work takes this long.
fn service(milliseconds: u64) -> Runs {
    runs_native("a", move |sim, number| {
        let line = Line::new(sim.clone(), number);
        let work = || {
            for _ in 0..milliseconds {
                sim.state().now_ns += 1_000_000;
                line.give_way();
            }
        };
        let code = pump::run(Channel::new(sim.clone(), number), work);
        line.exit(code);
    })
}

fn world(milliseconds: u64, has_clock: bool) -> World {
    let graph = Graph::new("target main wants a\n service a").with("a", |a| {
        let mut rules = rules(a);
        rules.ready = Readiness::Letter;
        rules.watchdog = Duration::from_ms(200);
        rules.restart = rule(RESTART);
    });
    let world = World::new(graph, &[service(milliseconds)], |sim| {
        sim.state().has_clock = has_clock;
    });
    world.boot()
}

#[test]
fn its_readiness_log_and_end_are_those_of_linux() {
    for has_clock in [true, false] {
        let mut world = world(50, has_clock);
        world.until("it is ready", |world| world.is("a", UnitState::Active));
        assert_eq!(world.lines("a: begins"), 1);
        world.until("its end", |world| world.status("a").last_exit.is_some());
        assert_eq!(world.status("a").last_exit, Some(ExitStatus::Code(3)));
        assert_eq!(world.lines("a: has done what it can"), 1);
        assert_eq!(world.lines("no heartbeat"), 0, "{}", world.sim.console());
    }
}

#[test]
fn it_hears_by_its_heartbeat_that_it_is_to_stop() {
    for has_clock in [true, false] {
        let mut world = world(100, has_clock);
        world.until("it is ready", |world| world.is("a", UnitState::Active));
        world.pass(150);
        world.power_off();
        assert_eq!(world.status("a").last_exit, Some(ExitStatus::Code(0)));
        assert_eq!(world.lines("a: was told to stop"), 1);
        assert_eq!(world.lines("a: says that it stops"), 1);
        assert_eq!(world.sim.count(Number::KILL_GROUP), 0);
    }
}

#[test]
fn work_that_takes_longer_than_the_watchdog_waits_is_a_failure() {
    for has_clock in [true, false] {
        let mut world = world(400, has_clock);
        world.until("a restart", |world| world.status("a").restarts > 0);
        assert!(world.lines("a: failed: no heartbeat in time") > 0);
    }
}

fn frame(request: &Request<'_>) -> Vec<u8> {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    writer.add(request).expect("room");
    let length = writer.length();
    buffer[..length].to_vec()
}

/// A service that asks for all units and, if it may, switches the machine off.
fn controller(controls: bool) -> World {
    let graph = Graph::new("target main wants ctl\n service ctl");
    let graph = graph.with("ctl", |ctl| rules(ctl).controls = controls);
    let ctl = runs_native("ctl", move |sim, number| {
        let line = Line::new(sim.clone(), number);
        let mut channel = Channel::new(sim, number);
        let _ = channel.heartbeat();
        let mut room = [0; FRAME_BYTES_MAX];
        let mut ask = |channel: &Channel<_>, request| {
            let asked = channel.control(&frame(&request), &mut room, || line.give_way());
            asked.map(|length| room[..length].to_vec())
        };
        let units = ask(&channel, Request::Units { from: 0 });
        if !controls {
            assert_eq!(units, Err(Refused::ByInit));
            channel.log(b"is refused");
        } else {
            let units = units.expect("an answer");
            let mut reader = Reader::new(&units).expect("a frame");
            let first = reader.take::<Response<'_>>();
            assert!(
                matches!(first, Ok(Response::Units { total: 2 })),
                "{first:?}"
            );
            let short = channel.control(&frame(&Request::Machine), &mut [0; 5], || ());
            assert_eq!(short, Err(Refused::TooLong));
            let _ = ask(&channel, Request::Act(MachineRequest::PowerOff));
        }
        while channel.heartbeat() == Order::GoOn {
            line.give_way();
        }
    });
    World::new(graph, &[ctl], |_| {}).boot()
}

#[test]
fn a_service_that_may_controls_by_the_protocol_of_the_tool() {
    let mut world = controller(true);
    world.driver.run();
    assert!(world.sim.state().powered_off, "{}", world.sim.console());
    assert_eq!(world.status("ctl").last_exit, Some(ExitStatus::Code(0)));
}

#[test]
fn one_that_may_not_is_refused() {
    let mut world = controller(false);
    world.until("it knows", |world| world.lines("ctl: is refused") == 1);
    world.power_off();
}
