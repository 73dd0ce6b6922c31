//! This file is the HAL between the driver and the simulated kernel: every call is a crossing at
//! which process 1 may die, on the way in or on the way out.

use super::{Handed, World};
use init_core::checkpoint::words::Words;
use init_core::effect::FinalAction;
use init_core::event::{Errno, Event};
use init_core::hal::fake::Console;
use init_core::hal::{Clock, ControlPort, EventSource, Platform, Power, Process, Wake};
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::renewal::{Handover, Image};
use init_core::time::{Duration, Instant};
use init_core::unit::{KillScope, Program, Readiness, Signal};

/// EAGAIN: no process can be made.
const TRY_AGAIN: Errno = Errno(11);

/// The machine, as a life of process 1 has it.
pub struct Port<'w>(pub &'w mut World);

impl Clock for Port<'_> {
    fn now(&self) -> Instant {
        self.0.asked_for.set(self.0.now);
        self.0.now
    }
}

impl EventSource for Port<'_> {
    fn wait(&mut self, until: Option<Instant>, taken_in: u32) -> Wake {
        let world = &mut *self.0;
        world.cross();
        world.settle(taken_in);
        world.cross();
        let wake = world.sleep(until);
        world.cross();
        wake
    }
}

impl Process for Port<'_> {
    fn spawn(
        &mut self,
        child: Child,
        program: Program,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno> {
        let world = &mut *self.0;
        world.cross();
        let outcome = world.start(child, program, ready, confirm);
        world.cross();
        outcome
    }

    fn signal(&mut self, child: Child, signal: Signal, _scope: KillScope) {
        let world = &mut *self.0;
        world.cross();
        world.is_due();
        let kills = signal == Signal::KILL;
        if child.unit.index() < world.manifest.units.len() {
            let now = world.asked_for.get().as_us();
            world.model.signalled(child, kills, now);
        }
        let target = |one: &&super::Process| one.child == Some(child);
        if let Some(serial) = world.processes.iter().find(target).map(|one| one.serial) {
            world.hit(serial, signal.0, kills);
        }
        world.note(&|| format!("signal {} to {child:?}", signal.0));
        world.cross();
    }

    fn signal_all(&mut self, signal: Signal) {
        let world = &mut *self.0;
        world.cross();
        world.alone = true;
        world.alone_told = false;
        let kills = signal == Signal::KILL;
        world.killed_all |= kills;
        let living = world.processes.iter().filter(|one| one.ended.is_none());
        let living: Vec<u64> = living.map(|one| one.serial).collect();
        for serial in living {
            world.hit(serial, signal.0, kills);
        }
        world.note(&|| format!("signal {} to all", signal.0));
        world.cross();
    }
}

impl ControlPort for Port<'_> {
    fn frame(&self, client: ClientId) -> &[u8] {
        self.0.frame_of(client)
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        let world = &mut *self.0;
        world.cross();
        world.is_due();
        if world.begin_answer(client) {
            world.cross();
            world.answer(client, frame);
            world.cross();
            world.end_answer(client);
        }
        world.cross();
    }

    fn close(&mut self, client: ClientId) {
        let world = &mut *self.0;
        world.cross();
        world.hang_up(client);
        world.cross();
    }
}

impl Power for Port<'_> {
    fn finish(&mut self, action: FinalAction, _deadline: Instant) {
        let world = &mut *self.0;
        world.cross();
        if world.finished.replace(action).is_some() {
            world.model.fail("a second last act");
        }
        // One that came after all were killed may be there.
        let lives = world.processes.iter().any(|one| one.ended.is_none());
        if lives && !world.killed_all {
            world
                .model
                .fail("the machine ends with a process that was not killed");
        }
        world.spare();
        world.note(&|| format!("{action:?}"));
    }
}

