//! This file turns mounts into units, adds the standard ones, and orders them by their paths.

use crate::diagnostic::{Diagnostic, Id, Span};
use crate::fields::{BUILT_IN, Fields};
use crate::model::{Program, RelationKind, Step, Unit, UnitKind};
use crate::sections::Named;
use crate::text::is_below;

/// What nothing of the user's stands for.
pub const IMPLIED: Span = Span {
    file: BUILT_IN,
    start: 0,
    end: 0,
};

/// Linux's `MS_*` flags by the words of mount(8); 0: the default, spelled out.
const FLAGS: &[(&str, u32)] = &[
    ("ro", 1),
    ("nosuid", 2),
    ("nodev", 4),
    ("noexec", 8),
    ("sync", 16),
    ("dirsync", 128),
    ("noatime", 1_024),
    ("nodiratime", 2_048),
    ("bind", 4_096),
    ("rbind", 4_096 | 16_384),
    ("silent", 32_768),
    ("relatime", 1 << 21),
    ("strictatime", 1 << 24),
    ("lazytime", 1 << 25),
    ("rw", 0),
    ("suid", 0),
    ("dev", 0),
    ("exec", 0),
    ("async", 0),
    ("defaults", 0),
];
/// The flag of bind mounts.
const BIND: u32 = 4_096;

/// Words that cannot stand together.
const OPPOSITES: &[(&str, &str)] = &[
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
    ("sync", "async"),
    ("noatime", "relatime"),
    ("noatime", "strictatime"),
    ("relatime", "strictatime"),
];

