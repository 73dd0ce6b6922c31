//! This file builds manifests for tests from a few words, and keeps them for ever.

use init_core::event::MachineRequest;
use init_core::ident::UnitId;
use init_core::renewal::HOT_UPGRADE;
use init_core::time::Duration;
use init_core::unit::{
    Backoff, Context, Edge, EdgeKind, Exec, LimitAction, LogLevel, Manifest, Probe, Program,
    Readiness, Restart, RestartPolicy, Rules, ShutdownDesc, StartLimit, Stream, UnitDesc, UnitKind,
};
use std::collections::BTreeSet;

/// What every unit runs.
pub const PROGRAM: Program = Program::Exec(0);

/// That.
pub const EXEC: Exec = Exec {
    program: c"/bin/program",
    arguments: &[None],
    context: &Context {
        environment: &[None],
        directory: c"/",
        credentials: None,
        umask: 0o022,
        nice: 0,
        priority: 0,
        oom_score: None,
        limits: &[],
        stdin: Stream::Null,
        stdout: Stream::Null,
        stderr: Stream::Null,
    },
};

/// 100 ms, doubled up to 800 ms, reset after 10 s; no limit.
pub const RESTART: RestartPolicy = RestartPolicy {
    when: Restart::Always,
    backoff: Backoff {
        from: Duration::from_ms(100),
        to: Duration::from_ms(800),
        reset_after: Duration::from_secs(10),
    },
    limit: StartLimit {
        count: 0,
        within: Duration::from_secs(60),
        then: LimitAction::Fail,
    },
};

/// A rule that lives as long as a manifest.
pub fn rule<T>(rule: T) -> &'static T {
    Box::leak(Box::new(rule))
}

/// A unit's rules, to be changed.
pub fn rules(unit: &mut UnitDesc) -> NewRules<'_> {
    let rules = *unit.rules;
    NewRules { unit, rules }
}

/// Rules that become the unit's when they are done.
pub struct NewRules<'a> {
    unit: &'a mut UnitDesc,
    rules: Rules,
}

impl std::ops::Deref for NewRules<'_> {
    type Target = Rules;
    fn deref(&self) -> &Rules {
        &self.rules
    }
}

impl std::ops::DerefMut for NewRules<'_> {
    fn deref_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }
}

impl Drop for NewRules<'_> {
    fn drop(&mut self) {
        self.unit.rules = rule(self.rules);
    }
}

/// A manifest in the making.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The units, in their order.
    pub units: Vec<UnitDesc>,
    /// From, how, to.
    pub edges: Vec<(usize, EdgeKind, usize)>,
    /// What units run: [`PROGRAM`] is the first.
    pub programs: Vec<Exec>,
    /// The numbers of the units' definitions.
    pub definitions: Vec<u32>,
    /// How the machine goes down.
    pub shutdown: ShutdownDesc,
}

impl Graph {
    /// No units; 30 s for a shutdown, of which leftovers have 2 s.
    pub fn empty() -> Self {
        Self {
            units: Vec::new(),
            edges: Vec::new(),
            programs: vec![EXEC],
            definitions: Vec::new(),
            shutdown: ShutdownDesc {
                timeout: Duration::from_secs(30),
                leftover_grace: Duration::from_secs(2),
            },
        }
    }

    /// A line a unit: its kind, its name, then relations, each followed by other units' names.
    /// The first unit is the default target; one called `rescue` is the rescue target.
    pub fn new(text: &'static str) -> Self {
        let mut graph = Self::empty();
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        for line in lines() {
            let mut words = line.split_whitespace();
            let kind = match words.next().unwrap() {
                "target" => UnitKind::Target,
                "service" => UnitKind::Service,
                "task" => UnitKind::Task,
                "mount" => UnitKind::Mount,
                other => panic!("no such kind: {other}"),
            };
            graph.units.push(unit(words.next().unwrap(), kind));
        }
        for (from, line) in lines().enumerate() {
            let mut relation = None;
            for word in line.split_whitespace().skip(2) {
                if let Some(kind) = relation_of(word) {
                    relation = Some(kind);
                } else {
                    graph.relate(from, relation.expect("a relation"), graph.index(word));
                }
            }
        }
        graph
    }

    /// Adds an edge; `Requires` and `BindsTo` imply `After`, as the manifest compiler does it.
    pub fn relate(&mut self, from: usize, kind: EdgeKind, to: usize) {
        self.edges.push((from, kind, to));
        if matches!(kind, EdgeKind::Requires | EdgeKind::BindsTo) {
            self.edges.push((from, EdgeKind::After, to));
        }
    }

