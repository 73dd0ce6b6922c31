//! This file runs the probe over the simulated kernel: every row is as the table says, and every
//! kernel that behaves otherwise in one point is found out.

mod sim;
mod table;

use hal_harmony::abi::number::Number;
use hal_harmony::probe;
use sim::{Sim, Twist};
use std::panic::{AssertUnwindSafe, catch_unwind};

const WINDOW: u64 = 0x7000_0000;

/// What the probe writes over this kernel.
fn transcript(sim: &Sim) -> String {
    let ring = Box::leak(Box::new(probe::ring()));
    let mut text = vec![0; 16 * 1_024];
    let mut room = text.as_mut_slice();
    let written = probe::run(sim, ring, WINDOW, &mut room);
    assert!(written.is_ok());
    let rest = room.len();
    text.truncate(text.len() - rest);
    String::from_utf8(text).expect("words")
}

/// What it writes over a kernel that is as the table says.
fn expected(has_clock: bool) -> String {
    let mut text = String::new();
    let (mut differ, mut skipped) = (0, 0);
    let lines = table::read();
    for line in &lines {
        let wanted = table::join(&line.expected);
        let got = match (has_clock, line.needs_clock, line.name.as_str()) {
            (false, true, _) => {
                skipped += 1;
                "skipped"
            }
            (false, false, "clock-runs") => {
                differ += 1;
                "0"
            }
            _ => &wanted,
        };
        text.push_str(&format!("{} {wanted} {got}\n", line.name));
    }
    let count = lines.len();
    text + &format!("rows differ skipped: {count},{differ},{skipped}\n")
}

#[test]
fn every_row_over_the_simulated_kernel_is_as_the_table_says() {
    assert_eq!(transcript(&Sim::new(10)), expected(true));
}

#[test]
fn without_a_clock_every_row_that_needs_none_is_as_the_table_says() {
    let sim = Sim::new(10);
    sim.state().has_clock = false;
    assert_eq!(transcript(&sim), expected(false));
}

/// Whether the probe shows that this kernel is another one: a different transcript, or a panic of
/// the model because nothing would ever happen again.
fn is_found_out(twist: Twist) -> bool {
    let run = || {
        let sim = Sim::new(10);
        sim.state().twist = Some(twist);
        transcript(&sim)
    };
    catch_unwind(AssertUnwindSafe(run)).map_or(true, |got| got != expected(true))
}

fn all_found_out(twists: &[Twist]) {
    let missed = twists.iter().filter(|twist| !is_found_out(**twist));
    let missed: Vec<&Twist> = missed.collect();
    assert!(missed.is_empty(), "nobody notices {missed:?}");
}

#[test]
fn every_behaviour_that_is_changed_is_found_out() {
    let twists = [
        Twist::NotBinaryCount,
        Twist::OverflowInOrder,
        Twist::OverflowBeforeNew,
        Twist::KillShowsNine,
        Twist::CodesAreBytes,
        Twist::FaultShowsOther,
        Twist::PriorityIgnored,
        Twist::QuotaIgnored,
        Twist::NotCut,
        Twist::RestCleared,
        Twist::CallTimesOut,
        Twist::SourceIsNotify,
        Twist::SourceHidden,
        Twist::ReplyLost,
        Twist::MemoryDies,
        Twist::ExitUntold,
        Twist::WaitTooLong,
        Twist::RangeIgnored,
        Twist::CopiesStay,
    ];
    all_found_out(&twists);
}

/// Calls whose result says nothing: what they do shows otherwise, or cannot be shown here.
const SILENT: [Number; 3] = [Number::YIELD, Number::CACHE_FLUSH, Number::CLOCK_GETTIME];

#[test]
fn every_answer_that_is_changed_is_found_out() {
    let sim = Sim::new(10);
    let _ = transcript(&sim);
    let trace = sim.state().trace.clone();
    let mut answers: Vec<(Number, i64)> = trace.iter().map(|call| (call.1, call.2)).collect();
    // A capability's number is the kernel's own affair.
    answers.retain(|(number, result)| {
        !SILENT.contains(number) && (*result <= 0 || *number == Number::RECEIVE)
    });
    answers.sort_unstable();
    answers.dedup();
    assert!(answers.len() > 30, "too few answers: {answers:?}");
    // How often freeing must be tried, and how a process is refused it, the table leaves open.
    let open = [-11, -1].map(|result| (Number::CAP_GROUP_RECYCLE, result));
    answers.retain(|answer| !open.contains(answer));
    let changed = answers.into_iter();
    let changed = changed.map(|(number, from)| Twist::Result(number, from, -95));
    all_found_out(&changed.collect::<Vec<_>>());
}
