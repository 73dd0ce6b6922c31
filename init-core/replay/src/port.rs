//! This file is the platform of a replay: it hands out what was recorded and answers as the device
//! did. What the core asks for is written down; nothing is done.

use crate::trouble::Trouble;
use crate::words::{Names, action};
use crate::{replay::Step, tape};
use init_core::checkpoint::recording::{self, Recording};
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{Entry, Happening};
use init_core::effect::FinalAction;
use init_core::event::{BootOptions, Errno, Event};
use init_core::hal::fake::Console;
use init_core::hal::{Clock, ControlPort, EventSource, Platform, Power, Process, Wake};
use init_core::ident::{Child, ClientId};
use init_core::protocol::{Response, decode};
use init_core::renewal::{Handover, Image};
use init_core::time::Instant;
use init_core::unit::{KillScope, Program, Readiness, Signal};
use std::cell::{Cell, RefCell};

/// EIO: what is asked for after the recording's end.
const NO_ANSWER: Errno = Errno(5);

/// What is performed, and how far it is.
pub struct Source<'r> {
    pub recording: Recording<'r>,
    pub region: Words<'static>,
    pub names: Names,
    /// The next entry.
    pub next: Cell<u32>,
    /// The one behind the last.
    pub end: u32,
    pub now: Cell<Instant>,
    /// Nothing that follows in this life happened.
    pub is_over: Cell<bool>,
    pub steps: RefCell<Vec<Step>>,
    pub trouble: RefCell<Option<Trouble>>,
}

impl Source<'_> {
    /// The next entry, if there is one.
    pub fn peek(&self) -> Option<Entry> {
        let number = self.next.get();
        if number == self.end {
            return None;
        }
        self.recording.entry(number)
    }

    /// Takes the next entry, which found this state. `false`: it is another.
    pub fn take(&self, entry: Entry) -> bool {
        let units = self.names.0.units.len();
        if recording::sum(self.region, units) != entry.before {
            self.fail(Trouble::Differs {
                step: self.last_step(),
                what: None,
            });
            return false;
        }
        self.next.set(self.next.get().wrapping_add(1));
        if entry.at != Instant::ZERO {
            self.now.set(entry.at);
        }
        true
    }

    /// The step before the next entry, as a person counts.
    pub fn last_step(&self) -> Option<u32> {
        self.steps.borrow().last().map(|step| step.number)
    }

    /// Takes the next entry as the beginning of a step.
    pub fn begin(&self, entry: Entry) -> bool {
        let number = self.next.get();
        if !self.take(entry) {
            return false;
        }
        tape::begin(self.region);
        self.steps.borrow_mut().push(Step {
            number,
            at: self.now.get(),
            what: self.names.happening(entry.what),
            effects: Vec::new(),
            said: Vec::new(),
            changes: Vec::new(),
        });
        true
    }

    pub fn fail(&self, trouble: Trouble) {
        self.trouble.borrow_mut().get_or_insert(trouble);
        self.end_life();
    }

    /// The life that is performed ends here.
    fn end_life(&self) {
        self.is_over.set(true);
        tape::stop();
    }

    fn note(&self, words: String) {
        if let (false, Some(step)) = (self.is_over.get(), self.steps.borrow_mut().last_mut()) {
            step.effects.push(words);
        }
    }

    /// The answer to something that the core asks for: the next entry, if it is one.
    fn answer<T>(&self, asked: &str, of: impl FnOnce(Event) -> Option<T>) -> Option<T> {
        if self.is_over.get() {
            return None;
        }
        let Some(entry) = self.peek() else {
            self.end_life();
            return None;
        };
        let Happening::Event(event) = entry.what else {
            self.end_life();
            return None;
        };
        let Some(answer) = of(event) else {
            self.fail(Trouble::OtherAnswer {
                number: self.next.get(),
                asked: asked.to_string(),
                found: self.names.event(event),
            });
            return None;
        };
        self.take(entry).then_some(answer)
    }
}

/// The device, as a life of process 1 has it.
pub struct Port<'s, 'r> {
    pub source: &'s Source<'r>,
    pub console: Console,
}

