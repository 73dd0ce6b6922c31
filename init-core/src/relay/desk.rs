//! This file is the keeper's end: each request is copied out, judged, and performed.
//!
//! Whatever the core has written, a process that runs is touched only by a request that is whole,
//! stands where the next one must, and asks for what the manifest says of a unit. What is no such
//! request is a [`Breach`], and the core is to be replaced.

use super::message::{Answer, Request};
use super::ring::{self, Letter};
use super::{LETTER_BYTES_MAX, at};
use crate::checkpoint::words::Words;
use crate::event::{Errno, Event};
use crate::hal::{Platform, Wake};
use crate::ident::{Child, ClientId, Role, UnitId};
use crate::limits::FRAME_BYTES_MAX;
use crate::renewal::Image;
use crate::report::LINE_BYTES_MAX;
use crate::time::{Duration, Instant};
use crate::unit::{Manifest, Program, Readiness, Signal};
use crate::uses::ROLES;
use crate::wire::{Text, Value, Wire};
use core::sync::atomic::{AtomicU32, Ordering};

/// Requests that a core may make for each event: twice what a turn's effects and the boot's summary
/// are. A shutdown of all units needs more; that is what the purse is for.
const REQUESTS_PER_EVENT: u32 = 256;

/// Requests that a core may make before the first event, and at most at once: what the units need
/// to start, to stop and to be told of, several times over.
const REQUESTS_MIN: u32 = 4_096;
const REQUESTS_PER_UNIT: u32 = 64;

/// What a trial counts for: a client's frame and the trial's end are worth as much, but for the few
/// other requests that each of them leads to; so it takes both for each.
const REQUESTS_PER_TRIAL: u32 = 2 * REQUESTS_PER_EVENT - 16;

/// A tick after a shorter wait is worth nothing: a core that wants one after the other, be it over
/// or about to be, gets no further than one that asks without an event. Far more of them follow
/// each other where many units have deadlines close together than a core may want at most.
const WAIT_MIN: Duration = Duration::from_ms(1);

/// A machine's last act may take so much longer than the manifest's shutdown.
const FINISH_SLACK: Duration = Duration::from_secs(60);

/// What a core did that no core does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// The ring or what is in it is damaged.
    Damaged,
    /// It asked for what the manifest does not allow.
    Forbidden,
    /// It asks too often.
    TooOften,
}

/// What came of a look at the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is asked.
    Nothing,
    /// Something was done; there may be more.
    Done,
    /// An answer was given: the core is to be woken.
    Answered,
    /// The core waits for the next event, or a tick at this time.
    Waits {
        /// See [`crate::hal::EventSource::wait`].
        until: Option<Instant>,
        /// As above.
        taken_in: u32,
        /// The unit for which the machine had better be reset.
        sick: Option<UnitId>,
    },
    /// Another core is to go on in the place of this one, which asked for it.
    Renew,
    /// The machine's last act returned.
    Over,
}

/// Whose requests are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asker {
    Lives,
    /// It asked before it died. What it would have had an answer to, its heir asks again.
    Died,
}

/// The keeper's end.
#[derive(Debug)]
pub struct Desk {
    words: Words<'static>,
    pub(super) manifest: &'static Manifest,
    /// Where the keeper stands in the ring; out of the core's reach.
    read: &'static AtomicU32,
    /// Requests that the core may still make.
    purse: u32,
    /// The core waits for longer than a moment.
    is_patient: bool,
    /// All that can be killed was.
    has_killed: bool,
    /// This program has not taken over yet from the one before.
    pub(super) is_on_probation: bool,
    /// Whether the core may ask for another program.
    may_renew: bool,
}

impl Desk {
    /// The end at these words, as many as [`super::WORDS`]. `read` is where an earlier keeper left
    /// off, or 0.
    pub fn new(
        words: Words<'static>,
        manifest: &'static Manifest,
        read: &'static AtomicU32,
    ) -> Self {
        Self {
            words,
            manifest,
            read,
            purse: 0,
            is_patient: false,
            has_killed: false,
            is_on_probation: false,
            may_renew: true,
        }
    }