impl Platform for Port<'_> {
    type Console = Console;

    fn console(&mut self) -> &mut Console {
        self.0.cross();
        &mut self.0.console
    }

    fn region(&self) -> Words<'static> {
        self.0.words()
    }

    fn handover(&self) -> Handover {
        self.0.handover
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        let world = &mut *self.0;
        world.cross();
        let serves = |child: Child| child.unit == unit && child.role == role;
        let mut processes = world.processes.iter();
        let found = processes.find(|one| one.child.is_some_and(serves));
        found.and_then(|one| Some((one.child?.generation, one.pid)))
    }

    fn forsake(&mut self) {
        let world = &mut *self.0;
        world.cross();
        world.forsake();
        world.cross();
    }

    fn take_over(&mut self) {
        self.0.cross();
    }

    fn feed(&mut self, _sick: &dyn Fn() -> Option<&'static str>) -> Option<Instant> {
        let world = &mut *self.0;
        world.cross();
        let next = world.feed();
        world.cross();
        next
    }

    fn settle(&mut self) {
        // It dies before it gives anything back, or after that.
        self.0.cross();
        self.0.cross();
    }

    fn renew(&mut self, _image: Image) -> Errno {
        let world = &mut *self.0;
        world.cross();
        world.renews = true;
        world.store.calls = 0;
        world.cross();
        Errno(0)
    }
}

impl World {
    /// What was handed out is the core's, or is handed out again.
    fn settle(&mut self, taken_in: u32) {
        // Whose process it was may not be known any more: its end is not told again.
        let of_a_process = matches!(self.handed, Some(Handed::Exit(_) | Handed::Ready(_)));
        let is_forsaken = std::mem::take(&mut self.is_forsaken) && !of_a_process;
        let was_lost = self.is_new && (self.stamp == taken_in || is_forsaken);
        self.is_new = false;
        self.taken_in = taken_in;
        if self.handed.is_some() {
            self.model.settled(was_lost);
        }
        match self.handed {
            Some(Handed::Frame(slot)) if was_lost => self.hear_again(slot),
            Some(Handed::Frame(slot)) => self.consume(slot),
            _ if was_lost => {}
            Some(Handed::Exit(serial)) => {
                if let Some(place) = self.processes.iter().position(|one| one.serial == serial) {
                    let gone = self.processes.remove(place);
                    match (gone.child, gone.ended) {
                        (Some(child), Some(status)) => {
                            self.model.reaped(child, crate::rules::code(status))
                        }
                        _ => self.model.orphans += 1,
                    }
                }
            }
            Some(Handed::Ready(serial)) => {
                if let Some(process) = self.process_mut(serial) {
                    process.word = false;
                }
            }
            Some(Handed::Signal) => drop(self.signals.pop_front()),
            None => {}
        }
        self.cross();
        self.handed = None;
    }

    /// A call takes its time: whatever happens meanwhile is told when process 1 sleeps.
    pub(super) fn dawdle(&mut self) {
        let (count, us) = self.store.slow;
        if let Some(left) = count.checked_sub(1) {
            self.store.slow = (left, us);
            self.spurious = false;
            self.go_to(self.now.after(Duration::from_us(us)));
        }
    }

    /// Something is done: not after a wake-up for nothing.
    fn is_due(&mut self) {
        if self.spurious {
            self.model
                .fail("process 1 slept while there was something to do");
        }
    }

    fn hand_out(&mut self, what: Handed) {
        self.stamp = self.taken_in;
        self.handed = Some(what);
    }

    fn sleep(&mut self, until: Option<Instant>) -> Wake {
        (self.idle, self.spurious) = (false, false);
        let mut until = until;
        if self.store.hold > 0 {
            let held = self.now.as_us().saturating_add(self.store.hold);
            self.store.hold = 0;
            let held = Instant::from_us(held).min(self.horizon);
            self.pass(held);
            until = until.map(|until| until.max(held));
        }
        if self.store.wakes > 0 {
            self.store.wakes -= 1;
            self.spurious = until.is_none_or(|until| until > self.now);
            return Wake::Event(Event::Tick);
        }
        loop {
            if let Some(wake) = self.next_wake() {
                return wake;
            }
            let limit = until.unwrap_or(Instant::MAX).max(self.now);
            let deaf = self.now < self.store.deaf_until;
            let stop = limit.min(self.horizon.max(self.now));
            let stop = if deaf {
                stop.min(self.store.deaf_until)
            } else {
                stop
            };
            if let Some((&at, &happening)) = self.agenda.first_key_value()
                && at.0 <= stop
            {
                self.agenda.remove(&at);
                self.go_to(at.0);
                self.happen(happening);
                continue;
            }
            self.go_to(stop);
            if deaf && stop < limit && stop < self.horizon {
                continue;
            }
            self.idle = self.now >= self.horizon;
            self.spurious = until.is_none_or(|until| until > self.now);
            return Wake::Event(Event::Tick);
        }
    }

