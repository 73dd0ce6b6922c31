//! This file is a platform without a kernel: scripted processes in virtual time.
//!
//! It is deterministic: the same scripts and the same calls give the same events at the same
//! times. Time only passes in [`EventSource::wait`]. It allocates and is for tests only.

use super::{Clock, ControlPort, EventSource, NO_SUCH_CALL, Platform, Power, Process, Wake};
use crate::checkpoint::words::Words;
use crate::effect::FinalAction;
use crate::event::{Errno, Event, ExitStatus};
use crate::ident::{Child, ClientId, Generation, Role, UnitId};
use crate::renewal::Image;
use crate::time::{Duration, Instant};
use crate::unit::{KillScope, Program, Readiness, Signal};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What one process does. The default runs for ever and dies of any signal at once.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// It cannot even be created.
    pub spawn_error: Option<Errno>,
    /// Says ready this long after its creation; `None`: never.
    pub ready_after: Option<Duration>,
    /// Ends by itself.
    pub exit: Option<(Duration, ExitStatus)>,
    /// Ends this long after its stop signal; `None`: ignores it.
    pub on_stop: Option<Duration>,
    /// Ends this long after SIGKILL; `None`: sleeps in the kernel and cannot be killed.
    pub on_kill: Option<Duration>,
}

impl Script {
    /// Runs for ever, ready at once, obeys signals at once.
    pub const RUNS: Self = Self {
        spawn_error: None,
        ready_after: Some(Duration::ZERO),
        exit: None,
        on_stop: Some(Duration::ZERO),
        on_kill: Some(Duration::ZERO),
    };

    /// Ends by itself after a while with an exit code.
    pub const fn exits(after: Duration, code: u8) -> Self {
        Self {
            exit: Some((after, ExitStatus::Code(code))),
            ..Self::RUNS
        }
    }
}

/// What was asked of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A process was asked for.
    Spawn(Child),
    /// A process was signalled.
    Signal(Child, Signal),
    /// All processes were signalled.
    SignalAll(Signal),
    /// A frame was sent to a client.
    Frame(ClientId),
    /// A client was disconnected.
    Close(ClientId),
    /// An image was tried.
    Try(ClientId),
    /// A trial was ended.
    EndTrial,
    /// A program was to be executed.
    Renew(Image),
    /// The program before is not needed any more.
    TakeOver,
    /// The last act.
    Finish(FinalAction),
}

/// A running process.
#[derive(Clone, Copy, Debug)]
struct Running {
    child: Child,
    pid: u32,
    script: Script,
}

/// A console that keeps what is written.
#[derive(Clone, Debug, Default)]
pub struct Console(pub Vec<u8>);

impl embedded_io::ErrorType for Console {
    type Error = core::convert::Infallible;
}

impl embedded_io::Write for Console {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The scripted platform.
#[derive(Clone, Debug, Default)]
pub struct Fake {
    now: Instant,
    /// What will happen, by time and then by the order in which it was arranged.
    agenda: BTreeMap<(Instant, u64), Wake>,
    arranged: u64,
    running: Vec<Running>,
    /// Scripts by unit and role, one for each start; the last is used again and again.
    scripts: BTreeMap<(u16, u8), Vec<Script>>,
    last_pid: u32,
    /// The last process that could not be created; asked for again, it cannot either.
    refused: Option<(Child, Errno)>,
    /// Somebody asked for `NoChildLeft`.
    owed_none_left: bool,
    /// Processes of no unit; they die of SIGKILL only if `stubborn`.
    pub orphans: u32,
    /// Whether orphans ignore SIGTERM.
    pub stubborn: bool,
    /// All that was asked, in order, with its time.
    pub acts: Vec<(Instant, Act)>,
    /// What people read.
    pub console: Console,
    /// The frame that each client sent last.
    pub frames: BTreeMap<u8, Vec<u8>>,
    /// The frames that clients were sent.
    pub replies: Vec<(ClientId, Vec<u8>)>,
    /// Set when a core began without a state.
    pub forsaken: bool,
    /// Set when the core waits for nothing and nothing will happen.
    pub idle: bool,
    /// The units that the image knows which stood its trial, if one did.
    pub known: Option<Vec<UnitId>>,
    /// Where the core's state is kept, if it is.
    pub keeps: Option<Words<'static>>,
    /// Why no image can be tried.
    pub untried: Option<Errno>,
}

impl Fake {
    /// Chooses what a unit's processes of one role do, one script a start.
    pub fn script(&mut self, unit: UnitId, role: Role, scripts: &[Script]) {
        let mut queue: Vec<Script> = scripts.to_vec();
        queue.reverse();
        self.scripts.insert(key(unit, role), queue);
    }