    /// From now on nothing is done for a core before it has found what another program left, and
    /// takes over.
    pub fn put_on_probation(&mut self) {
        self.is_on_probation = true;
    }

    /// Whether the core has not taken over yet.
    #[cfg(feature = "exchange")]
    pub fn is_on_probation(&self) -> bool {
        self.is_on_probation
    }

    /// The next core is one that did what it had to do before.
    #[cfg(feature = "exchange")]
    pub fn end_probation(&mut self) {
        self.is_on_probation = false;
    }

    /// Whether the core may ask for another program, or for its own once more: not one that has
    /// another's place only as long as it does something.
    #[cfg(feature = "exchange")]
    pub fn let_renew(&mut self, may_renew: bool) {
        self.may_renew = may_renew;
    }

    /// Makes the ring empty, whatever a core before has left in it, for one that begins.
    pub fn open(&mut self) {
        let read = self.read.load(Ordering::Acquire);
        self.words.set(at::WRITTEN, read);
        self.words.set(at::READ, read);
        self.words.set(at::KEEPS, 0);
        self.purse = self.purse_size();
    }

    /// What the core said that it could not give up. It is the core's word and for people only.
    pub fn kept(&self) -> u32 {
        self.words.get(at::KEEPS)
    }

    /// Looks at one request and performs it.
    ///
    /// # Errors
    /// It is none; nothing was done.
    pub fn serve(&mut self, platform: &mut impl Platform) -> Result<Step, Breach> {
        self.take(platform, Asker::Lives)
    }

    /// Performs what a core that died had asked for and needs no answer to.
    ///
    /// # Errors
    /// What is there is no request: neither it nor what may follow was done.
    pub fn settle(&mut self, platform: &mut impl Platform) -> Result<(), Breach> {
        self.purse = self.purse_size();
        while self.take(platform, Asker::Died)? != Step::Nothing {}
        Ok(())
    }

    fn take(&mut self, platform: &mut impl Platform, asker: Asker) -> Result<Step, Breach> {
        let mut letter: Letter = [0; LETTER_BYTES_MAX];
        let read = self.read.load(Ordering::Acquire);
        let found = ring::read(self.words, read, &mut letter).map_err(|_| Breach::Damaged)?;
        let Some((length, next)) = found else {
            return Ok(Step::Nothing);
        };
        self.charge()?;
        let bytes = letter.get(..length).unwrap_or_default();
        let (mut request, mut wire) = (Request::Flush, Wire::reading(bytes));
        request.pass(&mut wire);
        if !wire.is_whole() {
            return Err(Breach::Damaged);
        }
        self.judge(&request, platform)?;
        let is_kill = matches!(request, Request::Signal { signal, .. } if signal == Signal::KILL);
        if matches!(request, Request::Signal { .. } | Request::Renew(_)) && !is_kill {
            // At most once, if the keeper ends in it; a second SIGKILL does nothing.
            self.move_on(next);
        }
        let step = self.perform(request, platform, asker);
        self.move_on(next);
        Ok(step)
    }

    fn move_on(&mut self, next: u32) {
        self.read.store(next, Ordering::Release);
        self.words.set(at::READ, next);
    }

