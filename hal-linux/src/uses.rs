//! This file says what a product uses of this crate. The board's program has it as a constant made
//! from the tables, so the compiler drops what is for others, and nobody needs a cargo feature.

#[cfg(feature = "freestanding")]
pub(crate) use crate::sys::uses::uses;
use init_core::unit::{Exec, Manifest, Probe, Readiness, Setup, UnitDesc};

/// What the tables of a product ask for.
#[derive(Clone, Copy, Debug)]
pub struct Uses {
    /// A hardware watchdog.
    pub(crate) watchdog: bool,
    /// One that warns before it resets.
    pub(crate) warnings: bool,
    /// Units that are ready when they have written a newline.
    pub(crate) newlines: bool,
    /// Units that are ready when a socket listens.
    pub(crate) sockets: bool,
    /// Units that are ready when a path exists, and devices that are waited for.
    pub(crate) paths: bool,
    /// Programs with resource limits.
    pub(crate) limits: bool,
    /// Programs of another user than root.
    pub(crate) users: bool,
    /// Programs with an out-of-memory score.
    pub(crate) oom_scores: bool,
    /// Directories and links that are made at boot.
    pub(crate) directories: bool,
    pub(crate) links: bool,
    /// Steps of its own when healing does not help.
    pub(crate) healing_steps: bool,
    /// Process 1 exchanged for another image.
    #[cfg_attr(
        not(feature = "freestanding"),
        expect(dead_code, reason = "a test cannot be executed")
    )]
    pub(crate) upgrades: bool,
}

impl Uses {
    /// What these tables ask for. Computed while a board's program is compiled.
    #[must_use]
    pub const fn of(manifest: &Manifest) -> Self {
        let mut uses = Self {
            watchdog: manifest.watchdog.is_some(),
            warnings: match manifest.watchdog {
                Some(watchdog) => watchdog.warning_seconds > 0,
                None => false,
            },
            newlines: false,
            sockets: false,
            paths: false,
            limits: false,
            users: false,
            oom_scores: false,
            directories: false,
            links: false,
            healing_steps: match manifest.healing {
                Some(healing) => healing.has_steps(),
                None => false,
            },
            upgrades: manifest.hot_upgrade.is_some(),
        };
        uses.look_at_units(manifest.units);
        uses.look_at_probes(manifest.probes);
        uses.look_at_programs(manifest.programs);
        uses.look_at_setups(manifest.setups);
        uses
    }

    const fn look_at_units(&mut self, mut units: &[UnitDesc]) {
        while let [unit, rest @ ..] = units {
            self.newlines |= matches!(unit.rules.ready, Readiness::Newline(_));
            units = rest;
        }
    }

    const fn look_at_probes(&mut self, mut probes: &[Probe]) {
        while let [probe, rest @ ..] = probes {
            match probe {
                Probe::Tcp(_) | Probe::Unix(_) => self.sockets = true,
                Probe::Path(_) => self.paths = true,
            }
            probes = rest;
        }
    }

    const fn look_at_programs(&mut self, mut programs: &[Exec]) {
        while let [Exec { context, .. }, rest @ ..] = programs {
            self.limits |= !context.limits.is_empty();
            self.users |= context.credentials.is_some();
            self.oom_scores |= context.oom_score.is_some();
            programs = rest;
        }
    }

    const fn look_at_setups(&mut self, mut setups: &[Setup]) {
        while let [setup, rest @ ..] = setups {
            self.paths |= setup.waits();
            self.directories |= setup.makes_directories();
            self.links |= setup.makes_links();
            setups = rest;
        }
    }
}

