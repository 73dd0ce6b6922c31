//! This program passes sockets in a circle and forgets them. What is in the circle with them takes
//! an hour to close, and kernels before Linux 6.9 have that done by whoever closes a Unix socket
//! next, or sends through one: there are more sockets on their way than those kernels like.
//!
//! `forgets end` also tells process 1 that it has nothing more to say, so that process 1 closes its
//! connection. Then the program waits until it is killed; its listener ends with it, and the hour.
#![no_std]
#![no_main]

use bench_programs::sys::start::Arguments;
use bench_programs::sys::{call, socket};

bench_programs::program!(run);

const CONTROL: &core::ffi::CStr = c"/run/sysmaster/control";

const LINGER_SECONDS: i32 = 3_600;

/// As many as one message may carry, and so many messages that more than 16 000 are on their way.
const PASSED_COUNT: usize = 253;
const MESSAGE_COUNT: usize = 64;

const STANDARD_OUTPUT: isize = 1;

fn run(arguments: Arguments) -> u8 {
    let control = socket::connect_unix(CONTROL);
    let (_listener, address) = socket::listen();
    let lingering = socket::connect(&address);
    socket::linger(lingering, LINGER_SECONDS);
    // Until there is no more room. Nobody reads it, and that is what closing it waits for.
    while socket::send(lingering, &[0; 4_096]) {}
    let [receiver, sender] = socket::pair();
    // A socket that nobody but its own messages holds is a circle.
    let mut passed = [receiver; PASSED_COUNT];
    passed[0] = lingering;
    for _ in 0..MESSAGE_COUNT {
        socket::pass(sender, &passed);
    }
    // The circle's end last: it is not released, so nothing is collected.
    for descriptor in [lingering, sender, receiver] {
        call::close(descriptor);
    }
    if arguments.count() > 1 {
        socket::shut_down(control);
    }
    let word = "forgotten\n";
    call::write(STANDARD_OUTPUT, word.as_ptr(), word.len());
    // It waits for no signal: only one that kills ends it.
    call::wait_for_signal(0);
    0
}