    /// Whether the manifest allows it.
    fn judge(&mut self, request: &Request<'_>, platform: &mut impl Platform) -> Result<(), Breach> {
        let is_allowed = match *request {
            Request::Renew(_) | Request::Try(_) | Request::EndTrial if !self.may_renew => false,
            Request::Spawn(child) => self.may_be_started(child),
            Request::Signal { child, signal } => {
                let desc = self.manifest.unit(child.unit);
                let stops = |signal| desc.map(|desc| desc.rules.stopping.signal) == Some(signal);
                desc.is_some()
                    && (signal == Signal::KILL || (child.role == Role::Main && stops(signal)))
            }
            Request::KillAll(signal) => signal == Signal::TERM || signal == Signal::KILL,
            Request::Reply { frame, .. } => frame.0.len() <= FRAME_BYTES_MAX,
            Request::Say(Text(line)) => is_line(line),
            Request::Renew(Image::New) => {
                platform.has_passed_trial() && self.loses_nobody(platform)
            }
            Request::Try(_) => {
                self.charge_by(REQUESTS_PER_TRIAL)?;
                self.manifest.hot_upgrade.is_some()
            }
            Request::Wait { .. }
            | Request::Close(_)
            | Request::Settle
            | Request::Flush
            | Request::Renew(Image::Same)
            | Request::EndTrial
            | Request::TakeOver
            | Request::Owner { .. }
            | Request::Forsake
            | Request::Finish { .. } => true,
        };
        let is_early =
            self.is_on_probation && !matches!(request, Request::Owner { .. } | Request::TakeOver);
        if is_allowed && !is_early {
            Ok(())
        } else {
            Err(Breach::Forbidden)
        }
    }

    /// Whether no process is left of a unit that the image on trial does not know: nobody would
    /// have it any more.
    fn loses_nobody(&self, platform: &mut impl Platform) -> bool {
        let mut units = (0..u16::MAX).map(UnitId).zip(self.manifest.units);
        units.all(|(unit, _)| {
            platform.is_known(unit) || ROLES.iter().all(|it| platform.owner(unit, *it).is_none())
        })
    }

    fn may_be_started(&self, child: Child) -> bool {
        let Some(desc) = self.manifest.unit(child.unit) else {
            return false;
        };
        child.generation.0 != 0
            && match child.role {
                Role::Main => !matches!(desc.start, Program::None),
                Role::Stop => !matches!(desc.rules.stop, Program::None),
                Role::Probe => matches!(desc.rules.ready, Readiness::Probe(_)),
            }
    }

    fn perform(
        &mut self,
        request: Request<'_>,
        platform: &mut impl Platform,
        asker: Asker,
    ) -> Step {
        match request {
            Request::Wait { .. }
            | Request::Spawn(_)
            | Request::Flush
            | Request::Owner { .. }
            | Request::Renew(_)
            | Request::Try(_)
            | Request::TakeOver
                if asker == Asker::Died => {}
            Request::Wait {
                until,
                taken_in,
                sick,
            } => {
                let until = (until != Instant::MAX).then_some(until);
                let now = platform.now();
                self.is_patient = until.is_none_or(|until| until >= now.after(WAIT_MIN));
                let sick = (sick != UnitId::SYSTEM).then_some(sick);
                return Step::Waits {
                    until,
                    taken_in,
                    sick,
                };
            }
            Request::Spawn(child) => {
                let pid = self.spawn(child, platform);
                let answer = pid.map_or_else(Answer::Refused, Answer::Spawned);
                return self.answer(platform, answer);
            }
            Request::Flush => return self.answer(platform, Answer::Done),
            Request::Owner { unit, role } => {
                let (generation, pid) = platform.owner(unit, role).unwrap_or_default();
                return self.answer(platform, Answer::Owner { generation, pid });
            }
            Request::Forsake => platform.forsake(),
            Request::Renew(_) | Request::Try(_) | Request::EndTrial | Request::TakeOver => {
                return self.exchange(request, platform);
            }
            Request::Signal { child, signal } => {
                let desc = self.manifest.unit(child.unit);
                if let Some(desc) = desc {
                    platform.signal(child, signal, desc.scope(child.role));
                }
            }
            Request::KillAll(signal) => self.kill_all(signal, platform),
            Request::Reply { client, frame } => reply(client, frame, platform),
            Request::Close(client) => platform.close(client),
            Request::Say(line) => {
                let _ = embedded_io::Write::write(platform.console(), line.0);
            }
            Request::Settle => platform.settle(),
            Request::Finish { action, deadline } => {
                platform.finish(action, deadline.min(self.latest(platform.now())));
                return Step::Over;
            }
        }
        Step::Done
    }

