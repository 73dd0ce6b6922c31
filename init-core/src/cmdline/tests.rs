//! This file tests what users write on a kernel command line, and what they should not.

use super::*;
use crate::fixture::{BROKER, MANIFEST, ONLINE, RESCUE, Random};
use std::vec::Vec;

const QUIET: Option<LogLevel> = Some(LogLevel::Quiet);
const NORMAL: Option<LogLevel> = Some(LogLevel::Normal);
const DEBUG: Option<LogLevel> = Some(LogLevel::Debug);

fn read(line: &[u8]) -> (BootOptions, Vec<Warning<'_>>) {
    let mut options = BootOptions::default();
    let mut warnings = Vec::new();
    read_line(line, &MANIFEST, &mut options, &mut |warning| {
        warnings.push(warning);
    });
    (options, warnings)
}

#[test]
fn words_choose_target_and_log_level_and_the_later_word_wins() {
    let table: &[(&str, Option<crate::ident::UnitId>, Option<LogLevel>)] = &[
        ("", None, None),
        ("\n", None, None),
        ("console=ttyAMA0 root=/dev/vda2 ro panic=-1\n", None, None),
        ("single", Some(RESCUE), None),
        ("s", Some(RESCUE), None),
        ("S", Some(RESCUE), None),
        ("1", Some(RESCUE), None),
        ("rescue", Some(RESCUE), None),
        ("emergency", Some(RESCUE), None),
        ("\"single\"", Some(RESCUE), None),
        ("-- single", Some(RESCUE), None),
        ("3 5 auto -b", None, None),
        ("singles xsingle single=1 s= 1=1", None, None),
        ("quiet", None, QUIET),
        ("debug", None, DEBUG),
        ("debug=1 quiet=", None, None),
        ("quiet debug", None, DEBUG),
        ("debug sysmaster.log=quiet", None, QUIET),
        ("sysmaster.log=normal", None, NORMAL),
        ("sysmaster.target=broker", Some(BROKER), None),
        ("sysmaster.target=\"broker\"", Some(BROKER), None),
        ("\"sysmaster.target=broker\"", Some(BROKER), None),
        ("sysmaster.target=online single", Some(RESCUE), None),
        ("single sysmaster.target=online", Some(ONLINE), None),
        ("x=\"single quiet\" debug", None, DEBUG),
        ("x=\"unclosed single quiet", None, None),
        ("a\tsingle\u{b}quiet", Some(RESCUE), QUIET),
        ("single\0 sysmaster.target=online", Some(RESCUE), None),
        ("dyndbg=\"file x.c +p\" single", Some(RESCUE), None),
        (
            "sysmasterx.target=broker sysmaster=1 SYSMASTER.x=1",
            None,
            None,
        ),
    ];
    for &(line, target, log_level) in table {
        let (options, warnings) = read(line.as_bytes());
        assert_eq!(options, BootOptions { target, log_level }, "{line:?}");
        assert_eq!(warnings, [], "{line:?}");
    }
}

/// Line, word, column, length of the text from that column, problem. Each line also asks for a
/// quiet rescue.
const BAD_WORDS: [(&[u8], u16, u16, usize, Problem); 8] = [
    (
        b"quiet sysmaster.taget=x single",
        2,
        7,
        17,
        Problem::UnknownWord,
    ),
    (b"  sysmaster. quiet single", 1, 3, 10, Problem::UnknownWord),
    (
        b"quiet single sysmaster.target",
        3,
        14,
        16,
        Problem::NoValue,
    ),
    (b"quiet single sysmaster.log", 3, 14, 13, Problem::NoValue),
    (
        b"quiet single sysmaster.target=onlin",
        3,
        14,
        22,
        Problem::NoSuchTarget,
    ),
    (
        b"quiet single sysmaster.target=",
        3,
        14,
        17,
        Problem::NoSuchTarget,
    ),
    (
        b"quiet single sysmaster.log=loud\n",
        3,
        14,
        18,
        Problem::NoSuchLogLevel,
    ),
    (
        b"quiet sysmaster.target=\xff\xfe single",
        2,
        7,
        19,
        Problem::NoSuchTarget,
    ),
];

