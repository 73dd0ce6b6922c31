//! This file holds the control tool's conversation with process 1, and what it needs of a system.

use crate::event::Errno;
use crate::packed::{Packed, packed};
use crate::protocol::{
    Buffer, MachineRecord, Malformed, Problem, Reader, Request, Response, Sender, UnitRecord,
    Value, Writer,
};
use crate::renewal::HotUpgrade;
use crate::report::Line;
use crate::time::Duration;

/// Process 1 answers a question in microseconds. Silent for this long, it is serving as many
/// clients as it can, and the user is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// After this it is given up. Longer than most waits for a unit that may occupy the other places.
const PATIENCE_LAST: Duration = Duration::from_secs(28);

/// Further attempts when there is no place for us, a pause between: as long as the last patience.
const ATTEMPT_COUNT_MAX: u16 = 300;

/// EAGAIN: what connecting gives when nobody takes clients from a full queue.
const QUEUE_IS_FULL: Errno = Errno(11);

/// Bytes of a row that are written at once: as many as the longest row of the help.
const ROW_BYTES_MAX: usize = 96;

/// EPIPE: the other end has hung up.
const HANGS_UP: Errno = Errno(32);

/// Bytes of a line of output: the longest names a unit and two paths.
pub(super) const LINE_BYTES_MAX: usize = 640;

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// What came from process 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame of this many bytes; more than the buffer holds if it was cut.
    Frame(usize),
    /// The end of the connection.
    HungUp,
    /// Nothing in time.
    Nothing,
}

/// What the control tool needs of a system.
pub trait Client {
    /// Where process 1 listens, for messages.
    fn address(&self) -> &'static [u8];

    /// What the program carries of exchanging process 1, for its words. None by default.
    fn upgrade(&self) -> Option<&'static HotUpgrade> {
        None
    }

    /// Connects to process 1, before [`Self::send`] and [`Self::receive`]; again, when process 1
    /// has hung up. Never waits: EAGAIN when the queue of those who want to connect is full.
    fn connect(&mut self) -> Result<(), Errno>;

    /// Waits a moment, about 100 ms.
    fn pause(&mut self);

    /// Sends one frame.
    fn send(&mut self, frame: &[u8]) -> Result<(), Errno>;

    /// Waits for one frame; without `patience`, for as long as it takes.
    fn receive(
        &mut self,
        buffer: &mut Buffer,
        patience: Option<Duration>,
    ) -> Result<Received, Errno>;

    /// Writes all of it. False when it cannot be written.
    fn write(&mut self, stream: Stream, text: &[u8]) -> bool;
}

/// Why the conversation ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no connection to be had.
    NotConnected(Errno),
    /// It broke.
    Broken(Errno),
    /// Process 1 hung up without an answer.
    HungUp,
    /// Process 1 does not answer.
    Silent,
    /// Process 1, or whoever is there, speaks another version; its header, if it has one of ours.
    OtherVersion(Option<Sender>),
    /// Process 1 could not read the request.
    Rejected(Malformed),
    /// Its answer cannot be read, or is the answer to something else.
    BadAnswer(Malformed),
}

/// What a step of the conversation gives. After trouble: the exit code, and the user has been told.
pub type Outcome<T> = Result<T, u8>;

/// The tool at work: a client, the name it goes by, the line that it is about to write,
/// whether all output was written, and whether something was asked already.
pub struct Tool<'c, 'p, C: Client> {
    pub(super) client: &'c mut C,
    program: &'p [u8],
    pub(super) line: Line<'p>,
    pub(super) is_written: bool,
    is_open: bool,
}

impl<'c, 'p, C: Client> Tool<'c, 'p, C> {
    pub(super) fn new(client: &'c mut C, program: &'p [u8], room: &'p mut [u8]) -> Self {
        Self {
            client,
            program,
            line: Line::new(room),
            is_written: true,
            is_open: false,
        }
    }

