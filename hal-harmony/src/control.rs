//! This file carries frames of the control protocol, in pieces, between letters and the core.
//!
//! A client has one request at a time: it sends the pieces of its frame in order, then fetches the
//! answer piece by piece, as often as it takes until there is one. Whoever does otherwise is
//! refused, and what it had sent is forgotten.

use crate::abi::Kernel;
use crate::harmony::Harmony;
use init_core::hal::ControlPort;
use init_core::ident::ClientId;
use init_core::limits::{CLIENT_COUNT_MAX, FRAME_BYTES_MAX};
use init_core::protocol::letter::{Letter, Piece};

/// Clients at once: somebody who repairs, and a program that watches. Each costs a frame.
const SESSION_COUNT: usize = 2;
const _: () = assert!(SESSION_COUNT <= CLIENT_COUNT_MAX);

/// How far a client's request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is none.
    Free,
    /// So much of its frame has come.
    Sending { received: u16, whole: u16 },
    /// The core has the frame, or is to have it as soon as it can be told.
    Asked { whole: u16, is_owed: bool },
    /// The client went away while the core had its frame; the core is to be told.
    Gone,
    /// The answer is there to be fetched.
    Answered { length: u16 },
}

/// One client.
#[derive(Debug)]
struct Session {
    stage: Stage,
    pid: i32,
    generation: u16,
    /// The client's frame, then the answer to it.
    frame: [u8; FRAME_BYTES_MAX],
}

/// All clients.
#[derive(Debug)]
pub struct Sessions([Session; SESSION_COUNT]);

impl Session {
    const NEW: Self = Self {
        stage: Stage::Free,
        pid: 0,
        generation: 0,
        frame: [0; FRAME_BYTES_MAX],
    };

    /// Takes a piece; whether it was the last.
    fn take(&mut self, piece: &Piece<'_>) -> Result<bool, ()> {
        if piece.begin == 0 {
            self.stage = Stage::Sending {
                received: 0,
                whole: piece.whole,
            };
        }
        let Stage::Sending { received, whole } = self.stage else {
            return Err(());
        };
        let is_next = piece.begin == received && piece.whole == whole;
        let room = self
            .frame
            .get_mut(usize::from(piece.begin)..usize::from(piece.end()));
        let Some(room) = room.filter(|_| is_next) else {
            return Err(());
        };
        for (to, from) in room.iter_mut().zip(piece.content) {
            *to = *from;
        }
        self.stage = if piece.is_last() {
            self.generation = self.generation.wrapping_add(1);
            Stage::Asked {
                whole,
                is_owed: false,
            }
        } else {
            Stage::Sending {
                received: piece.end(),
                whole,
            }
        };
        Ok(piece.is_last())
    }
}

impl Sessions {
    /// Nobody asks for anything.
    pub const NEW: Self = Self([const { Session::NEW }; SESSION_COUNT]);

    fn each(&mut self) -> impl Iterator<Item = (u8, &mut Session)> {
        (0..=u8::MAX).zip(self.0.iter_mut())
    }

    fn slot(&self, is_wanted: impl Fn(&Session) -> bool) -> Option<u8> {
        let mut all = (0..=u8::MAX).zip(&self.0);
        let (slot, _) = all.find(|(_, session)| is_wanted(session))?;
        Some(slot)
    }

    fn of(&mut self, client: ClientId) -> Option<&mut Session> {
        let session = self.0.get_mut(usize::from(client.slot))?;
        (session.generation == client.generation).then_some(session)
    }

    /// A piece of a frame came; what it is answered, and who waits for the core then.
    pub fn request(&mut self, pid: i32, piece: &Piece<'_>) -> (Letter<'static>, Option<ClientId>) {
        let is_free = |session: &Session| session.stage == Stage::Free;
        let is_its = |session: &Session| session.pid == pid && !is_free(session);
        let mut slot = self.slot(is_its);
        if slot.is_none() {
            slot = self.slot(is_free);
        }
        let session = slot.and_then(|slot| Some((slot, self.0.get_mut(usize::from(slot))?)));
        let Some((slot, session)) = session else {
            return (Letter::Refused, None);
        };
        if matches!(session.stage, Stage::Asked { .. } | Stage::Gone) {
            return (Letter::Refused, None);
        }
        session.pid = pid;
        match session.take(piece) {
            Ok(false) => (Letter::GoOn, None),
            Ok(true) => {
                let generation = session.generation;
                (Letter::NotYet, Some(ClientId { slot, generation }))
            }
            Err(()) => {
                session.stage = Stage::Free;
                (Letter::Refused, None)
            }
        }
    }

