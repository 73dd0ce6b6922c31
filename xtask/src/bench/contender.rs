//! This file says who takes part, as the document shows it.

use bench_lives::contender::Contender as Player;
#[cfg(test)]
use bench_lives::contender::FLOOR;
use qemu_tests::peers::{Leads, Peer};
use std::path::PathBuf;

/// The same as ours without healing: a column beside, no row of its own is ranked by it.
pub const OURS_WITHOUT_HEALING: &str = "sysmaster-without-healing";

/// Something that runs services as process 1.
#[derive(Debug)]
pub struct Contender {
    /// How it is started and steered; its name in files and rows.
    pub player: Player,
    /// What it is called in tables.
    pub title: String,
    /// Its version.
    pub version: String,
    /// `static` or `dynamic`.
    pub linkage: &'static str,
    /// What each service leads.
    pub leads: Leads,
    /// What it does by default with a service that ended.
    pub restart: String,
    /// Why its rows are not ranked, if so.
    pub differs: Option<String>,
    /// Files of process 1, helpers and tools.
    pub files: [Vec<PathBuf>; 3],
    /// How it is made ready.
    pub kind: Kind,
}

/// How a contender is made ready.
#[derive(Debug)]
pub enum Kind {
    /// Its root has all, whatever the plan.
    Floor,
    /// It is built for each plan.
    Ours {
        /// With what heals.
        heals: bool,
    },
    /// Its files are written for each plan.
    Peer(Box<Peer>),
}

impl Contender {
    /// Its name in files and rows.
    pub fn name(&self) -> &str {
        &self.player.name
    }

    /// Process 1 as it is started.
    pub fn command_line(&self) -> String {
        let words = self.player.process_1.get(1..).unwrap_or_default();
        words.join(" ").replace("{services}", "N")
    }

    /// Whether it is ranked against the others.
    pub fn is_ranked(&self) -> bool {
        self.differs.is_none() && self.name() != OURS_WITHOUT_HEALING
    }

    /// One that nobody can start, for tests of what is written about contenders.
    #[cfg(test)]
    pub fn example(name: &str) -> Self {
        Self {
            player: Player {
                name: name.to_string(),
                ..Player::default()
            },
            title: name.to_string(),
            version: "1".to_string(),
            linkage: "static",
            leads: Leads::Session,
            restart: "at once".to_string(),
            differs: (name == FLOOR).then(|| "the limit".to_string()),
            files: Default::default(),
            kind: Kind::Ours { heals: false },
        }
    }
}
