//! This file is the table of all keys that a manifest may have, with type, default and meaning.
//!
//! The reader checks manifests against it, takes the defaults from it, and the reference in
//! `docs/manifest.md` is generated from it: a key exists when, and only when, it is here.

mod service;
mod system;

/// A table of a manifest, or an inline table of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// The top level.
    Root,
    /// `[product]`
    Product,
    /// `[shutdown]`
    Shutdown,
    /// `[watchdog]`
    Watchdog,
    /// `[healing]`
    Healing,
    /// `[rootfs]`
    Rootfs,
    /// `[network]`
    Network,
    /// `[mount.NAME]`
    Mount,
    /// `[directory."/path"]`
    Directory,
    /// `[symlink."/path"]`
    Symlink,
    /// `[service.NAME]`
    Service,
    /// `[task.NAME]`
    Task,
    /// `[target.NAME]`
    Target,
    /// `ready = { .. }`
    Ready,
    /// `backoff = { .. }`
    Backoff,
    /// `start-limit = { .. }`
    StartLimit,
    /// `success = { .. }`
    Success,
    /// `limits = { .. }`
    Limits,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A name: letters, digits, `-`, `_` and `.`.
    Name,
    /// A list of strings.
    Texts,
    /// A name of a unit.
    Unit,
    /// A list of names of units.
    Units,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words, and of `key=value` for the file system.
    MountOptions,
    /// A whole number from .. to.
    Integer(i64, i64),
    /// A list of whole numbers from .. to.
    Integers(i64, i64),
    /// true or false.
    Boolean,
    /// A span of time, such as "5s".
    Duration,
    /// A span of time or "none".
    Timeout,
    /// Permission bits, such as "0755".
    Mode,
    /// Bytes, such as "64KiB".
    Size,
    /// A resource limit: a number, a size, a duration, "unlimited", or "soft:hard" of these.
    Limit,
    /// A signal, such as "TERM".
    Signal,
    /// A list of signals.
    Signals,
    /// An absolute path.
    Path,
    /// A program with its arguments; the first is an absolute path.
    Command,
    /// A user or group, by name or number.
    Account,
    /// A list of groups.
    Accounts,
    /// Where a standard descriptor leads.
    Stream,
    /// Keys of the user's own, with texts or numbers.
    Free,
    /// An inline table.
    Table(Section),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// Where it may stand.
    pub sections: &'static [Section],
    /// What its value may be.
    pub kind: Kind,
    /// The value when it is not written, as TOML; empty: none.
    pub default: &'static str,
    /// What it means, in sentences.
    pub doc: &'static str,
    /// A value that one might write, as TOML.
    pub example: &'static str,
}

/// What is written in section headers, with what they are for.
pub const SECTIONS: &[(Section, &str, &str)] = &[
    (Section::Root, "", "The top level of a file."),
    (
        Section::Product,
        "[product]",
        "What is built, for which boards.",
    ),
    (
        Section::Shutdown,
        "[shutdown]",
        "How the machine goes down.",
    ),
    (
        Section::Watchdog,
        "[watchdog]",
        "What resets a machine that does not get on.",
    ),
    (
        Section::Healing,
        "[healing]",
        "What is done when process 1 dies again and again although it heals.",
    ),
    (
        Section::Rootfs,
        "[rootfs]",
        "What the image's root file system is made of.",
    ),
    (Section::Network, "[network]", "The network's first steps."),
    (
        Section::Mount,
        "[mount.NAME]",
        "A unit: a file system. Mounts are ordered by their paths.",
    ),
    (
        Section::Directory,
        "[directory.\"/PATH\"]",
        "A directory that is made at boot, with its parents.",
    ),
    (
        Section::Symlink,
        "[symlink.\"/PATH\"]",
        "A symbolic link that is made at boot.",
    ),
    (
        Section::Service,
        "[service.NAME]",
        "A unit: a program that stays.",
    ),
    (
        Section::Task,
        "[task.NAME]",
        "A unit: a program that does its work and ends.",
    ),
    (
        Section::Target,
        "[target.NAME]",
        "A unit without a program: a state of the machine.",
    ),
    (Section::Ready, "ready", "When a service counts as ready."),
    (
        Section::Backoff,
        "backoff",
        "How long to wait before a restart: `from`, doubled each time up to `to`.",
    ),
    (
        Section::StartLimit,
        "start-limit",
        "How often a unit is started again before it is given up.",
    ),
    (
        Section::Success,
        "success",
        "Which ends count as success besides exit code 0.",
    ),
    (
        Section::Limits,
        "limits",
        "Resource limits: a value, or \"soft:hard\".",
    ),
];

/// Tables of the top level that take keys of the user's own.
pub const FREE_SECTIONS: &[(&str, &str, &str)] = &[(
    "sysctl",
    "[sysctl]",
    "Kernel parameters: `\"net.ipv4.ip_forward\" = 1`. A dot within a name is written with \
     slashes: `\"net/ipv4/conf/eth0.1/rp_filter\"`.",
)];

/// All keys, in the order of the reference.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    system::KEYS.iter().chain(service::KEYS)
}

/// The keys of one section.
pub fn keys_of(section: Section) -> impl Iterator<Item = &'static Key> {
    keys().filter(move |key| key.sections.contains(&section))
}

/// The description of that key.
#[must_use]
pub fn find(section: Section, name: &str) -> Option<&'static Key> {
    keys_of(section).find(|key| key.name == name)
}

/// Whether `[defaults.service]` and its like may have the key: not what makes a unit what it is.
#[must_use]
pub fn may_default(key: &Key) -> bool {
    !matches!(
        key.name,
        "exec" | "image" | "arguments" | "stop-exec" | "instances" | "ready" | "source" | "at"
    ) && !matches!(key.kind, Kind::Units)
}

const fn key(
    name: &'static str,
    sections: &'static [Section],
    kind: Kind,
    default: &'static str,
    doc: &'static str,
    example: &'static str,
) -> Key {
    Key {
        name,
        sections,
        kind,
        default,
        doc,
        example,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_described_once_for_each_section() {
        for (section, title, _) in SECTIONS {
            let names: Vec<_> = keys_of(*section).map(|key| key.name).collect();
            for (at, name) in names.iter().enumerate() {
                assert!(!names[..at].contains(name), "{title}: {name} twice");
            }
        }
    }

    #[test]
    fn every_key_tells_what_it_means_and_how_it_looks() {
        for key in keys() {
            assert!(key.doc.ends_with('.'), "{}: {:?}", key.name, key.doc);
            assert!(!key.example.is_empty(), "{} has no example", key.name);
            let text = format!("example = {}", key.example);
            assert!(
                toml::de::DeTable::parse(&text).is_ok(),
                "{}: {text}",
                key.name
            );
        }
    }
}
