//! This file is a service: one source, for Linux and for the Harmony microkernel.

use service_client::{Link, Order, Service};

/// Rounds that it works unless it is told to stop before.
pub const ROUNDS: u32 = 5;

/// Says what it has to say and works a while; its exit code.
pub fn run(link: impl Link, mut work: impl FnMut()) -> u8 {
    let mut service = Service::new(link);
    service.log(b"begins");
    service.ready();
    for _ in 0..ROUNDS {
        if service.heartbeat() == Order::Stop {
            service.log(b"was told to stop");
            service.stopping();
            return 0;
        }
        work();
    }
    service.log(b"has done what it can");
    3
}
