//! This file is the only loop: wait, step, perform. It is the only caller of a HAL.

use crate::checkpoint::Past;
use crate::checkpoint::words::KEEPS;
use crate::effect::{Effect, Notice, Reply};
use crate::event::{BootOptions, Event};
use crate::hal::{Platform, Wake};
use crate::ident::{Child, ClientId};
use crate::limits::FRAME_BYTES_MAX;
use crate::protocol::{self, Buffer, Intake, View};
use crate::renewal::Image;
use crate::report::Report;
use crate::supervisor::Core;
use crate::time::Instant;
use crate::uses::ROLES;

/// Effects performed in one turn, about: creating a process is the dearest and takes 0.1 ms, so the
/// next exit or request is seen within 4 ms however many units there are. Where children are slow
/// to reach their programs each creation may wait another millisecond, 36 ms in all, or a tick of a
/// kernel without fine timers; it waits no more once that was in vain. What of it becomes ready
/// is looked at as often: until then each has a descriptor, which every new process copies.
const EFFECTS_PER_TURN_MAX: u32 = 32;

/// The same where something happens while effects are left: no more units begin than end their
/// start, so that few are on their way at once. Each has a descriptor, which every new process
/// copies.
const EFFECTS_BESIDE_MAX: u32 = 2;

/// A core and the system that it runs on.
#[derive(Debug)]
pub struct Driver<'a, P> {
    core: Core<'a>,
    platform: P,
    report: Report,
    /// The answer in the making; one at a time.
    answer: Buffer,
    /// The last turn ended before all was done that follows from its event.
    unfinished: bool,
    /// The platform has returned from the machine's last act.
    is_over: bool,
}

impl<'a, P: Platform> Driver<'a, P> {
    /// Joins the two. Nothing happens before [`Self::boot`].
    pub const fn new(core: Core<'a>, platform: P) -> Self {
        let report = Report::new(core.manifest);
        Self {
            core,
            platform,
            report,
            answer: [0; FRAME_BYTES_MAX],
            unfinished: false,
            is_over: false,
        }
    }

