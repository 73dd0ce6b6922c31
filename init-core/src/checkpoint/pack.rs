//! This file describes what is kept, for both directions: what an heir reads is what was written,
//! or it is refused.

use crate::effect::{Effect, FinalAction, Notice, Reply};
use crate::ident::{Child, ClientId, Generation, Role};
use crate::job::Job;
use crate::limits::CLIENT_COUNT_MAX;
use crate::renewal::{Image, Renewal};
use crate::supervisor::unit::{Alive, Rung, State, Then, Unit};
use crate::supervisor::{Goal, Waiter};
use crate::system::{Phase, System};
use crate::time::{Duration, Instant};
use crate::unit::{KillScope, LogLevel, Signal};
use crate::wire::describe::{fields, variants, words};
use crate::wire::{Value, Wire};

words!(FinalAction { PowerOff = 0, Reboot = 1, Halt = 2, Kexec = 3 });
words!(Goal { Up = 0, Down = 1 });
words!(Job { None = 0, Start = 1, Stop = 2, Restart = 3 });
words!(Image { Same = 0, New = 1 });
words!(KillScope { Process = 0, Group = 1 });
words!(LogLevel { Quiet = 0, Normal = 1, Debug = 2 });
words!(Phase { Off = 0, Booting = 1, Up = 2, Stopping = 3, Leftovers = 4, Final = 5 });
words!(Renewal {
    None = 0,
    Again = 1,
    Executing = 2,
    Trial = 3,
    Late = 4,
    Clearing = 5,
    Upgrading = 6
});
words!(Role { Main = 0, Stop = 1, Probe = 2 });
words!(Rung { Program = 0, Signal = 1, Kill = 2 });

fields!(Child {
    unit,
    generation,
    role
});
fields!(ClientId { slot, generation });
fields!(Generation { 0 });
fields!(System {
    phase,
    log_level,
    target,
    rescued,
    booted_at,
    boot_took,
    action,
    begun,
    total,
    patience,
    killed,
    renewal,
    renewer,
    renewal_due
});
fields!(Waiter { client, unit, goal });

variants!(Effect, Self::Notice(Value::EMPTY) => {
    0 => Notice(notice),
    1 => Spawn(child),
    2 => Signal { child, signal, scope },
    3 => KillAll(signal),
    4 => Reply { client, reply },
    5 => HangUp(client),
    6 => Final(action),
    7 => Renew(image),
    8 => Try(client),
    9 => EndTrial,
});
variants!(Reply, Self::Done => {
    0 => Done,
    1 => Refused(refusal),
    2 => Failed { unit, reason },
    3 => Superseded,
    4 => Begun,
    5 => NotUpgraded(obstacle),
});
variants!(State, Self::Inactive => {
    0 => Inactive,
    1 => Starting,
    2 => Up,
    3 => Stopping { rung, then },
    4 => Backoff,
    5 => Failed(failure),
    6 => GivenUp(then),
});
variants!(Then, Self::Rest => {
    0 => Rest,
    1 => Retry(failure),
    2 => Ended(status),
    3 => Silent,
});

/// That something was to be told is kept, and not what.
impl<'f> Value<'f> for Notice {
    const EMPTY: Self = Self::Lost;

    fn pass(&mut self, _: &mut Wire<'f, '_>) {}
}

impl<'f> Value<'f> for Signal {
    const EMPTY: Self = Self::KILL;

    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        self.0.pass(wire);
        if !matches!(self.0, 1..=64) {
            *self = wire.bad_word(Self::EMPTY);
        }
    }
}

impl<'f> Value<'f> for Alive {
    const EMPTY: Self = Self::NONE;

    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        let mut bits = self.bits();
        bits.pass(wire);
        *self = match Self::of_bits(bits) {
            Some(alive) => alive,
            None => wire.bad_word(Self::EMPTY),
        }
    }
}

impl<'f> Value<'f> for Instant {
    const EMPTY: Self = Self::ZERO;

    #[inline(never)]
    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        *self = Self::from_us(time(self.as_us(), wire));
    }
}

impl<'f> Value<'f> for Duration {
    const EMPTY: Self = Self::ZERO;

    #[inline(never)]
    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        *self = Self::from_us(time(self.as_us(), wire));
    }
}

/// Times of less than 2 284 years.
const TIME_BITS: u32 = 56;

/// Passes microseconds. The largest number, which stands for "never", is the shortest.
fn time(us: u64, wire: &mut Wire<'_, '_>) -> u64 {
    let number = wire.number(us.wrapping_add(1), TIME_BITS);
    number.wrapping_sub(1)
}

