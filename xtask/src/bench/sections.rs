//! This file names the tables of the document and the rows that they show.

use bench_lives::extent::Extent;
use bench_lives::plan::Plan;

/// One table.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// What its numbers are.
    pub unit: &'static str,
    /// What is measured, and how.
    pub words: String,
    /// Row of the samples, and heading of the column.
    pub columns: Vec<(String, String)>,
    /// The file of its drawing.
    pub plot: Option<&'static str>,
    /// Columns in which nobody is ranked: parts of another, or no cost.
    pub unranked: &'static [&'static str],
    /// Columns that show the largest sample, where a median hides what is looked for.
    pub worst: &'static [&'static str],
}

/// All tables of a run.
pub fn sections(extent: &Extent) -> Vec<Section> {
    let mut all = vec![files()];
    all.extend(memories(extent));
    all.extend(boots(extent));
    all.extend(events(extent));
    all.extend(steering(extent));
    all.extend(ends(extent));
    all.extend(own(extent));
    all
}

fn section(
    title: &'static str,
    unit: &'static str,
    words: impl Into<String>,
    columns: &[(&str, &str)],
) -> Section {
    let columns = columns
        .iter()
        .map(|(row, what)| (row.to_string(), what.to_string()))
        .collect();
    Section {
        title,
        unit,
        words: words.into(),
        columns,
        plot: None,
        unranked: &[],
        worst: &[],
    }
}

fn files() -> Section {
    Section {
        unranked: &["file.helpers", "file.libraries", "file.tools"],
        ..section(
            "Files",
            "bytes",
            "Process 1; processes that stay beside it; the libraries that both map; and, not part \
             of the sum, the tools that steer it. sysMaster's tool is the same file as process 1.",
            &[
                ("file.process-1", "process 1"),
                ("file.helpers", "helpers"),
                ("file.libraries", "libraries"),
                ("file.together", "together"),
                ("file.tools", "tools"),
            ],
        )
    }
}

fn memories(extent: &Extent) -> Vec<Section> {
    let tables = [
        (
            "Resident memory",
            "KiB",
            "resident",
            "All supervising processes together, idle; a page that two of them share counts twice.",
            Some("resident"),
        ),
        (
            "Proportional memory",
            "KiB",
            "proportional",
            "The same, with a shared page counted once.",
            None,
        ),
        (
            "Anonymous and shared memory",
            "KiB",
            "own",
            "What of it is no file's. The sealed copy of sysMaster's program is not mapped, and is \
             as large as its file.",
            None,
        ),
        (
            "Kernel memory",
            "KiB",
            "kernel",
            "What the kernel holds for the whole machine, its services included: the floor shows \
             what those need.",
            None,
        ),
        (
            "Supervising processes",
            "processes",
            "processes",
            "Process 1 and every other that is no service.",
            None,
        ),
    ];
    let table = |(title, unit, row, words, plot): (&'static str, _, &str, &str, _)| {
        let columns = extent.memories.iter().map(|services| {
            let heading = format!("{services} services");
            (format!("{row}.{services}"), heading)
        });
        let each = (row != "processes" && extent.memories.len() > 1)
            .then(|| (format!("{row}.each"), "each further".to_string()));
        Section {
            columns: columns.chain(each).collect(),
            plot,
            unranked: match row {
                "processes" => &["processes."],
                _ => &[],
            },
            ..section(title, unit, words, &[])
        }
    };
    tables.map(table).to_vec()
}

fn boots(extent: &Extent) -> Vec<Section> {
    let columns = |row: &str| -> Vec<(String, String)> {
        let mut columns: Vec<_> = extent
            .boots
            .iter()
            .map(|services| (format!("{row}.{services}"), format!("{services} services")))
            .collect();
        if let Some(services) = extent.chain {
            let plan = Plan::chain(services);
            let heading = format!("{services} in a row");
            columns.push((format!("{row}.{}", plan.label()), heading));
        }
        columns
    };
    let mut all = vec![
        Section {
            columns: columns("boot"),
            plot: Some("boot"),
            ..section(
                "Boot",
                "ms",
                "From the execution of process 1 to the last service's first instruction, which is \
                 also when all are ready. In a row: each after the one before has been executed.",
                &[],
            )
        },
        Section {
            columns: columns("cpu"),
            ..section(
                "Processor time of a boot",
                "ms",
                "All processes of the machine, services and short-lived helpers included.",
                &[],
            )
        },
    ];
    if let Some([few, many]) = extent.calls {
        all.push(section(
            "System calls of a start",
            "calls a service",
            format!(
                "The difference between {many} services and {few}, counted by strace; the \
                 service's own are left out."
            ),
            &[("calls", "each")],
        ));
    }
    all
}

fn events(extent: &Extent) -> Vec<Section> {
    vec![
        section(
            "A service ends",
            "ms",
            "From its last instruction but one to its successor's first. Some hold a service that \
             did not live for a second back, whatever they are told. Processor time is that of all \
             processes, both services included.",
            &[
                ("restart.lived", "after more than a second"),
                ("restart.soon", "at once again"),
                ("restart.cpu", "processor time of each"),
            ],
        ),
        section(
            "Orphans",
            "ms",
            format!(
                "{} processes whose parent is process 1 are killed at once: until the last is \
                 reaped, and the processor time that supervising takes meanwhile.",
                extent.orphans
            ),
            &[
                ("orphans.time", "until all are gone"),
                ("orphans.cpu", "processor time"),
            ],
        ),
    ]
}

