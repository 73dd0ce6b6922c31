//! This file is a service that is well: it answers until it is told to stop.
#![no_std]
#![no_main]

use harmony_demo::Own;
use service_client::{Channel, Order, Service, Svc};

fn main(channel: Channel<Svc>) -> u8 {
    let own = Own::new();
    let mut service = Service::new(channel);
    service.log(b"is there");
    service.ready();
    while service.heartbeat() == Order::GoOn {
        own.sleep(50);
    }
    service.log(b"was told to stop");
    service.stopping();
    0
}

service_client::entry!(main);
