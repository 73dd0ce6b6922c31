//! This room makes the root task the keeper of a core that is a process of its own.
//!
//! The keeper is the platform as ever: processes, channel, time, power. The core decides, in a
//! process that holds the channel, the words that it shares with the keeper, and nothing else of
//! ours. Whatever becomes of it, a new one is made from the program in the image and goes on from
//! the state that the words hold.
//!
//! The core calls when it wants something, and is answered when there is something for it. One
//! event is with it at a time: what it was told and had not taken in is told to the next. What
//! services say meanwhile is answered at once, and kept with the process that said it.

mod birth;
mod core_end;
mod trouble;

pub use core_end::{CoreEnd, decide};

use crate::abi::{Asked, Error, Kernel, Shared};
use crate::children::CORE;
use crate::harmony::Harmony;
use crate::image::{self, Loadable};
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::Words;
use init_core::checkpoint::words_for;
use init_core::event::{Event, ExitStatus};
use init_core::hal::{Clock, Wake};
use init_core::relay::{self, Breach, Desk, Step};
use init_core::renewal::Handover;
use init_core::time::{Duration, Instant};
use init_core::unit::{Image, Manifest};

/// Where the words lie that keeper and core share, in both: above all programs.
pub(crate) const SHARED_AT: u64 = 0x7800_0000;

/// Bytes of the core's stack: its largest frames hold a client's frame or two.
const CORE_STACK_BYTES: u64 = 32 * 1_024;

/// How long a core may be silent where the manifest says nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// Until another attempt to make a process for the core, when there was none to be had.
const RETRY: Duration = Duration::from_ms(20);

/// Letters with something for the core that are taken at once: as many as can wait.
const LETTERS_MAX: usize = 24;

/// Words before the ring: what a core is told when it begins.
mod head {
    /// 0 for the first core, else why there is another.
    pub const WHY: usize = 0;
    /// The time, in microseconds.
    pub const NOW_LOW: usize = 1;
    pub const NOW_HIGH: usize = 2;
    pub const WORDS: usize = 4;
}

/// Shared words for a product of so many units.
fn shared_words(units: usize) -> usize {
    let own = head::WORDS.saturating_add(relay::WORDS);
    own.saturating_add(words_for(units))
}

/// The head, the ring and the core's state.
fn parts(words: &'static [AtomicU32]) -> [Words<'static>; 3] {
    let (head, rest) = words.split_at_checked(head::WORDS).unwrap_or_default();
    let (ring, state) = rest.split_at_checked(relay::WORDS).unwrap_or_default();
    [head, ring, state].map(Words::new)
}

/// The root task.
#[derive(Debug)]
pub struct Keeper<K: 'static> {
    harmony: Harmony<K>,
    desk: Desk,
    shared: Shared,
    program: Loadable,
    /// How long the core may be silent about an event.
    patience: Duration,
    /// Why the next core takes the place of one before, if there was one.
    why: Option<Handover>,
    /// The core's call, until there is something for it.
    asked: Option<Asked>,
    /// What the core was told last.
    handed: Option<Handed>,
    /// What the core before was told and had not taken in.
    again: Option<Handed>,
    taken_in: u32,
    /// This core has not waited yet.
    is_new: bool,
    /// Cores in a row that ended by their own fault and had dealt with nothing.
    vain: u32,
    /// Cores that took the place of another.
    healings: u32,
}

/// What a core was told and may not have taken in.
#[derive(Clone, Copy, Debug)]
struct Handed {
    wake: Wake,
    /// How many events the core had taken in then.
    stamp: u32,
    /// Cores that ended of it.
    deaths: u32,
}

/// How a core's life ended.
enum End {
    /// So did the machine.
    Over,
    /// The core is gone, or has to go.
    Trouble(Trouble),
    /// It asked for another in its place.
    Renewed,
}

/// Why a core is replaced.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It ended.
    Gone(ExitStatus),
    /// It had an event and was not heard of for too long.
    Silent,
    /// It did what no core does.
    Breach(Breach),
}

/// What was heard of a core.
enum Heard {
    /// It calls.
    Call(Asked),
    /// Nothing.
    Nothing,
    /// It is gone.
    End(ExitStatus),
}

