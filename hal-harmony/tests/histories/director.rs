//! This file makes the steps of a script happen at their time, and then sees to it that everybody
//! behaves, that all comes to its end, and that the machine goes down.

use super::product::{Product, TARGET};
use super::stage::{Order, Stage};
use crate::sim::Deed;
use hal_harmony::abi::number::Number;
use init_core::event::MachineRequest;
use init_core::ident::{Role, UnitId};
use init_core::protocol::{Change, Request, Text};
use init_core_sim::facts::{Standing, closure, contradicts_itself};
use init_core_sim::random::Random;
use init_core_sim::script::{Script, Step};

/// In which everything comes to its end once everybody behaves: timeouts and back-offs, and what
/// replacing cores takes.
const SETTLE_US: u64 = 40_000_000;

/// So long nothing may have moved before it counts as settled.
const QUIET_US: u64 = 600_000;

/// How often it is looked at meanwhile.
const LOOK_US: u64 = 50_000;

/// Beyond the machine's own deadline for its end.
const DOWN_US: u64 = 4_000_000;

/// Calls of all, after which a history should have come to its end and has not.
const CALL_COUNT_MAX: u64 = 4_000_000;

/// Requests that may wait to be carried: who comes later finds nobody.
const ORDER_COUNT_MAX: usize = 6;

/// Calls of the root task that this kernel may refuse, one in so many where it does.
const REFUSED_ONE_IN: usize = 150;

/// Calls that a kernel without memory may refuse.
const REFUSABLE: [Number; 8] = [
    Number::TRANSFER_CAPS,
    Number::CREATE_PMO,
    Number::WRITE_PMO,
    Number::MAP_PMO,
    Number::TRANSFER_PMO_OWNER,
    Number::CACHE_FLUSH,
    Number::CREATE_CAP_GROUP,
    Number::CREATE_THREAD,
];

/// Where a history stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The script's steps.
    Script,
    /// Everybody behaves.
    Settling,
    /// The script's target is asked for once more.
    Reaching { refusals: u64 },
    /// The machine goes down.
    Down,
}

/// What is to happen.
pub struct Director {
    steps: Vec<Step>,
    numbers: Vec<usize>,
    step: usize,
    phase: Phase,
    /// Until when nothing more happens.
    horizon_us: u64,
    /// When the present phase must be over.
    limit_us: u64,
    quiet_since_us: u64,
    /// Processes that cannot be made.
    pub exhaust: u32,
    hold_us: u64,
    refuses: Option<Random>,
    calls: u64,
    /// Whether the last of all requests was answered; `None`: not yet carried.
    pub last_answered: Option<bool>,
}

impl Director {
    pub fn new(script: &Script, product: &Product) -> Self {
        let refuses = product.seed % 5 == 1;
        Self {
            steps: script.steps.clone(),
            numbers: product.numbers.clone(),
            step: 0,
            phase: Phase::Script,
            horizon_us: 0,
            limit_us: 0,
            quiet_since_us: 0,
            exhaust: 0,
            hold_us: 0,
            refuses: refuses.then(|| Random::new(product.seed)),
            calls: 0,
            last_answered: None,
        }
    }

    /// Everybody behaves.
    pub fn is_calm(&self) -> bool {
        self.phase != Phase::Script
    }
}

impl Stage {
    /// When something is to happen though nobody calls.
    pub fn alarm_us(&self) -> Option<u64> {
        self.finished.is_none().then_some(self.director.horizon_us)
    }

    pub fn refuses(&mut self, number: Number) -> bool {
        if number == Number::CREATE_CAP_GROUP && self.lacks_memory() {
            return true;
        }
        // Without a first core there is nothing to go on with.
        let has_begun = self.core_pid.is_some() || self.tally.deaths > 0;
        if !has_begun || self.director.is_calm() || !REFUSABLE.contains(&number) {
            return false;
        }
        let random = self.director.refuses.as_mut();
        let refuses = random.is_some_and(|random| random.once_in(REFUSED_ONE_IN));
        // A core that is being made is one that comes to nothing then.
        refuses && (self.core_pid.is_some() || self.deaths.may_come_to_nothing())
    }

