//! This file writes docs/benchmarks.md from what was measured: who took part, on what machine, a
//! table for each row of the benchmark, and where sysMaster stands.
//!
//! A cell without samples holds the reason or a dash, never a number. Only the reasons why a row is
//! not won are ours, and not measured: `reasons`.

use super::contender::Contender;
use super::machine::Machine;
use super::reasons;
use super::sections::{Section, sections};
use bench_lives::contender::{FLOOR, OURS};
use bench_lives::extent::Extent;
use bench_lives::samples::{Samples, Summary};
use qemu_tests::peers::Leads;
use std::fmt::Write as _;
use std::path::Path;

/// The head of the table of places.
const TABLE: &str = "| row | sysMaster | best peer | ratio | floor | ratio | place |\n\
                     |---|---|---|---|---|---|---|\n";

/// Rows that wait for timers: where instructions are counted as time, a wait still takes what it
/// says, and their ratios are of no work.
const WAITING: [&str; 3] = ["restart.lived", "restart.soon", "down."];

/// Everything that the document is made of.
#[derive(Debug)]
pub struct Document<'a> {
    /// Who took part.
    pub contenders: &'a [Contender],
    /// Who did not, and why.
    pub left_out: &'a [String],
    /// What was measured.
    pub samples: &'a Samples,
    /// How much was measured.
    pub extent: &'a Extent,
    /// On what.
    pub machine: &'a Machine,
    /// The board, where it is not this machine's kernel.
    pub board: Option<&'a str>,
    /// Where it is written: what lies there can be linked.
    pub folder: &'a Path,
}

