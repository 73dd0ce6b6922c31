//! This file runs a board under QEMU and watches its console.
//!
//! It guarantees that QEMU is gone when the [`Machine`] is dropped, that no wait is without a
//! deadline, and that a wait ends early, with the last lines of the console, when the kernel
//! panics or QEMU ends. It never judges what the guest says.

use crate::console::{Console, Found};
use crate::image::Image;
use anyhow::{Context, Result, anyhow, bail};
use manifests::board::Board;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the kernel says when it cannot go on.
const KERNEL_PANIC: &str = "Kernel panic - not syncing";

/// How often a wait looks whether QEMU still lives while the console is silent.
const POLL: Duration = Duration::from_millis(200);

/// How many of the console's last lines an error shows.
const TAIL_LINES: usize = 25;

/// How a board is booted.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Words added to the board's kernel command line.
    pub append: Vec<String>,
    /// Further QEMU arguments.
    pub arguments: Vec<String>,
    /// A boot loader that boots from a disk; neither kernel, initramfs nor words are given then.
    pub boot_loader: Option<PathBuf>,
    /// Whether a guest that reboots starts again; otherwise QEMU ends.
    pub reboots: bool,
}

/// A running machine.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    input: ChildStdin,
    console: Arc<Console>,
    reader: Option<JoinHandle<()>>,
    log: PathBuf,
    /// Where in the console's text the next wait begins.
    cursor: usize,
}

impl Machine {
    /// Starts `image` on `board`; every line of the console also goes to the file `log`.
    ///
    /// # Errors
    /// QEMU is not installed or does not start, or the log cannot be written.
    pub fn boot(board: &Board, image: &Image, options: &Options, log: &Path) -> Result<Self> {
        let words = qemu_words(board, &image.kernel, &image.initramfs, options);
        Self::spawn(board, &words, log)
    }

    /// Starts a kernel that needs nothing else.
    ///
    /// # Errors
    /// As [`Self::boot`].
    pub fn start(board: &Board, kernel: &Path, log: &Path) -> Result<Self> {
        let mut words = vec![board.qemu.program.clone()];
        words.extend(board.qemu.args.iter().cloned());
        words.extend(["-kernel".to_string(), kernel.display().to_string()]);
        Self::spawn(board, &words, log)
    }

