//! This file defines the compiled manifest: units, the edges between them, and the machine's
//! policy.
//!
//! Edges lie in one table, grouped by unit and kind, so that a unit's event touches only its own.

use super::{
    Exec, HealingDesc, KillScope, Probe, Program, Readiness, RestartPolicy, Setup, StopPolicy,
    Success,
};
use crate::ident::{Role, UnitId};
use crate::limits::UNIT_COUNT_MAX;
use crate::renewal::HotUpgrade;
use crate::time::Duration;
use core::ffi::CStr;
use serde::{Deserialize, Serialize};

/// What a unit is, which decides when it counts as active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnitKind {
    /// No process of its own; active when its start job's turn has come.
    Target,
    /// A one-shot: active once its program has succeeded, until stopped.
    Task,
    /// A program that stays; active from readiness until it is gone.
    Service,
    /// A file system; a one-shot whose stop program unmounts it.
    Mount,
}

/// How one unit relates to another. An edge that the other end must know of has its reverse there.
/// Their order is that of the table: what is followed as one lies side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EdgeKind {
    /// Starting this starts that; its failure does not matter. Has no reverse.
    Wants = 0,
    /// Starting this starts that; if that fails to start, this does; stopping that stops this.
    Requires = 1,
    /// As `Requires`, and when that becomes inactive for any reason this is stopped.
    BindsTo = 2,
    /// Reverse of [`Self::Requires`].
    RequiredBy = 3,
    /// Reverse of [`Self::BindsTo`].
    BoundBy = 4,
    /// Reverse of [`Self::After`].
    Before = 5,
    /// Where both have a job, this one's start waits until that one's job is done; stops run in
    /// the reverse order. (`requires` and `binds-to` imply it: the compiler adds the edge.)
    After = 6,
    /// The two are never active together: starting one stops the other. Is its own reverse.
    Conflicts = 7,
}

/// Kinds of edges that are followed as one: those from the first to the last.
#[derive(Clone, Copy, Debug)]
pub struct EdgeKinds(EdgeKind, EdgeKind);

impl EdgeKinds {
    /// What a starting unit cannot do without.
    pub const NEEDS: Self = Self(EdgeKind::Requires, EdgeKind::BindsTo);
    /// What cannot do without a unit.
    pub const DEPENDENTS: Self = Self(EdgeKind::RequiredBy, EdgeKind::BoundBy);
    /// Whose jobs may wait for this unit's.
    pub const NEIGHBOURS: Self = Self(EdgeKind::Before, EdgeKind::Conflicts);
}

impl From<EdgeKind> for EdgeKinds {
    fn from(kind: EdgeKind) -> Self {
        Self(kind, kind)
    }
}

#[inline(never)]
fn begin_of(kind: u16, own: &[Edge]) -> usize {
    own.partition_point(|edge| edge.kind() < kind)
}

const _: () = assert!(UNIT_COUNT_MAX <= 1 << Edge::UNIT_BITS);

/// One edge: its kind and the unit at its other end, in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge(u16);

impl Edge {
    const UNIT_BITS: u32 = 13;
    const UNITS: u16 = (1 << Self::UNIT_BITS) - 1;

    /// An edge of this kind to that unit.
    #[must_use]
    pub const fn new(kind: EdgeKind, to: UnitId) -> Self {
        Self(kind.index() << Self::UNIT_BITS | to.0 & Self::UNITS)
    }

    const fn kind(self) -> u16 {
        self.0 >> Self::UNIT_BITS
    }

    /// The unit at the other end.
    #[must_use]
    pub const fn unit(self) -> UnitId {
        UnitId(self.0 & Self::UNITS)
    }
}

impl UnitDesc {
    /// No unit: what a look-up finds where there is none. It does nothing.
    pub const NOTHING: Self = Self {
        name: "",
        edges: 0,
        start: Program::None,
        rules: &Rules::USUAL,
    };

    /// Whether the HAL is to tell when the main program was executed.
    pub fn confirms_exec(&self) -> bool {
        self.rules.awaited && matches!(self.rules.ready, Readiness::Exec)
    }

    /// What a process in this role runs, the readiness that it may tell or wait for, and whether
    /// its execution is to be told.
    pub fn errand(&self, role: Role) -> (Program, Readiness, bool) {
        let (program, ready) = match role {
            Role::Main => (self.start, self.rules.ready),
            Role::Stop => (self.rules.stop, Readiness::Exit),
            Role::Probe => (Program::None, self.rules.ready),
        };
        let confirm = role == Role::Main && self.confirms_exec();
        (program, ready, confirm)
    }

