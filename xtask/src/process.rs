//! This file runs other programs and says plainly what went wrong with one.
//!
//! A program gets no standard input, so that none can wait for an answer that nobody gives.

use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How long what a program wrote before its end may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 10_000 });

/// How often a bounded program is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs `command` with its output on ours for at most `limit`; an unsuccessful end is an error.
pub fn run_shown(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", name(command)))?;
    let status = wait(command, &mut child, limit)?;
    if !status.success() {
        bail!("{} failed ({status})", line(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote; an unsuccessful end is an error with its last words.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} failed ({}): {}",
            line(command),
            output.status,
            words.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` to its end, whatever that is.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))
}

/// Runs `command` to its end, whatever that is, and returns what it wrote to either output, in the
/// order in which it was written.
pub fn told(command: &mut Command) -> Result<(String, ExitStatus)> {
    let (mut reader, writer) = std::io::pipe()?;
    let name = name(command);
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    // Our ends of the pipe.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, pieces) = channel();
    std::thread::spawn(move || {
        let mut piece = [0; 1 << 16];
        while let Ok(count @ 1..) = reader.read(&mut piece) {
            if sender.send(piece[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let status = child.wait()?;
    // What it left behind may hold the pipe for ever, and says nothing that is waited for.
    let until = Instant::now() + LAST_WORDS;
    let mut words = Vec::new();
    while let Ok(piece) = pieces.recv_timeout(until.saturating_duration_since(Instant::now())) {
        words.extend(piece);
    }
    Ok((String::from_utf8_lossy(&words).into_owned(), status))
}

/// Runs `command` for at most `limit`; on any failure the error holds its last words.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", name(command)))?;
    // Read beside the wait: a full pipe would hold the child for ever.
    let pipe = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut words = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks leaves fewer words to show, which is all they are for.
            let _ = pipe.read_to_end(&mut words);
        }
        String::from_utf8_lossy(&words).into_owned()
    });
    let status = wait(command, &mut child, limit)?;
    let words = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    let cause = words
        .lines()
        .find_map(|line| line.strip_prefix("error: "))
        .unwrap_or(&words);
    bail!("{} failed ({status}): {}", line(command), cause.trim());
}

/// Waits for the end of `child`, and kills it after `limit`.
fn wait(command: &Command, child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if begin.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            bail!(
                "{} took more than {} s and was stopped",
                line(command),
                limit.as_secs()
            );
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The command as it can be typed.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    ];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Where `program` lies: on `PATH`, or where Debian puts what only root needs.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let error = run_within(Command::new("sleep").arg("60"), Duration::from_millis(100))
            .expect_err("it sleeps for a minute");
        assert!(
            error.to_string().contains("sleep 60 took more than 0 s"),
            "{error}"
        );
    }

    #[test]
    fn a_failing_program_is_quoted_with_its_error_line() {
        let script = "echo info: trying >&2; echo error: no such thing >&2; exit 3";
        let error = run_within(
            Command::new("sh").args(["-c", script]),
            Duration::from_secs(60),
        )
        .expect_err("it exits with 3");
        assert!(error.to_string().ends_with(": no such thing"), "{error}");
    }

    #[test]
    fn what_a_program_tells_comes_in_its_order() {
        let script = "echo one; echo two >&2; echo three; exit 3";
        let (words, status) = told(Command::new("sh").args(["-c", script])).expect("sh is there");
        assert_eq!(
            (words.as_str(), status.code()),
            ("one\ntwo\nthree\n", Some(3))
        );
    }

    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let script = "sleep 600 & echo $!";
        let (words, status) = told(Command::new("sh").args(["-c", script])).expect("sh is there");
        assert!(status.success());
        let left = words.trim();
        let killed = output(Command::new("kill").arg(left)).expect("kill is there");
        assert!(killed.status.success(), "{left} still runs");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = output(&mut Command::new("no-such-program")).expect_err("it is not there");
        assert_eq!(error.to_string(), "cannot start no-such-program");
    }
}