    /// Until when a shutdown may take that is in its last act now.
    fn latest(&self, now: Instant) -> Instant {
        now.after(self.manifest.shutdown.timeout)
            .after(FINISH_SLACK)
    }

    fn spawn(&self, child: Child, platform: &mut impl Platform) -> Result<u32, Errno> {
        let desc = self.manifest.unit(child.unit).ok_or(Errno(0))?;
        let (program, ready, confirm) = desc.errand(child.role);
        platform.spawn(child, program, ready, confirm)
    }

    /// A core may die of the signal itself, and its heir asks for it again: everybody is killed
    /// once, and asked to end as often as that.
    fn kill_all(&mut self, signal: Signal, platform: &mut impl Platform) {
        let again = signal == Signal::KILL && core::mem::replace(&mut self.has_killed, true);
        platform.signal_all(if again { Signal::CONT } else { signal });
    }

    /// The core woke the keeper for nothing.
    ///
    /// # Errors
    /// Too often.
    pub fn charge(&mut self) -> Result<(), Breach> {
        self.charge_by(1)
    }

    fn charge_by(&mut self, count: u32) -> Result<(), Breach> {
        self.purse = self.purse.checked_sub(count).ok_or(Breach::TooOften)?;
        Ok(())
    }

    /// Gives the core what it waits for.
    pub fn deliver(&mut self, wake: Wake, platform: &mut impl Platform) {
        if self.is_patient || wake != Wake::Event(Event::Tick) {
            let more = self.purse.saturating_add(REQUESTS_PER_EVENT);
            self.purse = more.min(self.purse_size());
        }
        let now = platform.now();
        let answer = match wake {
            Wake::Event(Event::TrialEnded(obstacle)) => {
                return self.tell_trial(now, obstacle, platform);
            }
            Wake::Event(event) => Answer::of(event),
            Wake::Frame(client) => Answer::Frame {
                client,
                frame: Text(platform.frame(client)),
            },
        };
        self.write(now, answer);
    }

    pub(super) fn answer(&self, platform: &impl Platform, answer: Answer<'_>) -> Step {
        self.write(platform.now(), answer);
        Step::Answered
    }

    pub(super) fn write(&self, now: Instant, answer: Answer<'_>) {
        let mut letter: Letter = [0; LETTER_BYTES_MAX];
        let (mut now, mut answer) = (now, answer);
        let mut wire = Wire::writing(&mut letter);
        now.pass(&mut wire);
        answer.pass(&mut wire);
        let (_, left, _) = wire.end();
        let length = LETTER_BYTES_MAX.saturating_sub(left);
        // Whole words.
        let used = letter.get(..length.saturating_add(3) & !3);
        let used = used.unwrap_or(&letter);
        self.words.write(at::ANSWER, used);
        let count = self.words.get(at::ANSWERED).wrapping_add(1);
        let sum = ring::checksum(count, letter.get(..length).unwrap_or(&letter));
        self.words.set(at::SUM, sum);
        let length = u32::try_from(length).unwrap_or(0);
        self.words.set(at::LENGTH, length);
        self.words.set(at::ANSWERED, count);
    }

    fn purse_size(&self) -> u32 {
        let units = u32::try_from(self.manifest.units.len()).unwrap_or(u32::MAX);
        let for_units = units.saturating_mul(REQUESTS_PER_UNIT);
        REQUESTS_MIN.saturating_add(for_units)
    }
}

/// Only to a client that is owed an answer: nobody is told what it did not ask.
fn reply(client: ClientId, frame: Text<'_>, platform: &mut impl Platform) {
    if !platform.frame(client).is_empty() {
        platform.reply(client, frame.0);
    }
}

/// Whether it is one whole line that steers no terminal.
fn is_line(line: &[u8]) -> bool {
    let Some((b'\n', text)) = line.split_last() else {
        return false;
    };
    let steers = |byte: &u8| byte.is_ascii_control();
    line.len() <= LINE_BYTES_MAX && !text.iter().any(steers)
}