impl Document<'_> {
    /// All of it.
    pub fn text(&self) -> String {
        let sections = sections(self.extent);
        let mut text = self.head();
        self.standing(&mut text, &sections);
        self.who(&mut text);
        for section in &sections {
            self.table(&mut text, section);
        }
        text
    }

    /// sysMaster's place in every row that says it in one number.
    fn standing(&self, text: &mut String, sections: &[Section]) {
        text.push_str(
            "## Where sysMaster stands\n\n\
             The shipped composition, which heals itself; the best peer of each row; the floor, \
             which is a program of ours that does one clone and one exec a service and nothing \
             else.\n\n",
        );
        text.push_str(TABLE);
        let mut lost: Vec<(&str, Vec<String>)> = Vec::new();
        let mut above: Vec<(&str, Vec<String>)> = Vec::new();
        for section in sections {
            for (row, what) in &section.columns {
                let mut unranked = section.unranked.iter();
                if unranked.any(|it| row.starts_with(it)) {
                    continue;
                }
                let Some((place, line)) = self.place(section, row, what) else {
                    continue;
                };
                text.push_str(&line);
                let title = format!("{}: {what}", section.title);
                if let Some((most, reason)) = self.above_floor(row) {
                    note(&mut above, reason, format!("{title} (planned: {most})"));
                }
                if place.is_some_and(|place| place > 1) {
                    note(&mut lost, reasons::of(row), title);
                }
            }
        }
        text.push('\n');
        self.explain(text, "Where it is not first, and why", &lost);
        self.explain(
            text,
            "Where it is further above the floor than planned, and why",
            &above,
        );
    }

    /// Rows and the reasons for them, if there are any.
    fn explain(&self, text: &mut String, title: &str, reasons: &[(&str, Vec<String>)]) {
        if reasons.is_empty() {
            return;
        }
        let place = match self.board {
            Some(_) => ", and nobody has looked whether they hold on this board",
            None => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "### {title}\n\n\
             The reasons are not measured by this run: they are what its authors found on a desk's \
             kernel{place}.\n"
        );
        for (reason, titles) in reasons {
            let _ = writeln!(text, "- **{}.** {reason}", titles.join("; "));
        }
        text.push('\n');
    }

    /// How far it may be above the floor, and why it is further. On boards times are instructions.
    fn above_floor(&self, row: &str) -> Option<(f64, &'static str)> {
        let median = |name| Some(self.samples.summary(row, name)?.median);
        match self.board {
            Some(_) => None,
            None => reasons::above_floor(row, median(OURS)? / median(FLOOR)?),
        }
    }

    fn place(&self, section: &Section, row: &str, what: &str) -> Option<(Option<usize>, String)> {
        let ours = self.samples.summary(row, OURS)?.median;
        let mut peers: Vec<(f64, &Contender)> = self
            .contenders
            .iter()
            .filter(|it| it.is_ranked() && it.name() != OURS)
            .filter_map(|it| Some((self.samples.summary(row, it.name())?.median, it)))
            .collect();
        peers.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (best, who) = peers.first()?;
        let place = 1 + peers.iter().filter(|(value, _)| *value < ours).count();
        let floor = self.samples.summary(row, FLOOR).map(|it| it.median);
        let waits = self.board.is_some() && WAITING.iter().any(|it| row.starts_with(it));
        let place = (!waits).then_some(place);
        let ratio = |other| match waits {
            true => "-".to_string(),
            false => ratio(ours, other),
        };
        let shown = place.map(|place| format!("{place} of {}", peers.len() + 1));
        let (floor, to_floor) = match floor {
            Some(floor) => (number(floor), ratio(floor)),
            None => ("-".to_string(), "-".to_string()),
        };
        let line = format!(
            "| {}: {what}, {} | {} | {} ({}) | {} | {floor} | {to_floor} | {} |\n",
            section.title,
            section.unit,
            number(ours),
            number(*best),
            who.title,
            ratio(*best),
            shown.as_deref().unwrap_or("-"),
        );
        Some((place, line))
    }

    fn who(&self, text: &mut String) {
        text.push_str(
            "## Contenders\n\n\
             | contender | version | process 1 | linked | a service leads its own | restarts by \
             default |\n|---|---|---|---|---|---|\n",
        );
        for it in self.contenders {
            let leads = match it.leads {
                Leads::Session => "session",
                Leads::Group => "process group",
                Leads::Nothing => "nothing",
            };
            let (title, version, linkage, restart) =
                (&it.title, &it.version, it.linkage, &it.restart);
            let command = it.command_line();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {title} | {version} | `{command}` | {linkage} | {leads} | {restart} |"
            );
        }
        text.push('\n');
        for it in self.contenders {
            if let Some(differs) = &it.differs {
                let _ = writeln!(text, "Not ranked: {}: {differs}.\n", it.title);
            }
        }
        for words in self.left_out {
            let _ = writeln!(text, "{words}.\n");
        }
    }

    fn table(&self, text: &mut String, section: &Section) {
        let Section {
            title,
            unit,
            words,
            columns,
            plot,
            unranked: _,
            worst,
        } = section;
        let mut lines = String::new();
        for it in self.contenders {
            let cells: Vec<String> = columns
                .iter()
                .map(|(row, _)| self.cell(row, it.name(), worst.contains(&row.as_str())))
                .collect();
            if cells.iter().any(|cell| cell != "-") {
                let _ = writeln!(lines, "| {} | {} |", it.title, cells.join(" | "));
            }
        }
        if lines.is_empty() {
            return;
        }
        let _ = write!(text, "## {title}\n\n{words}\n\n| {unit} |");
        for (_, what) in columns {
            let _ = write!(text, " {what} |");
        }
        let _ = write!(text, "\n|---|{}\n", "---|".repeat(columns.len()));
        text.push_str(&lines);
        text.push('\n');
        if let (Some(plot), None) = (plot, self.board) {
            let _ = writeln!(text, "![{title}](plots/{plot}.svg)\n");
        }
    }

    fn cell(&self, row: &str, contender: &str, is_worst: bool) -> String {
        let summary = self.samples.summary(row, contender);
        let words = self.samples.words(row, contender);
        match (summary, words) {
            (Some(summary), _) if is_worst => number(summary.max),
            (Some(summary), _) => shown(summary),
            (None, Some(words)) => words,
            (None, None) => "-".to_string(),
        }
    }
}

