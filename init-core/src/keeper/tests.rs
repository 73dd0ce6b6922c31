//! This file tests the keeper's decisions: every cell of its table, and its command line.

use super::options::{Complaint, Finally, Options, Order, Restart, parse};
use super::signals::{self, Treatment, treatment};
use super::*;
use std::vec::Vec;

const HUP: u8 = 1;
const QUIT: u8 = 3;
const CHLD: u8 = 17;

fn at(ms: u64) -> Instant {
    Instant::ZERO.after(Duration::from_ms(ms))
}

fn options(line: &str) -> Options {
    match order(line) {
        Ok(Order::Keep(options, _)) => options,
        other => panic!("{line}: {other:?}"),
    }
}

fn order(line: &str) -> Result<Order, Complaint<'_>> {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    parse(&|index| words.get(index).copied())
}

/// What leads from the start into each state, with the options that `OPTIONS` stands for.
const OPTIONS: &str = "k --restart=always --kill-after=3s --stop-signal=QUIT c";

const ENDED: Event = Event::Ended(Status::Code(7));

fn way_to(state: &str) -> &'static [(u64, Event)] {
    match state {
        "Running" => &[],
        "Asked" => &[(0, Event::Signal(2))],
        "Ending" => &[(0, ENDED)],
        "Killed" => &[(0, ENDED), (5_000, Event::Time)],
        "Resting" => &[(0, ENDED), (0, Event::Alone)],
        "Done" => &[(0, Event::Signal(2)), (0, ENDED), (0, Event::Alone)],
        other => panic!("{other}"),
    }
}

fn name(state: State) -> &'static str {
    match state {
        State::Running(_) => "Running",
        State::Asked { .. } => "Asked",
        State::Ending { .. } => "Ending",
        State::Killed { .. } => "Killed",
        State::Resting { .. } => "Resting",
        State::Done => "Done",
    }
}

#[test]
fn every_cell_of_the_table_is_as_written() {
    use Action::{AskRest, Finish, Kill, KillRest, Pass, Start};
    let (stop, other) = (Event::Signal(signals::TERM), Event::Signal(HUP));
    let table = [
        ("Running", stop, Some(Pass(QUIT)), "Asked"),
        ("Running", other, Some(Pass(HUP)), "Running"),
        ("Running", ENDED, Some(AskRest), "Ending"),
        ("Running", Event::Alone, None, "Running"),
        ("Running", Event::Time, None, "Running"),
        ("Asked", stop, Some(Pass(QUIT)), "Asked"),
        ("Asked", other, Some(Pass(HUP)), "Asked"),
        ("Asked", ENDED, Some(AskRest), "Ending"),
        ("Asked", Event::Alone, None, "Asked"),
        ("Asked", Event::Time, Some(Kill), "Asked"),
        ("Ending", stop, None, "Ending"),
        ("Ending", other, None, "Ending"),
        ("Ending", ENDED, None, "Ending"),
        ("Ending", Event::Alone, None, "Resting"),
        ("Ending", Event::Time, Some(KillRest), "Killed"),
        ("Killed", stop, None, "Killed"),
        ("Killed", other, None, "Killed"),
        ("Killed", ENDED, None, "Killed"),
        ("Killed", Event::Alone, None, "Resting"),
        ("Killed", Event::Time, None, "Resting"),
        ("Resting", stop, Some(Finish(7)), "Done"),
        ("Resting", other, None, "Resting"),
        ("Resting", ENDED, None, "Resting"),
        ("Resting", Event::Alone, None, "Resting"),
        ("Resting", Event::Time, Some(Start), "Running"),
        ("Done", stop, None, "Done"),
        ("Done", other, None, "Done"),
        ("Done", ENDED, None, "Done"),
        ("Done", Event::Alone, None, "Done"),
        ("Done", Event::Time, None, "Done"),
    ];
    let options = options(OPTIONS);
    for (from, event, action, to) in table {
        let mut keeper = Keeper::new(&options, at(0));
        for (ms, event) in way_to(from) {
            keeper.step(*event, at(*ms));
        }
        assert_eq!(name(keeper.state), from);
        assert_eq!(keeper.step(event, at(60_000)), action, "{from}, {event:?}");
        assert_eq!(name(keeper.state), to, "{from}, {event:?}");
    }
}

