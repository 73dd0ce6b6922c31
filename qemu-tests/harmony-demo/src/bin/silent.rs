//! This file is a service that gets on for a while and then does not, without an end.
#![no_std]
#![no_main]

use harmony_demo::Own;
use service_client::{Channel, Service, Svc};

fn main(channel: Channel<Svc>) -> u8 {
    let own = Own::new();
    let mut service = Service::new(channel);
    service.ready();
    for _ in 0..3 {
        let _ = service.heartbeat();
        own.sleep(50);
    }
    service.log(b"falls silent");
    loop {
        own.sleep(10_000);
    }
}

service_client::entry!(main);
