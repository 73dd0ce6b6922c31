//! This file makes every contender runnable: the floor, sysMaster built for the plan, and the peers
//! from their packages or from a user's own builds.
//!
//! A contender that cannot be had here is told once and left out; it never stops the others.

use super::stage;
use crate::{build, house, process};
use anyhow::{Context, Result, ensure};
use manifests::board::Board;
use object::{Object, ObjectSection};
use qemu_tests::debian::Store;
use qemu_tests::peers::{Commands, Leads, Peer, Plan};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of the program of our own that marks the limit.
pub const FLOOR: &str = "floor";
/// sysMaster as it is shipped.
pub const OURS: &str = "sysmaster";
/// The same without healing: a column beside, no row of its own is ranked by it.
pub const OURS_WITHOUT_HEALING: &str = "sysmaster-without-healing";

/// Something that runs services as process 1.
#[derive(Debug)]
pub struct Contender {
    /// What it is called in files.
    pub name: String,
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
    /// How it is steered.
    pub commands: Commands,
    /// Whether it can start one service after another.
    pub has_order: bool,
    /// Files of process 1, helpers and tools.
    pub files: [Vec<PathBuf>; 3],
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Floor { root: PathBuf },
    Ours { heals: bool },
    Peer { peer: Box<Peer>, root: PathBuf },
}

/// A contender that can be started with a plan's services.
#[derive(Debug)]
pub struct Ready {
    /// Its root file system.
    pub root: PathBuf,
    /// Files to be copied over it.
    pub files: PathBuf,
    /// Process 1 and its arguments.
    pub command: Vec<String>,
}

/// Those who take part, and why others do not.
pub type Field = (Vec<Contender>, Vec<String>);

/// What all contenders need.
#[derive(Debug)]
pub struct Workshop {
    /// The board of this machine's processor.
    pub board: Board,
    /// The folder for everything that is made here.
    pub folder: PathBuf,
}

impl Workshop {
    /// All contenders that can be had: ours, the house's peers and those of a user.
    ///
    /// # Errors
    /// Ours cannot be made, or a peer's description is bad.
    pub fn contenders(&self, others: Option<&Path>, is_quick: bool) -> Result<Field> {
        let mut left_out = Vec::new();
        let mut contenders = vec![self.floor()?, self.ours(true)?];
        if !is_quick {
            contenders.push(self.ours(false)?);
        }
        let mut peers = Peer::load_all(&house::root().join("qemu-tests/peers"))?;
        if let Some(folder) = others {
            // A build of a peer that the house describes needs no description of its own.
            for peer in &mut peers {
                let build = folder.join(&peer.name);
                if build.join("root").is_dir() && !build.join("peer.toml").is_file() {
                    peer.folder = build;
                }
            }
            peers.extend(Peer::load_all(folder)?);
        }
        for peer in peers {
            let title = peer.title.clone();
            match self.peer(peer) {
                Ok(contender) => contenders.push(contender),
                Err(error) => {
                    let text = format!("{title} cannot be had and is left out: {error:#}");
                    qemu_tests::progress::say(&text);
                    left_out.push(text.lines().next().unwrap_or_default().to_string());
                }
            }
        }
        Ok((contenders, left_out))
    }

    fn floor(&self) -> Result<Contender> {
        let root = self.new_root(FLOOR)?;
        let file = root.join("floor");
        fs::copy(self.folder.join("shared/floor"), &file)?;
        Ok(Contender {
            name: FLOOR.to_string(),
            title: "floor".to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            linkage: "static",
            leads: Leads::Nothing,
            restart: "at once".to_string(),
            differs: Some("the limit: one clone and one exec a service".to_string()),
            commands: Commands::default(),
            has_order: false,
            files: [vec![file], Vec::new(), Vec::new()],
            kind: Kind::Floor { root },
        })
    }

    fn ours(&self, heals: bool) -> Result<Contender> {
        let (name, title) = match heals {
            true => (OURS, "sysMaster"),
            false => (OURS_WITHOUT_HEALING, "sysMaster without healing"),
        };
        let words = |words: &[&str]| {
            let all = ["/sbin/sctl", "sctl"].iter().chain(words);
            Some(all.map(ToString::to_string).collect())
        };
        let mut contender = Contender {
            name: name.to_string(),
            title: title.to_string(),
            version: version(),
            linkage: "static",
            leads: Leads::Session,
            restart: "after 0.1 s, doubled up to 30 s; given up after 10 in 5 minutes".to_string(),
            differs: None,
            commands: Commands {
                status: words(&["status", "{verb}{index}"]),
                list: words(&["list"]),
                stop: words(&["stop", "{verb}{index}"]),
                start: words(&["start", "{verb}{index}"]),
                power_off: words(&["poweroff"]),
            },
            has_order: true,
            files: Default::default(),
            kind: Kind::Ours { heals },
        };
        let ready = self.ready(&contender, &Plan::flat(10))?;
        contender.files = [vec![ready.root.join("init")], Vec::new(), Vec::new()];
        Ok(contender)
    }

