//! This file exchanges process 1 again and again while services end without a pause and clients
//! ask: no exit is lost, nobody is started twice, and everybody has an answer.

use crate::machine::{End, Machine, program};
use crate::split::{self, KILL, LIMIT, named_below, send, until};
use crate::split_upgrade::{self, IMAGE, named};
use crate::upgrade::{self, inside_as, kept, row};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// So often it becomes what it is, in a file of its own; and then the image with other units, which
/// counts restarts, so that nothing leads back from it.
const TIMES: usize = 10;

/// Who ends all the time.
const VICTIMS: [&str; 5] = ["held@1", "held@2", "held@3", "held@4", "held@5"];

/// Ends one of these services after the other until that is over; how often that was.
fn end_all_the_time(pid: u32, is_over: &AtomicBool) -> usize {
    let begin = Instant::now();
    let (mut ended, mut count) = (BTreeSet::new(), 0);
    while !is_over.load(Ordering::Relaxed) {
        assert!(begin.elapsed() < LIMIT, "it is never over");
        // Those of the others are called by other words.
        let all = named_below(pid, "sleep").into_iter();
        for victim in all.filter(|pid| is_victim(*pid)) {
            if !ended.insert(victim) {
                continue;
            }
            send(victim, KILL);
            // Until it is reaped nobody else has its number.
            until("it has ended", || !is_victim(victim));
            count += 1;
        }
    }
    count
}

fn is_victim(pid: u32) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.starts_with(b"sleep\x003141")
}

struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn exchanges_lose_nothing(mut machine: Machine, images: &[String; 2]) {
    let start = machine.sctl(&[&["start"][..], &VICTIMS].concat());
    assert!(start.status.success(), "{start:?}");
    let (pid, before) = (machine.pid(), kept(&machine));
    let waiting = machine.tool(&["start", "says-when-told"]).spawn();
    let mut waiting = waiting.expect("nsenter starts");
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut list = machine.tool(&["list"]);
    let ended = std::thread::scope(|scope| {
        let ended = scope.spawn(|| end_all_the_time(pid, &is_over));
        let asks = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let list = list.stdout(Stdio::null()).status();
                assert!(list.is_ok_and(|status| status.success()), "no answer");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Ends the others also where something is not as it should be.
        let over = Over(&is_over);
        for count in 0..=TIMES {
            let is_last = count == TIMES;
            let upgrade = machine.sctl(&["upgrade", &images[usize::from(is_last)]]);
            assert!(upgrade.status.success(), "{count}: {upgrade:?}");
            assert_eq!(row(&machine, "comes").is_some(), is_last);
            assert_eq!(kept(&machine), before, "{count}");
        }
        drop(over);
        asks.join().expect("everybody was answered");
        ended.join().expect("all went on to end")
    });
    let asked = asked.into_inner();
    println!("{ended} exits, {asked} answers");
    assert!(ended > TIMES && asked > TIMES, "{ended}, {asked}");
    // Who asked before all of it has waited for it.
    assert!(waiting.try_wait().expect("it is ours").is_none());
    machine.inside("touch /run/say");
    assert!(waiting.wait().expect("it is ours").success());
    until("each runs again, once", || {
        let all = named_below(pid, "sleep").into_iter();
        all.filter(|pid| is_victim(*pid)).count() == VICTIMS.len()
    });
    assert_eq!(kept(&machine), before);
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    assert!(!console.contains("put aside"), "{console}");
    assert!(!console.contains(" died"), "{console}");
    for (what, count) in [
        (": ended: SIGKILL; restart ", ended),
        (": runs", ended + VICTIMS.len()),
    ] {
        let said = console
            .lines()
            .filter(|line| line.contains("held") && line.contains(what));
        assert_eq!(said.count(), count, "{what:?}:\n{console}");
    }
}

#[test]
fn exits_and_clients_at_any_moment_of_upgrades_are_lost_by_none() {
    let Some(machine) = upgrade::booted() else {
        return;
    };
    let images = [program().expect("it runs"), upgrade::image()];
    let images = images.map(|file| inside_as(&machine, &file));
    exchanges_lose_nothing(machine, &images);
}

#[test]
fn exits_and_clients_at_any_moment_of_a_keepers_upgrades_are_lost_by_none() {
    let Some(machine) = split_upgrade::booted() else {
        return;
    };
    let images = [split::program().expect("it runs"), named(IMAGE)];
    let images = images.map(|file| inside_as(&machine, &file));
    exchanges_lose_nothing(machine, &images);
}
