//! This file keeps what a guest writes to its console, with times, and finds texts in it.
//!
//! Every finished line also goes to a log file with its time. Control sequences that terminals
//! understand stay in the text; carriage returns and broken UTF-8 do not.

use anyhow::{Context, Result};
use rustix::termios::{self, OptionalActions, Termios};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// All that was written.
#[derive(Debug)]
pub struct Console {
    start: Instant,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug)]
struct State {
    text: String,
    /// For each line: where it begins in the text, and when.
    lines: Vec<(usize, Duration)>,
    /// Bytes of a character that is not complete yet.
    rest: Vec<u8>,
    log: File,
    show: bool,
    closed: bool,
}

/// Where a text was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which of the texts.
    pub which: usize,
    /// Where it ends.
    pub end: usize,
    /// When its line began.
    pub time: Duration,
    /// Its line, as far as it was written.
    pub line: String,
}

impl Console {
    /// An empty console whose time starts now.
    ///
    /// # Errors
    /// The log cannot be created.
    pub fn new(log: &Path) -> Result<Self> {
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let state = State {
            text: String::new(),
            lines: vec![(0, Duration::ZERO)],
            rest: Vec::new(),
            log: file,
            show: false,
            closed: false,
        };
        Ok(Self {
            start: Instant::now(),
            state: Mutex::new(state),
            more: Condvar::new(),
        })
    }

    /// Adds what was read.
    pub fn append(&self, bytes: &[u8]) {
        let time = self.start.elapsed();
        let mut state = self.lock();
        if state.show {
            // Whoever closed our output does not watch.
            let _ = std::io::stdout()
                .write_all(bytes)
                .and_then(|()| std::io::stdout().flush());
        }
        state.append(bytes, time);
        drop(state);
        self.more.notify_all();
    }

    /// Says that nothing more will come.
    pub fn close(&self) {
        let mut state = self.lock();
        if !state.text.ends_with('\n') {
            state.append(b"\n", self.start.elapsed());
        }
        state.closed = true;
        drop(state);
        self.more.notify_all();
    }

    /// Copies everything from now on to our own output too.
    pub fn show_from_now(&self) {
        self.lock().show = true;
    }

    /// Finds the first of `texts` at or after the byte `from`.
    #[must_use]
    pub fn find(&self, from: usize, texts: &[&str]) -> Option<Found> {
        let state = self.lock();
        let rest = state.text.get(from..)?;
        let found = texts.iter().enumerate().filter_map(|(which, text)| {
            let at = from + rest.find(text)?;
            Some((at, which, at + text.len()))
        });
        let (at, which, end) = found.min()?;
        let index = state
            .lines
            .partition_point(|(begin, _)| *begin <= at)
            .saturating_sub(1);
        let (begin, time) = *state.lines.get(index)?;
        let line = state
            .text
            .get(begin..)?
            .lines()
            .next()
            .unwrap_or_default()
            .to_string();
        Some(Found {
            which,
            end,
            time,
            line,
        })
    }

    /// Where the text ends now.
    #[must_use]
    pub fn end(&self) -> usize {
        self.lock().text.len()
    }

    /// The text from the byte `begin`.
    #[must_use]
    pub fn text(&self, begin: usize) -> String {
        self.lock()
            .text
            .get(begin..)
            .unwrap_or_default()
            .to_string()
    }

    /// Every finished line so far with the time it began.
    #[must_use]
    pub fn lines(&self) -> Vec<(Duration, String)> {
        let state = self.lock();
        let texts = state
            .text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let lines = state.lines.iter().zip(texts);
        lines
            .map(|((_, time), text)| (*time, text.trim_end().to_string()))
            .collect()
    }

    /// Waits until more was written or `within` has passed.
    pub fn wait_for_more(&self, within: Duration) {
        let state = self.lock();
        let before = state.text.len();
        if state.closed {
            drop(state);
            std::thread::sleep(within.min(Duration::from_millis(10)));
            return;
        }
        let same = |state: &mut State| state.text.len() == before && !state.closed;
        drop(self.more.wait_timeout_while(state, within, same));
    }

    /// The last lines.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let state = self.lock();
        let lines: Vec<&str> = state.text.lines().collect();
        let from = lines.len().saturating_sub(count);
        let lines = lines.iter().skip(from).map(|line| format!("    {line}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, bytes: &[u8], time: Duration) {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        // A character cut in two by the pipe waits for its other half.
        let cut = match std::str::from_utf8(&all) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => all.len(),
        };
        self.rest = all.split_off(cut);
        for c in String::from_utf8_lossy(&all).chars().filter(|c| *c != '\r') {
            if self
                .lines
                .last()
                .is_some_and(|(begin, _)| *begin == self.text.len())
            {
                // A line's time is that of its first character.
                self.lines.pop();
                self.lines.push((self.text.len(), time));
            }
            self.text.push(c);
            if c == '\n' {
                self.log_last_line();
                self.lines.push((self.text.len(), time));
            }
        }
    }

    fn log_last_line(&mut self) {
        if let Some((begin, time)) = self.lines.last() {
            let line = self.text.get(*begin..).unwrap_or_default();
            // The log is for later reading; a full disk must not end the run.
            let _ = write!(self.log, "{:9.3} {line}", time.as_secs_f64());
        }
    }
}

/// The user's terminal with every key passed on as it is; put back when dropped.
#[derive(Debug)]
pub struct RawTerminal {
    before: Option<Termios>,
}

impl RawTerminal {
    /// Makes stdin raw if it is a terminal.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(Self { before: None });
        }
        let before = termios::tcgetattr(&stdin).context("reading the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&stdin, OptionalActions::Now, &raw)
            .context("changing the terminal's settings")?;
        Ok(Self {
            before: Some(before),
        })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // If the terminal is gone there is nothing to put back.
            let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> (tempfile::TempDir, Console) {
        let folder = tempfile::tempdir().expect("a folder");
        let console = Console::new(&folder.path().join("log")).expect("a console");
        (folder, console)
    }

    #[test]
    fn a_text_is_found_in_its_line_and_only_once() {
        let (_folder, console) = console();
        console.append(b"one\r\ntwo three\r\nlog");
        console.append(b"in: ");
        let found = console.find(0, &["nothing", "three"]).expect("three");
        assert_eq!((found.which, found.line.as_str()), (1, "two three"));
        assert_eq!(console.find(found.end, &["three"]), None);
        let prompt = console
            .find(found.end, &["login:"])
            .expect("a line without its end");
        assert_eq!(prompt.line, "login: ");
    }

    #[test]
    fn the_earliest_of_several_texts_wins() {
        let (_folder, console) = console();
        console.append(b"b a\n");
        assert_eq!(
            console.find(0, &["a", "b"]).map(|found| found.which),
            Some(1)
        );
    }

    #[test]
    fn a_character_cut_in_two_is_put_together() {
        let (_folder, console) = console();
        let bytes = "grün".as_bytes();
        console.append(&bytes[..3]);
        console.append(&bytes[3..]);
        console.append(b"\xff\n");
        assert_eq!(
            console.lines().first().map(|line| line.1.as_str()),
            Some("grün\u{fffd}")
        );
    }

    #[test]
    fn every_line_goes_to_the_log_with_its_time() {
        let (folder, console) = console();
        console.append(b"one\ntwo");
        console.close();
        let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(
            log.lines().all(|line| line.trim_start().starts_with("0.")),
            "{log}"
        );
    }
}
