//! This file holds those who ask: for another program, for the core's alone, for this one once
//! more, or for what makes no sense; some leave before they have an answer.

use super::kernel::Kernel;
use init_core::ident::ClientId;
use init_core::protocol::{Reader, Request, Response, Text};

/// Clients at a time; who comes later finds no place.
const CLIENT_COUNT_MAX: usize = 3;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// The other program.
    Upgrade,
    /// The core of an image, alone.
    Exchange,
    /// That the program is executed again.
    Reexec,
    /// To know of units.
    Look,
    /// It does not say.
    Nonsense(u64),
}

/// Whoever asks, until it is answered or hung up on.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) frame: Vec<u8>,
    pub(super) is_heard: bool,
    pub(super) is_answering: bool,
    wants: Wants,
    /// What there was when it was heard.
    was: Present,
}

/// What a client's answer is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Present {
    program: usize,
    lives: u64,
    cores_took_over: u64,
    cores_stayed: u64,
}

impl Wants {
    fn frame(self) -> Vec<u8> {
        let image = Text::of("/image");
        match self {
            Self::Upgrade => crate::frame(&Request::Upgrade { image }),
            Self::Exchange => crate::frame(&Request::Exchange { image }),
            Self::Reexec => crate::frame(&Request::Reexec),
            Self::Look => crate::frame(&Request::Units { from: 0 }),
            Self::Nonsense(seed) => {
                let mut frame = crate::frame(&Request::Upgrade { image });
                // Something else, or less.
                let at = usize::try_from(seed).unwrap_or(0) % frame.len();
                match seed % 3 {
                    0 => frame.truncate(at.max(1)),
                    _ => frame[at] ^= u8::try_from(seed % 255 + 1).unwrap_or(1),
                }
                frame
            }
        }
    }
}

impl Kernel {
    fn present(&self) -> Present {
        Present {
            program: self.program,
            lives: self.lives,
            cores_took_over: self.exchange.took_over,
            cores_stayed: self.exchange.stayed,
        }
    }

    pub(super) fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.iter_mut().find(|it| it.id == id)
    }

    /// A client comes and asks for this, if there is a place: without mischief, one at a time.
    pub(super) fn connect(&mut self, wants: Wants) {
        let most = match self.mischief.is_hostile {
            true => CLIENT_COUNT_MAX,
            false => 1,
        };
        let mut slots = (1_u8..).take(most);
        let is_free = |slot: &u8| self.clients.iter().all(|it| it.id.slot != *slot);
        let Some(slot) = slots.find(is_free) else {
            return;
        };
        self.generation += 1;
        self.asked += u64::from(wants == Wants::Upgrade);
        let generation = self.generation;
        self.clients.push(Client {
            id: ClientId { slot, generation },
            frame: wants.frame(),
            is_heard: false,
            is_answering: false,
            wants,
            was: self.present(),
        });
    }

    /// The core is told of it.
    pub(super) fn hear(&mut self, id: ClientId) {
        let was = self.present();
        if let Some(client) = self.client(id) {
            (client.is_heard, client.was) = (true, was);
        }
    }

    /// What a client asked for that is there.
    pub(super) fn wants_core(&self, id: ClientId) -> bool {
        let mut its = self.clients.iter().filter(|it| it.id == id);
        its.any(|it| it.wants == Wants::Exchange)
    }

    /// One of them leaves.
    pub(super) fn leave(&mut self, nth: usize) {
        if let Some(nth) = nth.checked_rem(self.clients.len()) {
            let id = self.clients.remove(nth).id;
            self.gone.push(id);
        }
    }

    /// These are hung up on. The core is told; but not without mischief, where histories are as
    /// they always were.
    pub(super) fn hang_up_on(&mut self, is_it: impl Fn(&Client) -> bool) {
        let gone = self.clients.iter().filter(|it| is_it(it)).map(|it| it.id);
        if self.mischief.is_hostile {
            self.gone.extend(gone);
        }
        self.clients.retain(|it| !is_it(it));
    }

    /// A client is answered, and has no more to ask.
    pub(super) fn answer(&mut self, id: ClientId, frame: &[u8]) {
        self.cross();
        let Some(it) = self.client(id) else {
            return;
        };
        it.is_answering = true;
        let (wants, was) = (it.wants, it.was);
        self.cross();
        let answer = Reader::new(frame).and_then(|mut reader| reader.take());
        let done = matches!(answer, Ok(Response::Done));
        let now = self.present();
        let is_right = match wants {
            Wants::Upgrade => done == (now.program != was.program),
            // One that took over may have lost its place before it was the choice.
            Wants::Exchange if done => now.cores_took_over != was.cores_took_over,
            Wants::Exchange => now.cores_stayed == was.cores_stayed,
            Wants::Reexec => !done || now.lives != was.lives,
            Wants::Look => matches!(answer, Ok(Response::Units { .. })),
            Wants::Nonsense(_) => true,
        };
        if !is_right {
            let what = if done { "done" } else { "not done" };
            self.fail(format!("a client is told {what}, and it is otherwise"));
        }
        self.clients.retain(|it| it.id != id);
        self.cross();
    }
}