    /// What is done to the machine now.
    pub fn deeds(&mut self, now: u64, all_sleep: bool) -> Vec<Deed> {
        self.director.calls += 1;
        if self.director.calls > CALL_COUNT_MAX {
            self.fail("it does not come to its end");
            return vec![Deed::GiveUp];
        }
        if self.finished.is_some() {
            return Vec::new();
        }
        if self.broken().is_some() {
            return vec![Deed::GiveUp];
        }
        let mut deeds = Vec::new();
        if self.deaths.is_struck()
            && let Some(core) = self.core_pid
        {
            deeds.push(Deed::End(core, self.deaths.code_of_kernel()));
        }
        // A core that is at work would be taken for one that hangs.
        if all_sleep && self.director.hold_us > 0 {
            deeds.push(Deed::Hold(
                std::mem::take(&mut self.director.hold_us) * 1_000,
            ));
        }
        if now >= self.director.horizon_us {
            self.next(now, &mut deeds);
        }
        if !self.orders.is_empty() {
            let idle = self.clients.iter().find(|(_, order)| order.is_none());
            deeds.extend(idle.map(|(pid, _)| Deed::Nudge(*pid)));
        }
        deeds
    }

    /// The time has come for what is next.
    fn next(&mut self, now: u64, deeds: &mut Vec<Deed>) {
        self.director.horizon_us = now + LOOK_US;
        match self.director.phase {
            Phase::Script => {
                while let Some(step) = self.director.steps.get(self.director.step).cloned() {
                    self.director.step += 1;
                    if let Step::Wait(us) = step {
                        self.director.horizon_us = now + us;
                        return;
                    }
                    self.take(&step, deeds);
                }
                self.calm();
                self.enter(Phase::Settling, now, SETTLE_US);
            }
            Phase::Settling => {
                if self.is_settled(now) {
                    self.judge_settled();
                    self.go_for_target(now);
                }
            }
            Phase::Reaching { refusals } => {
                // Who took over may not have known of it, and nobody may have been there.
                if self.director.last_answered == Some(false) {
                    self.go_for_target(now);
                }
                if self.director.last_answered == Some(true) && self.is_settled(now) {
                    self.judge_settled();
                    self.judge_reached(refusals);
                    self.order(&Request::Act(MachineRequest::PowerOff));
                    self.enter_down(now);
                }
            }
            Phase::Down => {
                if !self.model.going_down && self.orders.is_empty() && self.carried() == 0 {
                    // It was refused, or its client ended.
                    self.order(&Request::Act(MachineRequest::PowerOff));
                }
            }
        }
        if self.director.is_calm() && now > self.director.limit_us {
            let phase = self.director.phase;
            self.fail(format!("{phase:?} does not come to its end"));
        }
    }

    fn enter(&mut self, phase: Phase, now: u64, limit: u64) {
        self.director.phase = phase;
        self.director.limit_us = now + limit;
        self.director.quiet_since_us = now;
    }

    fn enter_down(&mut self, now: u64) {
        let total = self.manifest.shutdown.timeout.as_us();
        self.enter(Phase::Down, now, total + DOWN_US);
    }

    fn go_for_target(&mut self, now: u64) {
        if self.model.going_down {
            return self.enter_down(now);
        }
        let refusals = self.model.refusals;
        let name = self.manifest.unit(TARGET).map_or("", |desc| desc.name);
        self.director.last_answered = None;
        self.orders.push_back(Order {
            frame: init_core_sim::frame(&Request::Change {
                change: Change::Start,
                name: Text::of(name),
                wait: true,
            }),
            is_last: true,
        });
        self.enter(Phase::Reaching { refusals }, now, SETTLE_US);
    }

    /// From here on everybody behaves: faults are over.
    fn calm(&mut self) {
        self.deaths.spare();
        self.director.exhaust = 0;
        self.director.hold_us = 0;
        self.stalled.clear();
        self.damage.clear();
    }

    fn carried(&self) -> usize {
        self.clients.values().flatten().count()
    }

    /// Whether nothing has moved for a while.
    fn is_settled(&mut self, now: u64) -> bool {
        let moves = [
            Standing::Starting,
            Standing::Stopping,
            Standing::Restarting,
            Standing::Waiting,
        ];
        let is_still = self.model.going_down
            || self.orders.is_empty()
                && self.carried() == 0
                && self.core_waits
                && !self.seen.iter().any(|one| moves.contains(&one.state));
        if !is_still {
            self.director.quiet_since_us = now;
        }
        // Too late: what does not come to its end is named by the rules.
        is_still && now > self.director.quiet_since_us + QUIET_US || now > self.director.limit_us
    }

    fn judge_settled(&mut self) {
        if self.weak || self.model.going_down {
            return;
        }
        let waiting = self.carried() + self.orders.len();
        self.demand(waiting == 0, || format!("{waiting} clients wait for ever"));
        let untold = self
            .processes
            .iter()
            .find(|one| one.ended.is_some() && !one.told);
        let untold = untold.map(|one| one.child);
        self.demand(untold.is_none(), || {
            format!("nobody is told that {untold:?} ended")
        });
        self.model.check_settled();
    }

