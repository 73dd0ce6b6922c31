//! This file is a service that wants more memory than it may have.
#![no_std]
#![no_main]

use harmony_demo::Own;
use service_client::{Channel, Service, Svc};

/// What it takes at a time.
const BITE: u64 = 64 << 10;
/// More than any quota of the product.
const BITES_MAX: u8 = 64;

fn main(channel: Channel<Svc>) -> u8 {
    let own = Own::new();
    let mut service = Service::new(channel);
    for bites in 0..BITES_MAX {
        if !own.takes(BITE) {
            service.log(b"gets no more memory");
            // The exit code shows how often it was given some.
            return bites;
        }
    }
    service.log(b"has no limit");
    u8::MAX
}

service_client::entry!(main);