    fn peer(&self, peer: Peer) -> Result<Contender> {
        let root = self.new_root(&peer.name)?;
        let cache = house::target().join("cache");
        let mut version = peer.version.clone();
        let own = peer.folder.join("root");
        ensure!(
            !peer.packages.is_empty() || own.is_dir(),
            "Debian has no package of it, and `--peers` names no build"
        );
        if own.is_dir() {
            stage::merge(&own, &root)?;
        }
        if !peer.packages.is_empty() {
            let arch = &self.board.debian_arch;
            // A release of its own has lists of its own.
            let cache = match &peer.suite {
                Some(suite) => cache.join(suite),
                None => cache,
            };
            let store = Store::new(&cache, arch, peer.suite.as_deref());
            let packages = store.packages(&peer.packages)?;
            for package in &packages {
                stage::merge(&package.folder, &root)?;
                if Some(&package.name) == peer.packages.first() {
                    version = version.or_else(|| Some(package.version.clone()));
                }
            }
        }
        for path in &peer.without {
            let path = root.join(path);
            fs::remove_dir_all(&path)
                .with_context(|| format!("there is no {} to leave out", path.display()))?;
        }
        if root.join("bin/busybox").is_file() && !root.join("bin/sh").is_symlink() {
            std::os::unix::fs::symlink("busybox", root.join("bin/sh"))?;
        }
        let file = root.join(peer.program.trim_start_matches('/'));
        let within = |files: &[String]| files.iter().map(|file| root.join(file)).collect();
        Ok(Contender {
            name: peer.name.clone(),
            title: peer.title.clone(),
            version: version.unwrap_or_else(|| "of unknown version".to_string()),
            linkage: linkage(&file)?,
            leads: peer.leads,
            restart: peer.restart.clone(),
            differs: peer.differs.clone(),
            commands: peer.commands.clone(),
            has_order: peer.after.is_some(),
            files: [vec![file], within(&peer.helpers), within(&peer.tools)],
            kind: Kind::Peer {
                peer: Box::new(peer),
                root,
            },
        })
    }

    fn new_root(&self, name: &str) -> Result<PathBuf> {
        let root = self.folder.join("roots").join(name);
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        stage::make_root(&root)?;
        Ok(root)
    }

    /// Makes a contender ready for a plan; what is there already is used again.
    ///
    /// # Errors
    /// It cannot be built or written.
    pub fn ready(&self, contender: &Contender, plan: &Plan) -> Result<Ready> {
        let label = label(plan);
        let files = self
            .folder
            .join("files")
            .join(format!("{}-{label}", contender.name));
        let is_new = !files.is_dir();
        fs::create_dir_all(&files)?;
        let (root, command) = match &contender.kind {
            Kind::Floor { root } => {
                let count = plan.services.to_string();
                let command = ["/floor", "floor", &count].map(str::to_string);
                (root.clone(), command.to_vec())
            }
            Kind::Peer { peer, root } => {
                if is_new {
                    peer.write(plan, &files)?;
                }
                let mut command = vec![peer.program.clone()];
                command.extend(peer.arguments.iter().cloned());
                (root.clone(), command)
            }
            Kind::Ours { heals } => {
                let name = format!("{}-{label}", contender.name);
                let root = self.folder.join("roots").join(&name);
                if is_new || !root.join("init").exists() {
                    self.build_ours(&name, plan, *heals)?;
                }
                (root, ["/init", "init"].map(str::to_string).to_vec())
            }
        };
        Ok(Ready {
            root,
            files,
            command,
        })
    }

    fn build_ours(&self, name: &str, plan: &Plan, heals: bool) -> Result<()> {
        let product = self.folder.join(format!("{name}.toml"));
        fs::write(&product, manifest(plan, &self.board.name)?)?;
        let built = build::firmware(&build::Request {
            board: &self.board,
            product: &product,
            rootfs: None,
            features: &[],
            heals,
        })?;
        let root = self.new_root(name)?;
        fs::copy(built.file, root.join("init"))?;
        std::os::unix::fs::symlink("/init", root.join("sbin/sctl"))?;
        Ok(())
    }
}