impl<K: Kernel + 'static> Keeper<K> {
    /// A keeper without a core yet. `place` is where it notes what it has read of the ring.
    ///
    /// # Errors
    /// There is no memory to share, or the program is none.
    pub fn new(
        harmony: Harmony<K>,
        manifest: &'static Manifest,
        program: &Image,
        place: &'static AtomicU32,
    ) -> Result<Self, Error> {
        let program = image::program(program).map_err(|_| Error::Range)?;
        let words = shared_words(manifest.units.len());
        let shared = harmony.calls.share(SHARED_AT, words)?;
        let [_, ring, _] = parts(shared.words());
        Ok(Self {
            desk: Desk::new(ring, manifest, place),
            harmony,
            shared,
            program,
            patience: manifest.split.unwrap_or(PATIENCE),
            why: None,
            asked: None,
            handed: None,
            again: None,
            taken_in: 0,
            is_new: true,
            vain: 0,
            healings: 0,
        })
    }

    /// Keeps a core until the machine's last act, should that return.
    pub fn keep(&mut self) {
        loop {
            if self.begin().is_err() {
                self.pause();
                continue;
            }
            match self.serve() {
                End::Over => return,
                End::Trouble(trouble) => self.replace(trouble),
                End::Renewed => self.renew(),
            }
        }
    }

    /// What is left to do when the machine is over, see [`Harmony::rest`].
    pub fn rest(&mut self) {
        self.harmony.rest();
    }

    /// Serves the core until it or the machine is over.
    fn serve(&mut self) -> End {
        loop {
            match self.hear() {
                Heard::Call(asked) => {
                    // The one before asked for nothing: nobody answers it.
                    if let Some(vain) = self.asked.replace(asked) {
                        self.harmony.courier.post.give_core(vain.forget());
                    }
                }
                Heard::Nothing => return End::Trouble(Trouble::Silent),
                Heard::End(how) => return End::Trouble(Trouble::Gone(how)),
            }
            loop {
                match self.desk.serve(&mut self.harmony) {
                    Ok(Step::Done) => continue,
                    // It calls for nothing and is not answered: soon it is silent.
                    Ok(Step::Nothing) => {}
                    Ok(Step::Answered) => self.answer(),
                    Ok(Step::Waits {
                        until, taken_in, ..
                    }) => {
                        self.settle(taken_in);
                        match self.next(until) {
                            Ok(wake) => self.desk.deliver(wake, &mut self.harmony),
                            Err(trouble) => return End::Trouble(trouble),
                        }
                        self.answer();
                    }
                    Ok(Step::Renew) => return End::Renewed,
                    Ok(Step::Over) => return End::Over,
                    Err(breach) => return End::Trouble(Trouble::Breach(breach)),
                }
                break;
            }
        }
    }

    /// Lets the core go on: what it asked for is among the words.
    fn answer(&mut self) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let nothing = [0; crate::abi::MESSAGE_BYTES];
        let handle = match self.harmony.children.group_of(asked.pid()) {
            Some(group) => {
                let replied = self.harmony.calls.reply(asked, group, &nothing);
                replied.unwrap_or_else(Asked::forget)
            }
            None => asked.forget(),
        };
        self.harmony.courier.post.give_core(handle);
    }

    /// Waits for the core, which has something to do. Services are answered meanwhile.
    fn hear(&mut self) -> Heard {
        let until = self.harmony.now().after(self.patience);
        loop {
            if let Some(asked) = self.harmony.courier.post.take_core() {
                return Heard::Call(asked);
            }
            if let Some(how) = self.take_end() {
                return Heard::End(how);
            }
            self.listen();
            let now = self.harmony.now();
            if now >= until {
                return Heard::Nothing;
            }
            // Who else has ended waits until the core can be told.
            self.harmony
                .doze(Some(until), now, self.harmony.children.is_ending(CORE));
        }
    }

    /// How the core ended, once it is gone for good.
    fn take_end(&mut self) -> Option<ExitStatus> {
        self.harmony.take_exits();
        self.harmony.send_mark();
        let calls = &self.harmony.calls;
        let is_core = |child| child == CORE;
        let ended = self
            .harmony
            .children
            .take_ended(is_core, |group| calls.free(group));
        ended.map(|(_, how)| how)
    }

    /// Answers services; what is for the core is kept.
    fn listen(&mut self) {
        for _ in 0..LETTERS_MAX {
            match self.harmony.next_letter() {
                Some(Wake::Event(event)) => self.harmony.children.owe(event),
                Some(Wake::Frame(client)) => self.harmony.sessions.owe(client),
                None => return,
            }
        }
    }

    /// The next event for a core that has nothing to do.
    fn next(&mut self, until: Option<Instant>) -> Result<Wake, Trouble> {
        loop {
            if let Some(how) = self.take_end() {
                return Err(Trouble::Gone(how));
            }
            if let Some(handed) = self.next_wake() {
                let stamp = self.taken_in;
                self.handed = Some(Handed { stamp, ..handed });
                return Ok(handed.wake);
            }
            let now = self.harmony.now();
            if until.is_some_and(|until| until <= now) {
                return Ok(Wake::Event(Event::Tick));
            }
            self.harmony.sleep(until, now);
        }
    }

    fn next_wake(&mut self) -> Option<Handed> {
        if let Some(handed) = self.again.take() {
            return Some(handed);
        }
        // First what they say, so that it comes before their end.
        self.listen();
        let event = self.harmony.next_event().map(Wake::Event);
        let wake = event.or_else(|| self.harmony.sessions.take_owed().map(Wake::Frame))?;
        Some(Handed {
            wake,
            stamp: 0,
            deaths: 0,
        })
    }
}
