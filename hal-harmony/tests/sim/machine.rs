//! This file is the simulated machine: what exists, who runs, and what a call is.

use super::Sim;
use super::channel::{Channel, Record};
use super::fortune::Fortune;
use hal_harmony::abi::number::Number;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// One behaviour that is not the kernel's, to see whether somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// A call's result is another one: number, from, to.
    Result(Number, i64, i64),
    /// Two notifies count as one.
    NotBinaryCount,
    /// Surplus exits are told in their order.
    OverflowInOrder,
    /// Surplus exits are told before the one that makes them known.
    OverflowBeforeNew,
    /// A killed process's code says so.
    KillShowsNine,
    /// Exit codes are bytes.
    CodesAreBytes,
    /// A data fault is no -1.
    FaultShowsOther,
    /// Every process runs, whatever its priority.
    PriorityIgnored,
    /// What a process may use has no limit.
    QuotaIgnored,
    /// What is longer than the buffer is written all the same.
    NotCut,
    /// The rest of a longer buffer is cleared.
    RestCleared,
    /// The limit of a call counts.
    CallTimesOut,
    /// A source is always a notify.
    SourceIsNotify,
    /// A source's pid is 0.
    SourceHidden,
    /// A reply is not copied.
    ReplyLost,
    /// A process that ended loses what it had written.
    MemoryDies,
    /// An exit is in the ring and nobody is notified.
    ExitUntold,
    /// Time passes twice as slowly on the kernel's clock.
    WaitTooLong,
    /// Ends of blocks are not looked at.
    RangeIgnored,
    /// Who is killed lives on.
    KillLost,
    /// Only the own capability is given up, whatever is asked for.
    CopiesStay,
}

/// A call of anybody's, before the kernel has seen it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Calls so far.
    pub count: u64,
    pub now_ns: u64,
    pub number: Number,
    /// It is one of the process that may be struck.
    pub is_its: bool,
}

/// What becomes of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ends, with this code.
    Ends(i32),
    /// Its thread, which is calling, never runs again.
    Hangs,
}

/// Decides what becomes of the one process of a name, at each call.
pub struct Strike {
    pub name: &'static [u8],
    pub fate: Box<dyn FnMut(Moment) -> Option<Fate> + Send>,
}

/// A memory object.
#[derive(Debug)]
pub struct Memory {
    pub bytes: Vec<u8>,
    /// Not data: nothing may touch it.
    pub is_guard: bool,
}

/// A notification.
#[derive(Debug)]
pub struct Notification {
    pub count: u32,
    /// A process that held it was recycled.
    pub broken: bool,
}

/// What a capability stands for.
#[derive(Debug)]
pub enum Object {
    Memory(Memory),
    /// The machine's own memory, so many bytes of it.
    Device(u64),
    Group(usize),
    Space,
    Thread(usize),
    Notification(Notification),
    Channel(Channel),
    Handle(Record),
}

/// A piece of an address space.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    pub at: u64,
    pub length: u64,
    pub object: usize,
    pub may: u64,
}

/// A process.
#[derive(Debug)]
pub struct Group {
    pub name: Vec<u8>,
    pub badge: i32,
    pub pid: i32,
    pub caps: Vec<Option<usize>>,
    pub maps: Vec<Map>,
    pub quota: u64,
    pub used: u64,
    /// Its exit is known to the kernel.
    pub told: bool,
    pub recycled: bool,
    /// Its memory is the test's own: its program is one of [`State::natives`].
    pub is_host: bool,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Runs,
    /// For a notification, until then.
    Waits(usize, Option<u64>),
    /// For a message.
    Receives(usize),
    /// For a reply, or until then where a twist has it so.
    Calls(Option<u64>),
    Gone,
}

/// A thread. Its code is run by `cpu`; thread 0 is the test.
#[derive(Debug)]
pub struct Thread {
    pub group: usize,
    pub x: [u64; 32],
    pub pc: u64,
    pub priority: u32,
    pub doing: Doing,
    /// Goes at the next schedule.
    pub dying: bool,
    /// Its code is the test's own.
    pub is_host: bool,
    /// When it was last let run, counted in turns.
    pub turn: u64,
}

/// A program that is a function of the test: what it calls, and what it is given.
pub type Native = Arc<dyn Fn(Sim, u64) + Send + Sync>;

/// What a thread of the host runs.
pub enum Code {
    /// A function of the root task's, by its address.
    At(u64),
    /// A service's program.
    Native(Native),
}

