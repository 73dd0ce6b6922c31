//! This file writes the head of a document: what was measured, on what, and how to read it.

use super::costs::COSTS;
use super::document::{Document, number};
use super::machine::Machine;
use bench_lives::extent::Extent;

/// The boards that may have a document of their own.
const BOARDS: [&str; 2] = ["virt-aarch64", "virt-armv7"];

/// How to read a cell ([`bench_lives::samples::QUARTERS_FROM`]).
const CELL: &str = "A cell is the median of the samples, in brackets their middle half, or where \
                    there are fewer than eight, the least and the largest.";

impl Document<'_> {
    /// What was measured, on what, and how to read it.
    pub fn head(&self) -> String {
        let Machine {
            processor,
            processors,
            kernel,
            load,
            is_virtual,
            compiler,
            day,
        } = self.machine;
        let rounds = self.extent.rounds;
        if let Some(board) = self.board {
            let less = less(self.extent);
            let desk = self.linked("which has its own page", "benchmarks.md");
            return format!(
                "# Benchmarks on {board}\n\n\
                 Written by `cargo xtask bench --board {board} --rounds {rounds}`, as root, on \
                 {day}: change nothing here by hand.\n\n\
                 The rows are those of a desk, {desk}: within QEMU's virtual board, Debian's \
                 {kernel} and the same inits as packages of its architecture; each is process 1 in \
                 namespaces, in turn (rounds: {rounds}), all in one boot of the board. {CELL} \
                 {less}\n\n\
                 The board's processor, a {processor}, is emulated, and so is its clock, which \
                 counts: an instruction takes a nanosecond, whatever it does (`-icount \
                 shift=0,sleep=off`). **A millisecond below is a million instructions of kernel \
                 and programs together, not the time of a device**: no cache misses, no \
                 translation is slow. Ratios of such times are ratios of work, but not in rows \
                 that may wait for a timer, which takes what it says: both times of a service that \
                 ends, and the shutdowns. Those have no ratio and no place here. Memory, system \
                 calls and wake-ups are those of a device.\n\n\
                 Built by {compiler} and, for 32 bits, what `cargo xtask setup` chose. Smaller is \
                 better everywhere.\n\n"
            );
        }
        let guest = match is_virtual {
            true => ", itself a virtual machine",
            false => "",
        };
        let others = self.others();
        format!(
            "# Benchmarks\n\n\
             Written by `cargo xtask bench` on {day}: change nothing here by hand.\n\n\
             Every contender is process 1 in namespaces of its own on one kernel, with a root file \
             system of its own files, and runs the same services: a static program without libc \
             that notes its first instruction and waits. The contenders take turns, {rounds} \
             rounds, and each round another one begins. {CELL} Times come from the programs that \
             run, on CLOCK_MONOTONIC.\n\n\
             For all of them: file systems are mounted already, streams lead to a null device, a \
             service that ended is started again at once and without limit where that can be \
             chosen, one that does not end gets SIGKILL a second after SIGTERM, readiness is the \
             program's execution. `qemu-tests/peers` has each one's configuration with its \
             reasons. Smaller is better everywhere.\n\n\
             Again: `cargo xtask bench --rounds {rounds}`, as root. `--peers DIR` adds others: \
             DIR/NAME/peer.toml as those in `qemu-tests/peers`, or for one of those a build in \
             DIR/NAME/root.\n\n\
             The machine: {processors} processors ({processor}){guest}, {kernel}, load {load} when \
             it began; {compiler}.\n\n{others}"
        )
    }

    /// Words that lead to a file, if there is one.
    fn linked(&self, words: &str, file: &str) -> String {
        match self.folder.join(file).is_file() {
            true => format!("[{words}]({file})"),
            false => words.to_string(),
        }
    }

    /// What else is measured, and where, if it is.
    fn others(&self) -> String {
        let link = |(words, file): (&str, String)| {
            let is_there = self.folder.join(&file).is_file();
            is_there.then(|| format!("[{words}]({file})"))
        };
        let boards = BOARDS.map(|board| (board, format!("benchmarks-{board}.md")));
        let boards: Vec<String> = boards.into_iter().filter_map(link).collect();
        let mut text = String::new();
        if !boards.is_empty() {
            let boards = boards.join(", ");
            text = format!("The same on emulated boards: {boards}.\n\n");
        }
        let costs = (
            "what builds take, and what each ability adds",
            COSTS.to_string(),
        );
        if let Some(costs) = link(costs) {
            text.push_str(&format!("By `cargo xtask bench --costs`: {costs}.\n\n"));
        }
        text
    }
}

/// What a desk's extent has, and this one does not.
fn less(extent: &Extent) -> String {
    let desk = Extent::full(extent.rounds);
    let list = |numbers: &[usize]| {
        let words: Vec<String> = numbers.iter().map(|it| number(*it as f64)).collect();
        words.join(", ")
    };
    let mut parts = vec![
        "the board has one processor, and its root lies in memory (ramfs)".to_string(),
        "the composition without healing is left out".to_string(),
    ];
    let mut differs = |what: &str, here: String, there: String| {
        if here != there {
            parts.push(format!("{what}: {here} instead of {there}"));
        }
    };
    differs("services of a boot", list(&extent.boots), list(&desk.boots));
    differs(
        "services when memory is looked at",
        list(&extent.memories),
        list(&desk.memories),
    );
    differs(
        "orphans at once",
        number(extent.orphans.into()),
        number(desk.orphans.into()),
    );
    differs(
        "runs of a tool in a round",
        extent.tool_runs.to_string(),
        desk.tool_runs.to_string(),
    );
    let calls = |it: Option<[usize; 2]>| it.map_or("none".to_string(), |it| list(&it));
    differs(
        "services when calls are counted",
        calls(extent.calls),
        calls(desk.calls),
    );
    if extent.scale.is_empty() {
        parts.push("no machine has a thousand services or more".to_string());
    }
    if !extent.own.late {
        parts.push("how late timers are is not measured".to_string());
    }
    if !extent.own.flood {
        parts.push("what becomes of a log that nobody reads is not looked at".to_string());
    }
    if !extent.own.hardship {
        parts.push("nor is healing without files in memory, or with little".to_string());
    }
    if !extent.own.window {
        parts.push("instructions without handlers are not counted".to_string());
    }
    format!("What differs from a desk besides: {}.", parts.join("; "))
}
