//! This file is a service that does what it must not: it writes where nothing is.
#![no_std]
#![no_main]

use service_client::{Channel, Service, Svc};

fn main(channel: Channel<Svc>) -> u8 {
    let mut service = Service::new(channel);
    service.log(b"crashes now");
    // SAFETY: nothing is mapped at this address; the kernel ends the process here.
    unsafe { core::arch::asm!("str wzr, [{0}]", in(reg) 16_u64, options(nostack)) };
    0
}

service_client::entry!(main);