/// Below this the README quotes lines of the document.
const QUOTED_UNDER: &str = "## Beside other inits";

/// The lines of the document that a text quotes, as they are there.
fn quoted(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .skip_while(|line| *line != QUOTED_UNDER)
        .skip(1);
    let part = lines.take_while(|line| !line.starts_with("## "));
    let rows = part.filter(|line| line.starts_with("| ") && !line.starts_with("| row "));
    rows.collect()
}

/// The README with the document's lines of today in place of those that it quotes.
pub fn quote(readme: &str, document: &str) -> String {
    let mut text = readme.to_string();
    for old in quoted(readme) {
        let row = old.split(" | ").next().unwrap_or(old);
        let begin = format!("{row} | ");
        if let Some(new) = document.lines().find(|line| line.starts_with(&begin)) {
            text = text.replacen(old, new, 1);
        }
    }
    text
}

fn shown(summary: Summary) -> String {
    let [median, low, high] = [summary.median, summary.low, summary.high].map(number);
    if low == high {
        return median;
    }
    format!("{median} ({low} to {high})")
}

/// Adds a title to those with the same reason.
fn note(reasons: &mut Vec<(&'static str, Vec<String>)>, reason: &'static str, title: String) {
    match reasons.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, titles)) => titles.push(title),
        None => reasons.push((reason, vec![title])),
    }
}

/// How many times the other. Nobody is a multiple of nothing, nor of less, as a difference may be.
fn ratio(ours: f64, other: f64) -> String {
    if other <= 0.0 || ours < 0.0 {
        return "-".to_string();
    }
    format!("{:.2}", ours / other)
}

