//! This file describes an entry of the flight recorder: what reached the core, when, and which
//! state it found. What is read was written so, or is refused.

use super::records::mixed;
use super::words::Words;
use crate::event::{BootOptions, ControlRequest, Event};
use crate::renewal::Handover;
use crate::time::Instant;
use crate::wire::describe::{fields, variants};
use crate::wire::{Value, Wire};

/// Words of an entry: its checksum, the sum of the state before, time and event.
pub const ENTRY_WORDS: usize = 8;

/// Bytes of time and event.
const BYTES: usize = (ENTRY_WORDS - 2) * 4;

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The core took this in.
    Event(Event),
    /// Process 1 had died, or executed its program again, and a new life found the state.
    Life {
        /// Which, from 2.
        life: u32,
        /// The effect that was begun last.
        begun: u32,
        /// The effect that was done last.
        done: u32,
    },
    /// What follows does not follow from what was before: something was damaged, lost or taken
    /// from a place that is not recorded.
    Gap,
}

/// One moment of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The sum of the state that it found.
    pub before: u32,
    /// When; [`Instant::ZERO`] where nobody had looked at the clock yet.
    pub at: Instant,
    /// What.
    pub what: Happening,
}

fields!(BootOptions { target, log_level });

variants!(ControlRequest, Self::Renew(Value::EMPTY) => {
    0 => Start(unit),
    1 => Stop(unit),
    2 => Restart(unit),
    3 => ResetFailed(unit),
    4 => Machine(request),
    5 => Renew(image),
});
variants!(Handover, Self::Fault => {
    0 => Fault,
    1 => Again,
    2 => Upgraded,
    3 => RolledBack(signal),
    #[cfg(feature = "exchange")]
    4 => Exchanged,
});
variants!(Event, Self::Tick => {
    0 => Tick,
    1 => Boot(options),
    2 => Spawned { child, pid },
    3 => SpawnFailed { child, error },
    4 => Ready(child),
    5 => Heartbeat(child),
    6 => Exited { child, status },
    7 => OrphanExited,
    8 => NoChildLeft,
    9 => Machine(request),
    10 => Control { client, request },
    11 => ClientGone(client),
    12 => TrialEnded(obstacle),
    13 => NotTried(error),
    14 => NotRenewed(error),
    15 => Resumed(why),
    16 => Unawaited { client, request },
});
variants!(Happening, Self::Gap => {
    0 => Gap,
    1 => Event(event),
    2 => Life { life, begun, done },
});

impl Entry {
    /// Writes it as the one of that number. Its checksum comes last: until then it is none.
    pub fn write(&self, words: Words<'_>, place: usize, number: u32) {
        let (mut at, mut what, mut bytes) = (self.at, self.what, [0; BYTES]);
        let mut wire = Wire::writing(&mut bytes);
        at.pass(&mut wire);
        what.pass(&mut wire);
        words.set(place, 0);
        words.set(place.wrapping_add(1), self.before);
        words.write(place.wrapping_add(2), &bytes);
        words.set(place, checksum(words, place, number));
    }

    /// The entry of that number; `None`: there is another, or what is there is damaged.
    pub fn read(words: Words<'_>, place: usize, number: u32) -> Option<Self> {
        let mut bytes = [0; BYTES];
        words.read(place.wrapping_add(2), &mut bytes);
        let mut wire = Wire::reading(&bytes);
        let (mut at, mut what) = (Instant::EMPTY, Happening::EMPTY);
        at.pass(&mut wire);
        what.pass(&mut wire);
        let is_it = words.get(place) == checksum(words, place, number);
        (is_it && wire.is_whole()).then_some(Self {
            before: words.get(place.wrapping_add(1)),
            at,
            what,
        })
    }
}