#[test]
fn a_bad_word_is_located_and_disturbs_nothing_else() {
    for (line, word, column, length, problem) in BAD_WORDS {
        let (options, warnings) = read(line);
        let at = usize::from(column) - 1;
        let text = &line[at..at + length];
        let expected = Warning {
            word,
            column,
            text,
            problem,
        };
        assert_eq!(warnings, [expected], "{}", line.escape_ascii());
        assert_eq!(options.target, Some(RESCUE), "{}", line.escape_ascii());
        assert_eq!(options.log_level, QUIET, "{}", line.escape_ascii());
        assert!(!problem.text().is_empty());
    }
    let (_, warnings) = read(b"\"sysmaster.log=lo ud\"");
    assert_eq!(warnings[0].text, b"sysmaster.log=lo ud");
}

#[test]
fn each_bad_word_is_reported_once_and_in_order() {
    let (_, warnings) = read(b"sysmaster.a sysmaster.b=1 sysmaster.a");
    let words: Vec<u16> = warnings.iter().map(|warning| warning.word).collect();
    let columns: Vec<u16> = warnings.iter().map(|warning| warning.column).collect();
    assert_eq!(
        (words, columns),
        (Vec::from([1, 2, 3]), Vec::from([1, 13, 27]))
    );
}

#[test]
fn rescue_without_a_rescue_target_is_a_warning() {
    let manifest = Manifest {
        rescue_target: None,
        ..MANIFEST
    };
    let mut options = BootOptions::default();
    let warning = read_argument(b"single", 4, &manifest, &mut options).unwrap_err();
    assert_eq!((warning.word, warning.column), (4, 0));
    assert_eq!(warning.problem, Problem::NoRescueTarget);
    assert_eq!(options, BootOptions::default());
}

#[test]
fn an_argument_of_process_1_is_read_like_a_word() {
    let mut options = BootOptions::default();
    for word in ["quiet", "sysmaster.target=broker", "--deserialize", ""] {
        assert_eq!(
            read_argument(word.as_bytes(), 1, &MANIFEST, &mut options),
            Ok(())
        );
    }
    assert_eq!(options.target, Some(BROKER));
    assert_eq!(options.log_level, QUIET);
}

/// Pieces that reach the deep branches far more often than single bytes would.
const PIECES: [&[u8]; 14] = [
    b"sysmaster.",
    b"target",
    b"log",
    b"=",
    b"\"",
    b" ",
    b"\n",
    b"\0",
    b"\xa0",
    b"\xff",
    b"online",
    b"quiet",
    b"single",
    b"a",
];

#[test]
fn random_lines_never_panic_and_every_warning_points_at_its_word() {
    let mut warned: u32 = 0;
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut line = Vec::new();
        for _ in 0..random.below(24) {
            match random.below(4) {
                0 => line.push(u8::try_from(random.below(256)).unwrap()),
                _ => line.extend_from_slice(PIECES[random.below(PIECES.len())]),
            }
        }
        let (options, warnings) = read(&line);
        for warning in &warnings {
            let at = usize::from(warning.column) - 1;
            let found = unquoted(&line[at..]).starts_with(warning.text);
            assert!(found, "seed {seed}: {}", line.escape_ascii());
            assert!(at == 0 || is_space(line[at - 1]), "seed {seed}");
        }
        warned += u32::try_from(warnings.len()).unwrap();
        if let Some(target) = options.target {
            assert!([ONLINE, RESCUE].contains(&target), "seed {seed}");
        }
    }
    assert!(
        warned > 1_000,
        "the generator reaches the warnings: {warned}"
    );
}
