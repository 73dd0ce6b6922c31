//! This file judges one source file by its lines: headers, lengths and paths.

use super::{Finding, Source, is_firmware};

/// Two pages side by side, and diffs that do not wrap.
const LINE_CHARS_MAX: usize = 100;
/// What fits on one screen.
const FUNCTION_LINES_MAX: usize = 70;
/// A file that grows past this has two subjects.
const FILE_LINES_MAX: usize = 500;

/// Beginnings of paths that exist on one machine only; in pieces, so as not to find themselves.
const MACHINE_PATHS: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/."), "/Users/"];

/// Calls that only let time pass. What waits for something waits for that, with a deadline.
const SLEEPS: [&str; 3] = ["nanosleep", "thread::sleep", "__NR_pause"];

/// All findings in one file.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = machine_paths(source);
    if source.is_rust() {
        findings.extend(header(source));
        findings.extend(lengths(source));
        findings.extend(functions(source));
        findings.extend(sleeps(source));
    }
    findings
}

fn sleeps(source: &Source) -> Vec<Finding> {
    let path = source.path.to_string_lossy();
    if !is_firmware(&path) {
        return Vec::new();
    }
    let found = |(at, line): (usize, &str)| {
        let call = SLEEPS.iter().find(|call| line.contains(**call))?;
        Some(source.finding(
            at + 1,
            format!("{call}: firmware waits for events, not for time"),
        ))
    };
    source.text.lines().enumerate().filter_map(found).collect()
}

fn machine_paths(source: &Source) -> Vec<Finding> {
    // Its own list names them.
    if source.path.ends_with("xtask/src/tidy/text.rs") || source.path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    let found = |(at, line): (usize, &str)| {
        let path = MACHINE_PATHS.iter().find(|path| line.contains(**path))?;
        Some(source.finding(at + 1, format!("{path}.. exists on one machine only")))
    };
    source.text.lines().enumerate().filter_map(found).collect()
}

fn header(source: &Source) -> Option<Finding> {
    let first = source.text.lines().next().unwrap_or_default();
    let what = "a file opens with a line `//! ..` that says what it does";
    (!first.starts_with("//! ")).then(|| source.finding(1, what))
}

fn lengths(source: &Source) -> Vec<Finding> {
    let count = source.text.lines().count();
    let long_file = (count > FILE_LINES_MAX)
        .then(|| source.finding(0, format!("{count} lines; at most {FILE_LINES_MAX}")));
    let long_lines = source.text.lines().enumerate().filter_map(|(at, line)| {
        let chars = line.chars().count();
        let what = format!("{chars} characters; at most {LINE_CHARS_MAX}");
        (chars > LINE_CHARS_MAX).then(|| source.finding(at + 1, what))
    });
    long_file.into_iter().chain(long_lines).collect()
}

/// Functions that are too long. rustfmt puts a function's last brace under its first letter.
fn functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if begins_function(line) {
            open.push((at, indent));
        }
        let ends = |indented: usize| indent == indented && line.trim_end().ends_with(['}', ';']);
        while let Some(&(start, indented)) = open.last() {
            if !ends(indented) {
                break;
            }
            open.pop();
            let count = at - start + 1;
            if count > FUNCTION_LINES_MAX {
                let what = format!("a function of {count} lines; at most {FUNCTION_LINES_MAX}");
                findings.push(source.finding(start + 1, what));
            }
        }
    }
    findings
}

fn begins_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let before = words.by_ref().take_while(|word| *word != "fn");
    let only_qualifiers = before.into_iter().all(|word| {
        word.starts_with("pub") || ["const", "unsafe", "extern", "\"C\"", "async"].contains(&word)
    });
    only_qualifiers && line.contains("fn ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let source = Source {
            path: "a.rs".into(),
            text: text.to_string(),
        };
        check(&source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_file_has_no_finding() {
        assert!(findings("//! This file is good.\n\nfn f() {\n    g();\n}\n").is_empty());
    }

    #[test]
    fn a_file_without_its_header_is_found() {
        let found = findings("fn f() {}\n");
        assert!(
            found
                .iter()
                .any(|finding| finding.starts_with("a.rs:1: a file opens"))
        );
    }

    #[test]
    fn a_long_line_is_found_where_it_is() {
        let text = format!(
            "//! This file is wide.\n// {}\n",
            "x".repeat(LINE_CHARS_MAX)
        );
        assert_eq!(findings(&text), ["a.rs:2: 103 characters; at most 100"]);
    }

    #[test]
    fn a_long_function_is_found_and_its_short_neighbour_is_not() {
        let body = "        g();\n".repeat(FUNCTION_LINES_MAX - 1);
        let text = format!(
            "//! This file is long.\nimpl X {{\n    pub const fn f() {{\n{body}    }}\n\n    \
             fn g() {{}}\n}}\n"
        );
        assert_eq!(
            findings(&text),
            ["a.rs:3: a function of 71 lines; at most 70"]
        );
    }

    #[test]
    fn a_long_file_is_found() {
        let text = format!(
            "//! This file is long.\n{}",
            "// x\n".repeat(FILE_LINES_MAX)
        );
        assert_eq!(findings(&text), ["a.rs:1: 501 lines; at most 500"]);
    }

    #[test]
    fn a_call_that_only_lets_time_pass_is_found_in_firmware_and_nowhere_else() {
        let text = "//! This file sleeps.\nfn f() { nanosleep(1) }\n";
        let at = |path: &str| {
            let source = Source {
                path: path.into(),
                text: text.to_string(),
            };
            check(&source).len()
        };
        for room in ["init-core", "hal-linux", "board/c", "extends/client"] {
            assert_eq!(at(&format!("{room}/src/a.rs")), 1, "{room}");
        }
        assert_eq!(at("hal-linux/tests/a.rs"), 0);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let text = format!("//! This file is lost.\n// {}me/x\n", "/ho");
        assert_eq!(findings(&text).len(), 1);
    }
}
