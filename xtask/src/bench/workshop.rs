//! This file makes every contender runnable: the floor, sysMaster built for the plan, and the peers
//! from their packages or from a user's own builds.
//!
//! A contender that cannot be had here is told once and left out; it never stops the others.

use super::contender::{Contender, Kind, OURS_WITHOUT_HEALING};
use super::roots::{make_root, merge};
use crate::{build, house, process};
use anyhow::{Context, Result, ensure};
use bench_lives::contender::{self, Commands, Contender as Player, FLOOR, LATE, OURS};
use bench_lives::extent::{Extent, FEW};
use bench_lives::own;
use bench_lives::plan::Plan;
use manifests::board::Board;
use object::{Object, ObjectSection};
use qemu_tests::debian::Store;
use qemu_tests::peers::{Leads, Peer};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

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
        let mut contenders = vec![self.floor()?, self.ours(true)];
        if !is_quick {
            contenders.push(self.ours(false));
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
            player: Player {
                name: FLOOR.to_string(),
                process_1: ["/floor", "floor", "{services}"]
                    .map(str::to_string)
                    .to_vec(),
                ..Player::default()
            },
            title: "floor".to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            linkage: "static",
            leads: Leads::Nothing,
            restart: "at once".to_string(),
            differs: Some("the limit: one clone and one exec a service".to_string()),
            files: [vec![file], Vec::new(), Vec::new()],
            kind: Kind::Floor,
        })
    }

    fn ours(&self, heals: bool) -> Contender {
        let (name, title) = match heals {
            true => (OURS, "sysMaster"),
            false => (OURS_WITHOUT_HEALING, "sysMaster without healing"),
        };
        let words = |words: &[&str]| {
            let all = ["/sbin/sctl", "sctl"].iter().chain(words);
            Some(all.map(ToString::to_string).collect())
        };
        let player = Player {
            name: name.to_string(),
            has_order: true,
            process_1: ["/init", "init"].map(str::to_string).to_vec(),
            commands: Commands {
                status: words(&["status", "{verb}{index}"]),
                list: words(&["list"]),
                stop: words(&["stop", "{verb}{index}"]),
                start: words(&["start", "{verb}{index}"]),
                power_off: words(&["poweroff"]),
            },
        };
        // That of ten services is the one whose size is told.
        let plan = Plan::flat(FEW);
        let file = contender::root(&self.folder, &format!("{name}-{}", plan.label())).join("init");
        Contender {
            player,
            title: title.to_string(),
            version: version(),
            linkage: "static",
            leads: Leads::Session,
            restart: "after 0.1 s, doubled up to 30 s; given up after 10 in 5 minutes".to_string(),
            differs: None,
            files: [vec![file], Vec::new(), Vec::new()],
            kind: Kind::Ours { heals },
        }
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
            merge(&own, &root)?;
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
                merge(&package.folder, &root)?;
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
        let mut process_1 = vec![peer.program.clone()];
        process_1.extend(peer.arguments.iter().cloned());
        Ok(Contender {
            player: Player {
                name: peer.name.clone(),
                has_order: peer.after.is_some(),
                process_1,
                commands: peer.commands.clone(),
            },
            title: peer.title.clone(),
            version: version.unwrap_or_else(|| "of unknown version".to_string()),
            linkage: linkage(&file)?,
            leads: peer.leads,
            restart: peer.restart.clone(),
            differs: peer.differs.clone(),
            files: [vec![file], within(&peer.helpers), within(&peer.tools)],
            kind: Kind::Peer(Box::new(peer)),
        })
    }

    fn new_root(&self, name: &str) -> Result<PathBuf> {
        let root = contender::root(&self.folder, name);
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        make_root(&root)?;
        Ok(root)
    }

    /// Makes a contender ready for all that it is to do.
    ///
    /// # Errors
    /// It cannot be built or written.
    pub fn prepare(&self, contender: &Contender, extent: &Extent) -> Result<()> {
        let name = contender.name();
        for plan in extent.plans(&contender.player) {
            match &contender.kind {
                Kind::Floor => {}
                Kind::Peer(peer) => {
                    let files = contender::files(&self.folder, name, &plan);
                    fs::create_dir_all(&files)?;
                    peer.write(&plan, &files)?;
                }
                Kind::Ours { heals } => {
                    let name = format!("{name}-{}", plan.label());
                    self.build_ours(&name, &plan, *heals, Duration::ZERO)?;
                }
            }
        }
        if extent.own.late && name == OURS {
            let plan = Plan::flat(FEW);
            let name = format!("{LATE}-{}", plan.label());
            self.build_ours(&name, &plan, true, own::BACKOFF)?;
        }
        Ok(())
    }

    fn build_ours(&self, name: &str, plan: &Plan, heals: bool, backoff: Duration) -> Result<()> {
        let products = house::target().join("bench/products");
        let folder = products.join(&self.board.name);
        fs::create_dir_all(&folder)?;
        let product = folder.join(format!("{name}.toml"));
        fs::write(&product, manifest(plan, &self.board.name, backoff)?)?;
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

/// The product of a plan.
fn manifest(plan: &Plan, board: &str, backoff: Duration) -> Result<String> {
    let backoff = format!("{}ms", backoff.as_millis());
    let mut text = format!(
        "# Written by `cargo xtask bench`.\n\
         [product]\nname = \"bench\"\nboards = [\"{board}\"]\ndefault-target = \"all\"\n\
         # The stage has mounted them, for every contender.\nstandard-mounts = false\n\n\
         [network]\nloopback = false\n\n\
         [defaults.service]\n\
         # Output goes where process 1's goes, to the null device, as with other contenders.\n\
         restart = \"always\"\n\
         # No wait and no limit, as for all contenders.\n\
         backoff = {{ from = \"{backoff}\", to = \"{backoff}\", reset-after = \"1h\" }}\n\
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
        let text = manifest(&plan, "pc-x86_64", Duration::ZERO).expect("it can be written");
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