/// Its number is in it: so one that took another's place is told from that. Never 0.
fn checksum(words: Words<'_>, place: usize, number: u32) -> u32 {
    let words = (1..ENTRY_WORDS).map(|index| words.get(place.wrapping_add(index)));
    words.fold(mixed(number, 0), mixed) | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Errno, ExitStatus, MachineRequest, SpawnStep};
    use crate::ident::{Child, ClientId, Generation, Role, UnitId};
    use crate::renewal::{Image, Obstacle};
    use crate::unit::LogLevel;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::vec::Vec;

    /// The latest that a region can hold.
    const LATE: Instant = Instant::from_us((1 << 56) - 2);
    const CHILD: Child = Child {
        unit: UnitId::SYSTEM,
        generation: Generation(u16::MAX),
        role: Role::Probe,
    };
    const CLIENT: ClientId = ClientId {
        slot: u8::MAX,
        generation: u16::MAX,
    };
    const ERROR: Errno = Errno(u16::MAX);
    const STATUS: ExitStatus = ExitStatus::NotExecuted {
        step: SpawnStep::Exec,
        error: ERROR,
    };

    /// One of each kind, as long as it can be.
    fn happenings() -> Vec<Happening> {
        let control = |request| Event::Control {
            client: CLIENT,
            request,
        };
        let events = [
            Event::Tick,
            Event::Boot(BootOptions {
                target: Some(UnitId::SYSTEM),
                log_level: Some(LogLevel::Debug),
            }),
            Event::Spawned {
                child: CHILD,
                pid: u32::MAX,
            },
            Event::SpawnFailed {
                child: CHILD,
                error: ERROR,
            },
            Event::Ready(CHILD),
            Event::Heartbeat(CHILD),
            Event::Exited {
                child: CHILD,
                status: STATUS,
            },
            Event::OrphanExited,
            Event::NoChildLeft,
            Event::Machine(MachineRequest::Ignore),
            control(ControlRequest::Start(UnitId::SYSTEM)),
            control(ControlRequest::Stop(UnitId(0))),
            control(ControlRequest::Restart(UnitId(7))),
            control(ControlRequest::ResetFailed(UnitId(300))),
            control(ControlRequest::Machine(MachineRequest::Kexec)),
            control(ControlRequest::Renew(Image::New)),
            Event::ClientGone(CLIENT),
            Event::Unawaited {
                client: CLIENT,
                request: ControlRequest::Restart(UnitId::SYSTEM),
            },
            Event::TrialEnded(None),
            Event::TrialEnded(Some(Obstacle::Ended(STATUS))),
            Event::TrialEnded(Some(Obstacle::Stuck(UnitId::SYSTEM))),
            Event::NotTried(ERROR),
            Event::NotRenewed(ERROR),
            Event::Resumed(Handover::Fault),
            Event::Resumed(Handover::RolledBack(u8::MAX)),
        ];
        let mut all: Vec<Happening> = events.map(Happening::Event).into();
        all.push(Happening::Gap);
        all.push(Happening::Life {
            life: u32::MAX,
            begun: u32::MAX,
            done: u32::MAX,
        });
        all
    }

    fn memory() -> [AtomicU32; ENTRY_WORDS] {
        [const { AtomicU32::new(0) }; ENTRY_WORDS]
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_and_as_no_other() {
        for what in happenings() {
            for (at, number) in [(Instant::ZERO, 0), (LATE, u32::MAX)] {
                let memory = memory();
                let words = Words::new(&memory);
                let entry = Entry {
                    before: u32::MAX,
                    at,
                    what,
                };
                entry.write(words, 0, number);
                assert_eq!(Entry::read(words, 0, number), Some(entry));
                assert_eq!(Entry::read(words, 0, number.wrapping_add(1)), None);
            }
        }
    }

    #[test]
    fn whatever_write_is_the_last_there_is_the_new_entry_or_none() {
        let entry = |pid| Entry {
            before: pid,
            at: LATE,
            what: Happening::Event(Event::Spawned { child: CHILD, pid }),
        };
        let mut ends = 0;
        for left in 0..=1 + ENTRY_WORDS as u32 {
            let memory = memory();
            entry(1).write(Words::new(&memory), 0, 1);
            let fuse = AtomicU32::new(left);
            entry(2).write(Words::new(&memory).with_fuse(&fuse), 0, 9);
            let words = Words::new(&memory);
            let (old, new) = (Entry::read(words, 0, 1), Entry::read(words, 0, 9));
            let is_old = left == 0 && old == Some(entry(1)) && new.is_none();
            let is_new = old.is_none() && new == Some(entry(2));
            assert!(is_old || is_new || (old.is_none() && new.is_none()));
            ends += u32::from(is_new);
        }
        assert_eq!(ends, 1, "the last write alone makes it an entry");
    }

    #[test]
    fn any_damaged_bit_and_any_noise_is_no_entry() {
        let memory = memory();
        let words = Words::new(&memory);
        let what = Happening::Event(Event::Exited {
            child: CHILD,
            status: STATUS,
        });
        let entry = Entry {
            before: 7,
            at: LATE,
            what,
        };
        entry.write(words, 0, 3);
        for (index, word) in memory.iter().enumerate() {
            for bit in 0..32 {
                word.fetch_xor(1 << bit, Ordering::Relaxed);
                let found = Entry::read(words, 0, 3);
                assert_eq!(found, None, "word {index} bit {bit}");
                word.fetch_xor(1 << bit, Ordering::Relaxed);
            }
        }
        // With a checksum that fits, what no event is made of is refused all the same.
        let mut random = crate::fixture::Random::new(11);
        let mut refused = 0;
        for _ in 0..20_000 {
            for word in &memory {
                word.store(random.number() as u32, Ordering::Relaxed);
            }
            words.set(0, checksum(words, 0, 3));
            refused += u32::from(Entry::read(words, 0, 3).is_none());
        }
        assert!(refused > 19_000, "{refused}");
    }
}