/// Three digits that count, and thousands apart.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    if value.abs() < 100.0 {
        let decimals = if value.abs() < 1.0 {
            3
        } else if value.abs() < 10.0 {
            2
        } else {
            1
        };
        let text = format!("{value:.decimals$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contender::OURS_WITHOUT_HEALING;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let cases = [
            (0.0, "0"),
            (0.3456, "0.346"),
            (2.5, "2.5"),
            (12.34, "12.3"),
            (640.4, "640"),
            (84_790.0, "84 790"),
            (1_234_567.0, "1 234 567"),
        ];
        for (value, wanted) in cases {
            assert_eq!(number(value), wanted);
        }
    }

    fn contender(name: &str) -> Contender {
        Contender::example(name)
    }

    #[test]
    fn the_document_ranks_peers_and_neither_the_floor_nor_the_other_composition() {
        let names = [OURS, OURS_WITHOUT_HEALING, FLOOR, "one", "other"];
        let contenders = names.map(contender);
        let mut samples = Samples::default();
        for (name, value) in names.iter().zip([20.0, 1.0, 10.0, 40.0, 80.0]) {
            samples.add("boot.10", name, value);
        }
        samples.say("list", "one", "no such command");
        let document = Document {
            contenders: &contenders,
            left_out: &["nitro cannot be had".to_string()],
            samples: &samples,
            extent: &Extent::quick(),
            machine: &Machine::read(),
            board: None,
            folder: Path::new("/nonexistent"),
        };
        let text = document.text();
        let line = text.lines().find(|line| line.contains("| 20 |"));
        let line = line.expect("sysMaster has a place");
        assert!(
            line.contains("| 40 (one) | 0.50 | 10 | 2.00 | 1 of 3 |"),
            "{line}"
        );
        assert!(text.contains("no such command"));
        assert!(text.contains("nitro cannot be had."));
    }

    #[test]
    fn one_round_that_loses_services_is_not_hidden_by_the_others() {
        let contenders = [contender(OURS)];
        let mut samples = Samples::default();
        for lost in [0.0, 10.0, 0.0] {
            samples.add("heal.time", OURS, 1.0);
            samples.add("heal.lost", OURS, lost);
        }
        let document = Document {
            contenders: &contenders,
            left_out: &[],
            samples: &samples,
            extent: &Extent::quick(),
            machine: &Machine::read(),
            board: None,
            folder: Path::new("/nonexistent"),
        };
        let text = document.text();
        assert!(text.contains("| 1 | 10 | - | - | - | - |"), "{text}");
    }

    #[test]
    fn on_a_board_a_row_that_waits_has_no_place_and_what_is_less_is_told() {
        let contenders = [OURS, "one"].map(contender);
        let mut samples = Samples::default();
        for (name, value) in [(OURS, 20.0), ("one", 10.0)] {
            samples.add("boot.10", name, value);
            samples.add("restart.soon", name, value);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let extent = Extent::board(1);
        let document = Document {
            contenders: &contenders,
            left_out: &[],
            samples: &samples,
            extent: &extent,
            machine: &Machine::read(),
            board: Some("virt"),
            folder: folder.path(),
        };
        let text = document.text();
        assert!(text.contains("at once again, ms | 20 | 10 (one) | - | - | - | - |"));
        assert!(text.contains("10 services, ms | 20 | 10 (one) | 2.00 | - | - | 2 of 2 |"));
        assert!(
            text.contains("orphans at once: 1 000 instead of 10 000;"),
            "{text}"
        );
        assert!(!text.contains("benchmarks.md"));
        for file in ["benchmarks.md", "benchmarks-costs.md"] {
            std::fs::write(folder.path().join(file), "").expect("room");
        }
        assert!(document.text().contains("(benchmarks.md)"));
        let here = Document {
            board: None,
            ..document
        };
        assert!(here.text().contains("(benchmarks-costs.md)"));
    }

    #[test]
    fn the_readme_quotes_three_lines_of_the_document() {
        let read = |path: &str| {
            let text = std::fs::read_to_string(crate::house::root().join(path));
            text.expect("it is of the house")
        };
        let (readme, document) = (read("README.md"), read("docs/benchmarks.md"));
        let quoted = quoted(&readme);
        assert_eq!(quoted.len(), 3, "{quoted:?}");
        for line in quoted {
            assert!(
                document.lines().any(|it| it == line),
                "docs/benchmarks.md does not say: {line}"
            );
        }
    }

    #[test]
    fn what_the_readme_quotes_follows_the_document() {
        let readme =
            format!("{QUOTED_UNDER}\n{TABLE}| a, ms | 1 |\n| b | 2 |\n\n## Next\n| a, ms | 1 |\n");
        let document = format!("{TABLE}| b | 4 |\n| a, ms | 3 |\n");
        let wanted =
            format!("{QUOTED_UNDER}\n{TABLE}| a, ms | 3 |\n| b | 4 |\n\n## Next\n| a, ms | 1 |\n");
        assert_eq!(quote(&readme, &document), wanted);
    }

    #[test]
    fn a_ratio_to_nothing_or_to_less_is_no_number() {
        let cases = [
            (1.0, 2.0, "0.50"),
            (0.0, 2.0, "0.00"),
            (0.0, 0.0, "-"),
            (1.0, 0.0, "-"),
            (0.533, -0.044, "-"),
            (-0.044, -0.044, "-"),
            (-0.044, 0.533, "-"),
        ];
        for (ours, other, wanted) in cases {
            assert_eq!(ratio(ours, other), wanted, "{ours} to {other}");
        }
    }

    #[test]
    fn what_costs_the_floor_less_than_nothing_has_no_ratio_to_it() {
        let contenders = [OURS, FLOOR, "one"].map(contender);
        let mut samples = Samples::default();
        for (name, value) in [(OURS, 0.533), (FLOOR, -0.044), ("one", 0.089)] {
            samples.add("resident.each", name, value);
        }
        let extent = Extent::full(1);
        let document = Document {
            contenders: &contenders,
            left_out: &[],
            samples: &samples,
            extent: &extent,
            machine: &Machine::read(),
            board: None,
            folder: Path::new("/nonexistent"),
        };
        let text = document.text();
        let wanted = "each further, KiB | 0.533 | 0.089 (one) | 5.99 | -0.044 | - | 2 of 2 |";
        assert!(text.contains(wanted), "{text}");
    }
}