/// What is kept of the machine besides its [`System`].
#[derive(Debug)]
pub struct Rest {
    pub waiters: [Option<Waiter>; CLIENT_COUNT_MAX],
    pub orphan_count: u32,
    pub event_count: u32,
    pub emitted: u32,
    pub taken: u32,
}

impl Rest {
    /// That of one that was never booted.
    pub const NEW: Self = Self {
        waiters: [None; CLIENT_COUNT_MAX],
        orphan_count: 0,
        event_count: 0,
        emitted: 0,
        taken: 0,
    };

    pub fn pass(&mut self, wire: &mut Wire<'_, '_>) {
        let Self {
            waiters,
            orphan_count,
            event_count,
            emitted,
            taken,
        } = self;
        for waiter in waiters {
            waiter.pass(wire);
        }
        orphan_count.pass(wire);
        event_count.pass(wire);
        emitted.pass(wire);
        taken.pass(wire);
    }
}

/// What is kept of a unit. A field that is added comes last: where it was not written it is zero.
/// Lists that it is threaded into are made anew.
pub fn unit(unit: &mut Unit, wire: &mut Wire<'_, '_>) {
    let Unit {
        state,
        job,
        attempted,
        queued: _,
        next_queued: _,
        touched: _,
        next_touched: _,
        sooner: _,
        later: _,
        generation,
        alive,
        pid,
        since,
        due,
        started,
        took,
        failure,
        last_exit,
        restarts,
        streak,
        delay,
        window_opened,
        window_count,
        definition,
        leaves,
        returns,
    } = unit;
    state.pass(wire);
    job.pass(wire);
    attempted.pass(wire);
    generation.pass(wire);
    alive.pass(wire);
    pid.pass(wire);
    since.pass(wire);
    due.pass(wire);
    started.pass(wire);
    took.pass(wire);
    failure.pass(wire);
    last_exit.pass(wire);
    restarts.pass(wire);
    streak.pass(wire);
    delay.pass(wire);
    window_opened.pass(wire);
    window_count.pass(wire);
    definition.pass(wire);
    let mut marks = u8::from(*leaves) | u8::from(*returns) << 1;
    marks.pass(wire);
    if marks > 3 {
        marks = wire.bad_word(0);
    }
    (*leaves, *returns) = (marks & 1 != 0, marks & 2 != 0);
    #[cfg(feature = "added-field")]
    added(*restarts, wire);
}

/// A field of a later version, which says something once the unit was restarted. It is zero in the
/// record of a version that had none.
#[cfg(feature = "added-field")]
fn added(restarts: u16, wire: &mut Wire<'_, '_>) {
    let mut field = restarts;
    field.pass(wire);
    if field != 0 && field != restarts {
        wire.bad_word(());
    }
}

#[cfg(test)]
mod tests {
    use super::super::EFFECT_WORDS;
    use super::super::records::RECORD_BYTES;
    use super::*;
    use crate::effect::{Failure, Refusal};
    use crate::event::{Errno, ExitStatus, SpawnStep};
    use crate::ident::UnitId;
    use crate::renewal::Obstacle;
    use std::vec::Vec;

    const LATE: Instant = Instant::from_us((1 << TIME_BITS) - 2);
    const LONG: Duration = Duration::from_us((1 << TIME_BITS) - 2);
    const STATUS: ExitStatus = ExitStatus::NotExecuted {
        step: SpawnStep::Exec,
        error: Errno(u16::MAX),
    };
    const CLIENT: ClientId = ClientId {
        slot: u8::MAX,
        generation: u16::MAX,
    };
    const CHILD: Child = Child {
        unit: UnitId::SYSTEM,
        generation: Generation(u16::MAX),
        role: Role::Probe,
    };

    fn largest_unit() -> Unit {
        Unit {
            state: State::Stopping {
                rung: Rung::Kill,
                then: Then::Retry(Failure::Exited(STATUS)),
            },
            job: Job::Restart,
            attempted: true,
            generation: Generation(u16::MAX),
            alive: Alive::of_bits(7).unwrap(),
            pid: u32::MAX,
            since: LATE,
            due: LATE,
            started: LATE,
            took: LONG,
            failure: Some(Failure::Exited(STATUS)),
            last_exit: Some(STATUS),
            restarts: u16::MAX,
            streak: u16::MAX,
            delay: LONG,
            window_opened: LATE,
            window_count: u16::MAX,
            definition: u32::MAX,
            leaves: true,
            returns: true,
            ..Unit::NEW
        }
    }

