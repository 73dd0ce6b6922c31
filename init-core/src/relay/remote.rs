//! This file is the keeper as the core sees it: a platform that is somewhere else.
//!
//! What has no answer is only written down; the keeper is woken when the core needs an answer or
//! has nothing left to do.

use super::message::{Answer, NOBODY, Request};
use super::ring::{self, Letter, Writer};
use super::{LETTER_BYTES_MAX, at, known};
use crate::checkpoint::words::Words;
use crate::effect::FinalAction;
use crate::event::Errno;
use crate::hal::{Clock, ControlPort, EventSource, Platform, Power, Process, Wake};
use crate::ident::{Child, ClientId, Generation, Role, UnitId};
use crate::renewal::{Handover, Image};
use crate::time::Instant;
use crate::unit::{KillScope, Manifest, Program, Readiness, Signal};
use crate::wire::{Text, Value, Wire};

/// Words that only [`Request::Flush`] may use, so that room can always be asked for.
const FLUSH_WORDS: u32 = 4;

/// What a spawn that was not answered came to.
const NO_ANSWER: Errno = Errno(u16::MAX);

/// How the core wakes the keeper, and is woken.
pub trait Bell {
    /// Wakes the keeper.
    fn ring(&mut self);

    /// Sleeps until the keeper has rung. May return early.
    fn sleep(&mut self);
}

/// What the core writes to: lines of the console are requests like others.
#[derive(Debug)]
pub struct Outbox<B> {
    words: Words<'static>,
    writer: Writer<'static>,
    bell: B,
    /// Answers taken.
    answered: u32,
    /// The last answer, and how long it is.
    letter: Letter,
    length: usize,
}

/// The keeper, as a platform.
#[derive(Debug)]
pub struct Remote<B> {
    out: Outbox<B>,
    checkpoint: Words<'static>,
    manifest: &'static Manifest,
    why: Option<Handover>,
    /// As the keeper told with its last answer.
    now: Instant,
    sick: UnitId,
    /// Whose frame ends the letter, and how long it is, or what else does.
    client: ClientId,
    tail_length: usize,
}

impl<B: Bell> Outbox<B> {
    /// Writes a request down, where need be after the keeper has made room.
    fn send(&mut self, request: Request<'_>) {
        let mut bytes = [0; LETTER_BYTES_MAX];
        let (mut request, mut wire) = (request, Wire::writing(&mut bytes));
        request.pass(&mut wire);
        let (_, left, _) = wire.end();
        let length = LETTER_BYTES_MAX.saturating_sub(left);
        let bytes = bytes.get(..length).unwrap_or_default();
        if !self.writer.push(bytes, FLUSH_WORDS) {
            let flush = [0];
            let _room_is_kept = self.writer.push(&flush, 0);
            self.receive();
            let _all_is_free = self.writer.push(bytes, FLUSH_WORDS);
        }
    }

    /// Sleeps until there is an answer.
    fn receive(&mut self) {
        loop {
            self.bell.ring();
            self.bell.sleep();
            let count = self.words.get(at::ANSWERED);
            if count != self.answered {
                self.answered = count;
                break;
            }
        }
        let length = usize::try_from(self.words.get(at::LENGTH)).unwrap_or(0);
        self.length = length.min(LETTER_BYTES_MAX);
        self.words.read(at::ANSWER, &mut self.letter);
        let letter = self.letter.get(..self.length).unwrap_or_default();
        if ring::checksum(self.answered, letter) != self.words.get(at::SUM) {
            self.give_up();
        }
    }

    /// Nothing that the keeper wrote: whatever it would be taken for, the state would be wrong from
    /// then on. The keeper ends a core whose ring is like this, and the next one asks again.
    fn give_up(&mut self) {
        self.writer.spoil();
        self.bell.ring();
        loop {
            self.bell.sleep();
        }
    }
}

impl<B: Bell> Remote<B> {
    /// A platform behind these words, as many as [`super::WORDS`], with these words for what
    /// outlives the core. `why` and when it begins, should there have been another before.
    pub fn new(
        words: Words<'static>,
        checkpoint: Words<'static>,
        manifest: &'static Manifest,
        bell: B,
        (why, now): (Option<Handover>, Instant),
    ) -> Self {
        Self {
            out: Outbox {
                words,
                writer: Writer::new(words),
                bell,
                answered: words.get(at::ANSWERED),
                letter: [0; LETTER_BYTES_MAX],
                length: 0,
            },
            checkpoint,
            manifest,
            why,
            now,
            sick: UnitId::SYSTEM,
            client: NOBODY,
            tail_length: 0,
        }
    }

    /// Tells the keeper what could not be given up, as a set of bits that the HAL knows.
    pub fn tell_kept(&self, bits: u32) {
        self.out.words.set(at::KEEPS, bits);
    }

    /// What ends the letter.
    fn tail(&self) -> &[u8] {
        let begin = self.out.length.saturating_sub(self.tail_length);
        let tail = self.out.letter.get(begin..self.out.length);
        tail.unwrap_or_default()
    }

