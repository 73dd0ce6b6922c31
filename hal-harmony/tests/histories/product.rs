//! This file makes a script's product one of this kernel: what it lacks is left out or becomes
//! what is nearest, and there are services that carry clients' requests.

use crate::world::graph::{Graph, RESTART, rule, rules, unit};
use init_core::ident::UnitId;
use init_core::time::Duration;
use init_core::unit::{Backoff, EdgeKind, Manifest, Program, Readiness, RestartPolicy, UnitKind};
use init_core_sim::product::{self, Ready, UnitSpec};
use init_core_sim::script::Script;

/// Units of a script that take part: each that runs is a thread of the host.
const UNIT_COUNT_MAX: usize = 10;

/// The target that the machine boots to, by its number: the script's, and clients.
const ALL: usize = 63;

/// Where the script's targets stand.
pub const TARGET: UnitId = UnitId(1);
const RESCUE: usize = 2;

/// Services that carry requests: one more than the HAL lets ask at once.
const CLIENT_COUNT: usize = 3;
const CLIENTS: [&str; CLIENT_COUNT] = ["client-a", "client-b", "client-c"];

/// What the core's process is called.
pub const CORE: &[u8] = b"init-core";

/// A product.
pub struct Product {
    pub graph: Graph,
    /// The numbers of the script's units, in their order.
    pub numbers: Vec<usize>,
    /// The same, compiled: what the model knows of it.
    pub manifest: &'static Manifest,
    /// One kernel in four has a clock that stands still.
    pub has_clock: bool,
    /// What chances are taken from.
    pub seed: u64,
}

impl Product {
    pub fn new(script: &Script) -> Self {
        // The script's own target may be one that can never be reached.
        let mut all = UnitSpec::new(ALL, UnitKind::Target);
        all.edges.push((EdgeKind::Wants, 0));
        let units = script.units.iter().take(UNIT_COUNT_MAX).map(spec);
        let units: Vec<UnitSpec> = std::iter::once(all).chain(units).collect();
        let mut graph = product::graph(&units);
        for (spec, desc) in units.iter().zip(&mut graph.units) {
            if spec.ready != Ready::Exec && spec.kind == UnitKind::Service {
                rules(desc).ready = Readiness::Letter;
            }
        }
        for name in CLIENTS {
            let number = graph.units.len();
            graph.units.push(client(name));
            graph.relate(0, EdgeKind::Wants, number);
            graph.relate(RESCUE, EdgeKind::Wants, number);
        }
        let seed = script.chance;
        Self {
            manifest: graph.clone().manifest(),
            numbers: units.iter().map(|unit| unit.number).collect(),
            graph,
            has_clock: !seed.is_multiple_of(4),
            seed,
        }
    }

    /// Units that have a program.
    pub fn programs(&self) -> impl Iterator<Item = &'static str> {
        let units = self.graph.units.iter();
        let run = units.filter(|unit| unit.rules.kind != UnitKind::Target);
        run.map(|unit| unit.name)
    }
}

/// There is nothing to mount, and no path to look at.
fn spec(spec: &UnitSpec) -> UnitSpec {
    let mut spec = spec.clone();
    if spec.kind == UnitKind::Mount {
        spec.kind = UnitKind::Task;
    }
    spec
}

fn client(name: &'static str) -> init_core::unit::UnitDesc {
    let mut client = unit(name, UnitKind::Service);
    let mut own = rules(&mut client);
    own.awaited = false;
    own.controls = true;
    own.restart = rule(RestartPolicy {
        backoff: Backoff {
            from: Duration::from_ms(20),
            to: Duration::from_ms(20),
            ..RESTART.backoff
        },
        ..RESTART
    });
    drop(own);
    client
}

/// Whether a unit carries requests.
pub fn is_client(name: &str) -> bool {
    CLIENTS.contains(&name)
}

/// Every stop program is the unit's own: what a process is for, the stage knows.
pub fn stop_programs(graph: Graph) -> Graph {
    let mut graph = graph;
    for desc in &mut graph.units {
        if let (Program::Exec(_), Program::Exec(_)) = (desc.rules.stop, desc.start) {
            let start = desc.start;
            rules(desc).stop = start;
        }
    }
    graph
}
