//! This file holds generated tables to their promise: whatever a manifest says, they compile.

mod common;

use manifests::diagnostic::Span;
use manifests::emit;
use manifests::model::{
    Credentials, Exec, Healing, HealingStep, Product, Program, Ready, RelationKind, Restart,
    Rootfs, Step, Stream, Unit, UnitKind,
};

/// Texts that end literals, comments or lines where a careless emitter writes them.
const ODD: &str = "\"#'\\{}*/ //\r\n\t\u{7f}\u{feff}é\u{202e}🦀";

fn product(units: Vec<Unit>) -> Product {
    Product {
        name: ODD.into(),
        board: ODD.into(),
        units,
        default_target: 0,
        rescue_target: Some(0),
        shutdown_timeout: 30_000_000,
        leftover_grace: 1_500,
        watchdog: None,
        healing: Some(Healing {
            limit: Some((u16::MAX, 1)),
            steps: vec![HealingStep::Rescue, HealingStep::OtherSlot],
            other_slot: ODD.into(),
            record: Some(format!("/{ODD}")),
            reset_after: u64::MAX,
            recorder: Some(u32::MAX),
        }),
        ctrl_alt_del: "power-off".into(),
        console: format!("/dev/{ODD}"),
        log_level: "normal".into(),
        hot_upgrade: false,
        ram_disk: None,
        split: None,
        rootfs: Rootfs::default(),
        images: None,
    }
}

fn service() -> Unit {
    let mut unit = Unit::new(ODD.into(), UnitKind::Service, Span::default());
    unit.start = Program::Exec(Box::new(Exec {
        arguments: vec!["/bin/x".into(), ODD.into(), String::new()],
        span: Span::default(),
        environment: vec![format!("A={ODD}")],
        directory: ODD.into(),
        credentials: Some(Credentials {
            uid: u32::MAX - 1,
            gid: 0,
            groups: vec![1, 2],
        }),
        umask: 0,
        nice: -20,
        priority: 0,
        is_image: false,
        oom_score: Some(-1000),
        limits: vec![
            ("open-files", (Some(1), None)),
            ("realtime-time", (None, None)),
        ],
        streams: [
            Stream::Console,
            Stream::File(ODD.into()),
            Stream::Terminal(ODD.into()),
        ],
    }));
    unit.watchdog = Some(9);
    unit.controls = true;
    unit.ready = Ready::Unix(ODD.into());
    unit.start_timeout = Some(7);
    unit.restart = Some(Restart {
        when: "on-failure".into(),
        from: 0,
        to: u64::MAX,
        reset_after: 1,
        count: u16::MAX,
        within: 1_000,
        then: "power-off".into(),
    });
    unit.success_codes = vec![3, 255];
    unit.success_signals = vec![10];
    unit
}

fn setup() -> Unit {
    let mut unit = Unit::new("setup".into(), UnitKind::Task, Span::default());
    unit.start = Program::Setup(vec![
        Step::WaitDevice(ODD.into()),
        Step::Mount {
            source: ODD.into(),
            at: ODD.into(),
            kind: ODD.into(),
            flags: u32::MAX,
            data: ODD.into(),
        },
        Step::Directory {
            path: ODD.into(),
            mode: 0o7777,
            uid: 0,
            gid: 0,
        },
        Step::Symlink {
            path: ODD.into(),
            target: ODD.into(),
        },
        Step::Sysctl {
            path: ODD.into(),
            value: ODD.into(),
        },
        Step::Hostname(ODD.into()),
        Step::LoopbackUp,
    ]);
    unit.stop = Program::Setup(vec![Step::Unmount(ODD.into())]);
    unit
}

#[test]
fn odd_texts_compile() {
    let mut service = service();
    service.relate(RelationKind::Requires, 1, Span::default());
    service.relate(RelationKind::Conflicts, 2, Span::default());
    let target = Unit::new("0".into(), UnitKind::Target, Span::default());
    let tables = emit::emit(&product(vec![service, setup(), target]));
    let folder = tempfile::tempdir().expect("a folder for the test");
    common::compile(&tables, folder.path()).unwrap_or_else(|said| panic!("{said}\n{tables}"));
}

#[test]
fn a_product_of_one_target_compiles() {
    let target = Unit::new("up".into(), UnitKind::Target, Span::default());
    let tables = emit::emit(&product(vec![target]));
    let folder = tempfile::tempdir().expect("a folder for the test");
    common::compile(&tables, folder.path()).unwrap_or_else(|said| panic!("{said}\n{tables}"));
}

#[test]
fn what_does_not_fit_is_noticed_by_this_test() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let said = common::compile("pub const UNIT_COUNT: usize = \"\";", folder.path());
    assert!(said.is_err_and(|said| said.contains("mismatched types")));
}
