//! This file is how process 1 comes by the devices that it holds: its console, the null device, a
//! watchdog. At its very first it opens those that are there, since nobody else runs yet. Later
//! children do, which set the machine up or do nothing else: whatever is mounted over a path by
//! then may never answer.
//!
//! What a child has opened it sends through a pair of sockets, whose ends the next life finds. It
//! is copied from there, noted, and only then taken away, so no death loses it: a watchdog that was
//! opened and is closed again would reset the machine.

use crate::child;
use crate::console::{self, WITHOUT_WAITING};
use crate::linux::Linux;
use crate::region::{self, at};
use crate::sys::apart::{DRIVEN, is_apart, is_input_null};
use crate::sys::fd::{self, Fd};
use crate::sys::process::{duplicate_to, signal_init};
use crate::sys::{network, parcel};
use crate::uses::uses;
use core::ffi::CStr;
use init_core::event::{Errno, Event};
use init_core::hal::Wake;
use init_core::packed::packed;
use linux_raw_sys::general as abi;

/// A device, or several, by a bit each. The lower are looked for first: a watchdog's driver is the
/// likeliest to hold who opens it.
type Devices = u8;
const CONSOLE: Devices = 1;
const NULL: Devices = 2;
const WATCHDOG: Devices = 4;

/// SIGCHLD, which means nothing but that process 1 is to look.
const CHILD_SIGNAL: u8 = 17;

/// The descriptor through which a child sends: the lowest that it does not need.
pub(crate) const SENT_TO: u16 = 3;

impl Linux {
    /// Those that process 1 lacks. An image that has not taken over lacks none: the program before
    /// would not know of what it got, should that go on.
    #[inline(never)]
    pub(crate) fn missing(&self) -> Devices {
        let mut missing = 0;
        if self.heritage.is_some() {
            return missing;
        }
        if !self.in_container && !self.console.is_device() {
            missing |= CONSOLE;
        }
        // Descriptor 0 leads nowhere, so that most programs need not open anything for it. In a
        // container it is left as it is if it leads anywhere: what we were started with serves as
        // the console.
        if !self.has_null() && (!self.in_container || is_input_null()) {
            missing |= NULL;
        }
        if self.awaits_watchdog() && self.manifest.watchdog.is_some() {
            missing |= WATCHDOG;
        }
        missing
    }

    /// Opens the first of those that are missing, which is then one less.
    #[inline(never)]
    fn open_next(&self, missing: &mut Devices) -> Option<(Devices, Result<Fd, Errno>)> {
        let device = *missing & missing.wrapping_neg();
        *missing ^= device;
        let (path, flags) = match device {
            CONSOLE => (self.manifest.console, WITHOUT_WAITING),
            NULL => (child::NULL, abi::O_RDWR),
            WATCHDOG if uses().watchdog => (self.path(device), WITHOUT_WAITING),
            _ => return None,
        };
        let found = fd::open(path, flags, 0);
        Some((device, found))
    }