#[test]
fn time_does_nothing_before_the_deadline() {
    let options = options(OPTIONS);
    for (state, deadline) in [
        ("Asked", 3_000),
        ("Ending", 5_000),
        ("Killed", 7_000),
        ("Resting", 100),
    ] {
        let mut keeper = Keeper::new(&options, at(0));
        for (ms, event) in way_to(state) {
            keeper.step(*event, at(*ms));
        }
        assert_eq!(keeper.deadline(), Some(at(deadline)), "{state}");
        assert_eq!(keeper.step(Event::Time, at(deadline - 1)), None);
        assert_eq!(name(keeper.state), state);
        keeper.step(Event::Time, at(deadline));
        assert!(keeper.deadline() != Some(at(deadline)), "{state}");
    }
}

#[test]
fn a_stop_while_the_rest_is_ended_takes_the_restart_back() {
    let options = options(OPTIONS);
    for state in ["Ending", "Killed"] {
        let mut keeper = Keeper::new(&options, at(0));
        for (ms, event) in way_to(state) {
            keeper.step(*event, at(*ms));
        }
        keeper.step(Event::Signal(signals::TERM), at(5_001));
        assert_eq!(
            keeper.step(Event::Alone, at(5_002)),
            Some(Action::Finish(7))
        );
    }
}

#[test]
fn a_command_that_is_never_to_be_killed_has_no_deadline() {
    let options = options("k c");
    let mut keeper = Keeper::new(&options, at(0));
    assert_eq!(
        keeper.step(Event::Signal(signals::TERM), at(1)),
        Some(Action::Pass(signals::TERM))
    );
    assert_eq!(keeper.deadline(), None);
}

#[test]
fn the_exit_code_is_the_commands() {
    let table = [
        ("k c", Status::Code(0), 0),
        ("k c", Status::Code(255), 255),
        ("k c", Status::Signal(9), 137),
        ("k c", Status::Signal(64), 192),
        ("k c", Status::NotStarted, OWN_FAILURE),
        ("k -e 143 -e 7 c", Status::Signal(15), 0),
        ("k -e 143 -e 7 c", Status::Code(7), 0),
        ("k -e 143 -e 7 c", Status::Code(8), 8),
    ];
    for (line, status, code) in table {
        let options = options(line);
        let mut keeper = Keeper::new(&options, at(0));
        keeper.step(Event::Ended(status), at(1));
        let end = keeper.step(Event::Alone, at(2));
        assert_eq!(end, Some(Action::Finish(code)), "{line}: {status:?}");
    }
}

#[test]
fn what_is_started_again_is_what_was_asked_for() {
    let table = [
        ("no", Status::Code(1), false),
        ("on-failure", Status::Code(1), true),
        ("on-failure", Status::Code(0), false),
        ("on-failure", Status::Signal(11), true),
        ("on-failure", Status::Signal(15), false),
        ("on-failure", Status::NotStarted, true),
        ("always", Status::Code(0), true),
        ("always", Status::Signal(15), true),
        ("always:0", Status::Code(0), false),
    ];
    for (when, status, again) in table {
        let line = std::format!("k -r {when} c");
        let options = options(&line);
        let mut keeper = Keeper::new(&options, at(0));
        keeper.step(Event::Ended(status), at(1));
        let end = keeper.step(Event::Alone, at(2));
        assert_eq!(end.is_none(), again, "{when}: {status:?}");
    }
}

#[test]
fn the_wait_doubles_to_its_maximum_and_begins_anew_after_a_good_run() {
    let options = options("k -r always:9 -b 300ms c");
    let mut keeper = Keeper::new(&options, at(0));
    let mut now = 0;
    for (ran, wait) in [(1, 100), (1, 200), (1, 300), (59_999, 300), (60_000, 100)] {
        now += ran;
        assert_eq!(keeper.step(ENDED, at(now)), Some(Action::AskRest));
        assert_eq!(keeper.step(Event::Alone, at(now)), None);
        now += wait;
        assert_eq!(keeper.deadline(), Some(at(now)));
        assert_eq!(keeper.step(Event::Time, at(now)), Some(Action::Start));
    }
}

