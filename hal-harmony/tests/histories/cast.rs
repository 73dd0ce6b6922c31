//! This file is what processes do: services as the script has them, some of them hostile, and
//! those that carry requests.

use super::Shared;
use super::stage::{Order, Part};
use crate::sim::Sim;
use hal_harmony::abi::{Calls, Line, Notification, Patience};
use init_core::protocol::letter::{Letter, Piece, Sheet};
use init_core_sim::product::Life;
use init_core_sim::random::Random;

/// How often a process that listens asks whether it is to go on.
const BEAT_US: u64 = 25_000;

/// How often a client asks for its answer again.
const FETCH_US: u64 = 15_000;

/// Once it has nothing to do, a process wakes by itself after that: nobody depends on it.
const REST_US: u64 = 5_000_000;

/// A process: its way to init, and its own time.
struct Actor<'a> {
    stage: &'a Shared,
    sim: &'a Sim,
    line: Line<Sim>,
    bell: Notification,
    pid: i32,
    begun: u64,
    has_clock: bool,
}

/// The program of every unit.
pub fn play(stage: &Shared, sim: &Sim, channel: i32) {
    let (pid, has_clock) = {
        let state = sim.state();
        (state.own_pid(), state.has_clock)
    };
    let actor = Actor {
        stage,
        sim,
        line: Line::new(sim.clone(), channel),
        bell: Calls::new(sim.clone())
            .notification()
            .expect("a capability"),
        pid,
        begun: now_us(sim),
        has_clock,
    };
    let part = stage.lock().part(pid);
    match part {
        Some(Part::Client) => actor.carry(),
        Some(Part::Unit {
            life,
            says_ready,
            noise,
        }) => actor.live(life, says_ready, noise),
        // Nobody has asked for it: the stage knows.
        None => {}
    }
}

fn now_us(sim: &Sim) -> u64 {
    sim.state().now_ns / 1_000
}

impl Actor<'_> {
    fn ask(&self, letter: Letter<'_>) -> Option<Sheet> {
        self.line.ask(&letter.sheet())
    }

    /// Lets so much time pass, or less.
    fn sleep(&self, us: u64) {
        if self.has_clock {
            let calls = Calls::new(self.sim.clone());
            let _ = calls.wait(&self.bell, Patience::Us(us.max(1)));
            return;
        }
        // Waits do not end by themselves: others run, and time passes with them.
        let until = now_us(self.sim) + us.min(BEAT_US);
        while now_us(self.sim) < until {
            self.sim.state().now_ns += 1_000_000;
            self.line.give_way();
        }
    }

    /// A service's or task's life.
    fn live(&self, life: Life, says_ready: bool, noise: Option<u64>) {
        let due = |after: Option<u64>| after.map(|us| self.begun + us);
        let mut ready = due(life.ready).filter(|_| says_ready);
        let exit = life.exit.map(|(us, code)| (self.begun + us, code));
        // Whoever would end at once when it is told to is killed as well.
        let listens = life.stop != Some(0);
        let mut leaves: Option<u64> = None;
        if let Some(seed) = noise {
            self.be_hostile(seed);
        }
        loop {
            let now = now_us(self.sim);
            if ready.is_some_and(|at| at <= now) {
                ready = None;
                self.stage.lock().says_ready(self.pid);
                let _ = self.line.tell(&Letter::Ready.sheet());
            }
            if let Some((_, code)) = exit.filter(|(at, _)| *at <= now) {
                return self.line.exit(code);
            }
            if leaves.is_some_and(|at| at <= now) {
                return self.line.exit(0);
            }
            if listens && leaves.is_none() {
                leaves = self
                    .is_told_to_stop()
                    .then(|| life.stop.map(|us| now_us(self.sim) + us))
                    .flatten();
            }
            let next = [ready, exit.map(|(at, _)| at), leaves];
            let next = next.into_iter().flatten().min();
            let rest = if listens { BEAT_US } else { REST_US };
            let now = now_us(self.sim);
            self.sleep(next.map_or(rest, |at| at.saturating_sub(now).min(rest)));
        }
    }

    /// Asks whether it is to go on; whether it is not.
    fn is_told_to_stop(&self) -> bool {
        let due = self.stage.lock().asks(self.pid);
        let answer = self.ask(Letter::Heartbeat);
        let order = answer.as_ref().and_then(|sheet| Letter::read(sheet).ok());
        if let Some(order) = order {
            self.stage.lock().is_ordered(self.pid, due, order);
        }
        order == Some(Letter::Stop)
    }

    /// Says what nobody should: too much, what is no letter, and what others may say.
    fn be_hostile(&self, seed: u64) {
        let mut random = Random::new(seed);
        for _ in 0..40 {
            let mut sheet = [0; 64];
            for byte in &mut sheet {
                *byte = u8::try_from(random.below(256)).expect("a byte");
            }
            let letters = [
                Letter::Log(b"noise"),
                Letter::Heartbeat,
                Letter::GoOn,
                Letter::Fetch(7),
                Letter::Stopping,
                Letter::Refused,
            ];
            match random.below(8) {
                0 => {
                    // It may be a letter after all.
                    self.stage.lock().asks(self.pid);
                    let _ = self.line.ask(&sheet);
                }
                1 => drop(self.ask(letters[2 + random.below(4)])),
                2 => {
                    let piece = Piece {
                        whole: 600,
                        begin: 0,
                        content: &sheet[..50],
                    };
                    let _ = self.ask(Letter::Request(piece));
                }
                3 => drop(self.line.tell(&sheet)),
                _ => drop(self.line.tell(&letters[random.below(6)].sheet())),
            }
        }
    }

    /// Carries requests, one at a time.
    fn carry(&self) {
        loop {
            let order = self.stage.lock().take_order(self.pid);
            let Some(order) = order else {
                self.sleep(REST_US);
                continue;
            };
            let is_answered = self.request(&order);
            self.stage.lock().served(self.pid, is_answered);
        }
    }

    /// Sends a request and fetches its answer; whether there was one.
    fn request(&self, order: &Order) -> bool {
        let mut begin = 0;
        while let Some(piece) = Piece::of(&order.frame, begin) {
            begin = piece.end();
            let answer = self.ask(Letter::Request(piece));
            if answer.is_none_or(|it| Letter::read(&it) == Ok(Letter::Refused)) {
                return false;
            }
        }
        let mut fetched = 0;
        loop {
            if self.stage.lock().is_stalled(self.pid) {
                self.sleep(20 * FETCH_US);
            }
            let Some(sheet) = self.ask(Letter::Fetch(fetched)) else {
                return false;
            };
            match Letter::read(&sheet) {
                Ok(Letter::NotYet) => self.sleep(FETCH_US),
                Ok(Letter::Response(piece)) if piece.is_last() => return true,
                Ok(Letter::Response(piece)) => fetched = piece.end(),
                _ => return false,
            }
        }
    }
}