impl Clock for Port<'_, '_> {
    fn now(&self) -> Instant {
        self.source.now.get()
    }
}

impl EventSource for Port<'_, '_> {
    fn wait(&mut self, _: Option<Instant>, _: u32) -> Wake {
        let source = self.source;
        match source.peek().map(|entry| (entry, entry.what)) {
            Some((entry, Happening::Event(event))) if source.begin(entry) => Wake::Event(event),
            Some(_) | None => Wake::Event(Event::Tick),
        }
    }
}

impl Process for Port<'_, '_> {
    fn spawn(&mut self, child: Child, _: Program, _: Readiness, _: bool) -> Result<u32, Errno> {
        let name = self.source.names.child(child);
        let asked = format!("start {name}");
        let answer = self.source.answer(&asked, |event| match event {
            Event::Spawned { child: one, pid } if one == child => Some(Ok(pid)),
            Event::SpawnFailed { child: one, error } if one == child => Some(Err(error)),
            _ => None,
        });
        match answer {
            Some(Ok(pid)) => self.source.note(format!("{asked}: process {pid}")),
            Some(Err(error)) => self.source.note(format!("{asked}: error {}", error.0)),
            None => {}
        }
        answer.unwrap_or(Err(NO_ANSWER))
    }

    fn signal(&mut self, child: Child, signal: Signal, scope: KillScope) {
        let name = self.source.names.child(child);
        let whole = match scope {
            KillScope::Process => "",
            KillScope::Group => " and its group",
        };
        self.source
            .note(format!("signal {} to {name}{whole}", signal.0));
    }

    fn signal_all(&mut self, signal: Signal) {
        self.source.note(format!("signal {} to all", signal.0));
    }
}

impl ControlPort for Port<'_, '_> {
    fn frame(&self, _: ClientId) -> &[u8] {
        &[]
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        let words = match decode::<Response<'_>>(frame) {
            Ok(response) => format!("{response:?}"),
            Err(malformed) => format!("{malformed:?}"),
        };
        self.source
            .note(format!("answer client {}: {words}", client.slot));
    }

    fn close(&mut self, client: ClientId) {
        self.source
            .note(format!("hang up on client {}", client.slot));
    }
}

impl Power for Port<'_, '_> {
    fn finish(&mut self, what: FinalAction, _: Instant) {
        self.source.note(action(what));
    }
}

impl Platform for Port<'_, '_> {
    type Console = Console;

    fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    fn region(&self) -> Words<'static> {
        self.source.region
    }

    fn handover(&self) -> Handover {
        let entry = self.source.peek();
        match entry.map(|entry| (entry, entry.what)) {
            Some((entry, Happening::Event(Event::Resumed(why)))) if self.source.begin(entry) => why,
            Some(_) | None => Handover::Fault,
        }
    }

    fn try_image(&mut self, client: ClientId) -> Result<(), Errno> {
        self.source
            .note(format!("try the image of client {}", client.slot));
        // The trial goes on beside everything else; only a refusal comes at once.
        let entry = self.source.peek();
        match entry.map(|entry| (entry, entry.what)) {
            Some((entry, Happening::Event(Event::NotTried(error)))) if self.source.take(entry) => {
                Err(error)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn end_trial(&mut self) {
        self.source.note("end the image's trial".to_string());
    }

    fn renew(&mut self, image: Image) -> Errno {
        let asked = format!("execute {image:?} program");
        self.source.note(asked.clone());
        if image == Image::Same {
            return NO_ANSWER;
        }
        let answer = self.source.answer(&asked, |event| match event {
            Event::NotRenewed(error) => Some(error),
            _ => None,
        });
        answer.unwrap_or(NO_ANSWER)
    }
}

impl Port<'_, '_> {
    /// How a machine is to be booted, if that is next.
    pub fn boot_options(&self) -> Option<BootOptions> {
        let entry = self.source.peek()?;
        match entry.what {
            Happening::Event(Event::Boot(options)) if self.source.begin(entry) => Some(options),
            Happening::Event(_) | Happening::Life { .. } | Happening::Gap => None,
        }
    }
}
