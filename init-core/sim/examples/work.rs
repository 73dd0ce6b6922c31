//! This program makes the core do one kind of work, so that its instructions can be counted: see
//! `cargo xtask bench --compare`.
//!
//! `work KIND UNITS TIMES`: `boot` and down again, `events` (a service ends, waits and is started
//! again), `kept` (the same, and a next life would find it; says how many bytes each such end
//! wrote for it) or `status` (all units are looked at). It reads no clock and asks nothing of
//! the machine, so the same words cost the same instructions.

use init_core::Storage;
use init_core::checkpoint::words::Words;
use init_core::checkpoint::words_for;
use init_core::effect::Effect;
use init_core::event::{BootOptions, Event, ExitStatus, MachineRequest};
use init_core::ident::{Child, UnitId};
use init_core::supervisor::Core;
use init_core::time::{Duration, Instant};
use init_core::unit::{EdgeKind, Manifest, UnitKind};
use init_core_sim::graph::{Graph, RESTART, rules, unit};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

/// More words than any work writes.
const WRITES_MAX: u32 = u32::MAX - 1;

/// As many as the largest kind of work has.
const UNIT_COUNT_MAX: usize = 1_024;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, units, times] = words.as_slice() else {
        eprintln!("work KIND UNITS TIMES");
        return ExitCode::from(2);
    };
    let (Ok(units), Ok(times)) = (units.parse::<usize>(), times.parse::<usize>()) else {
        eprintln!("{units} and {times} are numbers");
        return ExitCode::from(2);
    };
    if !(2..=UNIT_COUNT_MAX).contains(&units) {
        eprintln!("2 to {UNIT_COUNT_MAX} units");
        return ExitCode::from(2);
    }
    let manifest = manifest(units);
    match kind.as_str() {
        "boot" => (0..times).for_each(|_| boot_and_down(manifest)),
        "events" => events(manifest, times, Words::new(&[]), || ()),
        "kept" => kept(manifest, times),
        "status" => status(manifest, times),
        other => {
            eprintln!("no such work: {other}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// A target that wants services, which need nobody.
fn manifest(units: usize) -> &'static Manifest {
    let mut graph = Graph::empty();
    graph.units.push(unit("main", UnitKind::Target));
    for index in 1..units {
        let name: &'static str = format!("u{index}").leak();
        let mut service = unit(name, UnitKind::Service);
        rules(&mut service).restart = &RESTART;
        rules(&mut service).awaited = false;
        graph.units.push(service);
        graph.relate(0, EdgeKind::Wants, index);
    }
    graph.manifest()
}

/// The processes that run, by unit.
type Running = Vec<Option<Child>>;

/// Does all that is asked, every process as it should.
fn drain(core: &mut Core<'_>, running: &mut Running, now: Instant) {
    let mut ended = Vec::new();
    loop {
        while let Some(effect) = core.next_effect(now) {
            match effect {
                Effect::Spawn(child) => {
                    core.step(Event::Spawned { child, pid: 7 }, now);
                    if let Some(place) = running.get_mut(usize::from(child.unit.0)) {
                        *place = Some(child);
                    }
                }
                Effect::Signal { child, .. } => ended.push(child),
                Effect::KillAll(_) => core.step(Event::NoChildLeft, now),
                _ => {}
            }
        }
        let Some(child) = ended.pop() else {
            return;
        };
        let status = ExitStatus::Code(0);
        core.step(Event::Exited { child, status }, now);
    }
}

fn boot(core: &mut Core<'_>, running: &mut Running) {
    core.step(Event::Boot(BootOptions::default()), Instant::ZERO);
    drain(core, running, Instant::ZERO);
}

fn boot_and_down(manifest: &'static Manifest) {
    let mut storage = Box::new(Storage::<UNIT_COUNT_MAX>::new());
    let mut core = storage.core(manifest);
    let mut running = vec![None; UNIT_COUNT_MAX];
    boot(&mut core, &mut running);
    core.step(Event::Machine(MachineRequest::PowerOff), Instant::ZERO);
    drain(&mut core, &mut running, Instant::ZERO);
    assert_eq!(core.machine_status().ready, 0, "all are down");
}

fn kept(manifest: &'static Manifest, times: usize) {
    let words = words_for(manifest.units.len());
    let words: Vec<AtomicU32> = (0..words).map(|_| AtomicU32::new(0)).collect();
    let left = AtomicU32::new(WRITES_MAX);
    let fill = || left.store(WRITES_MAX, Ordering::Relaxed);
    events(manifest, times, Words::new(&words).with_fuse(&left), fill);
    let written = WRITES_MAX - left.load(Ordering::Relaxed);
    println!("{}", 4 * u64::from(written) / times as u64);
}

fn events(manifest: &'static Manifest, times: usize, region: Words<'_>, begin: impl Fn()) {
    let mut storage = Box::new(Storage::<UNIT_COUNT_MAX>::new());
    let mut core = storage.core(manifest);
    let mut running = vec![None; UNIT_COUNT_MAX];
    if !region.is_empty() {
        core.keep_in(region);
    }
    boot(&mut core, &mut running);
    begin();
    let mut now = Instant::ZERO;
    let services = manifest.units.len() - 1;
    for turn in 0..times {
        // Each turn another one; enough time passes for the shortest wait.
        let place = 1 + turn % services;
        let child = running[place].expect("it runs");
        let status = ExitStatus::Code(1);
        core.step(Event::Exited { child, status }, now);
        drain(&mut core, &mut running, now);
        now = now.after(Duration::from_secs(60));
        core.step(Event::Tick, now);
        drain(&mut core, &mut running, now);
        assert_ne!(running[place], Some(child), "it was started again");
    }
}

fn status(manifest: &'static Manifest, times: usize) {
    let mut storage = Box::new(Storage::<UNIT_COUNT_MAX>::new());
    let mut core = storage.core(manifest);
    boot(&mut core, &mut vec![None; UNIT_COUNT_MAX]);
    for _ in 0..times {
        for index in 0..manifest.units.len() {
            let id = UnitId(u16::try_from(index).expect("few units"));
            std::hint::black_box(core.status(id).expect("it is there"));
        }
    }
}
