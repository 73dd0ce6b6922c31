//! This file runs the keeper where something is lacking: younger system calls, process numbers,
//! descriptors.

use super::filter::{self, ALL, FORBIDDEN, NOT_THERE, OF_4_14, RAISES_SIGSYS};
use super::kept::{self, BOTH, Kept};
use linux_raw_sys::general as abi;

/// EAGAIN, as a filter of system calls answers.
const NONE_LEFT: u32 = 0x0005_0000 | 11;

#[test]
fn a_keeper_needs_no_call_that_is_younger_than_4_14() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let up = folder.path().join("up");
    // Leaves somebody, and fails.
    let script = format!(
        "setsid sh -c 'trap \"echo asked; exit\" TERM; : > {0}; while :; do sleep 0.05; done' & \
         until [ -e {0} ]; do sleep 0.02; done; rm {0}; exit 4",
        up.display()
    );
    for place in BOTH {
        let rseq = (abi::__NR_rseq, NOT_THERE);
        for (act, calls) in [
            (NOT_THERE, [].as_slice()),
            (FORBIDDEN, &[]),
            // The C library of the programs registers that one without asking.
            (RAISES_SIGSYS, &[rseq]),
        ] {
            let words = filter::words((OF_4_14, act), calls);
            let first: Vec<&str> = words.iter().map(String::as_str).collect();
            let words = ["--restart=always:2", "--", "sh", "-c", &script];
            let Some(mut kept) = Kept::run_through(place, &first, &words) else {
                return;
            };
            let end = kept.end();
            assert_eq!(end, 4, "{place:?} {act:x}: {}", kept.output());
            let asked = kept.output().matches("asked").count();
            assert_eq!(asked, 3, "{place:?} {act:x}: {}", kept.output());
        }
    }
}

#[test]
fn a_keeper_without_a_process_number_tries_as_often_as_it_may_and_tells_why() {
    for place in BOTH {
        let words = filter::words((ALL, NOT_THERE), &[(abi::__NR_clone, NONE_LEFT)]);
        let first: Vec<&str> = words.iter().map(String::as_str).collect();
        // Nobody is left that could need it.
        let grace = "--grace=60min";
        let words = ["--restart=on-failure:2", grace, "--", "true"];
        let Some(mut kept) = Kept::run_through(place, &first, &words) else {
            return;
        };
        assert_eq!(kept.end(), 125, "{place:?}: {}", kept.output());
        let told = "no process for the command: Resource temporarily unavailable";
        let count = kept.output().matches(told).count();
        assert_eq!(count, 3, "{place:?}: {}", kept.output());
    }
}

/// Its command is one that needs no descriptor either.
#[test]
fn a_keeper_without_a_descriptor_keeps_its_command_all_the_same() {
    let Some(program) = kept::program() else {
        return;
    };
    let program = program.to_string_lossy();
    for place in BOTH {
        let first = ["sh", "-c", "ulimit -n 3; exec \"$@\"", "sh"];
        let words = [
            "--verbose",
            "--restart=always:1",
            "--",
            &program,
            "--version",
        ];
        let Some(mut kept) = Kept::run_through(place, &first, &words) else {
            return;
        };
        assert_eq!(kept.end(), 0, "{place:?}: {}", kept.output());
        let output = kept.output();
        for text in ["starts the command", "ended with exit code 0"] {
            assert_eq!(output.matches(text).count(), 2, "{place:?}: {output}");
        }
    }
}
