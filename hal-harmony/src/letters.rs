//! This file is what services say: each letter is judged by who sent it, as the kernel knows, and
//! a call is answered in the turn that takes it out, or never.
//!
//! Nobody is answered whom the kernel may have freed: exits are taken first, and only a process
//! that has not ended as far as we know can be named in a reply.

use crate::abi::{Asked, Kernel};
use crate::courier::OWN_PID;
use crate::harmony::Harmony;
use crate::post;
use init_core::event::Event;
use init_core::hal::Wake;
use init_core::ident::{Child, Role};
use init_core::protocol::letter::{Letter, Sheet};
use init_core::unit::{Readiness, UnitDesc};

/// A letter to ourselves. What it says does not matter: it is known by who sent it.
pub const MARK: Sheet = [0; init_core::protocol::letter::LETTER_BYTES];

impl<K: Kernel + 'static> Harmony<K> {
    /// Looks at a letter; what it means for the core, if anything.
    pub(crate) fn open(&mut self, letter: post::Letter) -> Option<Wake> {
        let post::Letter { pid, asked, sheet } = letter;
        if pid == OWN_PID {
            self.children.heard();
        }
        // Exits first: whoever ended is not answered any more.
        self.take_exits();
        let sender = self.children.sender(pid);
        let desc = sender.and_then(|child| self.manifest.unit(child.unit));
        let (Some(child), Some(desc)) = (sender, desc) else {
            self.answer(asked, &Letter::Refused);
            return None;
        };
        let Ok(letter) = Letter::read(&sheet) else {
            self.say(desc, "sent what is no letter");
            self.answer(asked, &Letter::Refused);
            return None;
        };
        self.heed(child, desc, pid, asked, letter)
    }

    fn heed(
        &mut self,
        child: Child,
        desc: &UnitDesc,
        pid: i32,
        asked: Option<Asked>,
        letter: Letter<'_>,
    ) -> Option<Wake> {
        let is_main = child.role == Role::Main;
        match letter {
            Letter::Ready => {
                self.answer(asked, &Letter::GoOn);
                let tells = is_main && matches!(desc.rules.ready, Readiness::Letter);
                tells.then_some(Wake::Event(Event::Ready(child)))
            }
            Letter::Heartbeat => {
                // Who does not wait for an answer does not hear that it is to stop.
                let is_to_stop = asked.is_some() && self.children.asks(pid);
                let order = if is_to_stop {
                    Letter::Stop
                } else {
                    Letter::GoOn
                };
                self.answer(asked, &order);
                is_main.then_some(Wake::Event(Event::Heartbeat(child)))
            }
            Letter::Stopping => {
                self.answer(asked, &Letter::GoOn);
                self.say(desc, "says that it stops");
                None
            }
            Letter::Log(text) => {
                self.answer(asked, &Letter::GoOn);
                self.say(desc, text);
                None
            }
            Letter::Request(piece) if desc.rules.controls && asked.is_some() => {
                let (answer, client) = self.sessions.request(pid, &piece);
                self.answer(asked, &answer);
                client.map(Wake::Frame)
            }
            Letter::Fetch(begin) if desc.rules.controls => {
                let answer = self.sessions.fetch(pid, begin).sheet();
                self.send(asked, &answer);
                None
            }
            Letter::Request(_)
            | Letter::Fetch(_)
            | Letter::GoOn
            | Letter::Stop
            | Letter::Response(_)
            | Letter::NotYet
            | Letter::Refused => {
                self.answer(asked, &Letter::Refused);
                None
            }
        }
    }

    fn answer(&mut self, asked: Option<Asked>, letter: &Letter<'_>) {
        self.send(asked, &letter.sheet());
    }

    fn send(&mut self, asked: Option<Asked>, sheet: &Sheet) {
        let Some(asked) = asked else { return };
        let handle = match self.children.group_of(asked.pid()) {
            Some(group) => self
                .calls
                .reply(asked, group, sheet)
                .unwrap_or_else(Asked::forget),
            None => asked.forget(),
        };
        self.courier.post.give(handle);
    }

    /// A line of a service's own on the console.
    fn say(&mut self, desc: &UnitDesc, text: impl AsRef<[u8]>) {
        self.console.say(desc.name, &|line| {
            line.text(text.as_ref());
        });
    }

    /// Tells what was lost since this was last asked.
    pub(crate) fn tell_lost(&mut self) {
        let dropped = self.courier.post.take_dropped();
        if dropped > 0 {
            self.console.say("init", &|line| {
                line.text("letters lost, as services sent too many: ")
                    .number(dropped);
            });
        }
        if self.courier.take_deaf() {
            self.is_deaf = true;
            self.console.say("init", &|line| {
                line.text("the kernel lets no letters in any more");
            });
        }
    }

    /// Has a mark sent after all that those have said who ended, so that one knows when that is
    /// heard. A kernel that refuses is asked again in the next turn.
    pub(crate) fn send_mark(&mut self) {
        if self.is_deaf {
            self.children.marked();
            self.children.heard();
        } else if self.children.wants_mark()
            && self.calls.send(&self.courier.channel, &MARK).is_ok()
        {
            self.children.marked();
        }
    }
}