    /// Arranges that something happens after a while.
    pub fn arrange(&mut self, after: Duration, wake: Wake) {
        self.arranged = self.arranged.saturating_add(1);
        self.agenda
            .insert((self.now.after(after), self.arranged), wake);
    }

    /// Processes of one unit and role that exist.
    pub fn count(&self, unit: UnitId, role: Role) -> usize {
        let same = |one: &&Running| one.child.unit == unit && one.child.role == role;
        self.running.iter().filter(same).count()
    }

    /// Processes of units that exist.
    pub fn running_count(&self) -> usize {
        self.running.len()
    }

    /// Whether this very process exists.
    pub fn exists(&self, child: Child) -> bool {
        self.running.iter().any(|one| one.child == child)
    }

    /// Ends a unit's main process now.
    pub fn crash(&mut self, unit: UnitId, status: ExitStatus) {
        let main = |one: &&Running| one.child.unit == unit && one.child.role == Role::Main;
        if let Some(child) = self.running.iter().find(main).map(|one| one.child) {
            self.arrange(Duration::ZERO, Wake::Event(Event::Exited { child, status }));
        }
    }

    fn next_script(&mut self, child: Child) -> Script {
        let usual = match child.role {
            Role::Main => Script::RUNS,
            Role::Stop | Role::Probe => Script::exits(Duration::ZERO, 0),
        };
        let Some(queue) = self.scripts.get_mut(&key(child.unit, child.role)) else {
            return usual;
        };
        let last = queue.last().copied().unwrap_or(usual);
        if queue.len() > 1 {
            let _ = queue.pop();
        }
        last
    }

    fn deliver_signal(&mut self, target: Running, signal: Signal) {
        let after = if signal == Signal::KILL {
            target.script.on_kill
        } else {
            target.script.on_stop
        };
        if let Some(after) = after {
            let event = Event::Exited {
                child: target.child,
                status: ExitStatus::Signal {
                    number: signal.0,
                    core_dumped: false,
                },
            };
            self.arrange(after, Wake::Event(event));
        }
    }

    /// Whether the event can still happen; an exit removes its process.
    fn happens(&mut self, wake: Wake) -> bool {
        match wake {
            Wake::Event(Event::Exited { child, .. }) => {
                let before = self.running.len();
                self.running.retain(|one| one.child != child);
                self.running.len() < before
            }
            Wake::Event(Event::Ready(child)) => self.running.iter().any(|one| one.child == child),
            Wake::Event(Event::OrphanExited) => {
                self.orphans = self.orphans.saturating_sub(1);
                true
            }
            Wake::Event(_) | Wake::Frame(_) => true,
        }
    }