/// The machine.
pub struct State {
    pub now_ns: u64,
    /// The kernel's clock goes on, and waits time out.
    pub has_clock: bool,
    pub powered_off: bool,
    pub console: Vec<u8>,
    pub objects: Vec<Object>,
    pub groups: Vec<Group>,
    pub threads: Vec<Thread>,
    /// Who is told of exits, and the address of the ring.
    pub recycler: Option<(usize, u64)>,
    /// Exits for which the ring had no room, latest first.
    pub surplus: Vec<(i32, i32)>,
    pub twist: Option<Twist>,
    /// When the twist is over.
    pub untwists_at_ns: Option<u64>,
    /// Thread, number and result of every call.
    pub trace: Vec<(usize, Number, i64)>,
    /// Decides which call is refused for want of memory: given its count.
    pub refuse: Option<Box<dyn Fn(u64, Number) -> bool + Send>>,
    pub refused: usize,
    pub strike: Option<Strike>,
    pub fortune: Option<Box<dyn Fortune>>,
    /// Whoever began the machine is to leave it.
    pub is_given_up: bool,
    /// Which of the root task's threads runs.
    pub baton: usize,
    /// Calls that programs made which are functions of the test.
    pub slices: u64,
    /// The host's threads of those that wait for it, or did.
    pub hosts: HashMap<usize, std::thread::Thread>,
    pub is_over: bool,
    /// A service's program that is a function of the test panicked.
    pub is_failed: bool,
    /// A thread of the root task that was made: itself, its code, its argument.
    pub newborn: Option<(usize, Code, u64)>,
    /// Programs that are functions of the test, by their first instruction.
    pub natives: HashMap<u64, Native>,
    /// How often somebody was let run.
    pub turns: u64,
    /// When threads were started.
    pub starts: Vec<u64>,
}

/// What a call came to: a result, or the caller sleeps or is no more.
pub type Answer = Option<i64>;

pub const AGAIN: i64 = -11;
pub const NO_MEMORY: i64 = -12;
pub const INVALID: i64 = -22;
pub const NO_PERMISSION: i64 = -1;
pub const TIMED_OUT: i64 = -110;
pub const BAD_CAP: i64 = -200;

/// Instructions until another thread has its turn.
const SLICE: u32 = 1_000;

/// What came of letting another thread run.
pub enum Turn {
    /// There is none.
    Nobody,
    /// It ran, and is interrupted.
    Ran,
    /// It is one of the root task's, to be handed the baton.
    Baton(usize),
}

impl State {
    pub fn new(priority: u32) -> Self {
        let root = Group {
            name: Vec::new(),
            badge: 1,
            pid: 1,
            caps: Vec::new(),
            maps: Vec::new(),
            quota: u64::MAX,
            used: 0,
            told: false,
            recycled: false,
            is_host: true,
        };
        let mut state = Self {
            now_ns: 5_000_000,
            has_clock: true,
            powered_off: false,
            console: Vec::new(),
            objects: Vec::new(),
            groups: vec![root],
            threads: vec![Thread {
                group: 0,
                x: [0; 32],
                pc: 0,
                priority,
                doing: Doing::Runs,
                dying: false,
                is_host: true,
                turn: 0,
            }],
            recycler: None,
            surplus: Vec::new(),
            twist: None,
            untwists_at_ns: None,
            trace: Vec::new(),
            refuse: None,
            refused: 0,
            strike: None,
            fortune: None,
            is_given_up: false,
            baton: 0,
            slices: 0,
            hosts: HashMap::new(),
            is_over: false,
            is_failed: false,
            newborn: None,
            natives: HashMap::new(),
            turns: 0,
            starts: Vec::new(),
        };
        for object in [Object::Group(0), Object::Space, Object::Thread(0)] {
            state.give(0, object);
        }
        // The next free capability of the root task is 7.
        state.groups[0].caps.resize(7, None);
        state
    }

    /// Makes an object; its capability.
    pub fn give(&mut self, group: usize, object: Object) -> i64 {
        self.objects.push(object);
        self.grant(group, self.objects.len() - 1)
    }

    /// Lets a group hold an object.
    pub fn grant(&mut self, group: usize, object: usize) -> i64 {
        self.groups[group].caps.push(Some(object));
        i64::try_from(self.groups[group].caps.len() - 1).expect("few")
    }

    /// The object behind a capability.
    pub fn find(&self, group: usize, cap: u64) -> Option<usize> {
        let index = usize::try_from(cap).ok()?;
        *self.groups[group].caps.get(index)?
    }

    pub fn has(&self, twist: Twist) -> bool {
        self.twist == Some(twist)
    }

    /// A call of any thread. Its result is in its first register, now or when it wakes.
    pub fn call(&mut self, thread: usize, number: Number, words: [u64; 6]) {
        self.now_ns += 1_000;
        self.time_out();
        self.befall(false);
        let count = u64::try_from(self.trace.len()).expect("few");
        if self.is_struck(thread, number) {
            return;
        }
        let refused = thread == 0 && self.is_refused(count, number);
        let answer = if refused {
            self.refused += 1;
            Some(NO_MEMORY)
        } else {
            self.answer(thread, number, words)
        };
        if let Some(result) = answer {
            let result = self.twisted(number, result);
            self.threads[thread].x[0] = u64::from_le_bytes(result.to_le_bytes());
            self.trace.push((thread, number, result));
        }
    }