    pub(super) fn address(&self) -> &'static [u8] {
        self.client.address()
    }

    pub(super) fn upgrade(&self) -> Option<&'static HotUpgrade> {
        self.client.upgrade()
    }

    pub(super) fn is_all_written(&self) -> bool {
        self.is_written
    }

    /// Writes the line to standard output.
    pub(super) fn say(&mut self) {
        self.is_written &= self.client.write(Stream::Output, self.line.end());
        self.line.clear();
    }

    /// Ends the line, and begins the next with this.
    #[inline(never)]
    pub(super) fn next(&mut self, title: Packed) -> &mut Line<'p> {
        self.say();
        self.line.say(title)
    }

    /// Writes text of several lines to standard output.
    pub(super) fn say_all(&mut self, text: Packed) {
        let mut row = [0; ROW_BYTES_MAX];
        let mut length: usize = 0;
        for letter in text.letters() {
            if let Some(place) = row.get_mut(length) {
                *place = letter;
                length = length.wrapping_add(1);
            }
            if letter == b'\n' || length == ROW_BYTES_MAX {
                self.put(&row, length);
                length = 0;
            }
        }
        if length > 0 {
            self.put(&row, length);
        }
    }

    fn put(&mut self, row: &[u8], length: usize) {
        let row = row.get(..length).unwrap_or_default();
        self.is_written &= self.client.write(Stream::Output, row);
    }

    /// Begins a line for standard error, ended by [`Self::complain`].
    pub(super) fn complaint(&mut self) -> &mut Line<'p> {
        self.line.clear();
        self.line.bytes(self.program).text(": ")
    }

    /// Writes the line to standard error.
    pub(super) fn complain(&mut self) {
        self.is_written &= self.client.write(Stream::Errors, self.line.end());
        self.line.clear();
    }

    /// What process 1 says of itself.
    pub(super) fn machine<'l, 'b>(
        &mut self,
        buffer: &'b mut Buffer,
        place: &'l mut Response<'b>,
    ) -> Outcome<&'l MachineRecord<'b>> {
        let Response::Machine(machine) = self.ask(&Request::Machine, buffer, place)? else {
            return self.fail(UNEXPECTED);
        };
        Ok(machine)
    }

    /// Connects, and asks or greets: what must not be done twice is sent to who has answered once.
    /// When process 1 serves as many clients as it can, it leaves us waiting or hangs up: then the
    /// user is told, and we try again for half a minute, with a greeting, since it may have been
    /// the question that it hung up on. Returns the bytes of the answer; `None`: it was greeted.
    #[inline(never)]
    fn open(&mut self, request: &Request<'_>, buffer: &mut Buffer) -> Outcome<Option<usize>> {
        let mut is_asked = request.is_question();
        let mut attempt: u16 = 0;
        loop {
            let first = if is_asked { request } else { &Request::Machine };
            match self.begin(first, buffer, attempt) {
                Ok(length) if is_asked => return Ok(Some(length)),
                Ok(length) => return self.reader(buffer, length).map(|_| None),
                Err(Trouble::HungUp | Trouble::NotConnected(QUEUE_IS_FULL))
                    if attempt < ATTEMPT_COUNT_MAX => {}
                Err(trouble) => return self.fail(trouble),
            }
            if attempt == 0 {
                self.complain_of_waiting();
            }
            self.client.pause();
            attempt = attempt.wrapping_add(1);
            is_asked = false;
        }
    }

    fn begin(
        &mut self,
        request: &Request<'_>,
        buffer: &mut Buffer,
        attempt: u16,
    ) -> Result<usize, Trouble> {
        self.client.connect().map_err(Trouble::NotConnected)?;
        self.send(request, buffer)?;
        match self.receive(buffer, Some(PATIENCE)) {
            Err(Trouble::Silent) => {}
            result => return result,
        }
        if attempt == 0 {
            self.complain_of_waiting();
        }
        self.receive(buffer, Some(PATIENCE_LAST))
    }

    fn complain_of_waiting(&mut self) {
        self.complaint()
            .say(packed!("process 1 is busy with other clients; waiting"));
        self.complain();
    }

    /// Asks and waits for the answer, one message, which is left in `place`.
    pub(super) fn ask<'l, 'b>(
        &mut self,
        request: &Request<'_>,
        buffer: &'b mut Buffer,
        place: &'l mut Response<'b>,
    ) -> Outcome<&'l Response<'b>> {
        match self.ask_and_read(request, buffer, place)?.end() {
            Ok(()) => Ok(place),
            Err(malformed) => self.fail(Trouble::BadAnswer(malformed)),
        }
    }

    /// Asks and waits for the answer, whose first message is left in `place`; the others.
    #[inline(never)]
    fn ask_and_read<'b>(
        &mut self,
        request: &Request<'_>,
        buffer: &'b mut Buffer,
        place: &mut Response<'b>,
    ) -> Outcome<Reader<'b>> {
        let length = self.exchange(request, buffer)?;
        let mut reader = self.reader(buffer, length)?;
        match (reader.read(place), &place) {
            (Err(malformed), _) => self.fail(Trouble::BadAnswer(malformed)),
            (Ok(()), Response::Error(malformed)) => self.fail(Trouble::Rejected(*malformed)),
            (Ok(()), _) => Ok(reader),
        }
    }

    /// Sends a request; bytes of the answer. The first one opens the conversation: each answer
    /// shows whether both speak the same version.
    fn exchange(&mut self, request: &Request<'_>, buffer: &mut Buffer) -> Outcome<usize> {
        if !self.is_open {
            self.is_open = true;
            if let Some(length) = self.open(request, buffer)? {
                return Ok(length);
            }
        }
        let sent = self.send(request, buffer);
        match sent.and_then(|()| self.receive(buffer, None)) {
            Ok(length) => Ok(length),
            Err(trouble) => self.fail(trouble),
        }
    }

    /// The answer's frame, if whoever sent it speaks our version.
    fn reader<'b>(&mut self, buffer: &'b Buffer, length: usize) -> Outcome<Reader<'b>> {
        let frame = buffer.get(..length).unwrap_or_default();
        let trouble = match (Sender::of(frame), Reader::new(frame)) {
            (_, Ok(reader)) => return Ok(reader),
            (_, Err(_)) if length > buffer.len() => Trouble::BadAnswer(TOO_LONG),
            (sender, Err(_)) => Trouble::OtherVersion(sender),
        };
        self.fail(trouble)
    }

    /// Says what is wrong; the exit code.
    pub(super) fn fail<T>(&mut self, trouble: Trouble) -> Outcome<T> {
        Err(self.complain_of_trouble(&trouble))
    }

    fn send(&mut self, request: &Request<'_>, buffer: &mut Buffer) -> Result<(), Trouble> {
        let mut writer = Writer::new(buffer);
        // Names are bounded, so that it always fits.
        let _ = writer.add(request);
        let length = writer.length();
        let frame = buffer.get(..length).unwrap_or_default();
        match self.client.send(frame) {
            // Process 1 may have answered and hung up already: its answer says more.
            Err(HANGS_UP) | Ok(()) => Ok(()),
            Err(error) => Err(Trouble::Broken(error)),
        }
    }

    fn receive(
        &mut self,
        buffer: &mut Buffer,
        patience: Option<Duration>,
    ) -> Result<usize, Trouble> {
        match self.client.receive(buffer, patience) {
            Ok(Received::Frame(length)) => Ok(length),
            Ok(Received::HungUp) => Err(Trouble::HungUp),
            Ok(Received::Nothing) => Err(Trouble::Silent),
            Err(error) => Err(Trouble::Broken(error)),
        }
    }

    /// Shows every unit to `look`, in the manifest's order.
    pub(super) fn each_unit(
        &mut self,
        buffer: &mut Buffer,
        look: &mut dyn FnMut(&mut Self, &UnitRecord<'_>),
    ) -> Outcome<()> {
        let mut next = Some(0);
        // Every page ends behind the one before it, or the last: 65 536 pages at most.
        while let Some(from) = next {
            next = None;
            let (mut page, mut unit) = (Response::EMPTY, UnitRecord::EMPTY);
            let mut reader = self.ask_and_read(&Request::Units { from }, buffer, &mut page)?;
            let Response::Units { total } = page else {
                return self.fail(UNEXPECTED);
            };
            while !reader.is_at_end() {
                if let Err(malformed) = reader.read(&mut unit) {
                    return self.fail(Trouble::BadAnswer(malformed));
                }
                look(self, &unit);
                next = unit.index.checked_add(1);
                next = next.filter(|&next| next > from && next < total);
            }
        }
        Ok(())
    }
}

/// The answer belongs to another question.
pub(super) const UNEXPECTED: Trouble = Trouble::BadAnswer(Malformed {
    problem: Problem::BadValue,
    offset: 8,
});

/// The answer is longer than any of ours.
const TOO_LONG: Malformed = Malformed {
    problem: Problem::TooLong,
    offset: u16::MAX,
};