/// File systems that live in the kernel: nothing is lost without unmounting them.
const KERNEL_TYPES: &[&str] = &[
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "proc",
    "pstore",
    "ramfs",
    "securityfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// Name, type, place, options of the standard mounts.
const STANDARD: &[(&str, &str, &str, u32, &str)] = &[
    ("proc", "proc", "/proc", 2 | 4 | 8, ""),
    ("sys", "sysfs", "/sys", 2 | 4 | 8, ""),
    ("dev", "devtmpfs", "/dev", 2, "mode=0755"),
    (
        "dev-pts",
        "devpts",
        "/dev/pts",
        2 | 8,
        "gid=5,mode=0620,ptmxmode=0666",
    ),
    ("dev-shm", "tmpfs", "/dev/shm", 2 | 4, "mode=1777"),
    ("run", "tmpfs", "/run", 2 | 4, "mode=0755"),
    ("tmp", "tmpfs", "/tmp", 2 | 4, "mode=1777"),
];

/// Links in the standard /dev, which programs and shells take for granted and the kernel does not
/// make: path and target.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// A mount with what the others need to know of it.
#[derive(Debug)]
pub struct Mount {
    /// The unit; its programs are filled in by [`finish`].
    pub unit: Unit,
    /// Where it is mounted.
    pub at: String,
    /// The step that mounts.
    step: Step,
    /// The device to wait for.
    device: Option<String>,
    /// Whether it lives in the kernel.
    kernel: bool,
    /// Whether it comes before `setup`: a kernel's, with no other above it.
    pub early: bool,
    /// Steps once it is there: directories and links below it.
    pub then: Vec<Step>,
}

/// The mount of one table.
pub fn mount(named: &Named, unit: Unit, problems: &mut Vec<Diagnostic>) -> Option<Mount> {
    let fields = &named.fields;
    let mut complete = true;
    for key in ["source", "at", "type"] {
        let bind = key == "type" && flags(fields).0 & BIND != 0;
        if fields.field(key).is_some() || bind {
            continue;
        }
        complete = false;
        if fields.lacks(key) {
            let message = format!("mount `{}` has no `{key}`", named.name.value);
            problems.push(Diagnostic::new(Id::MissingKey, named.name.span, message));
        }
    }
    check(fields, problems);
    if !complete {
        return None;
    }
    let (flags, mut data) = flags(fields);
    let kind = match fields.word("type") {
        "" => "none",
        kind => kind,
    };
    if let Some(bytes) = fields.size("size") {
        data.push(format!("size={bytes}"));
    }
    if let Some(mode) = fields.mode("mode") {
        data.push(format!("mode={mode:04o}"));
    }
    let source = fields.word("source").to_string();
    let at = fields.word("at").to_string();
    let bind = flags & BIND != 0;
    Some(Mount {
        unit,
        device: (source.starts_with("/dev/") && !bind).then(|| source.clone()),
        kernel: KERNEL_TYPES.contains(&kind) && !bind,
        step: Step::Mount {
            source,
            at: at.clone(),
            kind: kind.to_string(),
            flags,
            data: data.join(","),
        },
        at,
        early: false,
        then: Vec::new(),
    })
}

fn flags(fields: &Fields) -> (u32, Vec<String>) {
    let mut flags = 0;
    let mut data = Vec::new();
    for option in fields.texts("options") {
        match FLAGS.iter().find(|(word, _)| *word == option.value) {
            Some((_, flag)) => flags |= flag,
            None => data.push(option.value),
        }
    }
    (flags, data)
}

fn check(fields: &Fields, problems: &mut Vec<Diagnostic>) {
    let options = fields.texts("options");
    for option in &options {
        if option.value.contains(',') || option.value.is_empty() {
            let message = "an option is one word: write several as an array";
            problems.push(Diagnostic::new(Id::BadText, option.span, message));
        }
        for (one, other) in OPPOSITES {
            let opposite = options.iter().find(|each| each.value == *other);
            if let (true, Some(opposite)) = (option.value == *one, opposite) {
                let message = format!("`{one}` and `{other}` exclude each other");
                let problem = Diagnostic::new(Id::Contradiction, option.span, message);
                problems.push(problem.related(opposite.span, "and this"));
            }
        }
    }
    let tmpfs = matches!(fields.word("type"), "tmpfs" | "ramfs" | "hugetlbfs" | "");
    for key in ["size", "mode"] {
        if let (false, Some(field)) = (tmpfs, fields.written(key)) {
            let message = format!("`{key}` is for tmpfs, and this is {}", fields.word("type"));
            let problem = Diagnostic::new(Id::Contradiction, field.key_span, message);
            problems.push(problem.related(fields.span_of("type"), "decided here"));
        }
    }
    if fields.word("at") == "/" {
        let message = "the root file system is the one that process 1 lies on";
        let problem = Diagnostic::new(Id::BadPath, fields.span_of("at"), message);
        problems.push(problem.help("mount below it, such as at = \"/data\""));
    }
    let source = fields.word("source");
    if source.starts_with("LABEL=") || source.starts_with("UUID=") {
        let message = "a device is named by its path";
        let problem = Diagnostic::new(Id::BadPath, fields.span_of("source"), message);
        problems.push(problem.help("for example: source = \"/dev/mmcblk0p2\""));
    }
}

/// The standard mounts that the manifest does not mount itself.
pub fn standard(mounts: &mut Vec<Mount>, names: &[(String, Span)], problems: &mut Vec<Diagnostic>) {
    for (name, kind, at, flags, data) in STANDARD {
        if mounts.iter().any(|mount| mount.at == *at) {
            continue;
        }
        if let Some((_, span)) = names.iter().find(|(each, _)| each == name) {
            let message = format!("`{name}` is the name of the standard mount of {at}");
            let problem = Diagnostic::new(Id::ReservedName, *span, message);
            problems.push(problem.help("choose another name, or mount it yourself"));
            continue;
        }
        mounts.push(Mount {
            unit: Unit::new((*name).to_string(), UnitKind::Mount, IMPLIED),
            at: (*at).to_string(),
            step: Step::Mount {
                source: (*kind).to_string(),
                at: (*at).to_string(),
                kind: (*kind).to_string(),
                flags: *flags,
                data: (*data).to_string(),
            },
            device: None,
            kernel: true,
            early: false,
            then: match *name {
                "dev" => DEVICE_LINKS.map(link).to_vec(),
                _ => Vec::new(),
            },
        });
    }
}

fn link((path, target): (&str, &str)) -> Step {
    Step::Symlink {
        path: path.to_string(),
        target: target.to_string(),
    }
}

/// Decides which mounts are early, and complains of two in one place.
pub fn arrange(mounts: &mut [Mount], problems: &mut Vec<Diagnostic>) {
    for (at, mount) in mounts.iter().enumerate() {
        if let Some(first) = mounts[..at].iter().find(|first| first.at == mount.at) {
            let message = format!("two mounts at {}", mount.at);
            let problem = Diagnostic::new(Id::SamePlace, mount.unit.span, message);
            problems.push(problem.related(first.unit.span, "the first"));
        }
    }
    let late: Vec<String> = mounts
        .iter()
        .filter(|mount| !mount.kernel)
        .map(|mount| mount.at.clone())
        .collect();
    for mount in mounts {
        mount.early = mount.kernel && !late.iter().any(|above| is_below(&mount.at, above));
    }
}

/// The late mount that a path lies on, if any.
pub fn late_mount_of<'a>(mounts: &'a mut [Mount], path: &str) -> Option<&'a mut Mount> {
    mounts
        .iter_mut()
        .filter(|mount| is_below(path, &mount.at))
        .max_by_key(|mount| mount.at.len())
        .filter(|mount| !mount.early)
}

/// The units, each after and with the mount that it lies on; `first` is the index of the first.
pub fn finish(mounts: Vec<Mount>, first: usize) -> Vec<Unit> {
    let places: Vec<String> = mounts.iter().map(|mount| mount.at.clone()).collect();
    let above = |path: &str| {
        let higher = |(_, place): &(usize, &String)| is_below(path, place) && *place != path;
        let places = places.iter().enumerate().filter(higher);
        places
            .max_by_key(|(_, place)| place.len())
            .map(|(at, _)| at)
    };
    let mut units = Vec::new();
    for mount in mounts {
        let mut unit = mount.unit;
        if let Some(at) = above(&mount.at) {
            unit.relate(RelationKind::Wants, first + at, IMPLIED);
            unit.relate(RelationKind::After, first + at, IMPLIED);
        }
        let mut steps: Vec<_> = mount.device.map(Step::WaitDevice).into_iter().collect();
        steps.push(mount.step);
        steps.extend(mount.then);
        unit.start = Program::Setup(steps);
        if !mount.kernel {
            unit.stop = Program::Setup(vec![Step::Unmount(mount.at)]);
        }
        units.push(unit);
    }
    units
}