    /// The core, to look at.
    pub const fn core(&self) -> &Core<'a> {
        &self.core
    }

    /// The platform, to look at.
    pub const fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    /// Begins: the machine is to come up.
    pub fn boot(&mut self, options: BootOptions) {
        if let Some(level) = options.log_level {
            self.report.set_level(level);
        }
        let now = self.platform.now();
        self.report.banner(self.platform.console(), now);
        self.step(Event::Boot(options));
    }

    /// Keeps the core's state in the platform's region from now on. Where an earlier incarnation
    /// left its state there, goes on with it and performs what was pending; then it must not be
    /// booted. `false`: there is nothing to go on with.
    #[inline(never)]
    pub fn resume(&mut self) -> bool {
        let past = self.core.keep_in(self.platform.region());
        if past == Past::None {
            self.platform.forsake();
        }
        if past == Past::None || self.core.is_damaged() {
            self.take_up();
        }
        let Past::Restored(life) = past else {
            return false;
        };
        if let Some(level) = self.core.system.log_level {
            self.report.set_level(level);
        }
        let now = self.platform.now();
        self.platform.take_over();
        let why = self.platform.handover();
        self.tell(Notice::Resumed(life, why), now);
        self.step(Event::Resumed(why));
        true
    }

    /// What the core does not know any more is asked of the platform.
    fn take_up(&mut self) {
        let now = self.platform.now();
        for unit in self.core.units.ids() {
            for &role in ROLES {
                if let Some((generation, pid)) = self.platform.owner(unit, role) {
                    let child = Child {
                        unit,
                        generation,
                        role,
                    };
                    self.core.adopt(child, pid, now);
                }
            }
        }
    }

    /// Serves until the machine's last act.
    // Apart from what begins it, which lies among code that is needed seldom.
    #[inline(never)]
    pub fn run(&mut self) {
        while self.turn() {}
    }

    /// Waits for one thing to happen and does what follows from it, a bounded amount; the rest
    /// follows in the next turns, which do not sleep. `false` after the machine's last act, should
    /// the platform have returned from it; that may have been in [`Self::resume`].
    pub fn turn(&mut self) -> bool {
        if self.is_over {
            return false;
        }
        let until = if self.unfinished {
            Some(Instant::ZERO)
        } else {
            self.core.next_deadline()
        };
        let core = &self.core;
        let feed = self.platform.feed(&|| core.sick());
        let until = Instant::earlier(until, feed);
        match self.platform.wait(until, self.core.event_count()) {
            Wake::Event(event) => self.step(event),
            Wake::Frame(client) => self.frame(client),
        }
    }

    fn step(&mut self, event: Event) -> bool {
        let now = self.platform.now();
        if KEEPS && matches!(event, Event::TrialEnded(None)) {
            self.note_known();
        }
        let was_unfinished = core::mem::take(&mut self.unfinished);
        let is_beside = was_unfinished && !matches!(event, Event::Tick);
        let mut left = match is_beside {
            true => EFFECTS_BESIDE_MAX,
            false => EFFECTS_PER_TURN_MAX,
        };
        self.core.step(event, now);
        if was_unfinished {
            // It ends the pause, though it may change nothing: who performs it again needs it.
            self.core.checkpoint.recorder.count_open();
        }
        while let Some(effect) = self.core.next_effect(now) {
            if !self.perform(effect, now) {
                self.is_over = true;
                return false;
            }
            left = left.saturating_sub(1);
            if left == 0 && self.core.may_pause() {
                self.unfinished = true;
                break;
            }
        }
        true
    }

    fn perform(&mut self, effect: Effect, now: Instant) -> bool {
        match effect {
            Effect::Spawn(child) => self.spawn(child, now),
            Effect::Signal {
                child,
                signal,
                scope,
            } => self.platform.signal(child, signal, scope),
            Effect::KillAll(signal) => self.platform.signal_all(signal),
            Effect::Reply { client, reply } => self.reply(client, reply),
            Effect::HangUp(client) => self.platform.close(client),
            Effect::Notice(notice) => self.tell(notice, now),
            Effect::Try(_) | Effect::EndTrial | Effect::Renew(_) if !KEEPS => {}
            Effect::Try(client) => self.try_image(client, now),
            Effect::EndTrial => self.platform.end_trial(),
            Effect::Renew(image) => self.renew(image, now),
            Effect::Final(action) => {
                let deadline = self.core.finish_deadline(now);
                self.platform.finish(action, deadline);
                return false;
            }
        }
        true
    }

    #[inline(never)]
    fn try_image(&mut self, client: ClientId, now: Instant) {
        if let Err(error) = self.platform.try_image(client) {
            self.core.step(Event::NotTried(error), now);
        }
    }

    #[inline(never)]
    fn renew(&mut self, image: Image, now: Instant) {
        let error = self.platform.renew(image);
        if image == Image::New {
            self.core.step(Event::NotRenewed(error), now);
        }
    }

    /// The image on trial has said which units it knows.
    #[inline(never)]
    fn note_known(&mut self) {
        self.core.checkpoint.recorder.gap();
        let platform = &self.platform;
        self.core.note_known(&|unit| platform.is_known(unit));
    }

    fn reply(&mut self, client: ClientId, reply: Reply) {
        let length = protocol::answer(reply, self.core.manifest, &mut self.answer);
        self.send(client, length);
    }

    fn send(&mut self, client: ClientId, length: usize) {
        if let Some(frame) = self.answer.get(..length) {
            self.platform.reply(client, frame);
        }
    }

    /// A client's frame: answered from what is known, or decided by the core.
    #[inline(never)]
    fn frame(&mut self, client: ClientId) -> bool {
        let now = self.platform.now();
        let intake = {
            let view = View {
                manifest: self.core.manifest,
                status: &|unit| self.core.status(unit),
                machine: self.core.machine_status(),
                now,
                #[cfg(feature = "recorder")]
                recorder: &self.core.checkpoint.recorder,
            };
            protocol::receive(self.platform.frame(client), &view, &mut self.answer)
        };
        match intake {
            Intake::Answer(length) => self.send(client, length),
            Intake::Reject(length) => {
                self.send(client, length);
                self.platform.close(client);
            }
            Intake::Control { request, wait } => {
                return self.step(if wait {
                    Event::Control { client, request }
                } else {
                    Event::Unawaited { client, request }
                });
            }
        }
        true
    }

    fn tell(&mut self, notice: Notice, now: Instant) {
        let core = &self.core;
        let status = |unit| core.status(unit);
        self.report
            .notice(self.platform.console(), now, &notice, &status);
        if matches!(notice, Notice::BootDone { .. }) {
            // Last: the code that says such things may be given back here.
            self.platform.settle();
        }
    }

    fn spawn(&mut self, child: Child, now: Instant) {
        if !self.core.knows(child) {
            // What is known of its unit was damaged before this was done: nobody would miss it.
            return;
        }
        let desc = self.core.desc(child.unit);
        let (program, ready, confirm) = desc.errand(child.role);
        let event = match self.platform.spawn(child, program, ready, confirm) {
            Ok(pid) => Event::Spawned { child, pid },
            Err(error) => Event::SpawnFailed { child, error },
        };
        self.core.step(event, now);
    }
}
