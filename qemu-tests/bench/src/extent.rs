//! This file says how much a run measures.

use crate::contender::{Contender, OURS};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Services that a restart, an orphan or a healing row runs beside.
pub const FEW: usize = 10;

/// What only sysMaster is measured by, each once a round.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// How long its turns are, where the kernel records who runs.
    pub turns: bool,
    /// How late its timers are.
    pub late: bool,
    /// How many of its log's lines are dropped where nobody reads them.
    pub flood: bool,
    /// How many instructions of a life are without its handlers.
    pub window: bool,
    /// How it heals when memory is empty, or short.
    pub hardship: bool,
}

/// How much is measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// How often everything is repeated.
    pub rounds: usize,
    /// Services of the boots.
    pub boots: Vec<usize>,
    /// Services of the rows about memory; each is also one of the boots.
    pub memories: Vec<usize>,
    /// Services in a row, each after the one before.
    pub chain: Option<usize>,
    /// Services of which one is asked about, or stopped.
    pub steered: usize,
    /// How often a tool is run in a round.
    pub tool_runs: u32,
    /// Services that end in a round.
    pub deaths: usize,
    /// Orphans that end at once.
    pub orphans: u32,
    /// How often in a life, and how often beside a tool: who is given a processor first among
    /// thousands is chance.
    pub bursts: usize,
    /// How long a service lives before it ends: after a second it is no trouble maker to anybody.
    pub life: Duration,
    /// How long nothing happens, and how long before that is not counted.
    pub idle: [Duration; 2],
    /// Services of a machine that goes down, and how many of them do not end when they are asked.
    pub down: Vec<(usize, usize)>,
    /// Services of the machines whose system calls are counted.
    pub calls: Option<[usize; 2]>,
    /// What only sysMaster is measured by.
    pub own: Own,
    /// Services of machines that only sysMaster runs.
    pub scale: Vec<usize>,
}

impl Extent {
    /// All rows in few and small steps: shows that they work.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            rounds: 1,
            boots: vec![FEW],
            memories: vec![FEW],
            chain: None,
            steered: FEW,
            tool_runs: 2,
            deaths: 1,
            orphans: 200,
            bursts: 1,
            life: Duration::from_millis(100),
            idle: [1_000, 200].map(Duration::from_millis),
            down: vec![(FEW, 0)],
            calls: None,
            own: Own {
                late: true,
                turns: true,
                flood: true,
                window: true,
                hardship: false,
            },
            scale: Vec::new(),
        }
    }

    /// What the document shows.
    #[must_use]
    pub fn full(rounds: usize) -> Self {
        Self {
            rounds,
            boots: vec![10, 50, 100, 500],
            memories: vec![10, 100, 500],
            chain: Some(20),
            steered: 100,
            tool_runs: 10,
            deaths: 5,
            orphans: 10_000,
            bursts: 5,
            life: Duration::from_millis(1_300),
            idle: [60, 3].map(Duration::from_secs),
            down: vec![(100, 0), (100, 10)],
            calls: Some([10, 50]),
            own: Own {
                late: true,
                flood: true,
                window: true,
                hardship: true,
                turns: true,
            },
            scale: vec![1_000, 4_000],
        }
    }

    /// What an emulated board is asked: the same rows in smaller steps, since its processor is a
    /// hundred times slower than what emulates it.
    #[must_use]
    pub fn board(rounds: usize) -> Self {
        Self {
            boots: vec![10, 100],
            memories: vec![10, 100],
            orphans: 1_000,
            bursts: 3,
            calls: Some([10, 30]),
            tool_runs: 3,
            own: Own {
                turns: true,
                flood: true,
                ..Own::default()
            },
            scale: Vec::new(),
            ..Self::full(rounds)
        }
    }

    /// The plans that a contender is made ready for.
    #[must_use]
    pub fn plans(&self, contender: &Contender) -> BTreeSet<Plan> {
        let calls = self.calls.iter().flatten();
        let flat = self.boots.iter().chain(calls).chain([&FEW, &self.steered]);
        let mut plans: BTreeSet<Plan> = flat.map(|services| Plan::flat(*services)).collect();
        plans.extend(self.down.iter().map(|&(services, deaf)| Plan {
            deaf,
            ..Plan::flat(services)
        }));
        if contender.has_order {
            plans.extend(self.chain.map(Plan::chain));
        }
        if contender.name == OURS {
            plans.extend(self.scale.iter().map(|services| Plan::flat(*services)));
        }
        plans
    }
}