    /// Whom a signal to the process in this role reaches.
    pub fn scope(&self, role: Role) -> KillScope {
        match role {
            Role::Main => self.rules.stopping.scope,
            Role::Stop | Role::Probe => KillScope::Group,
        }
    }
}

impl EdgeKind {
    /// How many kinds there are.
    pub const COUNT: usize = 8;

    #[expect(clippy::as_conversions, reason = "a fieldless enum's own number")]
    const fn index(self) -> u16 {
        self as u16
    }

    /// Where the edges of this kind begin among a unit's own.
    fn begin_in(self, own: &[Edge]) -> usize {
        begin_of(self.index(), own)
    }

    /// Where they end.
    fn end_in(self, own: &[Edge]) -> usize {
        begin_of(self.index().saturating_add(1), own)
    }
}

/// One unit, as compiled. What many units have in common is referred to: it lies in the image once.
#[derive(Clone, Copy, Debug)]
pub struct UnitDesc {
    /// Unique in the manifest; an instance of a template is `template@instance`.
    pub name: &'static str,
    /// Where this unit's edges begin in [`Manifest::edges`]: they end where the next unit's begin.
    pub edges: u16,
    /// What starting it runs.
    pub start: Program,
    /// What it is, and how it is kept.
    pub rules: &'static Rules,
}

/// What becomes of a unit that runs by another definition than an upgraded process 1 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUpgrade {
    /// It goes on, and is shown as stale until it is started anew.
    Keep,
    /// It is restarted.
    Restart,
}

/// What a unit is and how it is kept. Units that are kept alike refer to the same.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// What it is.
    pub kind: UnitKind,
    /// When it counts as ready.
    pub ready: Readiness,
    /// Whether somebody waits for it to be ready, or its start is reported: decides for
    /// [`Readiness::Exec`] whether the HAL confirms the exec with [`crate::event::Event::Ready`]
    /// (true), or the core takes the spawn itself as readiness (false).
    pub awaited: bool,
    /// Without it the device is not healthy: shown in reports, and no food for the hardware
    /// watchdog.
    pub critical: bool,
    /// Whether its program may control units and machine, where that is asked by letters.
    pub controls: bool,
    /// What becomes of it when process 1 is upgraded and its definition is another.
    pub on_upgrade: OnUpgrade,
    /// Longest time from the start to ready; [`Duration::MAX`]: no limit. Exceeding it fails the
    /// start.
    pub start_timeout: Duration,
    /// Longest time from ready to the first heartbeat, and between two; [`Duration::MAX`]: nobody
    /// listens. Exceeding it stops the unit, which then has failed.
    pub watchdog: Duration,
    /// What happens when it ends.
    pub restart: &'static RestartPolicy,
    /// How it is stopped.
    pub stopping: &'static StopPolicy,
    /// Which ends count as success.
    pub success: &'static Success,
    /// What stopping it runs, before any signal. [`Program::None`]: the stop signal only.
    pub stop: Program,
}

impl Rules {
    /// A target; no time limit to start, never restarted, stopped by SIGTERM.
    pub const USUAL: Self = Self {
        kind: UnitKind::Target,
        ready: Readiness::Exec,
        awaited: false,
        critical: false,
        controls: false,
        on_upgrade: OnUpgrade::Keep,
        start_timeout: Duration::MAX,
        watchdog: Duration::MAX,
        restart: &RestartPolicy::NEVER,
        stopping: &StopPolicy::USUAL,
        success: &Success::USUAL,
        stop: Program::None,
    };
}

/// How much process 1 says on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// Failures only (`quiet`).
    Quiet,
    /// Also what became ready or ended.
    Normal,
    /// Also every job and every process (`debug`).
    Debug,
}

/// How the machine goes down.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownDesc {
    /// From the request to the final action, whatever happens; units, leftovers and file systems
    /// share it.
    pub timeout: Duration,
    /// Between SIGTERM and SIGKILL to processes that no unit owns.
    pub leftover_grace: Duration,
}

