//! This file says why sysMaster is not first where it is not: one reason for each kind of row,
//! shown only for rows that a run did not win. A row without a reason says so.

/// What a service takes of memory.
const PER_SERVICE: &str = "A service takes 394 bytes of memory that is no file's: 100 are its \
    record that outlives process 1, 104 its place in the journal by which any number of records \
    changes at once, 40 who owns its processes, and 150 what process 1 works with. All are there \
    from the boot on, so that none can be lacking later. Another 140 are its description, of the \
    file (`readelf -lW` of target/bench/roots/sysmaster-10/init and sysmaster-500/init shows both \
    but the region's 244, which `UNIT_WORDS` and `RECORD_WORDS` are). busybox keeps a list entry \
    of some 75, and a process 1 that dies takes it along.";

/// A row, or with a point at its end the beginning of several, and why it may be lost.
const REASONS: [(&str, &str); 13] = [
    (
        "file.process-1",
        "One file is process 1, its control tool and what heals it (the composition without \
         healing is the column below it). s6's and runit's process 1 starts a supervisor for each \
         service, which is a file of its own: together all are larger.",
    ),
    ("own.", PER_SERVICE),
    ("resident.each", PER_SERVICE),
    ("proportional.each", PER_SERVICE),
    (
        "kernel.",
        "The region, the sealed copy, epoll, timer, signal and control descriptors are the fixed \
         part. A service costs the kernel what busybox's does, unless it began while process 1 \
         had more than 64 descriptors: then it keeps a table of a kilobyte for as many.",
    ),
    (
        "cpu.10",
        "The fixed part of a boot: the program's copy is made and sealed, the region laid out and \
         its pages touched, and the handlers installed. The column without healing shows what of \
         it healing takes; with more services each start, which is cheaper, decides.",
    ),
    (
        "boot.",
        "As processor time of a boot, below. Where time counts instructions, that decides; where \
         it is real time, memory that is copied for a fork is dearer, and is not copied here.",
    ),
    (
        "cpu.",
        "Each start is written down before and after, and told; and it is waited for whether its \
         program was executed, or at which step not. busybox starts and forgets: that a program \
         cannot be executed is noticed by its end.",
    ),
    (
        "calls",
        "Six calls are the child's: descriptors, streams, session, signals, the program. Of \
         process 1's one makes the child; the others wake it up and say lines, fewer where several \
         starts share a turn.",
    ),
    (
        "orphans.time",
        "What takes the time is the kernel's killing of the orphans; who reaps them is idle for \
         most of it, and takes 40 ms when all are dead. Who comes early and looks for anybody \
         that ended has the kernel walk over all that still run: with real-time priority \
         (`chrt -f -p 1 PID`) that takes other inits over a second; sysMaster, which takes by \
         their numbers those of which signals tell, 0.4. When each is given a processor, chance \
         decides.",
    ),
    (
        "orphans.cpu",
        "While they die faster than they are reaped, three calls take an exit: one wakes, one \
         reads the signal, one takes the child that it names. Who is given no processor until all \
         are dead needs one.",
    ),
    (
        "status.busy",
        "The tool asks process 1: both must be given a processor among thousands that die. runit's \
         and s6's tools read a file that the service's own supervisor wrote, and ask nobody: that \
         supervisor is a process a service.",
    ),
    (
        "restart.",
        "As a boot: the start is written down, and the program's execution is waited for.",
    ),
];

/// Rows of which the floor is the measure, how far above it sysMaster may be, and why it may be
/// further.
const ABOVE_FLOOR: [(&str, f64, &str); 2] = [
    (
        "boot.",
        1.3,
        "What a boot takes that no service does: see processor time of a boot.",
    ),
    (
        "restart.",
        1.2,
        "Of 0.1 ms, as the kernel's own trace tells (`sched` and `raw_syscalls`, medians of 80 \
         deaths): 30 microseconds to read the signal, to decide and to write that down; 25 until \
         the child has a processor, since process 1 does not stand still until the program is \
         executed, as the floor does: one on a file system that never answers would hold it; 22 \
         for the child to close descriptors and to begin a session; the rest goes to the program's \
         execution.",
    ),
];

/// How far a row may be above the floor, and why it may be further, if it is: it is `ratio` times
/// that.
pub fn above_floor(row: &str, ratio: f64) -> Option<(f64, &'static str)> {
    let mut rows = ABOVE_FLOOR.iter();
    let (_, most, reason) = rows.find(|(begin, ..)| row.starts_with(begin))?;
    (ratio > *most && row != "restart.cpu").then_some((*most, *reason))
}

/// Why a row may be lost.
pub fn of(row: &str) -> &'static str {
    let is_of = |begin: &str| row == begin || (begin.ends_with('.') && row.starts_with(begin));
    let found = REASONS.iter().find(|(begin, _)| is_of(begin));
    found.map_or("No reason is known yet.", |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_own_reason_before_that_of_its_kind() {
        for (begin, reason) in REASONS {
            assert_eq!(of(begin), reason, "{begin} is never found");
        }
        assert_ne!(of("cpu.10"), of("cpu.100"));
        assert!(of("nonsense").contains("No reason"));
    }

    #[test]
    fn a_row_within_its_measure_needs_no_reason() {
        assert!(above_floor("restart.soon", 1.2).is_none());
        assert!(above_floor("restart.soon", 1.21).is_some());
        assert!(above_floor("boot.500", 1.21).is_none());
        assert!(above_floor("own.500", 9.0).is_none());
        assert!(above_floor("restart.cpu", 9.0).is_none());
    }
}
