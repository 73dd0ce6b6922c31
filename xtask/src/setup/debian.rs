//! This file installs programs from Debian's packages, after saying which and why.
//!
//! It runs apt-get only as root; anybody else is shown the command and nothing is changed. A
//! package's recommendations are left out: a board needs no firmware of network cards.

use crate::process;
use anyhow::{Context, Result, bail};
use qemu_tests::progress::say;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Mirrors fail for moments; three tries with apt's own retries inside are enough to tell.
const TRY_COUNT_MAX: u32 = 3;

/// What surely fits on one line of a terminal.
const TERMINAL_CHARS: usize = 76;

/// A program that a command needs, and the Debian package that brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Name on `PATH`; none where the package is a library or must be Debian's own.
    pub program: Option<String>,
    /// Debian package.
    pub package: String,
    /// Completes "it ..", for the user.
    pub why: String,
}

impl Tool {
    fn is_there(&self) -> bool {
        match &self.program {
            Some(program) => process::find(program).is_some(),
            None => is_installed(&self.package),
        }
    }
}

/// Installs those of `tools` that are missing.
///
/// # Errors
/// Not root (the error is the command to type), no apt-get, or apt failed in every try.
pub fn ensure(tools: &[Tool]) -> Result<()> {
    if tools.iter().all(Tool::is_there) {
        return Ok(());
    }
    let _turn = super::turn()?;
    let missing: Vec<&Tool> = tools.iter().filter(|tool| !tool.is_there()).collect();
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package.as_str()).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    for tool in &missing {
        say(&format!(
            "set-up: {} is missing: it {}",
            tool.package, tool.why
        ));
    }
    if process::find("apt-get").is_none() {
        bail!(
            "this is no Debian machine: install {} and try again",
            packages.join(", ")
        );
    }
    if !is_root()? {
        let list = packages.join(" ");
        bail!(
            "installing needs root; type this and try again:\n\n    \
             sudo apt-get update && sudo apt-get install -y --no-install-recommends {list}\n"
        );
    }
    install(&packages)?;
    if let Some(tool) = missing.iter().find(|tool| !tool.is_there()) {
        let file = tool.program.as_deref().unwrap_or("file");
        bail!("{} was installed, but brought no {file}", tool.package);
    }
    Ok(())
}

/// The path of the file that `package` installed and whose path ends with `ending`.
pub fn file_of(package: &str, ending: &str) -> Result<PathBuf> {
    let list = process::capture(Command::new("dpkg").args(["-L", package]))?;
    list.lines()
        .find(|path| path.ends_with(ending))
        .map(PathBuf::from)
        .with_context(|| format!("Debian's package {package} has no file {ending}"))
}

/// Whether `package` is installed.
pub fn is_installed(package: &str) -> bool {
    let query = ["--show", "--showformat=${db:Status-Status}", package];
    process::capture(Command::new("dpkg-query").args(query))
        .is_ok_and(|status| status == "installed")
}

/// The process's own folder in `/proc` belongs to its effective user.
fn is_root() -> Result<bool> {
    let own = std::fs::metadata("/proc/self").context("cannot read /proc: is it mounted?")?;
    Ok(own.uid() == 0)
}

fn install(packages: &[&str]) -> Result<()> {
    say(&format!(
        "set-up: installing {} with apt-get",
        packages.join(", ")
    ));
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    let mut last = None;
    for number in 1..=TRY_COUNT_MAX {
        if number > 1 {
            say(&format!(
                "set-up: trying again ({number} of {TRY_COUNT_MAX})"
            ));
        }
        match apt(&["update"]).and_then(|()| apt(&install)) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    let list = packages.join(" ");
    let next = format!(
        "cannot install {list}: check the network and the machine's package sources, then try \
         `apt-get install --no-install-recommends {list}` by hand; \
         everything apt said is in target/setup/apt.log"
    );
    Err(last.context("no try was made")?.context(next))
}

/// Runs apt-get; all that it says goes to the log.
fn apt(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args([
            "-q",
            "-o",
            "Acquire::Retries=3",
            "-o",
            "DPkg::Lock::Timeout=600",
        ])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let path = crate::house::target().join("setup/apt.log");
    let mut log = OpenOptions::new().create(true).append(true).open(&path)?;
    command.stderr(log.try_clone()?);
    let mut child = command.spawn().context("cannot start apt-get")?;
    let output = child.stdout.take().context("apt-get has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        writeln!(log, "{line}")?;
        show(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "{} failed ({status}): {}",
            process::line(&command),
            last_error(&path)
        );
    }
    Ok(())
}

/// What a user wants to see of apt's output: how much, and on a terminal, that it goes on.
fn show(line: &str) {
    if line.starts_with("Need to get ") {
        say(&format!("  {line}"));
        return;
    }
    let progress = ["Get:", "Unpacking ", "Setting up "];
    if std::io::stderr().is_terminal() && progress.iter().any(|start| line.starts_with(start)) {
        let short: String = line.chars().take(TERMINAL_CHARS).collect();
        // One line, written over: return, text, and what was longer is erased.
        eprint!("\r  {short}\x1b[K\r");
    }
}

fn last_error(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let error = text.lines().rev().find(|line| line.starts_with("E: "));
    error.unwrap_or("see target/setup/apt.log").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_needs_no_set_up() {
        let why = "is on every machine".to_string();
        let shell = Tool {
            program: Some("sh".into()),
            package: "no-such-package".into(),
            why,
        };
        assert!(ensure(&[shell]).is_ok());
    }

    #[test]
    fn a_package_that_is_not_there_is_not_installed() {
        assert!(!is_installed("no-such-package"));
    }
}
