//! This file works in a root shell on the guest's console, as a person at the serial line would.

use crate::machine::Machine;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// Until somebody answers on the console.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How long one key press is waited for before it is typed again.
const ANSWER_AGAIN: Duration = Duration::from_secs(4);

/// How long a command may take unless the caller says otherwise.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);

/// How long the shell sleeps between two looks at something that is waited for, in seconds.
const LOOK_AGAIN: &str = "0.2";

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code.
    pub code: u8,
    /// What it wrote, together with what others wrote on the console meanwhile.
    pub output: String,
}

/// A shell on the console of a running machine.
#[derive(Debug)]
pub struct Session<'a> {
    machine: &'a mut Machine,
    commands: u32,
}

impl<'a> Session<'a> {
    /// Gets a root shell, through a login if one asks for it, and makes sure that it answers.
    ///
    /// # Errors
    /// Neither a login nor a shell answers.
    pub fn open(machine: &'a mut Machine) -> Result<Self> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            // Keys typed before somebody listens are lost, so they are typed again.
            machine.skip_to_end();
            machine.type_text("\n")?;
            let found = machine.wait_for_any(&["login: ", "# "], ANSWER_AGAIN);
            if found.as_ref().is_ok_and(|(which, ..)| *which == 0) {
                machine.type_text("root\n")?;
                // What follows is seen by the command below, or by the next turn.
                let _ = machine.wait_for("# ", ANSWER_AGAIN);
            }
            if found.is_ok() {
                let mut session = Session {
                    machine: &mut *machine,
                    commands: 0,
                };
                if session.perform("true", ANSWER_AGAIN).is_ok() {
                    return Ok(Session {
                        machine,
                        commands: 1,
                    });
                }
            }
            if machine.has_ended()? || Instant::now() >= deadline {
                bail!("no shell answers on the console\n{}", machine.tail());
            }
        }
    }

    /// The machine.
    pub fn machine(&mut self) -> &mut Machine {
        self.machine
    }

    /// Types a command and waits until it has ended.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn command(&mut self, text: &str) -> Result<Outcome> {
        self.perform(text, COMMAND_WITHIN)
    }

    /// As [`Self::command`], and the command must succeed.
    ///
    /// # Errors
    /// It fails or does not end in time.
    pub fn success(&mut self, text: &str) -> Result<String> {
        let Outcome { code, output } = self.command(text)?;
        if code != 0 {
            bail!("`{text}` in the guest ended with exit code {code}:\n{output}");
        }
        Ok(output)
    }

    /// Repeats a command in the guest until it succeeds.
    ///
    /// # Errors
    /// It does not succeed within the time.
    pub fn until(&mut self, text: &str, within: Duration) -> Result<()> {
        let command = format!("until {text}; do sleep {LOOK_AGAIN}; done");
        self.perform(&command, within)
            .with_context(|| format!("`{text}` never succeeded"))?;
        Ok(())
    }

    /// Types a command that does not come back, such as `poweroff`.
    ///
    /// # Errors
    /// QEMU has ended.
    pub fn last_command(self, text: &str) -> Result<()> {
        self.leave(text).map(|_| ())
    }

    /// As [`Self::last_command`]; the machine, to see what comes of it.
    ///
    /// # Errors
    /// QEMU has ended.
    pub fn leave(self, text: &str) -> Result<&'a mut Machine> {
        self.machine.type_text(&format!("{text}\n"))?;
        Ok(self.machine)
    }

    fn perform(&mut self, text: &str, within: Duration) -> Result<Outcome> {
        self.commands += 1;
        let number = self.commands;
        // The terminal echoes what is typed; only the shell can do the sum, so only its answers
        // have the marks.
        let (begin, end) = (
            format!("<{}<", 1000 + number),
            format!(">{}>", 1000 + number),
        );
        self.machine.skip_to_end();
        let sum = format!("$((1000+{number}))");
        self.machine
            .type_text(&format!("echo '<'{sum}'<'; {text}; echo '>'{sum}'>'$?.\n"))?;
        let place = || format!("`{text}` in the guest");
        self.machine.wait_for(&begin, within).with_context(place)?;
        let output_begin = self.machine.cursor();
        self.machine.wait_for(&end, within).with_context(place)?;
        let code_begin = self.machine.cursor();
        self.machine
            .wait_for(".", ANSWER_AGAIN)
            .with_context(place)?;
        let code = self.machine.text(code_begin);
        let code = code.split('.').next().and_then(|code| code.parse().ok());
        let Some(code) = code else {
            bail!(
                "{}: the exit code cannot be read\n{}",
                place(),
                self.machine.tail()
            );
        };
        let output = self.machine.text(output_begin);
        let output = output
            .split(&end)
            .next()
            .unwrap_or_default()
            .trim_start()
            .to_string();
        Ok(Outcome { code, output })
    }
}