/// On a desk everything is used.
#[cfg(not(feature = "freestanding"))]
pub(crate) const fn uses() -> Uses {
    Uses {
        watchdog: true,
        warnings: true,
        newlines: true,
        sockets: true,
        paths: true,
        limits: true,
        users: true,
        oom_scores: true,
        directories: true,
        links: true,
        healing_steps: true,
        upgrades: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;
    use init_core::event::MachineRequest;
    use init_core::ident::UnitId;
    use init_core::setup;
    use init_core::time::Duration;
    use init_core::unit::{
        Context, Credentials, Limit, LimitValue, LogLevel, Resource, Rules, SetupOp, ShutdownDesc,
        Stream, WatchdogDesc,
    };

    const PLAIN: Context = Context {
        environment: &[],
        directory: c"/",
        credentials: None,
        umask: 0o022,
        nice: 0,
        priority: 0,
        oom_score: None,
        limits: &[],
        stdin: Stream::Null,
        stdout: Stream::Console,
        stderr: Stream::Console,
    };

    const NOTHING: Manifest = Manifest {
        product: "desk",
        board: "desk",
        units: &[],
        edges: &[],
        programs: &[],
        setups: &[],
        probes: &[],
        definitions: &[],
        default_target: UnitId(0),
        rescue_target: None,
        shutdown: ShutdownDesc {
            timeout: Duration::from_secs(30),
            leftover_grace: Duration::from_secs(2),
        },
        watchdog: None,
        healing: None,
        ctrl_alt_del: MachineRequest::Reboot,
        console: c"/dev/console",
        log_level: LogLevel::Normal,
        hot_upgrade: None,
        split: None,
    };

    /// What is used by such a product, in words.
    fn used(manifest: Manifest) -> String {
        let uses = Uses::of(&manifest);
        let text = format!("{uses:?}");
        let words = text.split([' ', ',', '{']).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        let pairs = words.windows(2).filter(|pair| pair[1] == "true");
        let names: Vec<&str> = pairs.map(|pair| pair[0].trim_end_matches(':')).collect();
        names.join(" ")
    }

    /// What there is one of in the last place: each is looked at.
    fn last<T>(first: T, last: T) -> &'static [T] {
        Box::leak(Box::new([first, last]))
    }

    fn watches(watchdog: WatchdogDesc) -> String {
        used(Manifest {
            watchdog: Some(watchdog),
            ..NOTHING
        })
    }

    fn ready(ready: Readiness) -> String {
        let unit = UnitDesc {
            rules: Box::leak(Box::new(Rules {
                ready,
                ..Rules::USUAL
            })),
            ..UnitDesc::NOTHING
        };
        used(Manifest {
            units: last(UnitDesc::NOTHING, unit),
            ..NOTHING
        })
    }

    fn waits(probe: Probe) -> String {
        used(Manifest {
            probes: Box::leak(Box::new([probe])),
            ..NOTHING
        })
    }

    fn runs(context: Context) -> String {
        let exec = |context| Exec {
            program: c"/bin/x",
            arguments: &[None],
            context: Box::leak(Box::new(context)),
        };
        used(Manifest {
            programs: last(exec(PLAIN), exec(context)),
            ..NOTHING
        })
    }

    fn does(setup: Setup) -> String {
        used(Manifest {
            setups: last(setup![SetupOp::LoopbackUp], setup),
            ..NOTHING
        })
    }

    #[test]
    fn a_product_uses_what_its_tables_have_and_nothing_else() {
        assert_eq!(used(NOTHING), "");
        let device = WatchdogDesc {
            device: c"/dev/watchdog0",
            seconds: 10,
            warning_seconds: 0,
            disarm: false,
        };
        assert_eq!(watches(device), "watchdog");
        let warns = WatchdogDesc {
            warning_seconds: 5,
            ..device
        };
        assert_eq!(watches(warns), "watchdog warnings");
        assert_eq!(ready(Readiness::Exec), "");
        assert_eq!(ready(Readiness::Newline(3)), "newlines");
        assert_eq!(waits(Probe::Tcp(80)), "sockets");
        assert_eq!(waits(Probe::Unix(c"/run/x")), "sockets");
        assert_eq!(waits(Probe::Path(c"/run/x")), "paths");
        const PATH: &CStr = c"/x";
        let directory = setup![SetupOp::Directory {
            path: PATH,
            mode: 0o755,
            uid: 0,
            gid: 0,
        }];
        let link = setup![SetupOp::Symlink {
            path: PATH,
            target: PATH
        }];
        assert_eq!(does(setup![SetupOp::Unmount(PATH)]), "");
        assert_eq!(does(setup![SetupOp::WaitDevice(PATH)]), "paths");
        assert_eq!(does(directory), "directories");
        assert_eq!(does(link), "links");
    }

    #[test]
    fn what_a_program_is_given_is_used() {
        let credentials = Some(Credentials {
            uid: 1,
            gid: 1,
            groups: &[],
        });
        let limits = &[Limit {
            resource: Resource::OpenFiles,
            soft: LimitValue::Max(64),
            hard: LimitValue::Unlimited,
        }];
        let oom_score = Some(-1);
        for (context, wanted) in [
            (PLAIN, ""),
            (
                Context {
                    credentials,
                    ..PLAIN
                },
                "users",
            ),
            (Context { limits, ..PLAIN }, "limits"),
            (Context { oom_score, ..PLAIN }, "oom_scores"),
        ] {
            assert_eq!(runs(context), wanted);
        }
    }
}