    /// The script's target is up with all that it needs, or it cannot be.
    fn judge_reached(&mut self, refusals: u64) {
        if self.model.going_down {
            return;
        }
        let is_refused = self.model.refusals > refusals;
        let cannot_be = contradicts_itself(&self.model.natures, TARGET);
        self.demand(is_refused == cannot_be, || {
            format!("the target is refused: {is_refused}")
        });
        for unit in closure(&self.model.natures, TARGET) {
            let state = self.seen.get(unit.index()).map(|seen| seen.state);
            self.demand(is_refused || state == Some(Standing::Up), || {
                format!("{unit:?} is {state:?}, and everybody behaves")
            });
        }
    }

    fn order(&mut self, request: &Request<'_>) {
        self.put(init_core_sim::frame(request));
    }

    fn put(&mut self, frame: Vec<u8>) {
        if self.orders.len() < ORDER_COUNT_MAX && !self.model.going_down {
            let is_last = false;
            self.orders.push_back(Order { frame, is_last });
        }
    }

    /// A client that has nothing to do takes a request.
    pub fn take_order(&mut self, pid: i32) -> Option<Order> {
        let order = self.orders.pop_front()?;
        self.clients.insert(pid, Some(order.clone()));
        self.model.asked += 1;
        Some(order)
    }

    /// It has its answer, or was refused.
    pub fn served(&mut self, pid: i32, is_answered: bool) {
        let order = self.clients.insert(pid, None).flatten();
        if order.is_some_and(|order| order.is_last) {
            self.director.last_answered = Some(is_answered);
        }
    }

    /// Whether a client is to be slow, once.
    pub fn is_stalled(&mut self, pid: i32) -> bool {
        let place = self.stalled.iter().position(|one| *one == pid);
        place.map(|place| self.stalled.swap_remove(place)).is_some()
    }

    fn nth_client(&self, nth: usize) -> Option<i32> {
        let busy: Vec<i32> = self
            .clients
            .iter()
            .filter_map(|(pid, order)| order.as_ref().map(|_| *pid))
            .collect();
        busy.get(nth.checked_rem(busy.len())?).copied()
    }

    /// Lets a step happen; those of which this kernel knows nothing do not.
    fn take(&mut self, step: &Step, deeds: &mut Vec<Deed>) {
        let place = |number: usize| self.director.numbers.iter().position(|one| *one == number);
        let index = |number| place(number).and_then(|place| u16::try_from(place).ok());
        match step {
            Step::Ask(change, unit, wait) => {
                let name = Text::of(init_core_sim::product::name(*unit));
                let (change, wait) = (*change, *wait);
                self.order(&Request::Change { change, name, wait });
            }
            Step::Act(request) | Step::Signal(request) => self.order(&Request::Act(*request)),
            Step::Look(unit) => {
                let name = Text::of(init_core_sim::product::name(*unit));
                self.order(&Request::Unit { name });
            }
            Step::Reexec => self.order(&Request::Reexec),
            Step::Garbage(seed, bytes) => {
                let mut random = Random::new(*seed);
                let byte = |_| u8::try_from(random.below(256)).unwrap_or(0);
                let frame = (0..(*bytes).clamp(1, 900)).map(byte).collect();
                self.put(frame);
            }
            Step::Leave(nth) => deeds.extend(self.nth_client(*nth).map(|pid| Deed::End(pid, 3))),
            Step::Stall(nth) => self.stalled.extend(self.nth_client(*nth)),
            Step::Crash(unit, code) => {
                let unit = place(*unit);
                let its = |one: &&super::process::Process| {
                    one.child.role == Role::Main && Some(one.child.unit.index()) == unit
                };
                let living = self.processes.iter().filter(|one| one.ended.is_none());
                let main = living.filter(its).map(|one| one.pid).next();
                // Some do what they must not.
                let code = if *code % 5 == 1 { -1 } else { i32::from(*code) };
                deeds.extend(main.map(|pid| Deed::End(pid, code)));
            }
            Step::Exhaust(count) => self.director.exhaust = *count,
            Step::Hold(us) => self.director.hold_us = *us,
            Step::Die(deaths) => self.deaths.add(deaths),
            Step::Damage(word, bit) => self.damage.push((None, *word, *bit)),
            Step::DamageRecord(unit, word, bit) => {
                if let Some(unit) = index(*unit) {
                    self.damage.push((Some(UnitId(unit)), *word, *bit));
                }
            }
            Step::Wait(_)
            | Step::Orphans(..)
            | Step::Wake(_)
            | Step::Deaf(_)
            | Step::Slow(..)
            | Step::Watchdog(_)
            | Step::Shuffle(_) => {}
        }
    }
}