/// A product: all that `manifests` compiles a manifest into.
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    /// The product's name.
    pub product: &'static str,
    /// The board that it was compiled for.
    pub board: &'static str,
    /// The units; [`UnitId`] is the index.
    pub units: &'static [UnitDesc],
    /// All edges, grouped by unit, then by kind; see [`UnitDesc::edges`].
    pub edges: &'static [Edge],
    /// What [`Program::Exec`] names.
    pub programs: &'static [Exec],
    /// What [`Program::Setup`] names.
    pub setups: &'static [Setup],
    /// What [`Readiness::Probe`] names.
    pub probes: &'static [Probe],
    /// Each unit's number for what it runs and how that says to be ready: another number, another
    /// program. Empty where process 1 cannot be exchanged for one with other numbers.
    pub definitions: &'static [u32],
    /// Started at boot.
    pub default_target: UnitId,
    /// Started instead when the kernel command line or a start limit asks for it.
    pub rescue_target: Option<UnitId>,
    /// How the machine goes down.
    pub shutdown: ShutdownDesc,
    /// The hardware watchdog, if there is one.
    pub watchdog: Option<WatchdogDesc>,
    /// What is done when process 1 dies again and again; `None`: the machine starts anew after
    /// lives in vain.
    pub healing: Option<&'static HealingDesc>,
    /// What Ctrl-Alt-Del asks for.
    pub ctrl_alt_del: crate::event::MachineRequest,
    /// The console device, e.g. `/dev/console`.
    pub console: &'static CStr,
    /// How much is said unless the kernel command line chooses.
    pub log_level: LogLevel,
    /// Process 1 can be exchanged for another image; `None`: it cannot, and has no code for it.
    pub hot_upgrade: Option<&'static HotUpgrade>,
    /// The core is a process of its own, which may be silent about an event for so long.
    pub split: Option<Duration>,
}

/// What resets a machine that does not get on.
#[derive(Clone, Copy, Debug)]
pub struct WatchdogDesc {
    /// Its device, e.g. `/dev/watchdog0`.
    pub device: &'static CStr,
    /// Seconds without food until it resets the machine, from 1.
    pub seconds: u16,
    /// Seconds before the reset in which it warns; 0: it does not.
    pub warning_seconds: u16,
    /// It resets no machine that goes down.
    pub disarm: bool,
}

impl Manifest {
    /// A unit's description; `None` when there is no such unit.
    #[inline(never)]
    pub fn unit(&self, id: UnitId) -> Option<&'static UnitDesc> {
        self.units.get(id.index())
    }

    /// A unit's name; empty when there is no such unit.
    #[inline(never)]
    pub fn name(&self, id: UnitId) -> &'static str {
        self.unit(id).map_or("", |unit| unit.name)
    }

    /// The program of the image, if that is what it is.
    pub fn exec(&self, program: Program) -> Option<&'static Exec> {
        match program {
            Program::Exec(place) => self.programs.get(usize::from(place)),
            Program::None | Program::Setup(_) => None,
        }
    }

    /// The steps of setting the machine up, if that is what it is.
    pub fn setup(&self, program: Program) -> Option<Setup> {
        match program {
            Program::Setup(place) => self.setups.get(usize::from(place)).copied(),
            Program::None | Program::Exec(_) => None,
        }
    }

    /// What is looked for, if that is how it is seen.
    pub fn probe(&self, ready: Readiness) -> Option<&'static Probe> {
        match ready {
            Readiness::Probe(place) => self.probes.get(usize::from(place)),
            Readiness::Exec | Readiness::Exit | Readiness::Newline(_) | Readiness::Letter => None,
        }
    }

    /// The number of a unit's definition, see [`Self::definitions`].
    pub fn definition(&self, id: UnitId) -> u32 {
        self.definitions.get(id.index()).copied().unwrap_or(0)
    }

    /// The units at the other end of a unit's edges of one kind, or of several.
    pub fn edges<Kinds: Into<EdgeKinds>>(
        &self,
        id: UnitId,
        kinds: Kinds,
    ) -> impl Iterator<Item = UnitId> + use<Kinds> {
        let edges = self.edges_between(id, kinds.into()).unwrap_or_default();
        edges.iter().map(|edge| edge.unit())
    }

    #[inline(never)]
    fn edges_between(&self, id: UnitId, kinds: EdgeKinds) -> Option<&'static [Edge]> {
        let EdgeKinds(first, last) = kinds;
        let begin = |at: usize| self.units.get(at).map(|unit| usize::from(unit.edges));
        let from = begin(id.index())?;
        let to = begin(id.index().saturating_add(1)).unwrap_or(self.edges.len());
        let own = self.edges.get(from..to)?;
        own.get(first.begin_in(own)..last.end_in(own))
    }

    /// The unit of that name. Any bytes may be asked for.
    pub fn find(&self, name: &[u8]) -> Option<UnitId> {
        let mut units = self.units.iter().zip((0..u16::MAX).map(UnitId));
        let (_, id) = units.find(|(unit, _)| unit.name.as_bytes() == name)?;
        Some(id)
    }
}
