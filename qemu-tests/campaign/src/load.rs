//! This file keeps process 1 busy while it is injured: requests that start and stop services, and
//! questions about them, one after the other from two clients.

use crate::client::{Client, HANG_LIMIT, Outcome, change};
use crate::machine::{unit_name, units};
use crate::random::Random;
use crate::witness::Role;
use anyhow::{Error, Result, anyhow, bail};
use init_core::protocol::{Change, Request, Text};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long is waited for one client's next answer: what was asked before may hang, what is asked
/// after that as well.
pub(crate) const LOAD_LIMIT: Duration = HANG_LIMIT.saturating_mul(2);

/// Between two requests of one client, and before it asks again after it was turned away.
const PAUSE: Duration = Duration::from_micros(500);

#[derive(Debug, Default)]
struct Counts {
    is_over: AtomicBool,
    /// Requests that ended, however.
    ended: AtomicU64,
    answered: AtomicU64,
    hung: AtomicU64,
}

/// One client's thread; taken when it has ended.
type Thread = Option<JoinHandle<Result<()>>>;

/// The clients. Dropped, they end.
#[derive(Debug)]
pub struct Load {
    clients: Vec<(Arc<Counts>, Thread)>,
}

impl Load {
    /// Begins.
    #[must_use]
    pub fn begin(socket: &Path, services: usize, seed: u64) -> Self {
        let changes = spawn(socket, seed, move |random, client| {
            let asked = units(services, Role::Asked);
            let Some(unit) = asked.get(random.below(asked.len())) else {
                return Ok(Outcome::HungUp);
            };
            let what = match random.below(2) {
                0 => Change::Stop,
                _ => Change::Start,
            };
            let name = unit_name(*unit);
            let outcome = client.ask(change(what, &name))?;
            if outcome == Outcome::Hung {
                eprintln!("no answer to {what:?} {name}");
            }
            Ok(outcome)
        });
        let questions = spawn(socket, !seed, move |random, client| {
            let name = unit_name(random.below(services));
            match random.below(3) {
                0 => client.ask(Request::Machine),
                1 => client.ask(Request::Units { from: 0 }),
                _ => client.ask(Request::Unit {
                    name: Text::of(&name),
                }),
            }
        });
        Self {
            clients: vec![changes, questions],
        }
    }

    /// Waits until each client was answered once more; how many clients hung since the last call.
    /// Who is turned away all the time hangs, too.
    ///
    /// # Errors
    /// A client met what it cannot go on with.
    pub fn look(&mut self) -> Result<u64> {
        let mut hung = 0;
        for (counts, thread) in &mut self.clients {
            let before = counts.answered.load(Ordering::Relaxed);
            let until = Instant::now() + LOAD_LIMIT;
            let is_answered = || counts.answered.load(Ordering::Relaxed) != before;
            let hangs = || counts.hung.load(Ordering::Relaxed) > 0;
            while !is_answered() && !hangs() && Instant::now() < until {
                if thread.as_ref().is_none_or(JoinHandle::is_finished) {
                    return Err(end(thread.take()));
                }
                std::thread::sleep(PAUSE);
            }
            let told = counts.hung.swap(0, Ordering::Relaxed);
            hung += told.max(u64::from(!is_answered()));
        }
        Ok(hung)
    }

    /// How many requests have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        let ended = |(counts, _): &(Arc<Counts>, _)| counts.ended.load(Ordering::Relaxed);
        self.clients.iter().map(ended).sum()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for (counts, _) in &self.clients {
            counts.is_over.store(true, Ordering::Relaxed);
        }
        for (_, thread) in &mut self.clients {
            // What it met was of interest while the campaign looked.
            let _ = thread.take().map(JoinHandle::join);
        }
    }
}

/// Why a client is no more that should have gone on.
fn end(thread: Thread) -> Error {
    match thread.map(JoinHandle::join) {
        Some(Ok(Err(error))) => error,
        Some(Err(_)) => anyhow!("a client of the load panicked"),
        Some(Ok(Ok(()))) | None => anyhow!("a client of the load is no more"),
    }
}

fn spawn(
    socket: &Path,
    seed: u64,
    one: impl Fn(&mut Random, &mut Client) -> Result<Outcome> + Send + 'static,
) -> (Arc<Counts>, Option<JoinHandle<Result<()>>>) {
    let counts = Arc::new(Counts::default());
    let (mut client, mut random) = (Client::new(socket), Random::new(seed));
    let mine = Arc::clone(&counts);
    let run = move || {
        while !mine.is_over.load(Ordering::Relaxed) {
            match one(&mut random, &mut client) {
                Ok(Outcome::Answered(_)) => mine.answered.fetch_add(1, Ordering::Relaxed),
                Ok(Outcome::HungUp) => 0,
                Ok(Outcome::Hung) => mine.hung.fetch_add(1, Ordering::Relaxed),
                Err(error) => bail!("a client of the load: {error:#}"),
            };
            mine.ended.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
        Ok(())
    };
    (counts, Some(std::thread::spawn(run)))
}
