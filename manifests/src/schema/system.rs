//! This file describes the keys of the machine: product, shutdown, watchdog, healing, root
//! file system, mounts, paths.

use super::{Key, Kind, Section, key};

const ROOT: &[Section] = &[Section::Root];
const PRODUCT: &[Section] = &[Section::Product];
const SHUTDOWN: &[Section] = &[Section::Shutdown];
const WATCHDOG: &[Section] = &[Section::Watchdog];
const HEALING: &[Section] = &[Section::Healing];
const ROOTFS: &[Section] = &[Section::Rootfs];
const MOUNT: &[Section] = &[Section::Mount];
const MADE: &[Section] = &[Section::Directory];

/// What can be asked of the machine by Ctrl-Alt-Del.
const ENDINGS: &[&str] = &["reboot", "power-off", "halt", "rescue", "ignore"];

#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("include", ROOT, Kind::Texts, "",
        "Files that are read before this one, relative to it. What this one says again replaces \
         what they say.",
        r#"["base.toml"]"#),
    key("remove", ROOT, Kind::Units, "",
        "Units of the included files (in an overlay: of the product) that are left out. They also \
         vanish from every `wants`, `after`, `before` and `conflicts`.",
        r#"["getty"]"#),
    key("name", PRODUCT, Kind::Name, "", "What the product is called.", r#""gateway""#),
    key("hostname", PRODUCT, Kind::Name, "",
        "The machine's host name. Not written: the product's name.", r#""gateway-7""#),
    key("boards", PRODUCT, Kind::Texts, "",
        "The boards that it can be built for. Not written: all.", r#"["virt-aarch64"]"#),
    key("composition", PRODUCT, Kind::Word(&["solo", "split"]), r#""solo""#,
        "How process 1 is put together: `solo` is one process; with `split` a child of process 1 \
         decides, and holds nothing but memory to ask it by.",
        r#""split""#),
    key("core-timeout", PRODUCT, Kind::Duration, r#""2s""#,
        "With `split`: how long that child may be silent about an event until another takes its \
         place, from 10ms on.",
        r#""500ms""#),
    key("hot-upgrade", PRODUCT, Kind::Boolean, "false",
        "Whether `sctl upgrade` can exchange process 1 for another image while everything runs. It \
         takes 7 to 9 KiB of the program.",
        "true"),
    key("ram-disk", PRODUCT, Kind::Boolean, "false",
        "Whether the programs of `image` lie in a RAM disk that is loaded beside the kernel, and \
         not in the image: only where the board says where that is.",
        "true"),
    key("default-target", PRODUCT, Kind::Unit, "", "What is started at boot.", r#""online""#),
    key("rescue-target", PRODUCT, Kind::Unit, "",
        "What is started instead when the kernel command line or a start limit asks for it.",
        r#""rescue""#),
    key("ctrl-alt-del", PRODUCT, Kind::Word(ENDINGS), r#""reboot""#,
        "What Ctrl-Alt-Del on the console asks for.", r#""ignore""#),
    key("log-level", PRODUCT, Kind::Word(&["quiet", "normal", "debug"]), r#""normal""#,
        "How much process 1 says: failures only, also what became ready or ended, also every job.",
        r#""quiet""#),
    key("console", PRODUCT, Kind::Path, r#""/dev/console""#,
        "The device that process 1 writes to, and that `stdout = \"console\"` means.",
        r#""/dev/ttyS1""#),
    key("standard-mounts", PRODUCT, Kind::Boolean, "true",
        "Whether /proc, /sys, /dev, /dev/pts, /dev/shm, /run and /tmp are mounted, and /dev/fd, \
         /dev/stdin, /dev/stdout and /dev/stderr linked. A place that the manifest mounts itself \
         is left to it.",
        "false"),
    key("timeout", SHUTDOWN, Kind::Duration, r#""30s""#,
        "From the request to the final action, whatever happens.", r#""10s""#),
    key("leftover-grace", SHUTDOWN, Kind::Duration, r#""2s""#,
        "Between SIGTERM and SIGKILL to processes that belong to no unit.", r#""500ms""#),
    key("device", WATCHDOG, Kind::Path, "",
        "The hardware watchdog. It is looked for at the start, whenever the machine is set up, and \
         at the end of the boot, and fed as long as process 1 gets on and no unit that is \
         `critical` has failed. Not written: none.",
        r#""/dev/watchdog0""#),
    key("timeout", WATCHDOG, Kind::Duration, r#""30s""#,
        "How long it waits for its food before it resets the machine, in whole seconds.",
        r#""10s""#),
    key("pretimeout", WATCHDOG, Kind::Duration, "",
        "How long before the reset it warns, in whole seconds, half of `timeout` at most: what the \
         kernel does then (a line, a panic that leaves a trace) is set with the driver. A device \
         that cannot is told at boot. Not written: it does not.",
        r#""4s""#),
    key("at-shutdown", WATCHDOG, Kind::Word(&["armed", "disarmed"]), r#""armed""#,
        "Whether it still resets a machine that does not get to the end of its shutdown.",
        r#""disarmed""#),
    key("deaths", HEALING, Kind::Integer(1, 65_535), "",
        "How many deaths of process 1 are healed in the time that `within` says; one more, and \
         the next step of `then` is taken. Not written: only lives that end before they deal with \
         anything count, and more than eight of those in a row, ten seconds apart at most, are too \
         many. Those always count.",
        "20"),
    key("within", HEALING, Kind::Duration, r#""1min""#,
        "The time in which deaths are counted, in whole seconds.", r#""10min""#),
    key("then", HEALING, Kind::Texts, r#"["reboot"]"#,
        "The steps: `rescue` (the machine goes to its rescue target), `reboot`, `other-slot`, \
         `power-off`. `rescue` comes first; of the others each boot takes the next one, as \
         `record` remembers, and the last one again. `[]`: process 1 heals for ever.",
        r#"["rescue", "reboot", "other-slot"]"#),
    key("other-slot", HEALING, Kind::Text, "",
        "What the kernel's reboot call is given for the step `other-slot`: a word that the board's \
         reboot-mode driver hands to the boot loader.",
        r#""recovery""#),
    key("record", HEALING, Kind::Path, "",
        "Where it is written, before the machine starts anew, how often it did and what process 1 \
         died of: a file on a disk, or a device in memory that a reset leaves alone. The next boot \
         says it. Not written: each boot begins with the first step.",
        r#""/data/deaths""#),
    key("reset-after", HEALING, Kind::Duration, r#""10min""#,
        "A machine that has been up for so long begins with the first step again.", r#""1h""#),
    key("recorder", HEALING, Kind::Size, "",
        "Memory of the flight recorder: the last events of process 1, 32 bytes each, and two \
         states of all units, 100 bytes a unit in each. `sctl record` takes them out, `cargo xtask \
         replay` performs them again. Not written: there is none, and it costs nothing.",
        r#""16KiB""#),
    key("packages", ROOTFS, Kind::Texts, "[]",
        "Debian packages of the board's architecture, unpacked with all that they depend on.",
        r#"["busybox-static", "mosquitto"]"#),
    key("folders", ROOTFS, Kind::Texts, "[]",
        "Folders that are copied over the packages, relative to the file that says so.",
        r#"["rootfs/gateway"]"#),
    key("exclude", ROOTFS, Kind::Texts, "[]",
        "Paths that are left out, relative to the root.", r#"["usr/share/doc"]"#),
    key("modules", ROOTFS, Kind::Texts, "[]",
        "Kernel modules that the image carries, with all that they need.", r#"["ext4"]"#),
    key("loopback", &[Section::Network], Kind::Boolean, "true",
        "Whether the loopback interface is brought up.", "false"),
    key("source", MOUNT, Kind::Text, "",
        "The device, or for a file system without one the word that stands for it. A device below \
         /dev is waited for.",
        r#""/dev/vda2""#),
    key("at", MOUNT, Kind::Path, "", "Where it is mounted; made if missing.", r#""/data""#),
    key("type", MOUNT, Kind::Text, "", "The type of the file system.", r#""ext4""#),
    key("options", MOUNT, Kind::MountOptions, "[]",
        "Words such as `ro`, `nosuid`, `nodev`, `noexec`, `noatime`; anything else goes to the \
         file system as it is.",
        r#"["noatime", "nosuid"]"#),
    key("size", MOUNT, Kind::Size, "", "Most that a tmpfs holds.", r#""16MiB""#),
    key("mode", MOUNT, Kind::Mode, "", "Permission bits of a tmpfs' root.", r#""1777""#),
    key("mode", MADE, Kind::Mode, r#""0755""#, "Permission bits.", r#""0750""#),
    key("user", MADE, Kind::Account, "0", "Owner.", r#""mosquitto""#),
    key("group", MADE, Kind::Account, "",
        "Group. Not written: the user's primary group.", r#""mosquitto""#),
    key("target", &[Section::Symlink], Kind::Text, "",
        "What the link points to. An existing link is replaced, a file never.", r#""/data/log""#),
];