    fn is_refused(&mut self, count: u64, number: Number) -> bool {
        let fortune = self.fortune.as_mut();
        let unlucky = fortune.is_some_and(|fortune| fortune.refuses(number));
        unlucky || self.refuse.as_ref().is_some_and(|no| no(count, number))
    }

    /// Strikes whom the test wants struck; whether the caller makes no call any more.
    fn is_struck(&mut self, thread: usize, number: Number) -> bool {
        let Some(mut strike) = self.strike.take() else {
            return self.threads[thread].doing == Doing::Gone;
        };
        let group = self.threads[thread].group;
        let moment = Moment {
            count: u64::try_from(self.trace.len()).expect("few"),
            now_ns: self.now_ns,
            number,
            is_its: self.groups[group].name == strike.name,
        };
        let fate = (strike.fate)(moment);
        let its = |one: &Group| one.name == strike.name && !one.told;
        let victim = self.groups.iter().position(its);
        self.strike = Some(strike);
        match (fate, victim) {
            (Some(Fate::Ends(code)), Some(victim)) => {
                self.end(victim, code);
                self.bury();
            }
            (Some(Fate::Hangs), _) if moment.is_its => {
                self.threads[thread].doing = Doing::Receives(usize::MAX);
                return true;
            }
            _ => {}
        }
        self.threads[thread].doing == Doing::Gone
    }

    fn twisted(&self, number: Number, result: i64) -> i64 {
        match self.twist {
            Some(Twist::Result(of, from, to)) if of == number && from == result => to,
            _ => result,
        }
    }

    /// Lets another thread of the host run.
    pub fn pass_baton(&mut self, to: usize) {
        self.baton = to;
        if let Some(host) = self.hosts.get(&to) {
            host.unpark();
        }
    }

    /// Wakes a thread with a result.
    pub fn wake(&mut self, thread: usize, result: i64) {
        if self.threads[thread].doing != Doing::Gone {
            self.threads[thread].doing = Doing::Runs;
            self.threads[thread].x[0] = u64::from_le_bytes(result.to_le_bytes());
        }
    }

    /// Whom giving way lets run at least.
    pub fn floor(&self, own: usize) -> u32 {
        if self.has(Twist::PriorityIgnored) {
            0
        } else {
            self.threads[own].priority
        }
    }

    /// Lets another thread run a slice: of the most important ones, who has waited longest.
    pub fn turn(&mut self, own: usize, floor: u32) -> Turn {
        self.bury();
        let runs = |one: &usize| *one != own && self.threads[*one].doing == Doing::Runs;
        let able = (0..self.threads.len()).filter(runs);
        let able = able.filter(|one| self.threads[*one].priority >= floor);
        let rank = |one: &usize| {
            (
                Reverse(self.threads[*one].priority),
                self.threads[*one].turn,
            )
        };
        let Some(next) = able.min_by_key(rank) else {
            return Turn::Nobody;
        };
        self.turns += 1;
        self.threads[next].turn = self.turns;
        if self.threads[next].is_host {
            return Turn::Baton(next);
        }
        self.run(next, SLICE);
        self.bury();
        Turn::Ran
    }

    /// Threads of processes that ended go.
    pub fn bury(&mut self) {
        for thread in self.threads.iter_mut().filter(|thread| thread.dying) {
            thread.doing = Doing::Gone;
        }
    }

    /// Nobody runs: the next limit passes. `false` when there is none.
    pub fn pass_time(&mut self) -> bool {
        if !self.has_clock {
            return false;
        }
        let until = |thread: &Thread| match thread.doing {
            Doing::Waits(_, until) | Doing::Calls(until) => until,
            Doing::Runs | Doing::Receives(_) | Doing::Gone => None,
        };
        let next = self.threads.iter().filter_map(until).min();
        let alarm = self.alarm_ns();
        let Some(next) = next.into_iter().chain(alarm).min() else {
            return false;
        };
        self.now_ns = self.now_ns.max(next);
        self.time_out();
        self.befall(true);
        true
    }

    /// Those whose limit has come wake.
    pub fn time_out(&mut self) {
        if self.untwists_at_ns.is_some_and(|end| end <= self.now_ns) {
            self.twist = None;
        }
        for index in 0..self.threads.len() {
            let until = match self.threads[index].doing {
                Doing::Waits(_, until) | Doing::Calls(until) => until,
                Doing::Runs | Doing::Receives(_) | Doing::Gone => None,
            };
            if self.has_clock && until.is_some_and(|until| until <= self.now_ns) {
                let result = self.twisted(Number::WAIT, TIMED_OUT);
                self.trace.push((index, Number::WAIT, result));
                self.wake(index, result);
            }
        }
    }
}