    /// What `pass` writes.
    fn written(mut pass: impl FnMut(&mut Wire<'_, '_>)) -> Vec<u8> {
        let mut room = [0; 2 * RECORD_BYTES];
        let mut wire = Wire::writing(&mut room);
        pass(&mut wire);
        let (_, left, problem) = wire.end();
        assert_eq!(problem, None);
        room[..2 * RECORD_BYTES - left].to_vec()
    }

    fn read<T: for<'f> Value<'f>>(bytes: &[u8]) -> Option<T> {
        let (mut wire, mut value) = (Wire::reading(bytes), T::EMPTY);
        value.pass(&mut wire);
        wire.is_whole().then_some(value)
    }

    #[test]
    fn the_largest_unit_and_the_largest_machine_fit_their_records() {
        let mut largest = largest_unit();
        let bytes = written(|wire| unit(&mut largest, wire));
        // The tightest fit: a record has no word too many.
        assert_eq!(bytes.len().div_ceil(4) * 4, RECORD_BYTES, "{}", bytes.len());
        let mut system = System {
            phase: Phase::Final,
            log_level: Some(LogLevel::Debug),
            target: UnitId::SYSTEM,
            rescued: true,
            booted_at: LATE,
            boot_took: Some(LONG),
            action: FinalAction::Kexec,
            begun: LATE,
            total: LATE,
            patience: LATE,
            killed: true,
            renewal: Renewal::Executing,
            renewer: Some(CLIENT),
            renewal_due: LATE,
        };
        let waiters = [Some(Waiter {
            client: CLIENT,
            unit: UnitId::SYSTEM,
            goal: Goal::Down,
        }); CLIENT_COUNT_MAX];
        let mut rest = Rest {
            waiters,
            orphan_count: u32::MAX,
            event_count: u32::MAX,
            emitted: u32::MAX,
            taken: u32::MAX,
        };
        for bytes in [
            written(|wire| system.pass(wire)),
            written(|wire| rest.pass(wire)),
        ] {
            assert!(bytes.len() <= RECORD_BYTES, "{}", bytes.len());
        }
    }

    #[test]
    fn a_unit_is_read_as_it_was_written() {
        for mut original in [Unit::NEW, largest_unit()] {
            let bytes = written(|wire| unit(&mut original, wire));
            let (mut wire, mut copy) = (Wire::reading(&bytes), Unit::NEW);
            unit(&mut copy, &mut wire);
            assert!(wire.is_whole());
            assert_eq!(std::format!("{copy:?}"), std::format!("{original:?}"));
        }
    }

    #[test]
    fn every_effect_fits_and_is_read_as_it_was_written_but_for_a_notices_text() {
        let failed = Reply::Failed {
            unit: UnitId::SYSTEM,
            reason: Failure::Exited(STATUS),
        };
        let replies = [
            Reply::Done,
            Reply::Superseded,
            Reply::Begun,
            Reply::Refused(Refusal::Conflict(UnitId::SYSTEM, UnitId(0))),
            Reply::NotUpgraded(Obstacle::Ended(STATUS)),
            failed,
        ];
        let effects = [
            Effect::Spawn(CHILD),
            Effect::Signal {
                child: CHILD,
                signal: Signal(64),
                scope: KillScope::Group,
            },
            Effect::KillAll(Signal::TERM),
            Effect::HangUp(CLIENT),
            Effect::Renew(Image::New),
            Effect::Try(CLIENT),
            Effect::EndTrial,
            Effect::Final(FinalAction::Halt),
        ];
        let client = CLIENT;
        let replies = replies.map(|reply| Effect::Reply { client, reply });
        for mut effect in effects.into_iter().chain(replies) {
            let bytes = written(|wire| effect.pass(wire));
            assert!(bytes.len() <= EFFECT_WORDS * 4, "{effect:?}");
            assert_eq!(read(&bytes), Some(effect));
        }
        let mut notice = Effect::Notice(Notice::Rescue);
        let bytes = written(|wire| notice.pass(wire));
        assert_eq!(read(&bytes), Some(Effect::Notice(Notice::Lost)));
    }

    #[test]
    fn what_was_never_written_is_refused() {
        for bytes in [&[0, 1][..], &[3, 0], &[3, 65], &[6, 4], &[7, 9], &[10], &[]] {
            assert_eq!(read::<Effect>(bytes), None, "{bytes:?}");
        }
        assert_eq!(read::<Alive>(&[8]), None);
        assert_eq!(read::<Instant>(&[0xff; 10]), None);
        assert_eq!(read::<Instant>(&[0]), Some(Instant::MAX));
    }
}
