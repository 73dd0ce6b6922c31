//! This file is the campaign's own end of the control socket: one request, one answer, and never a
//! wait without a limit.

use anyhow::{Context, Result};
use init_core::event::ExitStatus;
use init_core::limits::FRAME_BYTES_MAX;
use init_core::protocol::{Buffer, Change, Reader, Request, Response, Text, Writer};
use init_core::status::UnitState;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recv, send, socket,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After this a client without an answer, and without being told that there will be none, hangs.
/// Far more than a unit takes to be stopped whose stop signal was lost with the life that was to
/// send it, on a machine that has no time for its program.
pub const HANG_LIMIT: Duration = Duration::from_secs(20);

/// Between two attempts to connect while process 1 does not listen.
const RETRY_INTERVAL: Duration = Duration::from_micros(200);

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this.
    Answered(Answer),
    /// Process 1 hung up, or does not listen: the client knows, and may ask again.
    HungUp,
    /// Nothing came within the limit.
    Hung,
}

/// What of an answer the campaign looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A unit.
    Unit(Shown),
    /// Anything else that is a good frame.
    Other,
}

/// A unit as process 1 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// How it is.
    pub state: UnitState,
    /// Its main process, if there is one.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u16,
    /// The code with which its last process ended by itself.
    pub code: Option<u8>,
}

/// A connection, made when it is needed.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    connection: Option<OwnedFd>,
}

impl Client {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            connection: None,
        }
    }

    /// Sends a request; `false` when nobody is there.
    ///
    /// # Errors
    /// The request does not fit into a frame, or no socket can be made.
    pub fn send(&mut self, request: Request<'_>) -> Result<bool> {
        let mut buffer: Buffer = [0; FRAME_BYTES_MAX];
        let mut writer = Writer::new(&mut buffer);
        let fits = writer.add(&request);
        let length = writer.length();
        fits.ok().context("the request is too long for a frame")?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
                if connect(&socket, &SocketAddrUnix::new(&self.path)?).is_err() {
                    return Ok(false);
                }
                socket
            }
        };
        let frame = buffer.get(..length).unwrap_or_default();
        if send(
            &connection,
            frame,
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        )
        .is_err()
        {
            return Ok(false);
        }
        self.connection = Some(connection);
        Ok(true)
    }

    /// Waits for the answer to what was sent. Who hangs is connected still, and may wait on.
    ///
    /// # Errors
    /// What came is no answer.
    pub fn receive(&mut self, limit: Duration) -> Result<Outcome> {
        let Some(connection) = self.connection.take() else {
            return Ok(Outcome::HungUp);
        };
        let mut ready = [PollFd::new(&connection, PollFlags::IN)];
        let until = Instant::now() + limit;
        let is_ready = loop {
            let left = until.saturating_duration_since(Instant::now());
            match poll(&mut ready, Some(&Timespec::try_from(left)?)) {
                Ok(0) => break false,
                Ok(_) => break true,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        if !is_ready {
            self.connection = Some(connection);
            return Ok(Outcome::Hung);
        }
        let mut buffer: Buffer = [0; FRAME_BYTES_MAX];
        let Ok((length @ 1.., _)) = recv(&connection, &mut buffer, RecvFlags::DONTWAIT) else {
            return Ok(Outcome::HungUp);
        };
        self.connection = Some(connection);
        let answer = read(buffer.get(..length).unwrap_or_default())?;
        Ok(Outcome::Answered(answer))
    }

    /// Asks once. Who hangs gives up.
    ///
    /// # Errors
    /// As [`Self::send`] and [`Self::receive`].
    pub fn ask(&mut self, request: Request<'_>) -> Result<Outcome> {
        if !self.send(request)? {
            return Ok(Outcome::HungUp);
        }
        let outcome = self.receive(HANG_LIMIT)?;
        if outcome == Outcome::Hung {
            self.forget();
        }
        Ok(outcome)
    }

    /// Gives its connection up: a late answer is to reach nobody.
    pub fn forget(&mut self) {
        self.connection = None;
    }

    /// Asks until there is an answer: who is told that there is none asks again at once. Stops when
    /// `until` is reached or `is_over` says so.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn insist(
        &mut self,
        request: Request<'_>,
        until: Instant,
        mut is_over: impl FnMut() -> bool,
    ) -> Result<Outcome> {
        loop {
            match self.ask(request)? {
                Outcome::HungUp if Instant::now() < until && !is_over() => {
                    std::thread::sleep(RETRY_INTERVAL);
                }
                outcome => return Ok(outcome),
            }
        }
    }
}

fn read(frame: &[u8]) -> Result<Answer> {
    let malformed = |error| anyhow::anyhow!("process 1 answered what is no frame: {error:?}");
    let mut reader = Reader::new(frame).map_err(malformed)?;
    let response: Response<'_> = reader.take().map_err(malformed)?;
    Ok(match response {
        Response::Unit(record, _) => Answer::Unit(Shown {
            state: record.state,
            pid: record.pid,
            restarts: record.restarts,
            code: match record.last_exit {
                Some(ExitStatus::Code(code)) => Some(code),
                _ => None,
            },
        }),
        _ => Answer::Other,
    })
}

/// A change that is waited for.
#[must_use]
pub fn change(change: Change, name: &str) -> Request<'_> {
    Request::Change {
        change,
        name: Text::of(name),
        wait: true,
    }
}