    /// Nothing happens until then but that the watchdog may bite.
    fn go_to(&mut self, then: Instant) {
        self.now = self.now.max(then);
        self.bite_if_hungry();
    }

    /// Time passes, and whatever belongs to it happens.
    fn pass(&mut self, until: Instant) {
        while let Some((&at, &happening)) = self.agenda.first_key_value()
            && at.0 <= until
        {
            self.agenda.remove(&at);
            self.go_to(at.0);
            self.happen(happening);
        }
        self.go_to(until);
    }

    /// The next thing to tell, in the order of the day.
    fn next_wake(&mut self) -> Option<Wake> {
        if self.now < self.store.deaf_until {
            return None;
        }
        if let Some(client) = self.gone.pop_front() {
            return Some(Wake::Event(Event::ClientGone(client)));
        }
        let mut things: Vec<Handed> = Vec::new();
        for one in &self.processes {
            if one.word {
                things.push(Handed::Ready(one.serial));
            } else if one.ended.is_some() {
                things.push(Handed::Exit(one.serial));
            }
        }
        things.extend(self.signals.front().map(|_| Handed::Signal));
        things.extend(self.speaking().map(Handed::Frame));
        if things.is_empty() {
            let alone = self.alone && !self.alone_told && self.processes.is_empty();
            self.alone_told |= alone;
            return alone.then_some(Wake::Event(Event::NoChildLeft));
        }
        let at = match &mut self.store.shuffle {
            Some(random) => random.below(things.len()),
            None => 0,
        };
        self.tell(things[at])
    }

    fn tell(&mut self, thing: Handed) -> Option<Wake> {
        let event = match thing {
            Handed::Frame(slot) => match self.hear(slot)? {
                Ok(client) => {
                    self.hand_out(thing);
                    return Some(Wake::Frame(client));
                }
                Err(client) => return Some(Wake::Event(Event::ClientGone(client))),
            },
            Handed::Ready(serial) => {
                let child = self.process(serial)?.child?;
                self.model.told(child, None);
                Event::Ready(child)
            }
            Handed::Signal => Event::Machine(*self.signals.front()?),
            Handed::Exit(serial) => {
                let process = self.process(serial)?;
                match (process.child, process.ended) {
                    (Some(child), Some(status)) => {
                        self.model.told(child, Some(crate::rules::code(status)));
                        Event::Exited { child, status }
                    }
                    _ => Event::OrphanExited,
                }
            }
        };
        self.hand_out(thing);
        Some(Wake::Event(event))
    }

    fn start(
        &mut self,
        child: Child,
        program: Program,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno> {
        if let Some(there) = self.processes.iter().find(|one| one.child == Some(child)) {
            return Ok(there.pid);
        }
        self.is_due();
        let is_known = child.unit.index() < self.manifest.units.len();
        if !is_known || (child.role != Role::Probe && matches!(program, Program::None)) {
            self.model.fail("a process without a program");
            return Err(TRY_AGAIN);
        }
        let life = self.life_of(child);
        let error = match life.fails {
            Some(error) => Some(Errno(error)),
            None if self.store.exhaust > 0 => Some(TRY_AGAIN),
            None => None,
        };
        self.store.exhaust = self.store.exhaust.saturating_sub(1);
        if let Some(error) = error {
            self.model.refused_spawn(child);
            return Err(error);
        }
        let says_ready = confirm || matches!(ready, Readiness::Newline(_) | Readiness::Letter);
        let pid = self.make(Some(child), life, says_ready);
        self.model.spawned(child, pid, self.asked_for.get().as_us());
        self.note(&|| format!("start {child:?}"));
        Ok(pid)
    }
}
