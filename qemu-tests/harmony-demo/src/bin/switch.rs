//! This file is a service that switches the machine off, some time after it came up.
#![no_std]
#![no_main]

use harmony_demo::Own;
use init_core::event::MachineRequest;
use init_core::protocol::Request;
use service_client::{Channel, Link, Order, Svc};

/// Longer than all that is done to the machine meanwhile.
const PAUSE_MS: u64 = 500;

fn main(mut channel: Channel<Svc>) -> u8 {
    let own = Own::new();
    channel.ready();
    let _ = channel.heartbeat();
    own.sleep(PAUSE_MS);
    channel.log(b"switches off");
    while !own.is_done(&channel, &Request::Act(MachineRequest::PowerOff)) {
        channel.log(b"is refused, and asks again");
    }
    while channel.heartbeat() == Order::GoOn {
        own.sleep(50);
    }
    channel.stopping();
    0
}

service_client::entry!(main);