    /// Changes one unit.
    pub fn with(mut self, name: &str, change: impl FnOnce(&mut UnitDesc)) -> Self {
        let index = self.index(name);
        change(&mut self.units[index]);
        self
    }

    /// The index of a unit that there is.
    pub fn index(&self, name: &str) -> usize {
        let found = self.units.iter().position(|unit| unit.name == name);
        found.unwrap_or_else(|| panic!("no unit {name}"))
    }

    /// The compiled form; leaked.
    pub fn manifest(mut self) -> &'static Manifest {
        let id = |index: usize| UnitId(u16::try_from(index).unwrap());
        let mut ends = vec![BTreeSet::new(); self.units.len() * EdgeKind::COUNT];
        for (order, &(a, kind, b)) in self.edges.iter().enumerate() {
            ends[a * EdgeKind::COUNT + kind as usize].insert((order, id(b)));
            if let Some(reverse) = reverse_of(kind) {
                ends[b * EdgeKind::COUNT + reverse as usize].insert((order, id(a)));
            }
        }
        let mut edges: Vec<Edge> = Vec::new();
        for (from, desc) in self.units.iter_mut().enumerate() {
            desc.edges = u16::try_from(edges.len()).unwrap();
            let mut seen = BTreeSet::new();
            for kind in ALL {
                let others = &ends[from * EdgeKind::COUNT + kind as usize];
                for (_, other) in others
                    .iter()
                    .filter(|(_, other)| seen.insert((kind as u8, *other)))
                {
                    edges.push(Edge::new(kind, *other));
                }
            }
        }
        let units: &'static [UnitDesc] = Box::leak(self.units.into_boxed_slice());
        let rescue = units.iter().position(|unit| unit.name == "rescue");
        Box::leak(Box::new(Manifest {
            product: "test",
            board: "fake",
            units,
            edges: Box::leak(edges.into_boxed_slice()),
            programs: Box::leak(self.programs.into_boxed_slice()),
            setups: &[],
            probes: &[Probe::Path(c"/run/ready")],
            definitions: Box::leak(self.definitions.into_boxed_slice()),
            default_target: UnitId(0),
            rescue_target: rescue.map(|index| UnitId(u16::try_from(index).unwrap())),
            shutdown: self.shutdown,
            watchdog: None,
            healing: None,
            ctrl_alt_del: MachineRequest::Reboot,
            console: c"/dev/console",
            log_level: LogLevel::Debug,
            hot_upgrade: HOT_UPGRADE,
            split: None,
        }))
    }
}

/// In the order of the table.
const ALL: [EdgeKind; EdgeKind::COUNT] = [
    EdgeKind::Wants,
    EdgeKind::Requires,
    EdgeKind::BindsTo,
    EdgeKind::RequiredBy,
    EdgeKind::BoundBy,
    EdgeKind::Before,
    EdgeKind::After,
    EdgeKind::Conflicts,
];

fn reverse_of(kind: EdgeKind) -> Option<EdgeKind> {
    match kind {
        EdgeKind::Wants => None,
        EdgeKind::Requires => Some(EdgeKind::RequiredBy),
        EdgeKind::BindsTo => Some(EdgeKind::BoundBy),
        EdgeKind::After => Some(EdgeKind::Before),
        EdgeKind::Conflicts => Some(EdgeKind::Conflicts),
        EdgeKind::RequiredBy | EdgeKind::BoundBy | EdgeKind::Before => unreachable!("{kind:?}"),
    }
}

fn relation_of(word: &str) -> Option<EdgeKind> {
    match word {
        "requires" => Some(EdgeKind::Requires),
        "wants" => Some(EdgeKind::Wants),
        "binds-to" => Some(EdgeKind::BindsTo),
        "conflicts" => Some(EdgeKind::Conflicts),
        "after" => Some(EdgeKind::After),
        _ => None,
    }
}

/// A unit of that kind with the usual settings: services are not restarted.
pub fn unit(name: &'static str, kind: UnitKind) -> UnitDesc {
    let one_shot = matches!(kind, UnitKind::Task | UnitKind::Mount);
    UnitDesc {
        name,
        edges: 0,
        start: if kind == UnitKind::Target {
            Program::None
        } else {
            PROGRAM
        },
        rules: rule(Rules {
            kind,
            ready: if one_shot {
                Readiness::Exit
            } else {
                Readiness::Exec
            },
            awaited: true,
            restart: &RestartPolicy {
                when: Restart::Never,
                ..RESTART
            },
            stop: if kind == UnitKind::Mount {
                PROGRAM
            } else {
                Program::None
            },
            ..Rules::USUAL
        }),
    }
}
