//! This file is what the keeper says of its cores.

use super::{Keeper, Trouble};
use crate::abi::{Error, Kernel};
use init_core::event::{Event, ExitStatus};
use init_core::hal::Wake;
use init_core::relay::Breach;
use init_core::report::Line;

impl<K: Kernel + 'static> Keeper<K> {
    /// Another core is to take the place of one.
    pub(super) fn tell(&mut self, trouble: Trouble) {
        let ms = u32::try_from(self.patience.as_ms()).unwrap_or(u32::MAX);
        let count = self.healings;
        self.write(&|line| {
            line.text("the core ");
            match trouble {
                // The kernel says so of one that was killed, too.
                Trouble::Gone(ExitStatus::Code(0)) => line.text("ended with code 0, or was ended"),
                Trouble::Gone(how) => line.text("ended: ").exit(how),
                Trouble::Silent => line.text("did not answer for ").number(ms).text(" ms"),
                Trouble::Breach(Breach::Damaged) => line.text("damaged its ring"),
                Trouble::Breach(Breach::Forbidden) => {
                    line.text("asked for what the manifest does not allow")
                }
                Trouble::Breach(Breach::TooOften) => line.text("asked too often"),
            };
            line.text("; another takes its place: ").number(count);
        });
    }

    /// There is no core to be had.
    pub(super) fn tell_none(&mut self, error: Error) {
        self.write(&|line| {
            line.text("no core could be made: error ");
            line.number(error.errno().0);
        });
    }

    /// Cores end of what they are told.
    pub(super) fn tell_put_aside(&mut self, wake: Wake) {
        self.write(&|line| {
            line.text("cores end of it, so it is put aside: ");
            line.text(match wake {
                Wake::Event(Event::Exited { .. }) => "the end of a process",
                Wake::Event(Event::Ready(_)) => "a service's readiness",
                Wake::Event(Event::Heartbeat(_)) => "a heartbeat",
                Wake::Event(Event::ClientGone(_)) => "the end of a client",
                Wake::Event(_) => "an event of the machine",
                Wake::Frame(_) => "a client's request",
            });
        });
    }

    pub(super) fn write(&mut self, words: &dyn Fn(&mut Line<'_>)) {
        self.harmony.console.say("keeper", words);
    }
}