    fn path(&self, device: Devices) -> &'static CStr {
        match device {
            NULL => child::NULL,
            WATCHDOG if uses().watchdog => self.manifest.watchdog.map_or(c"", |desc| desc.device),
            _ => self.manifest.console,
        }
    }

    /// Opens those that are there.
    pub(crate) fn open_devices(&mut self) {
        let mut missing = self.missing();
        while let Some((device, found)) = self.open_next(&mut missing) {
            if let Ok(found) = found
                && is_apart(&found)
            {
                self.use_device(device, found);
            }
        }
    }

    #[inline(never)]
    fn use_device(&mut self, device: Devices, found: Fd) {
        match device {
            CONSOLE => {
                if let Some(before) = self.console.device() {
                    self.waiting.forget_console(before);
                }
                region::note(self.region.word(at::CONSOLE), Some(&found));
                self.console.replace(found);
            }
            NULL => {
                let done = duplicate_to(found.number(), 0).is_ok();
                self.region.set(at::NULL, done.into());
            }
            _ if uses().watchdog => self.use_watchdog(found, true),
            _ => {}
        }
    }

    /// Takes over what the life before had, and what children have sent since.
    pub(crate) fn inherit_devices(&mut self) {
        self.inherit_watchdog();
        self.adopt_way();
        let _ = self.take_devices();
    }

    /// Whether somebody has to look for what is missing: not where a life before has had that done,
    /// and gets what is found.
    pub(crate) fn is_to_look(&self) -> bool {
        self.way.is_none() && self.missing() != 0
    }

    /// Takes over the ends that are noted.
    #[inline(never)]
    fn adopt_way(&mut self) {
        let end = region::adopt(self.region.word(at::FOUND));
        let other = region::adopt(self.region.word(at::FINDER));
        match (end, other) {
            // There was none.
            (Some(end), Some(other)) => core::mem::forget(self.way.replace((end, other))),
            // Half of a pair is closed with this life: the number may be another's.
            half => core::mem::forget(half),
        }
        self.note_way();
    }

    /// For the next life.
    #[inline(never)]
    fn note_way(&self) {
        let ends = self.way.as_ref();
        region::note(self.region.word(at::FOUND), ends.map(|(end, _)| end));
        region::note(self.region.word(at::FINDER), ends.map(|(_, other)| other));
    }

    /// Whether children can send devices that are missing. Makes the pair if need be.
    pub(crate) fn has_way(&mut self) -> bool {
        if self.is_to_look() {
            self.region.set(at::FINDER, 0);
            let [end, other] = parcel::pair();
            self.region.set(at::FOUND, end);
            self.region.set(at::FINDER, other);
            self.adopt_way();
        }
        // Without it nobody looks: a watchdog must not be opened in vain.
        self.way.is_some()
    }

    /// In a child: moves its end to where it sends; the first descriptor behind it.
    pub(crate) fn keep_way(&self) -> u16 {
        if let Some((_, end)) = &self.way {
            let _ = duplicate_to(end.number(), SENT_TO);
        }
        SENT_TO.saturating_add(1)
    }

    /// In a child: opens what is missing and sends it.
    pub(crate) fn send_devices(&self, console: Option<&CStr>) {
        let mut missing = self.missing();
        while let Some((device, found)) = self.open_next(&mut missing) {
            // What is refused is closed behind the words: that may wait as well.
            let sent = match &found {
                Ok(found) if is_apart(found) => parcel::send(SENT_TO, device, found),
                Ok(_) => Err(DRIVEN),
                Err(error) => Err(*error),
            };
            let is_watchdog = uses().watchdog && device == WATCHDOG;
            if let Err(error) = sent
                && (error == DRIVEN || is_watchdog && self.watchdog.told)
            {
                console::say(console, &|line| {
                    if is_watchdog {
                        line.say(packed!("no watchdog: "));
                    }
                    line.bytes(self.path(device).to_bytes());
                    line.text(": ").errno(error);
                });
            }
        }
        // It is taken at once: what this child does next may last.
        let _ = signal_init(CHILD_SIGNAL);
    }

    /// Takes what is there, while there is a way. The pair is closed when nothing is missing any
    /// more, and stays where whoever closes a socket collects what others forgot
    /// ([`Kernel::collects`](crate::sys::kernel::Kernel::collects)).
    #[inline(never)]
    pub(crate) fn empty_way(&mut self) -> Option<Wake> {
        let mut wake = None;
        while let Some((end, _)) = &self.way
            && let Some((device, found)) = parcel::look(end)
        {
            let Ok(found) = found else {
                // There is no descriptor for it: it is looked at again when a child has ended.
                return wake;
            };
            wake = Some(Wake::Event(Event::Tick));
            if self.missing() & device != 0 {
                self.use_device(device, found);
            }
            if let Some((end, _)) = &self.way {
                network::skip(end);
            }
        }
        if self.kernel.collects
            && self.missing() == 0
            && let Some((_end, _other)) = self.way.take()
        {
            self.note_way();
        }
        wake
    }

    /// Nothing leads back to the program before: what this image misses is looked for.
    #[cfg(feature = "freestanding")]
    pub(crate) fn renew_devices(&mut self) {
        self.renew_watchdog();
        let _ = self.take_devices();
        if self.missing() != 0 {
            self.look_again(false);
        }
    }
}