#[test]
fn restarts_are_counted_since_the_last_good_run() {
    let options = options("k -r always:2 c");
    let mut keeper = Keeper::new(&options, at(0));
    let mut now = 0;
    for (ran, ends) in [
        (1, false),
        (1, false),
        (60_000, false),
        (1, false),
        (1, true),
    ] {
        now += ran;
        keeper.step(ENDED, at(now));
        assert_eq!(keeper.step(Event::Alone, at(now)).is_some(), ends, "{now}");
        now += 1_000;
        keeper.step(Event::Time, at(now));
    }
}

#[test]
fn signals_of_the_keeper_are_kept_and_all_others_passed() {
    let kept: Vec<u8> = (0..=255)
        .filter(|n| treatment(*n) == Treatment::Kept && (1..=signals::LAST).contains(n))
        .collect();
    assert_eq!(kept, [CHLD, 21, 22]);
    let stops: Vec<u8> = (0..=255)
        .filter(|n| treatment(*n) == Treatment::Stops)
        .collect();
    assert_eq!(stops, [2, 3, 15]);
    assert_eq!(treatment(65), Treatment::Kept);
}

#[test]
fn signals_have_names_and_numbers() {
    let table: [(&str, Option<u8>); 12] = [
        ("HUP", Some(1)),
        ("SIGTERM", Some(15)),
        ("CHLD", Some(17)),
        ("WINCH", Some(28)),
        ("SYS", Some(31)),
        ("15", Some(15)),
        ("64", Some(64)),
        ("0", None),
        ("65", None),
        ("271", None),
        ("TER", None),
        ("", None),
    ];
    for (word, number) in table {
        assert_eq!(signals::parse(word.as_bytes()), number, "{word}");
    }
}

#[test]
fn the_command_begins_at_the_first_word_that_is_no_option() {
    for (line, at) in [
        ("k c", 1),
        ("k -- c", 2),
        ("k -- -c", 2),
        ("k -sgv c -x", 2),
        ("k -r always -- c", 4),
        ("k -ralways c", 2),
        ("k --restart=always c -- d", 2),
        ("k - c", 1),
    ] {
        match order(line) {
            Ok(Order::Keep(_, index)) => assert_eq!(index, at, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn every_option_is_read() {
    let chosen =
        options("k -r on-failure:3 -b 1min -t 250ms -k 7 -S 3 -g -e 143 -p SIGKILL -f reboot -v c");
    assert_eq!(chosen.restart, Restart::OnFailure);
    assert_eq!(chosen.restart_count_max, Some(3));
    assert_eq!(chosen.backoff_max, Duration::from_secs(60));
    assert_eq!(chosen.grace, Duration::from_ms(250));
    assert_eq!(chosen.kill_after, Some(Duration::from_secs(7)));
    assert_eq!((chosen.stop_signal, chosen.parent_death), (3, Some(9)));
    assert!(chosen.group && chosen.verbose && chosen.is_success(143) && !chosen.is_success(1));
    assert_eq!(chosen.finally, Finally::Reboot);
    let long = "k --restart=on-failure:3 --backoff-max=1min --grace=250ms --kill-after=7 \
                --stop-signal=QUIT --group --success=143 --parent-death=KILL --finally=reboot \
                --verbose c";
    assert_eq!(options(long), chosen);
    assert_eq!(order("k --help"), Ok(Order::Help));
    assert_eq!(order("k -V"), Ok(Order::Version));
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused_at_its_word() {
    for (line, word) in [
        ("k", ""),
        ("k --", ""),
        ("k -g", ""),
        ("k -x c", "-x"),
        ("k -gx c", "-gx"),
        ("k --nonsense c", "--nonsense"),
        ("k --group=1 c", "--group=1"),
        ("k --restart", "--restart"),
        ("k --restart sometimes c", "sometimes"),
        ("k --restart always: c", "always:"),
        ("k -t 5h c", "5h"),
        ("k -t -5 c", "-5"),
        ("k -t= c", "="),
        ("k -e 256 c", "256"),
        ("k -S NOPE c", "NOPE"),
        ("k -f never c", "never"),
        ("k -k 99999999999 c", "99999999999"),
    ] {
        match order(line) {
            Err(Complaint(_, found)) => assert_eq!(found, word.as_bytes(), "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}