    fn act(&mut self, act: Act) {
        self.acts.push((self.now, act));
    }
}

fn key(unit: UnitId, role: Role) -> (u16, u8) {
    let role = match role {
        Role::Main => 0,
        Role::Stop => 1,
        Role::Probe => 2,
    };
    (unit.0, role)
}

impl Clock for Fake {
    fn now(&self) -> Instant {
        self.now
    }
}

impl EventSource for Fake {
    fn wait(&mut self, until: Option<Instant>, _taken_in: u32) -> Wake {
        loop {
            if self.owed_none_left && self.running.is_empty() && self.orphans == 0 {
                self.owed_none_left = false;
                return Wake::Event(Event::NoChildLeft);
            }
            let limit = until.unwrap_or(Instant::MAX).max(self.now);
            let due = self.agenda.first_key_value().map(|(&at, _)| at);
            match due {
                Some(at) if at.0 <= limit => {
                    self.now = self.now.max(at.0);
                    if let Some(wake) = self.agenda.remove(&at)
                        && self.happens(wake)
                    {
                        return wake;
                    }
                }
                Some(_) | None => {
                    self.idle = until.is_none();
                    self.now = until.map_or(self.now, |until| self.now.max(until));
                    return Wake::Event(Event::Tick);
                }
            }
        }
    }
}

impl Process for Fake {
    fn spawn(
        &mut self,
        child: Child,
        _program: Program,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno> {
        if let Some(there) = self.running.iter().find(|one| one.child == child) {
            return Ok(there.pid);
        }
        if let Some((refused, error)) = self.refused
            && refused == child
        {
            return Err(error);
        }
        self.act(Act::Spawn(child));
        let script = self.next_script(child);
        if let Some(error) = script.spawn_error {
            self.refused = Some((child, error));
            return Err(error);
        }
        self.last_pid = self.last_pid.saturating_add(1);
        let pid = self.last_pid;
        self.running.push(Running { child, pid, script });
        let says_ready = confirm || matches!(ready, Readiness::Newline(_) | Readiness::Letter);
        if let (true, Some(after)) = (says_ready, script.ready_after) {
            self.arrange(after, Wake::Event(Event::Ready(child)));
        }
        if let Some((after, status)) = script.exit {
            self.arrange(after, Wake::Event(Event::Exited { child, status }));
        }
        Ok(pid)
    }

    fn signal(&mut self, child: Child, signal: Signal, _scope: KillScope) {
        self.act(Act::Signal(child, signal));
        if let Some(target) = self.running.iter().find(|one| one.child == child).copied() {
            self.deliver_signal(target, signal);
        }
    }

    fn signal_all(&mut self, signal: Signal) {
        self.act(Act::SignalAll(signal));
        self.owed_none_left = true;
        for target in self.running.clone() {
            self.deliver_signal(target, signal);
        }
        if signal == Signal::KILL || !self.stubborn {
            for _ in 0..self.orphans {
                self.arrange(Duration::ZERO, Wake::Event(Event::OrphanExited));
            }
        }
    }
}

impl ControlPort for Fake {
    fn frame(&self, client: ClientId) -> &[u8] {
        self.frames.get(&client.slot).map_or(&[], Vec::as_slice)
    }
    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        self.act(Act::Frame(client));
        self.replies.push((client, frame.to_vec()));
    }
    fn close(&mut self, client: ClientId) {
        self.act(Act::Close(client));
    }
}

impl Power for Fake {
    fn finish(&mut self, action: FinalAction, _deadline: Instant) {
        self.act(Act::Finish(action));
    }
}

impl Platform for Fake {
    type Console = Console;
    fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    fn region(&self) -> Words<'static> {
        self.keeps.unwrap_or(Words::new(&[]))
    }

    fn forsake(&mut self) {
        self.forsaken = true;
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        let serves = |one: &&Running| one.child.unit == unit && one.child.role == role;
        let found = self.running.iter().find(serves)?;
        Some((found.child.generation, found.pid))
    }

    fn take_over(&mut self) {
        self.act(Act::TakeOver);
    }

    fn try_image(&mut self, client: ClientId) -> Result<(), Errno> {
        self.act(Act::Try(client));
        self.untried.map_or(Ok(()), Err)
    }

    fn end_trial(&mut self) {
        self.act(Act::EndTrial);
        self.known = None;
    }

    fn is_known(&self, unit: UnitId) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| known.contains(&unit))
    }

    fn has_passed_trial(&self) -> bool {
        self.known.is_some()
    }

    fn renew(&mut self, image: Image) -> Errno {
        self.act(Act::Renew(image));
        NO_SUCH_CALL
    }
}