fn steering(extent: &Extent) -> Vec<Section> {
    let seconds = extent.idle[0].as_secs();
    let mut all = vec![
        section(
            "Steering",
            "microseconds",
            format!(
                "The whole life of the tool, with {} services: from its execution to its end. Stop \
                 and start are two lives, and the tools wait until it is done. Under load: from \
                 when {} orphans are killed on.",
                extent.steered, extent.orphans
            ),
            &[
                ("status", "status of one"),
                ("status.busy", "status of one under load"),
                ("list", "status of all"),
                ("stop-start", "stop and start of one"),
            ],
        ),
        section(
            "Idle",
            "in all",
            format!(
                "Ten services that do nothing, {seconds} s: how often a supervising process was \
                 given a processor, and for how many microseconds."
            ),
            &[
                ("idle.wake-ups", "wake-ups"),
                ("idle.cpu", "processor time"),
            ],
        ),
    ];
    for services in &extent.scale {
        all.push(scale(*services));
    }
    all
}

fn scale(services: usize) -> Section {
    let title = match services {
        1_000 => "Scale: 1 000 services",
        4_000 => "Scale: 4 000 services",
        _ => "Scale",
    };
    let row = |name: &str| format!("{name}.{services}");
    let columns = [
        ("boot", "boot, ms"),
        ("cpu", "processor time of it, ms"),
        ("resident", "resident, KiB"),
        ("own", "of it no file's, KiB"),
        ("status", "status of one, microseconds"),
        ("list", "status of all, microseconds"),
    ];
    Section {
        columns: columns
            .map(|(name, what)| (row(name), what.to_string()))
            .to_vec(),
        ..section(title, "", "sysMaster alone.", &[])
    }
}

fn ends(extent: &Extent) -> Vec<Section> {
    let columns = extent.down.iter().map(|&(services, deaf)| {
        let plan = Plan {
            deaf,
            ..Plan::flat(services)
        };
        let heading = match deaf {
            0 => format!("{services} services"),
            deaf => format!("{services}, of which {deaf} ignore SIGTERM"),
        };
        (format!("down.{}", plan.label()), heading)
    });
    vec![
        Section {
            columns: columns.collect(),
            ..section(
                "Shutdown",
                "ms",
                "From the execution of the tool that asks for it to the end of process 1. The wait \
                 before SIGKILL, a second, is part of it where services ignore SIGTERM.",
                &[],
            )
        },
        fault(),
    ]
}

fn fault() -> Section {
    Section {
        worst: &["heal.lost", "heal.cold.lost", "heal.pressed.lost"],
        ..section(
            "Process 1 has a fault",
            "ms",
            "A jump to address 0 within process 1, made by a debugger that is gone before it \
             happens: until process 1 answers its tool again, and services that were lost in the \
             round that lost most. No file in memory: of the whole host, whose caches are dropped. \
             Memory is short: the machine may use 2 MiB more than it does, and a process that \
             counts as its reads a large file all the time.",
            &[
                ("heal.time", "until in control"),
                ("heal.lost", "services lost, at most"),
                ("heal.cold", "until in control, no file in memory"),
                ("heal.cold.lost", "services lost, at most"),
                ("heal.pressed", "until in control, memory short"),
                ("heal.pressed.lost", "services lost, at most"),
            ],
        )
    }
}

fn own(extent: &Extent) -> Vec<Section> {
    let mut all = Vec::new();
    if extent.own.late {
        all.push(Section {
            worst: &["late.max"],
            ..section(
            "Timers",
            "microseconds",
            "sysMaster alone: a service that ended waits for its back-off of 100 ms. By how much \
             later its successor's first instruction is, its start included; and the worst of all \
             rounds.",
            &[("late", "late"), ("late.max", "the latest")],
        )});
    }
    if extent.own.flood {
        all.push(section(
            "A log that nobody reads",
            "in all",
            "sysMaster alone, its log a pipe of 4 KiB: a hundred services end while nobody reads \
             it, then somebody does. What there is no room for is dropped, counted and told; \
             nobody waits for the log, as the restarts meanwhile show.",
            &[
                ("flood.lines", "lines"),
                ("flood.dropped", "of them dropped and counted"),
                ("flood.restart", "a service ends, ms"),
            ],
        ));
    }
    if extent.own.window {
        all.push(section(
            "Without handlers",
            "instructions",
            "sysMaster alone: after a fault process 1 executes its program again, and another \
             fault before that has its handlers would end the machine. The program's own \
             instructions until then, each seen by a debugger; a system call is one.",
            &[("window", "from the execution to the handlers")],
        ));
    }
    if extent.own.turns {
        all.push(Section {
            worst: &["turn.max"],
            ..section(
            "Turns",
            "microseconds",
            format!(
                "sysMaster alone, with {} services: how long it has the processor until it waits \
                 again, by the kernel's record of its scheduler, while {} orphans end, its tool \
                 lists all units, and half of its services end. What the kernel does for it is in \
                 it: of a turn that starts programs, most.",
                extent.steered, extent.orphans
            ),
            &[
                ("turn.count", "turns"),
                ("turn.median", "median"),
                ("turn.p999", "99.9 % below"),
                ("turn.max", "longest of all rounds"),
            ],
        )});
    }
    all
}