    /// A client wants this part of its answer. With the last part it has had it.
    pub fn fetch(&mut self, pid: i32, begin: u16) -> Letter<'_> {
        let mut all = self.0.iter_mut();
        let Some(session) = all.find(|one| one.pid == pid && one.stage != Stage::Free) else {
            return Letter::Refused;
        };
        match session.stage {
            Stage::Asked { .. } => Letter::NotYet,
            Stage::Answered { length } => {
                let answer = session.frame.get(..usize::from(length));
                let Some(piece) = answer.and_then(|answer| Piece::of(answer, begin)) else {
                    return Letter::Refused;
                };
                if piece.is_last() {
                    session.stage = Stage::Free;
                }
                Letter::Response(piece)
            }
            Stage::Sending { .. } | Stage::Gone | Stage::Free => Letter::Refused,
        }
    }

    /// A client's frame is there, and the core cannot be told now.
    pub fn owe(&mut self, client: ClientId) {
        if let Some(session) = self.of(client)
            && let Stage::Asked { is_owed, .. } = &mut session.stage
        {
            *is_owed = true;
        }
    }

    /// A client whose frame the core is to be told of; it is, once.
    pub fn take_owed(&mut self) -> Option<ClientId> {
        self.each().find_map(|(slot, session)| {
            let Stage::Asked { is_owed, .. } = &mut session.stage else {
                return None;
            };
            let generation = session.generation;
            core::mem::take(is_owed).then_some(ClientId { slot, generation })
        })
    }

    /// Nobody knows any more what they are owed who wait for the core: they are refused.
    pub fn hang_up(&mut self) {
        for session in &mut self.0 {
            if matches!(session.stage, Stage::Asked { .. } | Stage::Gone) {
                session.stage = Stage::Free;
            }
        }
    }

    /// That process is no more.
    pub fn leave(&mut self, pid: i32) {
        for session in self.0.iter_mut().filter(|session| session.pid == pid) {
            session.pid = 0;
            session.stage = match session.stage {
                Stage::Asked { .. } | Stage::Gone => Stage::Gone,
                Stage::Free | Stage::Sending { .. } | Stage::Answered { .. } => Stage::Free,
            };
        }
    }

    /// A client that went away while the core had its request; told once.
    pub fn take_gone(&mut self) -> Option<ClientId> {
        let (slot, session) = self
            .each()
            .find(|(_, session)| session.stage == Stage::Gone)?;
        session.stage = Stage::Free;
        let generation = session.generation;
        Some(ClientId { slot, generation })
    }
}

impl<K: Kernel + 'static> ControlPort for Harmony<K> {
    fn frame(&self, client: ClientId) -> &[u8] {
        let session = self.sessions.0.get(usize::from(client.slot));
        let session = session.filter(|session| session.generation == client.generation);
        let frame = session.and_then(|session| match session.stage {
            Stage::Asked { whole, .. } => session.frame.get(..usize::from(whole)),
            Stage::Free | Stage::Sending { .. } | Stage::Gone | Stage::Answered { .. } => None,
        });
        frame.unwrap_or_default()
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        let Some(session) = self.sessions.of(client) else {
            return;
        };
        session.stage = match (session.stage, u16::try_from(frame.len())) {
            (Stage::Asked { .. }, Ok(length)) => {
                for (to, from) in session.frame.iter_mut().zip(frame) {
                    *to = *from;
                }
                Stage::Answered { length }
            }
            // It went away, and the core has not taken note yet.
            (Stage::Gone, _) => Stage::Free,
            (other, _) => other,
        };
    }

    /// An answer that is there can still be fetched.
    fn close(&mut self, client: ClientId) {
        if let Some(session) = self.sessions.of(client)
            && matches!(session.stage, Stage::Asked { .. } | Stage::Gone)
        {
            session.stage = Stage::Free;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(begin: u16, whole: u16, content: &[u8]) -> Piece<'_> {
        Piece {
            whole,
            begin,
            content,
        }
    }

    #[test]
    fn a_frame_is_put_together_from_its_pieces() {
        let mut sessions = Sessions::NEW;
        let wanted = ClientId {
            slot: 0,
            generation: 1,
        };
        assert_eq!(
            sessions.request(200, &piece(0, 5, b"abc")),
            (Letter::GoOn, None)
        );
        assert_eq!(sessions.fetch(200, 0), Letter::Refused);
        let last = sessions.request(200, &piece(3, 5, b"de"));
        assert_eq!(last, (Letter::NotYet, Some(wanted)));
        assert_eq!(sessions.0[0].frame[..5], *b"abcde");
        assert_eq!(sessions.fetch(200, 0), Letter::NotYet);
        assert_eq!(sessions.fetch(201, 0), Letter::Refused);
    }

    #[test]
    fn pieces_that_do_not_follow_each_other_are_refused_and_forgotten() {
        let refused = (Letter::Refused, None);
        let wrong = [
            piece(4, 9, b"x"),
            piece(3, 8, b"x"),
            piece(1_024, 1_030, b"x"),
        ];
        for piece_after in wrong {
            let mut sessions = Sessions::NEW;
            let _ = sessions.request(200, &piece(0, 9, b"abc"));
            assert_eq!(sessions.request(200, &piece_after), refused);
            assert_eq!(sessions.request(200, &piece(3, 9, b"x")), refused);
        }
        let mut sessions = Sessions::NEW;
        for begin in (0..1_008).step_by(56) {
            let sent = sessions.request(200, &piece(begin, u16::MAX, &[1; 56]));
            assert_eq!(sent, (Letter::GoOn, None), "{begin}");
        }
        assert_eq!(
            sessions.request(200, &piece(1_008, u16::MAX, &[1; 56])),
            refused
        );
    }

    #[test]
    fn more_clients_than_there_is_room_for_are_refused_until_one_is_done() {
        let mut sessions = Sessions::NEW;
        for pid in 200..202 {
            let asked = sessions.request(pid, &piece(0, 1, b"x"));
            assert!(matches!(asked, (Letter::NotYet, Some(_))));
        }
        let third = sessions.request(202, &piece(0, 1, b"x"));
        assert_eq!(third, (Letter::Refused, None));
        sessions.leave(200);
        let gone = sessions.take_gone();
        let wanted = ClientId {
            slot: 0,
            generation: 1,
        };
        assert_eq!((gone, sessions.take_gone()), (Some(wanted), None));
        assert_eq!(
            sessions.request(202, &piece(0, 2, b"x")),
            (Letter::GoOn, None)
        );
    }
}
