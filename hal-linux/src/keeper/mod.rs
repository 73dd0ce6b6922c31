//! This file is the smallest init: it waits for signals, reaps, and does what `init_core::keeper`
//! decides.
//!
//! It sleeps in one system call. What it opens it opens at its start, before anybody else runs: a
//! file system that never answers cannot hold it later. As process 1 its children are all
//! orphans of the machine or container; elsewhere it is a subreaper, and they are its command's.

mod end;
mod rest;
mod start;
mod words;

use crate::sys::clock::since_boot;
use crate::sys::fd::{self, Fd};
use crate::sys::process;
use crate::sys::signals::{Blocked, block_all};
use crate::sys::start::Arguments;
use crate::sys::vector::Vector;
use crate::sys::{group, wait};
use init_core::keeper::options::{self, Options, Order};
use init_core::keeper::{Action, Event, Keeper, OWN_FAILURE, Status};
use init_core::time::Duration;
use words::Voice;

/// Exits taken from the kernel before signals are looked at again: ten thousand orphans must not
/// keep a stop waiting for more than a moment (an exit costs about 5 us).
const REAP_PER_TURN_MAX: usize = 64;

const SIGKILL: u8 = 9;

/// Keeps the command that the arguments name; the exit code. As process 1 of a machine it returns
/// only where the kernel refuses to go down.
pub fn keep(arguments: Arguments) -> u8 {
    let all = arguments.vector();
    match options::parse(&|index| Some(all.from(index).first()?.to_bytes())) {
        Ok(Order::Keep(options, at)) => {
            let linux = Linux::new(&options, all.from(at), arguments.environment());
            linux.run()
        }
        Ok(Order::Help) => words::show(options::HELP),
        Ok(Order::Version) => words::show(concat!("keeper ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(complaint) => {
            words::refuse(&complaint);
            OWN_FAILURE
        }
    }
}

struct Linux<'o> {
    keeper: Keeper<'o>,
    options: &'o Options,
    command: Vector,
    environment: Vector,
    /// The signals that were blocked when we began.
    blocked: Blocked,
    own_pid: u32,
    voice: Voice,
    /// Where the kernel tells our children; `None`: the kernel or /proc lacks it.
    children: Option<Fd>,
    /// The group in front of the terminal, if it is ours: the command's is put there.
    terminal: Option<u32>,
    /// The command's process; 0: there is none.
    pid: u32,
    /// The exit code, at the end.
    end: Option<u8>,
}

impl<'o> Linux<'o> {
    fn new(options: &'o Options, command: Vector, environment: Vector) -> Self {
        let blocked = block_all();
        wait::keep_children();
        let own_pid = group::own_pid();
        if own_pid != 1 {
            group::adopt_orphans();
        }
        if let Some(signal) = options.parent_death {
            group::signal_at_parents_end(signal);
        }
        // From behind, nobody may take a terminal.
        let terminal = group::of_terminal().filter(|group| group::of(0) == Some(*group));
        Self {
            keeper: Keeper::new(options, since_boot()),
            options,
            command,
            environment,
            blocked,
            own_pid,
            voice: Voice::new(),
            children: fd::open_to_read(c"/proc/thread-self/children").ok(),
            terminal,
            pid: 0,
            end: None,
        }
    }

    fn run(mut self) -> u8 {
        let on_machine = self.own_pid == 1 && end::is_machine();
        self.perform_all(Some(Action::Start));
        loop {
            if let Some(code) = self.end {
                if let Some(group) = self.terminal {
                    group::give_terminal(group);
                }
                if on_machine {
                    end::go_down(self.options.finally);
                }
                return code;
            }
            // Before the look at who has ended: a start may fail, and then there may be nobody
            // whose end a signal would tell.
            self.step(Event::Time);
            let more = self.reap();
            let limit = match self.keeper.deadline() {
                _ if more || self.end.is_some() => Some(Duration::ZERO),
                deadline => deadline.map(|deadline| deadline.since(since_boot())),
            };
            match wait::signal(limit) {
                // What the kernel sends for our own writing to a closed pipe.
                Some((_, sender)) if sender == self.own_pid => {}
                Some((number, _)) => self.step(Event::Signal(number)),
                None => {}
            }
        }
    }

    /// Lets go who ended; whether there may be more.
    fn reap(&mut self) -> bool {
        for _ in 0..REAP_PER_TURN_MAX {
            match wait::ended() {
                Ok(Some(ended)) => {
                    if ended.pid == self.pid {
                        let status = if ended.by_signal {
                            Status::Signal(ended.status)
                        } else {
                            Status::Code(ended.status)
                        };
                        self.voice.ended(self.options, status);
                        // Still a zombie: its number, and so its group's, is nobody else's.
                        self.step(Event::Ended(status));
                        self.pid = 0;
                    }
                    wait::reap(ended.pid);
                }
                Ok(None) => {
                    if self.keeper.kills() {
                        self.signal_rest(SIGKILL);
                    }
                    return false;
                }
                Err(_) => {
                    self.step(Event::Alone);
                    return false;
                }
            }
        }
        true
    }

    fn step(&mut self, event: Event) {
        let action = self.keeper.step(event, since_boot());
        self.perform_all(action);
    }

    fn perform_all(&mut self, action: Option<Action>) {
        let event = action.and_then(|action| self.perform(action));
        if let Some(event) = event {
            // Only a start can fail, and what follows on that is no start.
            let action = self.keeper.step(event, since_boot());
            let _ = action.and_then(|action| self.perform(action));
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        self.voice.action(self.options, action);
        match action {
            Action::Start => match start::command(self) {
                Ok(pid) => self.pid = pid,
                Err(error) => {
                    self.voice.not_started(error);
                    return Some(Event::Ended(Status::NotStarted));
                }
            },
            Action::Pass(number) => self.signal_command(number),
            Action::Kill => self.signal_command(SIGKILL),
            Action::AskRest => self.signal_rest(init_core::keeper::signals::TERM),
            Action::KillRest => self.signal_rest(SIGKILL),
            Action::Finish(code) => self.end = Some(code),
        }
        None
    }

    fn signal_command(&self, number: u8) {
        // Fails where the command has just ended: then its end is on the way.
        let _ = if self.options.group {
            process::signal_group(self.pid, number)
        } else {
            process::signal(self.pid, number)
        };
    }
}
