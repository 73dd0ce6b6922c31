//! This file says which word of the memory that outlives the program stands alone where.

use init_core::limits::CLIENT_COUNT_MAX;

pub(super) const MAGIC: usize = 0;
/// Whether heirs will find them.
pub(super) const KEPT: usize = 1;
/// Why the program is executed again: written right before that. 0: it was
/// started like any program.
pub(crate) const HANDOVER: usize = 2;
/// What the program died of: signal, code, program counter and address, low half first.
pub(crate) const SIGNAL: usize = 3;
pub(crate) const CODE: usize = 4;
pub(crate) const COUNTER: usize = 5;
pub(crate) const ADDRESS: usize = 7;
/// What the kernel has, as the first life found it.
pub(super) const KERNEL: usize = 9;
/// Whether the core is to be told when no child is left.
pub(crate) const ALONE: usize = 10;
/// Whether descriptor 0 leads to `/dev/null`.
pub(crate) const NULL: usize = 11;
/// What was handed out to the core last and is not settled, and after how many events.
pub(crate) const HANDED: usize = 12;
pub(crate) const STAMP: usize = 13;
/// What [`BYTES`] were read from: 0 where they hold nothing.
pub(crate) const SOURCE: usize = 14;
/// Descriptors, plus 1: the socket that a child binds, the control socket, others.
pub(crate) const SPARE: usize = 15;
pub(crate) const LISTENER: usize = 16;
pub(crate) const CONSOLE: usize = 17;
pub(crate) const WATCHDOG: usize = 18;
/// The ends of the pair through which children send devices that process 1 lacks.
pub(crate) const FOUND: usize = 19;
pub(crate) const FINDER: usize = 20;
/// Which process is being started, and how many lives have ended of that.
pub(crate) const STARTING: usize = 21;
pub(crate) const STARTING_DEATHS: usize = 22;
/// Lives in a row that ended before anything they took in was dealt with, and the second in
/// which the last of them began.
pub(crate) const VAIN: usize = 23;
pub(crate) const BEGAN: usize = 24;
/// Deaths since a second, and which one.
pub(crate) const DEATHS: usize = 25;
pub(crate) const DEATHS_SINCE: usize = 26;
/// Steps taken because healing did not help, and how often the machine was started anew for
/// that, as the record says.
pub(crate) const STEPS: usize = 27;
pub(crate) const STARTS: usize = 28;
/// How many units there are: a program with others finds its way by that.
pub(crate) const UNIT_COUNT: usize = 29;
/// The process in which an image is on trial, and what kept it from executing that.
pub(crate) const TRIAL: usize = 30;
pub(crate) const TRIAL_FAILURE: usize = 31;
/// The image, and what its trial answers: descriptors plus 1.
pub(crate) const IMAGE: usize = 32;
pub(crate) const ANSWER: usize = 33;
/// What became of an image that was executed, until the core has dealt with it.
pub(crate) const OUTCOME: usize = 34;
/// What was in the core's hands when a life or a core ended, and how many did with the same.
pub(crate) const BLAMED: usize = 35;
pub(crate) const BLAMES: usize = 36;
/// Three words for each client: its descriptor plus 1, its generation, its state.
pub(crate) const CLIENTS: usize = 37;
pub(super) const CLIENT_WORDS: usize = 3 * CLIENT_COUNT_MAX;
/// How a child ended, as the kernel told: a `siginfo_t`. The kernel's fields may have 64 bits.
pub(crate) const EXIT: usize = (CLIENTS + CLIENT_WORDS).next_multiple_of(2);
/// What was read.
pub(crate) const BYTES: usize = EXIT + super::EXIT_WORDS;
/// What the console has not taken yet: where it begins and ends, how many lines found no room, and
/// the text.
pub(crate) const TEXT_PLACE: usize = BYTES + super::BYTES_WORDS;
pub(crate) const DROPPED: usize = TEXT_PLACE + 1;
pub(crate) const TEXT: usize = TEXT_PLACE + 2;
pub(super) const UNITS: usize = TEXT + super::TEXT_WORDS;

/// All of them: what has one of them elsewhere is another layout.
pub(super) const ALL: [usize; 43] = [
    MAGIC,
    KEPT,
    HANDOVER,
    SIGNAL,
    CODE,
    COUNTER,
    ADDRESS,
    KERNEL,
    ALONE,
    NULL,
    HANDED,
    STAMP,
    SOURCE,
    SPARE,
    LISTENER,
    CONSOLE,
    WATCHDOG,
    FOUND,
    FINDER,
    STARTING,
    STARTING_DEATHS,
    VAIN,
    BEGAN,
    DEATHS,
    DEATHS_SINCE,
    STEPS,
    STARTS,
    UNIT_COUNT,
    TRIAL,
    TRIAL_FAILURE,
    IMAGE,
    ANSWER,
    OUTCOME,
    BLAMED,
    BLAMES,
    CLIENTS,
    CLIENT_WORDS,
    EXIT,
    BYTES,
    TEXT_PLACE,
    DROPPED,
    TEXT,
    UNITS,
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_place_is_among_all() {
        let text = include_str!("at.rs");
        let (places, all) = text.split_once("const ALL: ").expect("it is there");
        let names: Vec<&str> = places
            .split("const ")
            .skip(1)
            .filter_map(|rest| rest.split_once(": usize =").map(|(name, _)| name))
            .collect();
        assert_eq!(names.len(), super::ALL.len());
        for name in names {
            assert!(all.contains(&format!("    {name},\n")), "{name}");
        }
    }
}