impl Contender {
    /// One of its commands, filled; `None` if it has none.
    pub fn command(&self, words: &Option<Vec<String>>, plan: &Plan, index: usize) -> Vec<String> {
        let words = words.as_deref().unwrap_or_default();
        match &self.kind {
            Kind::Peer { peer, .. } => peer.command(words, plan, index),
            Kind::Floor { .. } | Kind::Ours { .. } => {
                let fill = |word: &String| {
                    word.replace("{index}", &index.to_string())
                        .replace("{verb}", plan.verb(index))
                };
                words.iter().map(fill).collect()
            }
        }
    }

    /// One that nobody can start, for tests of what is written about contenders.
    #[cfg(test)]
    pub fn example(name: &str) -> Self {
        Self {
            name: name.to_string(),
            title: name.to_string(),
            version: "1".to_string(),
            linkage: "static",
            leads: Leads::Session,
            restart: "at once".to_string(),
            differs: (name == FLOOR).then(|| "the limit".to_string()),
            commands: Commands::default(),
            has_order: false,
            files: Default::default(),
            kind: Kind::Ours { heals: false },
        }
    }

    /// Process 1 as it is started, with as many services as the plan has.
    pub fn command_line(&self) -> String {
        match &self.kind {
            Kind::Floor { .. } => "floor N".to_string(),
            Kind::Ours { .. } => "init".to_string(),
            Kind::Peer { peer, .. } => peer.arguments.join(" "),
        }
    }

    /// Whether it is ranked against the others.
    pub fn is_ranked(&self) -> bool {
        self.differs.is_none() && self.name != OURS_WITHOUT_HEALING
    }
}

/// What a plan is called in files.
pub fn label(plan: &Plan) -> String {
    let order = if plan.is_chain { "-chain" } else { "" };
    match plan.deaf {
        0 => format!("{}{order}", plan.services),
        deaf => format!("{}-deaf-{deaf}{order}", plan.services),
    }
}

/// The product of a plan.
fn manifest(plan: &Plan, board: &str) -> Result<String> {
    let mut text = format!(
        "# Written by `cargo xtask bench`.\n\
         [product]\nname = \"bench\"\nboards = [\"{board}\"]\ndefault-target = \"all\"\n\
         # The stage has mounted them, for every contender.\nstandard-mounts = false\n\n\
         [network]\nloopback = false\n\n\
         [defaults.service]\n\
         # The probe says nothing; other contenders hand process 1's null device on.\n\
         stdout = \"null\"\nstderr = \"null\"\nrestart = \"always\"\n\
         # No wait and no limit, as for all contenders.\n\
         backoff = {{ from = \"{BACKOFF}\", to = \"{BACKOFF}\", reset-after = \"1h\" }}\n\
         start-limit = {{ count = 0, within = \"1min\", then = \"fail\" }}\n\
         # SIGKILL after a second, as for all contenders.\nstop-timeout = \"1s\"\n\n\
         [target.all]\nwants = ["
    );
    for index in 0..plan.services {
        write!(text, "\"{}{index}\", ", plan.verb(index))?;
    }
    text.push_str("]\n");
    for index in 0..plan.services {
        let verb = plan.verb(index);
        write!(
            text,
            "\n[service.{verb}{index}]\nexec = [\"/bench/probe\", \"{verb}\", \"{index}\"]\n"
        )?;
        if let (true, Some(before)) = (plan.is_chain, index.checked_sub(1)) {
            writeln!(text, "requires = [\"{}{before}\"]", plan.verb(before))?;
        }
    }
    Ok(text)
}

/// The shortest wait that a manifest can have.
const BACKOFF: &str = "0s";

fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut git = Command::new("git");
    git.args(["rev-parse", "--short", "HEAD"])
        .current_dir(house::root());
    match process::capture(&mut git) {
        Ok(commit) => format!("{version} at {}", commit.trim()),
        Err(_) => version.to_string(),
    }
}

/// Whether a program brings its own copy of all that it needs.
fn linkage(file: &Path) -> Result<&'static str> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed = object::File::parse(bytes.as_slice())
        .with_context(|| format!("{} is no program", file.display()))?;
    let asks = parsed
        .sections()
        .any(|section| section.name() == Ok(".interp"));
    Ok(if asks { "dynamic" } else { "static" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_has_every_service_and_its_order() {
        let plan = Plan {
            services: 4,
            deaf: 1,
            is_chain: true,
        };
        let text = manifest(&plan, "pc-x86_64").expect("it can be written");
        let table: toml::Table = toml::from_str(&text).expect("it is TOML");
        let services = table["service"].as_table().expect("it has services");
        let names: Vec<&String> = services.keys().collect();
        assert_eq!(names, ["deaf3", "stay0", "stay1", "stay2"]);
        assert!(
            !services["stay0"]
                .as_table()
                .expect("one")
                .contains_key("requires")
        );
        assert_eq!(services["deaf3"]["requires"][0].as_str(), Some("stay2"));
    }
}
