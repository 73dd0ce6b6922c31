//! This program is everything that a run of the benchmark executes beside its contender: the
//! service, and what measures from within the contender's machine.
//!
//! `probe` alone is the service whose index ends the name of the current folder; `probe stay3` the
//! one with that index. Its verbs:
//! `stay INDEX`, `deaf INDEX` (does not end by SIGTERM), `begin PROGRAM ARGS..` (becomes process
//! 1), `time COUNT GAP PROGRAM ARGS..`, `request PROGRAM ARGS..`, `burst COUNT`.
#![no_std]
#![no_main]

use bench_programs::journal::{Kind, write};
use bench_programs::sys::call;
use bench_programs::sys::spawn::spawn;
use bench_programs::sys::start::{Arguments, number};

bench_programs::program!(run);

const SIGKILL: u32 = 9;
const SIGUSR1: u64 = 1 << 9;
const SIGTERM: u64 = 1 << 14;

/// Where the harness leaves the folder of all cgroups' `cgroup.procs`: open descriptors.
const CGROUP_FDS: [isize; 2] = [8, 9];

/// What a pipe has room for: 64 KiB of their numbers.
const BURST_COUNT_MAX: u32 = 16 * 1024;

/// Between two looks whether orphans are left.
const LOOK_NS: u64 = 500_000;

fn run(arguments: Arguments) -> u8 {
    let now = call::now_ns();
    let Some(verb) = arguments.get(1) else {
        return in_folder(now);
    };
    match verb.to_bytes() {
        b"stay" => stay(now, arguments.number(2), SIGUSR1),
        b"deaf" => stay(now, arguments.number(2), SIGUSR1 | SIGTERM),
        b"begin" => begin(arguments),
        b"time" => time(arguments),
        b"request" => {
            write(Kind::Request, call::now_ns(), 0, 0);
            execute(arguments, 2)
        }
        b"burst" => burst(arguments.number(2)),
        // s6 hands the name of its folder on.
        name if name.starts_with(b"stay") => stay(now, number(name), SIGUSR1),
        name if name.starts_with(b"deaf") => stay(now, number(name), SIGUSR1 | SIGTERM),
        _ => 2,
    }
}

/// A service that was told nothing: for supervisors that start a file `run`.
fn in_folder(now: u64) -> u8 {
    let mut folder = [0; 256];
    call::current_folder(&mut folder);
    let end = folder.iter().position(|byte| *byte == 0).unwrap_or(0);
    let folder = folder.get(..end).unwrap_or_default();
    let is_deaf = folder.windows(5).any(|part| part == b"/deaf");
    let ignored = if is_deaf { SIGTERM } else { 0 };
    stay(now, number(folder), SIGUSR1 | ignored)
}

/// A service: says that it began, and ends when it is told to by SIGUSR1.
fn stay(now: u64, index: u32, blocked: u64) -> u8 {
    call::block(blocked);
    write(Kind::Begin, now, index, call::own_pid());
    call::wait_for_signal(SIGUSR1);
    write(Kind::End, call::now_ns(), index, 0);
    0
}

/// Becomes process 1. The moment is written as late as it can be.
fn begin(arguments: Arguments) -> u8 {
    call::detach(c"/mnt");
    for file in CGROUP_FDS {
        call::write(file, b"0".as_ptr(), 1);
        call::close(file);
    }
    write(Kind::Machine, call::now_ns(), 0, 0);
    execute(arguments, 2)
}

/// Becomes the program that an argument names; its own name and arguments follow.
fn execute(arguments: Arguments, first: usize) -> u8 {
    if let Some(program) = arguments.get(first) {
        let vector = arguments.from(first + 1);
        // SAFETY: the kernel's own vectors.
        unsafe { call::execute(program.as_ptr(), vector, arguments.environment()) };
    }
    127
}

/// Runs a program several times, and writes how long each of its lives was.
fn time(arguments: Arguments) -> u8 {
    let (count, gap_us) = (arguments.number(2), arguments.number(3));
    let Some(program) = arguments.get(4) else {
        return 2;
    };
    for index in 0..count {
        let before = call::now_ns();
        // SAFETY: the kernel's own vectors.
        unsafe { spawn(program.as_ptr(), arguments.from(5), arguments.environment()) };
        let (_, status) = call::wait_for_child();
        let after = call::now_ns();
        write(Kind::Timed, after, index, after - before);
        if status != 0 {
            write(Kind::Refused, after, index, u64::from(status >> 8 & 0xff));
        }
        call::sleep_ns(u64::from(gap_us) * 1_000);
    }
    0
}

/// Makes orphans that all die at once, and waits until process 1 has reaped the last. Looks at one
/// after the other: to look at a group, the kernel walks over all of it and lets nobody end
/// meanwhile, which would be measured with it.
fn burst(count: u32) -> u8 {
    if count > BURST_COUNT_MAX {
        return 2;
    }
    let [numbers, into] = call::pipe();
    let leader = call::fork();
    if leader == 0 {
        call::lead_group();
        for _ in 0..count {
            let orphan = call::fork();
            if orphan == 0 {
                call::wait_for_signal(SIGUSR1);
            }
            if let Ok(number) = u32::try_from(orphan) {
                call::write(into, (&raw const number).cast(), size_of::<u32>());
            }
        }
        // Its children are process 1's from now on.
        return 0;
    }
    call::close(into);
    call::wait_for_child();
    write(Kind::Request, call::now_ns(), 0, 0);
    call::kill(-leader, SIGKILL);
    let mut gone_count = 0;
    while let Some(orphan) = call::read_number(numbers) {
        while call::kill(orphan as isize, 0) == 0 {
            call::sleep_ns(LOOK_NS);
        }
        gone_count += 1;
    }
    write(Kind::Reaped, call::now_ns(), 0, gone_count);
    u8::from(gone_count != u64::from(count))
}