    /// Asks for something that has an answer.
    #[inline(never)]
    fn ask(&mut self, request: Request<'_>) -> Answer<'_> {
        self.out.send(request);
        self.out.receive();
        let letter = self.out.letter.get(..self.out.length).unwrap_or_default();
        let mut wire = Wire::reading(letter);
        let mut answer = Answer::EMPTY;
        self.now.pass(&mut wire);
        answer.pass(&mut wire);
        self.tail_length = 0;
        if !wire.is_whole() {
            // Nothing that the keeper wrote.
            return Answer::Tick;
        }
        answer
    }
}

impl<B: Bell> Clock for Remote<B> {
    fn now(&self) -> Instant {
        self.now
    }
}

impl<B: Bell> EventSource for Remote<B> {
    fn wait(&mut self, until: Option<Instant>, taken_in: u32) -> Wake {
        let request = Request::Wait {
            until: until.unwrap_or(Instant::MAX),
            taken_in,
            sick: self.sick,
        };
        let answer = self.ask(request);
        let event = answer.event();
        let is_frame = matches!(answer, Answer::Frame { .. });
        (self.client, self.tail_length) = answer.tail();
        if is_frame {
            Wake::Frame(self.client)
        } else {
            Wake::Event(event)
        }
    }
}

impl<B: Bell> Process for Remote<B> {
    fn spawn(&mut self, child: Child, _: Program, _: Readiness, _: bool) -> Result<u32, Errno> {
        let answer = self.ask(Request::Spawn(child));
        if let Answer::Spawned(pid) = answer {
            return Ok(pid);
        }
        Err(answer.refusal().unwrap_or(NO_ANSWER))
    }

    fn signal(&mut self, child: Child, signal: Signal, _: KillScope) {
        self.out.send(Request::Signal { child, signal });
    }

    fn signal_all(&mut self, signal: Signal) {
        self.out.send(Request::KillAll(signal));
    }
}

impl<B: Bell> ControlPort for Remote<B> {
    fn frame(&self, client: ClientId) -> &[u8] {
        if client != self.client {
            return &[];
        }
        self.tail()
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        let frame = Text(frame);
        self.out.send(Request::Reply { client, frame });
    }

    fn close(&mut self, client: ClientId) {
        self.out.send(Request::Close(client));
    }
}

impl<B: Bell> Power for Remote<B> {
    fn finish(&mut self, action: FinalAction, deadline: Instant) {
        let _over = self.ask(Request::Finish { action, deadline });
    }
}

impl<B: Bell> Platform for Remote<B> {
    type Console = Outbox<B>;

    fn console(&mut self) -> &mut Outbox<B> {
        &mut self.out
    }

    fn region(&self) -> Words<'static> {
        self.checkpoint
    }

    fn handover(&self) -> Handover {
        self.why.unwrap_or(Handover::Fault)
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        // Before the first there was nobody.
        self.why?;
        let Answer::Owner { generation, pid } = self.ask(Request::Owner { unit, role }) else {
            return None;
        };
        (pid != 0).then_some((generation, pid))
    }

    fn forsake(&mut self) {
        if self.why.is_some() {
            self.out.send(Request::Forsake);
        }
    }

    fn renew(&mut self, image: Image) -> Errno {
        // Mostly done by the next.
        let answer = self.ask(Request::Renew(image));
        answer.refusal().unwrap_or(NO_ANSWER)
    }

    /// After what is answered next, nobody needs the program before this one.
    fn take_over(&mut self) {
        #[cfg(feature = "exchange")]
        if self.why == Some(Handover::Exchanged) {
            return self.out.send(Request::TakeOver);
        }
        if self.why == Some(Handover::Upgraded) {
            self.out.send(Request::TakeOver);
        }
    }

    fn try_image(&mut self, client: ClientId) -> Result<(), Errno> {
        let answer = self.ask(Request::Try(client));
        answer.refusal().map_or(Ok(()), Err)
    }

    fn end_trial(&mut self) {
        self.out.send(Request::EndTrial);
    }

    /// As the keeper told with the trial's end.
    fn is_known(&self, unit: UnitId) -> bool {
        known::has(self.tail(), unit)
    }

    /// Whoever waits to be fed is with the keeper, which does so as long as it is asked to wait.
    fn feed(&mut self, sick: &dyn Fn() -> Option<&'static str>) -> Option<Instant> {
        if self.manifest.watchdog.is_some() {
            let unit = sick().and_then(|name| self.manifest.find(name.as_bytes()));
            self.sick = unit.unwrap_or(UnitId::SYSTEM);
        }
        None
    }

    fn settle(&mut self) {
        self.out.send(Request::Settle);
    }
}

impl<B: Bell> embedded_io::ErrorType for Outbox<B> {
    type Error = core::convert::Infallible;
}

impl<B: Bell> embedded_io::Write for Outbox<B> {
    fn write(&mut self, line: &[u8]) -> Result<usize, Self::Error> {
        self.write_all(line)?;
        Ok(line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> Result<(), Self::Error> {
        self.send(Request::Say(Text(line)));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
