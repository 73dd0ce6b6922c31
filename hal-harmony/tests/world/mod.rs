//! This file is a whole machine: the core and its driver over the HAL over the simulated kernel.

#![allow(dead_code, reason = "not every test needs all of the machine")]

pub mod program;
pub mod speech;
#[cfg(feature = "split")]
pub mod split;

use crate::sim::{Native, Sim};
use graph::{EXEC, Graph, rule};
use hal_harmony::{Config, Harmony, Image, Storage};
use init_core::driver::Driver;
use init_core::event::{BootOptions, MachineRequest};
use init_core::ident::UnitId;
use init_core::status::{UnitState, UnitStatus};
use init_core::unit::{Context, Exec, Limit, LimitValue, Program as Start, Resource};
pub use init_core_sim::graph;
use program::Program;
use std::ffi::CString;
use std::sync::Arc;

/// The root task's priority, and its services'.
pub const OWN: u32 = 10;
pub const SERVICES: u32 = 5;

/// Processes at once, the ended included that are not freed: generated products have up to 14
/// units, each with a stop program besides its main process, and a core.
pub const PLACES: usize = 32;

/// What a unit runs, and what it may use.
pub struct Runs {
    pub unit: &'static str,
    pub code: Code,
    pub quota: Option<u64>,
}

/// A program of a unit.
pub enum Code {
    /// Instructions.
    Machine(Program),
    /// A function of the test.
    Native(Native),
}

/// A unit and its program.
pub fn runs(unit: &'static str, program: Program) -> Runs {
    Runs {
        unit,
        code: Code::Machine(program),
        quota: None,
    }
}

/// A unit and its program, which is a function: what it calls, and the channel's number.
pub fn runs_native(unit: &'static str, code: impl Fn(Sim, i32) + Send + Sync + 'static) -> Runs {
    let native = move |sim, argument: u64| code(sim, i32::try_from(argument).expect("a number"));
    Runs {
        unit,
        code: Code::Native(Arc::new(native)),
        quota: None,
    }
}

/// What a machine is made of, before somebody takes it over.
pub struct Ground {
    pub sim: Sim,
    pub config: Config,
    pub graph: Graph,
}

impl Ground {
    /// A kernel with these programs for these units. `change` changes the kernel.
    pub fn new(graph: Graph, programs: &[Runs], change: impl FnOnce(&Sim)) -> Self {
        Self::on(Sim::new(OWN), graph, programs, change)
    }

    /// The same, on this kernel, with which nothing was done yet.
    pub fn on(sim: Sim, mut graph: Graph, programs: &[Runs], change: impl FnOnce(&Sim)) -> Self {
        let mut images = Vec::new();
        for (number, one) in (0..).zip(programs) {
            let path = CString::new(format!("/bin/{}", one.unit)).expect("a path");
            let path = Box::leak(path.into_boxed_c_str());
            let file = match &one.code {
                Code::Machine(program) => program.elf(),
                Code::Native(native) => native_file(&sim, number, native.clone()),
            };
            images.push(Image { path, file });
            let limits = one.quota.map(|bytes| Limit {
                resource: Resource::Data,
                soft: LimitValue::Max(bytes),
                hard: LimitValue::Max(bytes),
            });
            let limits: &'static [Limit] = Box::leak(Vec::from_iter(limits).into_boxed_slice());
            let context = rule(Context {
                limits,
                ..*EXEC.context
            });
            let place = u16::try_from(graph.programs.len()).expect("a few programs");
            graph.programs.push(Exec {
                program: path,
                context,
                ..EXEC
            });
            graph = graph.with(one.unit, |unit| unit.start = Start::Exec(place));
        }
        change(&sim);
        let config = Config {
            images: Box::leak(images.into_boxed_slice()),
            own_priority: OWN,
            reserved: None,
            shared: None,
            ram_disk: None,
            service_priority: SERVICES,
            stack_bytes: 8_192,
            window: 0x7000_0000,
            reset: None,
        };
        Self { sim, config, graph }
    }
}

/// A file whose program is a function of the test.
pub fn native_file(sim: &Sim, number: u64, native: Native) -> &'static [u8] {
    let (entry, file) = program::native_elf(number);
    sim.state().natives.insert(entry, native);
    file
}

/// The machine.
pub struct World {
    pub sim: Sim,
    pub driver: Driver<'static, Harmony<Sim>>,
    graph: Graph,
}

impl World {
    /// A machine that has not booted. `change` changes the kernel before it is taken over.
    pub fn new(graph: Graph, programs: &[Runs], change: impl FnOnce(&Sim)) -> Self {
        let Ground { sim, config, graph } = Ground::new(graph, programs, change);
        let manifest = graph.clone().manifest();
        let places = Box::leak(Box::new(Storage::<Sim, PLACES>::new()));
        let platform = Harmony::new(sim.clone(), manifest, config, places);
        let platform = platform.expect("a kernel that is taken over");
        let core = Box::leak(Box::new(init_core::storage::Storage::<16>::new()));
        let driver = Driver::new(core.core(manifest), platform);
        Self { sim, driver, graph }
    }

    pub fn boot(mut self) -> Self {
        self.driver.boot(BootOptions::default());
        self
    }

    pub fn ms(&self) -> u64 {
        self.sim.state().now_ns / 1_000_000
    }

    /// Turns until this holds, or a minute has passed.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = self.ms() + 60_000;
        while !holds(self) {
            assert!(self.ms() < end, "never: {what}\n{}", self.sim.console());
            assert!(self.driver.turn(), "it ended before: {what}");
        }
    }

    /// Turns until the kernel's clock says so.
    pub fn pass(&mut self, milliseconds: u64) {
        let end = self.ms() + milliseconds;
        self.until("time", |world| world.ms() >= end);
    }

    pub fn id(&self, name: &str) -> UnitId {
        UnitId(u16::try_from(self.graph.index(name)).expect("few"))
    }

    pub fn state(&self, name: &str) -> UnitState {
        self.status(name).state
    }

    pub fn status(&self, name: &str) -> UnitStatus {
        let status = self.driver.core().status(self.id(name));
        status.expect("a unit of the manifest")
    }

    pub fn is(&self, name: &str, state: UnitState) -> bool {
        self.state(name) == state
    }

    /// Asks for the last act and goes on until it is done.
    pub fn power_off(&mut self) {
        self.driver.platform().ask(MachineRequest::PowerOff);
        self.driver.run();
        assert!(self.sim.state().powered_off, "{}", self.sim.console());
    }

    /// Lines of the log that have this in them.
    pub fn lines(&self, words: &str) -> usize {
        let console = self.sim.console();
        console.lines().filter(|line| line.contains(words)).count()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.sim.end();
    }
}