    fn spawn(board: &Board, words: &[String], log: &Path) -> Result<Self> {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| anyhow!("{} has no QEMU program", board.name))?;
        let console = Arc::new(Console::new(log)?);
        let mut child = tied_to_us(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!(
                    "cannot run {program}; it is in the Debian package {}",
                    board.qemu.package
                )
            })?;
        let input = child
            .stdin
            .take()
            .ok_or_else(|| anyhow!("QEMU has no input"))?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| anyhow!("QEMU has no output"))?;
        let complaints = child
            .stderr
            .take()
            .ok_or_else(|| anyhow!("QEMU has no stderr"))?;
        let reader = read_into(console.clone(), output, complaints);
        Ok(Self {
            child,
            input,
            console,
            reader: Some(reader),
            log: log.to_path_buf(),
            cursor: 0,
        })
    }

    /// What the guest has written so far, each line with the time since the start of QEMU.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Waits until `text` appears after what the last wait found; returns the line it is in (as far
    /// as it was written) and when that line began.
    ///
    /// # Errors
    /// It does not appear before the deadline, the kernel panics, or QEMU ends.
    pub fn wait_for(&mut self, text: &str, within: Duration) -> Result<(Duration, String)> {
        let (_, time, line) = self.wait_for_any(&[text], within)?;
        Ok((time, line))
    }

    /// As [`Self::wait_for`], for the first of several texts; also tells which.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_for_any(
        &mut self,
        texts: &[&str],
        within: Duration,
    ) -> Result<(usize, Duration, String)> {
        let deadline = Instant::now() + within;
        let mut ended = false;
        loop {
            if let Some(Found {
                which,
                end,
                time,
                line,
            }) = self.console.find(self.cursor, texts)
            {
                self.cursor = end;
                return Ok((which, time, line));
            }
            let wanted = || {
                texts
                    .iter()
                    .map(|t| format!("{t:?}"))
                    .collect::<Vec<_>>()
                    .join(" or ")
            };
            if self.console.find(self.cursor, &[KERNEL_PANIC]).is_some() {
                // The lines after it tell where; they come at once.
                std::thread::sleep(POLL);
                bail!(
                    "the kernel panicked while waiting for {}\n{}",
                    wanted(),
                    self.tail()
                );
            }
            if ended {
                bail!(
                    "the machine ended while waiting for {}\n{}",
                    wanted(),
                    self.tail()
                );
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                bail!(
                    "no {} on the console within {:.0} s\n{}",
                    wanted(),
                    within.as_secs_f64(),
                    self.tail()
                );
            };
            self.console.wait_for_more(left.min(POLL));
            ended = self.has_ended()?;
        }
    }

    /// Lets the next wait look only at what comes from now on.
    pub fn skip_to_end(&mut self) {
        self.cursor = self.console.end();
    }

    /// Where the next wait begins to look.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// What the guest has written from `begin`, a [`Self::cursor`], until now.
    #[must_use]
    pub fn text(&self, begin: usize) -> String {
        self.console.text(begin)
    }

    /// Types into the guest's console.
    ///
    /// # Errors
    /// QEMU has ended.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        self.input
            .write_all(text.as_bytes())
            .context("typing into the guest's console")?;
        self.input
            .flush()
            .context("typing into the guest's console")
    }

    /// Waits until QEMU has ended, as after a power-off.
    ///
    /// # Errors
    /// It still runs at the deadline, or it reports a failure of its own.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !self.has_ended()? {
            if Instant::now() >= deadline {
                bail!(
                    "the machine still runs after {:.0} s\n{}",
                    within.as_secs_f64(),
                    self.tail()
                );
            }
            self.console.wait_for_more(POLL);
        }
        let status = self.child.wait().context("waiting for QEMU")?;
        if !status.success() {
            bail!("QEMU failed: {status}\n{}", self.tail());
        }
        Ok(())
    }

    /// Whether QEMU has ended and all it wrote was read.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn has_ended(&mut self) -> Result<bool> {
        if self
            .child
            .try_wait()
            .context("looking after QEMU")?
            .is_none()
        {
            return Ok(false);
        }
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has read what there was to read.
            let _ = reader.join();
        }
        Ok(true)
    }

    /// The last lines of the console, and where all of them are.
    #[must_use]
    pub fn tail(&self) -> String {
        format!(
            "the console's last lines (all are in {}):\n{}",
            self.log.display(),
            self.console.tail(TAIL_LINES)
        )
    }

    /// Hands the console to the user until the machine ends.
    ///
    /// # Errors
    /// The terminal cannot be set up, or QEMU fails.
    pub fn hand_over(mut self) -> Result<()> {
        let _terminal = crate::console::RawTerminal::enter()?;
        self.console.show_from_now();
        let mut stdin = std::io::stdin();
        let mut input = self.input.try_clone_for_typing()?;
        // The thread ends with the process: it may be blocked on a terminal nobody types into.
        std::thread::spawn(move || {
            let mut bytes = [0_u8; 256];
            while let Ok(count) = stdin.read(&mut bytes) {
                if count == 0 || input.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
        });
        while !self.has_ended()? {
            self.console.wait_for_more(POLL);
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only when QEMU has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same pipe once more, so that a thread can type while the machine is watched.
trait CloneForTyping {
    fn try_clone_for_typing(&self) -> Result<std::fs::File>;
}

impl CloneForTyping for ChildStdin {
    fn try_clone_for_typing(&self) -> Result<std::fs::File> {
        use std::os::fd::AsFd;
        let pipe = self
            .as_fd()
            .try_clone_to_owned()
            .context("duplicating QEMU's input")?;
        Ok(std::fs::File::from(pipe))
    }
}

fn read_into(
    console: Arc<Console>,
    mut output: impl Read + Send + 'static,
    mut complaints: impl Read + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let also = console.clone();
        let complaints = std::thread::spawn(move || {
            let mut bytes = [0_u8; 1024];
            while let Ok(count @ 1..) = complaints.read(&mut bytes) {
                also.append(&bytes[..count]);
            }
        });
        let mut bytes = [0_u8; 4096];
        while let Ok(count @ 1..) = output.read(&mut bytes) {
            console.append(&bytes[..count]);
        }
        let _ = complaints.join();
        console.close();
    })
}

/// Runs `program` so that it cannot outlive us, even if we are killed and cannot clean up.
fn tied_to_us(program: &str) -> Command {
    let found = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    // A missing program is to be told by its own name, not by that of the helper.
    if !found("setpriv") || !found(program) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// The command line of QEMU, program first.
pub(crate) fn qemu_words(
    board: &Board,
    kernel: &Path,
    initramfs: &Path,
    options: &Options,
) -> Vec<String> {
    let mut append = vec![board.kernel.append.clone()];
    append.extend(options.append.iter().cloned());
    let mut words = vec![board.qemu.program.clone()];
    let ends = |word: &&String| !(options.reboots && word.as_str() == "-no-reboot");
    words.extend(board.qemu.args.iter().filter(ends).cloned());
    words.extend(options.arguments.iter().cloned());
    if let Some(loader) = &options.boot_loader {
        words.extend(["-bios".to_string(), loader.display().to_string()]);
        return words;
    }
    let kernel = kernel.display().to_string();
    let initramfs = initramfs.display().to_string();
    words.extend([
        "-kernel".to_string(),
        kernel,
        "-initrd".to_string(),
        initramfs,
    ]);
    words.extend(["-append".to_string(), append.join(" ")]);
    words
}

#[cfg(test)]
mod tests;
