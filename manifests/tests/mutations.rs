//! This file feeds the compiler damaged manifests: no panic, and every complaint has a place.
//!
//! Seeded and bounded: `MUTATIONS=100000 cargo test -p manifests --test mutations` does more, and a
//! failure prints the seed, which `SEED=n MUTATIONS=1` repeats.

use manifests::board::Board;
use manifests::compile::{Outcome, Request, compile, compile_text};
use manifests::{choose_board, emit, expand, house};
use std::path::{Path, PathBuf};

/// How many manifests are tried unless `MUTATIONS` says otherwise: a few seconds.
const COUNT: u64 = 1_500;

/// Most changes to one manifest.
const CHANGES_MAX: u64 = 4;

/// What is put in: words of the language, and what breaks careless readers.
const TOKENS: &[&str] = &[
    "\"\"",
    "\"{instance}\"",
    "\"{\"",
    "\"\\u0000\"",
    "[]",
    "[[]]",
    "{}",
    "-1",
    "99999999999999999999",
    "1e3",
    "2026-01-01",
    "true",
    "[service.a]",
    "[target.online]",
    "[task.setup]",
    "[mount.\"\"]",
    "[overlay.pc-x86_64.service.broker]",
    "[[service]]",
    "service = 1",
    "remove = [\"broker\"]",
    "include = [\"fuzz.toml\"]",
    "include = [\".\"]",
    "instances = [\"a\", \"a\"]",
    "requires = [\"online\"]",
    "binds-to = [\"broker\"]",
    "conflicts = [\"getty\"]",
    "before = [\"setup\", \"proc\"]",
    "after = [\"getty@ttyS0\"]",
    "start-timeout = \"18446744073709551615us\"",
    "mode = \"07777\"",
    "at = \"/proc/x\"",
    "at = \"/\"",
    "size = \"17179869184GiB\"",
    "stop-signal = \"RTMIN+30\"",
    "🦀",
    "\u{feff}",
    "\r",
    "\"\"\"",
    "'",
    "#",
    "=",
    ".",
    "\\",
];

/// Numbers that look random and are the same for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits fit") % end.max(1)
    }
}

fn mutate(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    for _ in 0..=random.below(usize::try_from(CHANGES_MAX).expect("a small number")) {
        let (at, other) = (random.below(lines.len()), random.below(lines.len()));
        let token = TOKENS[random.below(TOKENS.len())];
        match random.below(8) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[other].clone()),
            2 => lines.swap(at, other),
            3 => lines.insert(at, token.to_string()),
            4 => lines[at] = with_value(&lines[at], token),
            5 => lines[at] = with_value(&lines[at], &value_of(&lines[other])),
            6 => lines[at] = with_char(&lines[at], token, random),
            _ => lines.truncate(at.max(1)),
        }
        if lines.is_empty() {
            lines.push(String::new());
        }
    }
    lines.join("\n")
}

fn value_of(line: &str) -> String {
    line.split_once('=')
        .map_or("", |(_, value)| value.trim())
        .to_string()
}

fn with_value(line: &str, value: &str) -> String {
    let (key, _) = line.split_once('=').unwrap_or((line, ""));
    format!("{key} = {value}")
}

fn with_char(line: &str, token: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    let at = random.below(chars.len() + 1);
    if random.below(2) == 0 && at < chars.len() {
        chars.remove(at);
    } else {
        chars.splice(at..at, token.chars());
    }
    chars.into_iter().collect()
}

fn request<'a>(product: &'a Path, board: &'a Board, base: &'a Path) -> Request<'a> {
    Request {
        product,
        board,
        rootfs: None,
        base,
        check_only: false,
    }
}

/// The gateway as one text, comments left out.
fn seed_text(board: &Board, base: &Path) -> String {
    let path = base.join("manifests/products/gateway.toml");
    let outcome = compile(&request(&path, board, base));
    let expanded = expand::toml(&outcome.tree, &outcome.sources);
    let written = expanded
        .lines()
        .filter(|line| !line.ends_with("# built in"));
    let bare = written.filter_map(|line| line.rsplit_once(" # ").map(|(text, _)| text.trim_end()));
    bare.collect::<Vec<_>>().join("\n")
}

fn judge(outcome: &Outcome) {
    for problem in &outcome.problems {
        let spans = problem.related.iter().map(|(span, _)| *span);
        for span in spans.chain([problem.span]) {
            let source = outcome.sources.get(span.file);
            let source = source.unwrap_or_else(|| panic!("no file: {problem:?}"));
            let part = source.text.get(span.start..span.end);
            assert!(part.is_some(), "outside of the text: {problem:?}");
        }
        let said = problem.render(&outcome.sources, false);
        assert!(said.contains(problem.id.code()), "{said}");
    }
    let failed = outcome.problems.iter().any(|problem| problem.is_error());
    assert_eq!(
        failed,
        outcome.product.is_none(),
        "{}",
        outcome.render(false)
    );
    if let Some(product) = &outcome.product {
        assert!(emit::emit(product).contains("MANIFEST"));
    }
    assert!(expand::toml(&outcome.tree, &outcome.sources).contains("[product]"));
}

#[test]
fn a_damaged_manifest_gives_a_product_or_located_complaints() {
    let number = |name: &str, usual: u64| {
        let value = std::env::var(name).ok().and_then(|text| text.parse().ok());
        value.unwrap_or(usual)
    };
    let board = choose_board(Some("pc-x86_64")).expect("the house has a PC");
    let base = house();
    let text = seed_text(&board, &base);
    let path: PathBuf = base.join("manifests/products/fuzz.toml");
    let whole = compile_text(&request(&path, &board, &base), &text);
    assert_eq!(whole.render(false), "", "the seed is a good manifest");
    let first = number("SEED", 1);
    let (mut good, mut bad) = (0, 0);
    for seed in first..first + number("MUTATIONS", COUNT) {
        let text = mutate(
            &text,
            &mut Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
        );
        let tried = std::panic::catch_unwind(|| {
            let outcome = compile_text(&request(&path, &board, &base), &text);
            judge(&outcome);
            outcome.product.is_some()
        });
        match tried {
            Ok(true) => good += 1,
            Ok(false) => bad += 1,
            Err(_) => panic!("SEED={seed} MUTATIONS=1 repeats this:\n{text}"),
        }
    }
    if first == 1 {
        assert!(
            good > 0 && bad > 0,
            "{good} good and {bad} bad: nothing was tried"
        );
    }
}
