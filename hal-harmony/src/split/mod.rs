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
mod hearing;
mod told;
mod trouble;
mod vain;
mod way_down;

pub use core_end::{CoreEnd, decide};

use crate::abi::{Asked, Error, Kernel, Shared};
use crate::harmony::Harmony;
use crate::image::{self, Loadable};
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::Words;
use init_core::checkpoint::words_for;
use init_core::event::ExitStatus;
use init_core::hal::Wake;
use init_core::relay::{self, Breach, Desk, Step};
use init_core::renewal::Handover;
use init_core::time::Duration;
use init_core::unit::{Image, Manifest};
use vain::Vain;

/// Where the words lie that keeper and core share, in both: above all programs.
pub const SHARED_AT: u64 = 0x7800_0000;

/// Bytes of the core's stack: its largest frames hold a client's frame or two.
const CORE_STACK_BYTES: u64 = 32 * 1_024;

/// How long a core may be silent where the manifest says nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// Words before the ring: what a core is told when it begins.
mod head {
    /// 0 for the first core, else why there is another.
    pub const WHY: usize = 0;
    /// The time, in microseconds.
    pub const NOW_LOW: usize = 1;
    pub const NOW_HIGH: usize = 2;
    pub const WORDS: usize = 4;
}

/// Words that keeper and core share, for a product of so many units.
pub fn shared_words(units: usize) -> usize {
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
    /// What is left of that.
    left: Duration,
    /// Why the next core takes the place of one before, if there was one.
    why: Option<Handover>,
    /// The core's call, until there is something for it.
    asked: Option<Asked>,
    /// What the core was told last.
    handed: Option<Handed>,
    /// What the core before was told and had not taken in.
    again: Option<Handed>,
    taken_in: u32,
    /// A client's request is told before what processes do.
    is_clients_turn: bool,
    /// This core has not waited yet.
    is_new: bool,
    /// How often it has woken the keeper for nothing.
    noise: u32,
    /// Lives in a row that got nothing done.
    vain: Vain,
    /// Cores that took the place of another.
    healings: u32,
}

/// What a core was told and may not have taken in.
#[derive(Clone, Copy, Debug)]
struct Handed {
    wake: Wake,
    /// How many events the core had taken in then.
    stamp: u32,
    /// Cores that ended of it by a fault of their own.
    faults: u32,
    /// Cores that ended while they had it, whatever of.
    ends: u32,
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

/// What came of what a core was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    GoesOn,
    /// The machine's last act returned: it was the request for that, and two cores ended of it.
    Over,
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

impl From<Breach> for Trouble {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach)
    }
}

impl<K: Kernel + 'static> Keeper<K> {
    /// A keeper without a core yet. `place` is where it notes what it has read of the ring, and
    /// `at` where the words are to lie that it shares with cores.
    ///
    /// # Errors
    /// There is no memory to share, or the program is none.
    pub fn new(
        harmony: Harmony<K>,
        manifest: &'static Manifest,
        program: &Image,
        (place, at): (&'static AtomicU32, u64),
    ) -> Result<Self, Error> {
        let program = image::program(program).map_err(|_| Error::Range)?;
        let words = shared_words(manifest.units.len());
        let shared = harmony.calls.share(harmony.config.shared, at, words)?;
        let patience = manifest.split.unwrap_or(PATIENCE);
        let [_, ring, _] = parts(shared.words());
        Ok(Self {
            desk: Desk::new(ring, manifest, place),
            harmony,
            shared,
            program,
            patience,
            left: patience,
            why: None,
            asked: None,
            handed: None,
            again: None,
            taken_in: 0,
            is_clients_turn: false,
            is_new: true,
            noise: 0,
            vain: Vain::NONE,
            healings: 0,
        })
    }

    /// Keeps a core until the machine's last act, should that return.
    pub fn keep(&mut self) {
        loop {
            if let Err(error) = self.begin() {
                self.tell_none(error);
                self.live_in_vain();
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
        self.left = self.patience;
        loop {
            let served = self.hear().and_then(|asked| {
                // The one before asked for nothing: nobody answers it.
                match self.asked.replace(asked) {
                    Some(vain) => Ok(self.ignore(vain)?),
                    None => Ok(()),
                }
            });
            match served.and_then(|()| self.serve_call()) {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(trouble) => return End::Trouble(trouble),
            }
        }
    }

    /// Performs what the core asks for until it waits, or nothing is asked any more.
    fn serve_call(&mut self) -> Result<Option<End>, Trouble> {
        loop {
            match self.desk.serve(&mut self.harmony)? {
                // A core that asks without an end keeps nobody waiting.
                Step::Done => self.attend(),
                Step::Nothing => {
                    // It calls for nothing and is not answered: soon it is silent.
                    self.charge(1)?;
                    return Ok(None);
                }
                Step::Answered => break,
                Step::Waits {
                    until, taken_in, ..
                } => {
                    if self.settle(taken_in) == Settled::Over {
                        return Ok(Some(End::Over));
                    }
                    let wake = self.next(until)?;
                    self.desk.deliver(wake, &mut self.harmony);
                    self.left = self.patience;
                    break;
                }
                Step::Renew => return Ok(Some(End::Renewed)),
                Step::Over => return Ok(Some(End::Over)),
            }
        }
        self.answer();
        Ok(None)
    }

    /// Lets the core go on: what it asked for is among the words. One that has ended meanwhile is
    /// not answered.
    fn answer(&mut self) {
        self.harmony.take_exits();
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
}
