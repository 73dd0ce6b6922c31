//! This file makes the task `setup`: host name, kernel parameters, directories, links, loopback.
//!
//! What lies on a mount that comes later is done by that mount's own start program.

use crate::board::{Board, Capability};
use crate::diagnostic::{Diagnostic, Id};
use crate::model::{Program, Step, Unit, UnitKind};
use crate::mounts::{IMPLIED, Mount, late_mount_of};
use crate::schema::Section;
use crate::sections::Sections;
use crate::text::check_path;
use crate::users::Users;

/// The name of the task.
pub const NAME: &str = "setup";

/// The task; what belongs to late mounts is added to them.
pub fn setup(
    sections: &Sections,
    board: &Board,
    users: &Users,
    mounts: &mut [Mount],
    problems: &mut Vec<Diagnostic>,
) -> Unit {
    let product = sections.single(Section::Product);
    let hostname = match product.word("hostname") {
        "" => product.word("name"),
        name => name,
    };
    let mut steps = vec![Step::Hostname(hostname.to_string())];
    steps.extend(sysctl(sections, board, problems));
    for (path, step) in made(sections, users, problems) {
        match late_mount_of(mounts, &path) {
            Some(mount) => mount.then.push(step),
            None => steps.push(step),
        }
    }
    let network = sections.single(Section::Network);
    if network.boolean("loopback") {
        match (board.has(Capability::Network), network.written("loopback")) {
            (true, _) => steps.push(Step::LoopbackUp),
            (false, None) => {}
            (false, Some(field)) => {
                let problem = lacks(board, Capability::Network, field.value.span);
                problems.push(problem.help("write loopback = false"));
            }
        }
    }
    let mut unit = Unit::new(NAME.to_string(), UnitKind::Task, IMPLIED);
    unit.start = Program::Setup(steps);
    unit
}

/// What is said when a board lacks something.
pub fn lacks(board: &Board, what: Capability, span: crate::diagnostic::Span) -> Diagnostic {
    let message = format!("board `{}` lacks `{}`", board.name, what.word());
    Diagnostic::new(Id::LacksCapability, span, message)
}

fn sysctl(sections: &Sections, board: &Board, problems: &mut Vec<Diagnostic>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, value) in &sections.sysctl {
        let below = match name.value.contains('/') {
            true => name.value.clone(),
            false => name.value.replace('.', "/"),
        };
        let path = format!("/proc/sys/{below}");
        if let Err((message, _)) = check_path(&path) {
            let problem = Diagnostic::new(Id::BadPath, name.span, message);
            problems.push(problem.help("kernel parameters look like net.ipv4.ip_forward"));
            continue;
        }
        if below.starts_with("net/") && !board.has(Capability::Network) {
            problems.push(lacks(board, Capability::Network, name.span));
        }
        steps.push(Step::Sysctl {
            path,
            value: value.value.clone(),
        });
    }
    steps
}

/// Directories and links in the order of their paths, so that parents come first.
fn made(sections: &Sections, users: &Users, problems: &mut Vec<Diagnostic>) -> Vec<(String, Step)> {
    let mut made = Vec::new();
    for named in sections.of(Section::Directory) {
        let fields = &named.fields;
        let user = fields.account("user");
        let owner = users.owner(user.as_ref(), fields.account("group").as_ref());
        let (uid, gid) = owner.unwrap_or_else(|problem| {
            problems.push(*problem);
            (0, 0)
        });
        let path = named.name.value.clone();
        let mode = fields.mode("mode").unwrap_or(0o755);
        made.push((
            path.clone(),
            Step::Directory {
                path,
                mode,
                uid,
                gid,
            },
        ));
    }
    for named in sections.of(Section::Symlink) {
        let path = named.name.value.clone();
        let Some(target) = named.fields.text("target") else {
            if named.fields.lacks("target") {
                let message = format!("link `{path}` has no `target`");
                problems.push(Diagnostic::new(Id::MissingKey, named.name.span, message));
            }
            continue;
        };
        let same = |other: &&crate::sections::Named| other.name.value == path;
        if let Some(directory) = sections.of(Section::Directory).find(same) {
            let message = format!("{path} cannot be a link and a directory");
            let problem = Diagnostic::new(Id::SamePlace, named.name.span, message);
            problems.push(problem.related(directory.name.span, "the directory"));
        }
        let target = target.value;
        made.push((path.clone(), Step::Symlink { path, target }));
    }
    made.sort_by(|a, b| a.0.cmp(&b.0));
    made
}
