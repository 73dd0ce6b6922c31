//! This file is a service that may control: it stops and starts another, starts those with faults,
//! waits until these are where the manifest wants them, and switches the machine off.
#![no_std]
#![no_main]

use harmony_demo::Own;
use init_core::event::MachineRequest;
use init_core::limits::FRAME_BYTES_MAX;
use init_core::protocol::{Change, Request, Response, Text, UnitRecord};
use init_core::status::UnitState;
use service_client::{Channel, Link, Svc};

/// Looks at least, and until it is given up; each takes 100 ms.
const LOOKS_MIN: u32 = 40;
const LOOKS_MAX: u32 = 600;

/// Where units end up: after their faults, and after this program's own requests.
const WANTED: [(&[u8], UnitState); 4] = [
    (b"answers", UnitState::Active),
    (b"crashes", UnitState::Failed),
    (b"hungry", UnitState::Failed),
    (b"silent", UnitState::Failed),
];

fn change(change: Change, name: &str) -> Request<'_> {
    Request::Change {
        change,
        name: Text::of(name),
        wait: true,
    }
}

/// What a look at all units shows.
#[derive(Clone, Copy, Default)]
struct Look {
    /// How many are where they are to end up.
    in_place: usize,
    /// The process of the one that nobody touches.
    steady: Option<u32>,
}

fn look(channel: &Channel<Svc>, own: &Own) -> Option<Look> {
    let mut room = [0; FRAME_BYTES_MAX];
    let mut reader = own.ask(channel, &Request::Units { from: 0 }, &mut room)?;
    let _: Response<'_> = reader.take().ok()?;
    let mut look = Look::default();
    while !reader.is_at_end() {
        let unit: UnitRecord<'_> = reader.take().ok()?;
        let is_it =
            |(name, state): &(&[u8], UnitState)| unit.name.0 == *name && unit.state == *state;
        look.in_place += usize::from(WANTED.iter().any(is_it));
        if unit.name.0 == b"steady" {
            look.steady = unit.pid;
        }
    }
    Some(look)
}

fn main(mut channel: Channel<Svc>) -> u8 {
    let own = Own::new();
    channel.ready();
    let _ = channel.heartbeat();
    own.sleep(200);
    let first = look(&channel, &own).unwrap_or_default();
    let mut is_same = first.steady.is_some();
    let stopped = own.is_done(&channel, &change(Change::Stop, "answers"));
    channel.log(if stopped {
        b"stopped it"
    } else {
        b"cannot stop it"
    });
    let started = own.is_done(&channel, &change(Change::Start, "answers"));
    channel.log(if started {
        b"started it"
    } else {
        b"cannot start it"
    });
    let request = Request::Change {
        change: Change::Start,
        name: Text::of("faulty"),
        wait: false,
    };
    let _ = own.is_done(&channel, &request);
    for looks in 0..LOOKS_MAX {
        let Some(now) = look(&channel, &own) else {
            channel.log(b"is not answered");
            break;
        };
        is_same &= now.steady == first.steady;
        if looks >= LOOKS_MIN && now.in_place == WANTED.len() {
            channel.log(if is_same {
                b"steady was one process at every look"
            } else {
                b"steady was not always the same process"
            });
            channel.log(b"all are where they belong");
            break;
        }
        own.sleep(100);
    }
    let _ = own.is_done(&channel, &Request::Act(MachineRequest::PowerOff));
    while channel.heartbeat() == service_client::Order::GoOn {
        own.sleep(50);
    }
    channel.stopping();
    0
}

service_client::entry!(main);
