//! This crate is the services of the product `harmony-demo`, and what they share: to sleep, to
//! ask for memory, and to ask init for something.
#![cfg(all(target_arch = "aarch64", target_os = "none"))]
#![no_std]

use hal_harmony::abi::layout::PMO_DATA;
use hal_harmony::abi::{Calls, Kernel, Notification, Patience, Svc};
use init_core::limits::FRAME_BYTES_MAX;
use init_core::protocol::{Buffer, Reader, Request, Response, Writer};
use service_client::Channel;

/// What a service has of its own.
#[derive(Debug)]
pub struct Own {
    calls: Calls<Svc>,
    /// Nobody ever notifies it, and nobody else holds it.
    alarm: Option<Notification>,
    /// The kernel tells the time, and ends waits.
    has_clock: bool,
}

/// While this part of a second passes on the counter, a clock that runs has moved.
const PROBE_PER_SECOND: u64 = 1_000;

/// Lets so many ticks pass on the counter.
fn pass(calls: &Calls<Svc>, ticks: u64) {
    let begun = Svc.counter();
    while Svc.counter().wrapping_sub(begun) < ticks {
        calls.give_way();
    }
}

impl Own {
    /// Makes what is needed to sleep.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it asks the kernel for something"
    )]
    pub fn new() -> Self {
        let calls = Calls::new(Svc);
        let alarm = calls.notification().ok();
        let before = calls.clock_us();
        pass(&calls, Svc.frequency() / PROBE_PER_SECOND);
        let has_clock = calls.clock_us() > before;
        Self {
            calls,
            alarm,
            has_clock,
        }
    }

    /// Sleeps so many milliseconds.
    pub fn sleep(&self, ms: u64) {
        if !self.has_clock {
            pass(&self.calls, Svc.frequency() / 1_000 * ms);
        } else if let Some(alarm) = &self.alarm {
            let _ = self.calls.wait(alarm, Patience::Us(ms * 1_000));
        }
    }

    /// Takes so many bytes for ever; whether they could be had.
    #[must_use]
    pub fn takes(&self, bytes: u64) -> bool {
        self.calls.memory(bytes, PMO_DATA).is_ok()
    }

    /// The answer to a request.
    pub fn ask<'r>(
        &self,
        channel: &Channel<Svc>,
        request: &Request<'_>,
        room: &'r mut Buffer,
    ) -> Option<Reader<'r>> {
        let mut frame = [0; FRAME_BYTES_MAX];
        let mut writer = Writer::new(&mut frame);
        writer.add(request).ok()?;
        let length = writer.length();
        let frame = frame.get(..length)?;
        let length = channel.control(frame, room, || self.sleep(5)).ok()?;
        Reader::new(room.get(..length)?).ok()
    }

    /// Whether the answer to a request is that it is done.
    #[must_use]
    pub fn is_done(&self, channel: &Channel<Svc>, request: &Request<'_>) -> bool {
        let mut room = [0; FRAME_BYTES_MAX];
        let answer = self.ask(channel, request, &mut room);
        let response = answer.and_then(|mut answer| answer.take().ok());
        matches!(response, Some(Response::Done | Response::Begun))
    }
}
