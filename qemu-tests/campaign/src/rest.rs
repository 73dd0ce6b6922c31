//! This file tells whether a process has nothing to do, or waits for somebody who has.

use nix::unistd::Pid;

/// Whether it sleeps, and, to whoever is patient, nobody that it may wait for is at work: a child,
/// such as an image on trial or a core, or a keeper that is its parent.
pub(crate) fn is_at_rest(pid: Pid, is_patient: bool) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let is_at_work = |other: &str| matches!(state(other), Some('R' | 'D'));
    let others = || {
        children
            .split_whitespace()
            .map(String::from)
            .chain(keeper(pid))
    };
    state(&pid.to_string()) == Some('S') && !(is_patient && others().any(|it| is_at_work(&it)))
}

/// The parent of a process, if it is a process 1.
fn keeper(pid: Pid) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let parent = rest.split_whitespace().nth(1)?;
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    (name.trim_end() == "init").then(|| parent.to_string())
}

/// `R`, `S`, .. of `/proc/<pid>/stat`.
fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}
