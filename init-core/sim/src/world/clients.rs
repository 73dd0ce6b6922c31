//! This file holds control clients: what they send, what they were answered, how they leave.

use super::{Handed, World};
use crate::rules::{self, Asked};
use init_core::ident::ClientId;
use init_core::protocol::{Change, Request, Text, Writer};

/// How far process 1 is with a client's frame. In the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It may say something.
    Idle,
    /// Its frame was handed out, and is not answered.
    Busy,
    /// Its answer is being sent: whether it was, nobody can tell after a death.
    Answering,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    generation: u16,
    /// Its frame, in the kernel until it is consumed.
    frame: Option<Vec<u8>>,
    /// The frame that process 1 looks at.
    copy: Vec<u8>,
    progress: Progress,
    reads: bool,
    left: bool,
    asked: Asked,
    waits: bool,
    answered: bool,
}

impl Client {
    /// Whether it has something to tell.
    fn speaks(&self) -> bool {
        self.left || (self.frame.is_some() && self.progress == Progress::Idle)
    }
}

impl World {
    /// Connects a client that sends this. Where no place is free, the first one that is not about
    /// to be heard loses its own.
    pub fn connect(&mut self, frame: Vec<u8>, asked: Asked, waits: bool) {
        let free = self.clients.iter().position(Option::is_none);
        let rank = |place: &usize| {
            let client = self.clients[*place].as_ref();
            client.map(|one| (one.speaks(), one.generation))
        };
        let place = free.or_else(|| (0..self.clients.len()).min_by_key(rank));
        let place = place.unwrap_or(0);
        let Ok(slot) = u8::try_from(place) else {
            return;
        };
        if free.is_none() {
            self.drop_client(slot);
            let generation = self.generations[place];
            self.gone.push_back(ClientId { slot, generation });
        }
        let last = self.generations.iter().max().copied().unwrap_or(0);
        self.generations[place] = last.wrapping_add(1);
        self.clients[place] = Some(Client {
            generation: self.generations[place],
            frame: Some(frame),
            copy: Vec::new(),
            progress: Progress::Idle,
            reads: true,
            left: false,
            asked,
            waits,
            answered: false,
        });
        self.model.asked += 1;
    }

    /// Connects a client that asks for a change of a unit.
    pub fn ask(&mut self, change: Change, unit: u16, wait: bool) {
        let desc = self.manifest.units.get(usize::from(unit));
        let name = Text::of(desc.map_or("nobody", |desc| desc.name));
        let frame = frame(&Request::Change { change, name, wait });
        self.connect(frame, Asked::Change(change, unit), wait);
    }

    /// Connects a client that asks this.
    pub fn request(&mut self, request: &Request<'_>) {
        self.connect(frame(request), Asked::Other, true);
    }

    /// The n-th of those that are there.
    fn nth(&mut self, nth: usize) -> Option<&mut Client> {
        let count = self.clients.iter().flatten().count();
        let nth = nth.checked_rem(count)?;
        self.clients.iter_mut().flatten().nth(nth)
    }

    /// The n-th client leaves.
    pub fn leave(&mut self, nth: usize) {
        if let Some(client) = self.nth(nth) {
            client.left = true;
        }
    }

    /// The n-th client reads no more.
    pub fn stall(&mut self, nth: usize) {
        if let Some(client) = self.nth(nth) {
            client.reads = false;
        }
    }

    /// Requests that have neither an answer nor an end.
    pub fn unanswered(&self) -> usize {
        let owed = |one: &&Client| !one.left && one.progress != Progress::Idle;
        self.clients.iter().flatten().filter(owed).count()
    }

    fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        let client = self.clients.get_mut(usize::from(id.slot))?.as_mut()?;
        (client.generation == id.generation).then_some(client)
    }

    fn drop_client(&mut self, slot: u8) {
        if let Some(place) = self.clients.get_mut(usize::from(slot)) {
            *place = None;
        }
    }

    /// Who was being answered is hung up on; who is not there any more may not be known to be gone.
    pub(super) fn inherit_clients(&mut self) {
        for (slot, place) in (0_u8..).zip(&mut self.clients) {
            if place
                .as_ref()
                .is_some_and(|one| one.progress == Progress::Answering)
            {
                *place = None;
            }
            if place.is_none() {
                let generation = self.generations[usize::from(slot)];
                self.gone.push_back(ClientId { slot, generation });
            }
        }
    }

    /// Places with something to tell, in the order in which they came.
    pub(super) fn speaking(&self) -> impl Iterator<Item = u8> + use<> {
        let places = (0_u8..).zip(&self.clients);
        let told = places.filter_map(|(slot, one)| Some((one.as_ref()?, slot)));
        let told = told.filter(|(one, _)| one.speaks());
        let mut told: Vec<_> = told.map(|(one, slot)| (one.generation, slot)).collect();
        told.sort_unstable();
        told.into_iter().map(|(_, slot)| slot)
    }

    /// Takes what a client has to tell: `Err`: that it is gone.
    pub(super) fn hear(&mut self, slot: u8) -> Option<Result<ClientId, ClientId>> {
        let client = self.clients.get_mut(usize::from(slot))?.as_mut()?;
        let generation = client.generation;
        let id = ClientId { slot, generation };
        if client.left {
            self.drop_client(slot);
            return Some(Err(id));
        }
        client.copy = client.frame.clone()?;
        client.progress = Progress::Busy;
        rules::heard(&mut self.model, client.asked);
        Some(Ok(id))
    }

    /// A frame was lost with process 1: it is looked at again.
    pub(super) fn hear_again(&mut self, slot: u8) {
        if let Some(client) = self
            .clients
            .get_mut(usize::from(slot))
            .and_then(Option::as_mut)
        {
            client.progress = Progress::Idle;
        }
    }

    /// A frame was taken in.
    pub(super) fn consume(&mut self, slot: u8) {
        if let Some(client) = self
            .clients
            .get_mut(usize::from(slot))
            .and_then(Option::as_mut)
        {
            client.frame = None;
        }
    }

    pub(super) fn frame_of(&self, id: ClientId) -> &[u8] {
        let place = self
            .clients
            .get(usize::from(id.slot))
            .and_then(Option::as_ref);
        let client = place.filter(|one| one.generation == id.generation);
        client.map_or(&[], |client| client.copy.as_slice())
    }

    pub(super) fn begin_answer(&mut self, id: ClientId) -> bool {
        let Some(client) = self.client(id) else {
            return false;
        };
        client.progress = Progress::Answering;
        true
    }

    pub(super) fn answer(&mut self, id: ClientId, bytes: &[u8]) {
        let Some(client) = self.client(id) else {
            return;
        };
        if !client.reads || client.left {
            self.drop_client(id.slot);
            return self.gone.push_back(id);
        }
        let (asked, waits) = (client.asked, client.waits);
        if std::mem::replace(&mut client.answered, true) {
            self.model.fail("a client is answered twice");
        }
        let answers_frame = self.handed == Some(Handed::Frame(id.slot));
        rules::judge(&mut self.model, asked, waits, bytes);
        if answers_frame {
            self.consume(id.slot);
            self.handed = None;
        }
        self.note(&|| format!("answer to {asked:?}"));
    }

    pub(super) fn end_answer(&mut self, id: ClientId) {
        if let Some(client) = self.client(id) {
            client.progress = Progress::Idle;
        }
    }

    /// A core begins without a state: nobody knows any more what those are owed who wait.
    pub(super) fn forsake(&mut self) {
        self.is_forsaken = true;
        let waits = |one: &mut Client| one.progress != Progress::Idle;
        for place in &mut self.clients {
            place.take_if(waits);
        }
    }

    pub(super) fn hang_up(&mut self, id: ClientId) {
        if self.client(id).is_some() {
            self.drop_client(id.slot);
        }
    }
}

/// A request as it is sent.
pub fn frame(request: &Request<'_>) -> Vec<u8> {
    let mut buffer = [0; init_core::limits::FRAME_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    // A name of a few letters fits.
    let _ = writer.add(request);
    let length = writer.length();
    buffer[..length].to_vec()
}
