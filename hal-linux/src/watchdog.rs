//! This file feeds the hardware watchdog: as long as process 1 gets from one turn to the next, and
//! the core says that the machine is well.
//!
//! It is opened when it is there, and from then on never closed: what executes the program again
//! hands it over, so there is no gap in which nobody would notice that process 1 is gone.

use crate::linux::Linux;
use crate::region::{self, at};
use crate::sys::fd::Fd;
use crate::sys::watchdog;
use crate::uses::uses;
use init_core::event::Errno;
use init_core::hal::Clock;
use init_core::packed::packed;
use init_core::renewal::Handover;
use init_core::report;
use init_core::time::{Duration, Instant};
use init_core::unit::WatchdogDesc;

/// From meal to meal for each second of its timeout: it is fed three times in that.
const INTERVAL_US: u64 = 333_000;

/// How long an image may take to take over. It only reads what there is: milliseconds, and on the
/// slowest of emulators a second.
#[cfg(any(feature = "freestanding", test))]
const TAKE_OVER_TIME: Duration = Duration::from_secs(10);

/// The same where a watchdog is to be fed that often: half of what it waits, of which a third may
/// be over. So the program before is back, and feeds it, before it resets the machine.
#[cfg(any(feature = "freestanding", test))]
fn time_to_take_over(interval: Duration) -> Duration {
    let half = interval.as_us().saturating_mul(3) / 2;
    match half {
        0 => TAKE_OVER_TIME,
        half => Duration::from_us(half).min(TAKE_OVER_TIME),
    }
}

/// The watchdog, once it is there.
#[derive(Debug)]
pub(crate) struct Watchdog {
    device: Option<Fd>,
    interval: Duration,
    next: Instant,
    /// It was said that it is not fed. To a child that looks for it: it is to say that there is
    /// none.
    pub(crate) told: bool,
}

impl Watchdog {
    pub(crate) const fn new() -> Self {
        Self {
            device: None,
            interval: Duration::ZERO,
            next: Instant::ZERO,
            told: false,
        }
    }
}

impl Linux {
    /// Whether there should be one and is none yet. What is done about it lies with what is needed
    /// seldom, so this is asked first.
    pub(crate) fn awaits_watchdog(&self) -> bool {
        uses().watchdog && self.watchdog.device.is_none()
    }

    pub(crate) fn has_watchdog(&self) -> bool {
        uses().watchdog && self.watchdog.device.is_some()
    }

    /// Takes over the watchdog of the life before, if that had one.
    pub(crate) fn inherit_watchdog(&mut self) {
        let word = self.region.word(at::WATCHDOG);
        if !self.awaits_watchdog() {
            return;
        }
        match region::adopt(word) {
            Some(device) => self.use_watchdog(device, false),
            None => region::note(word, None),
        }
    }

    /// This is the watchdog from now on.
    #[inline(never)]
    pub(crate) fn use_watchdog(&mut self, device: Fd, is_new: bool) {
        let Some(desc) = self.manifest.watchdog else {
            return;
        };
        region::note(self.region.word(at::WATCHDOG), Some(&device));
        // What sets the time feeds it as well: a life that ends again and again must not.
        let is_as_it_was = !is_new && matches!(self.why(), Handover::Fault | Handover::Again);
        let seconds = match is_as_it_was {
            true => watchdog::timeout(&device),
            false => watchdog::set_timeout(&device, desc.seconds),
        };
        let seconds = seconds.ok().filter(|seconds| *seconds > 0);
        let seconds = seconds.unwrap_or(desc.seconds.into());
        self.watchdog.interval = Duration::from_us(u64::from(seconds).saturating_mul(INTERVAL_US));
        self.watchdog.next = Instant::ZERO;
        let warning = match is_as_it_was {
            true => None,
            false => set_warning(&device, desc, seconds),
        };
        self.watchdog.device = Some(device);
        if is_new {
            self.tell_watchdog(desc, seconds, warning);
        }
    }

    /// How long an image may take to take over.
    #[cfg(feature = "freestanding")]
    pub(crate) fn time_to_take_over(&self) -> Duration {
        match uses().watchdog {
            true => time_to_take_over(self.watchdog.interval),
            false => TAKE_OVER_TIME,
        }
    }

    /// Nothing leads back to the program before: the watchdog is as the image wants it.
    #[cfg(feature = "freestanding")]
    pub(crate) fn renew_watchdog(&mut self) {
        if let Some(device) = self.watchdog.device.take() {
            // It is noted, and found by that.
            device.leak();
        }
        self.inherit_watchdog();
    }

    /// That it is there, and how it counts: the hardware may choose.
    fn tell_watchdog(
        &mut self,
        desc: WatchdogDesc,
        seconds: u32,
        warning: Option<Result<u32, Errno>>,
    ) {
        let now = self.now();
        report::write_line(&mut self.console, now, &|line| {
            line.say(packed!("watchdog: "))
                .bytes(desc.device.to_bytes());
            line.say(packed!(" resets after "))
                .number(seconds)
                .text(" s");
            match warning {
                None => {}
                Some(Ok(seconds)) => {
                    line.say(packed!(", warns "))
                        .number(seconds)
                        .say(packed!(" s before"));
                }
                Some(Err(TOO_EARLY)) => {
                    line.say(packed!(
                        ", does not warn: it would of a machine that is well"
                    ));
                }
                Some(Err(error)) => {
                    line.say(packed!(", does not warn: ")).errno(error);
                }
            }
        });
    }

    /// The boot is over, and there is no watchdog: a child looks a last time, and says so if there
    /// is still none.
    pub(crate) fn look_for_watchdog(&mut self) {
        self.watchdog.told = true;
        self.look_again(false);
        self.watchdog.told = false;
    }

    /// Feeds it if its time has come; until when nothing need be done.
    #[inline(never)]
    pub(crate) fn feed_watchdog(
        &mut self,
        sick: &dyn Fn() -> Option<&'static str>,
    ) -> Option<Instant> {
        let now = self.now();
        if now < self.watchdog.next {
            return Some(self.watchdog.next);
        }
        self.watchdog.next = now.after(self.watchdog.interval);
        match sick() {
            None => {
                self.watchdog.told = false;
                self.write_watchdog(b"\0");
            }
            Some(_) if self.watchdog.told => {}
            Some(name) => {
                self.watchdog.told = true;
                report::write_line(&mut self.console, now, &|line| {
                    line.say(packed!("watchdog: not fed, it will reset the machine: "));
                    line.text(name)
                        .say(packed!(", which is critical, has failed"));
                });
            }
        }
        Some(self.watchdog.next)
    }

    /// The machine goes down: a last meal, or none is needed any more.
    pub(crate) fn leave_watchdog(&mut self) {
        if !self.has_watchdog() {
            return;
        }
        let disarm = self.manifest.watchdog.is_some_and(|desc| desc.disarm);
        self.write_watchdog(if disarm { b"V" } else { b"\0" });
        if disarm {
            // Closed after that letter, it stops.
            region::note(self.region.word(at::WATCHDOG), None);
            self.watchdog.device = None;
        }
    }

    fn write_watchdog(&self, byte: &[u8; 1]) {
        if let Some(device) = &self.watchdog.device {
            // A driver that refuses cannot be helped; it resets the machine.
            let _ = rustix::io::write(device, byte);
        }
    }
}

/// What no driver answers: it would warn before the next meal is due.
const TOO_EARLY: Errno = Errno(0);

/// Lets it warn before it resets, if the product wants that: how long before, or why not. It is fed
/// after a third of its timeout, whoever chose that, so it may warn in the second half.
fn set_warning(device: &Fd, desc: WatchdogDesc, seconds: u32) -> Option<Result<u32, Errno>> {
    let most = seconds / 2;
    let wanted = match uses().warnings {
        true => u32::from(desc.warning_seconds).min(most),
        false => 0,
    };
    // Also where none is wanted: another image, or the driver, may have set one.
    let set = watchdog::set_pretimeout(device, wanted);
    if desc.warning_seconds == 0 {
        return None;
    }
    Some(match set {
        Ok(0) => Err(TOO_EARLY),
        Ok(set) if set > most => {
            let _ = watchdog::set_pretimeout(device, 0);
            Err(TOO_EARLY)
        }
        set => set,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_ten_seconds_or_half_of_what_a_watchdog_waits() {
        let interval = |seconds: u64| Duration::from_us(seconds * INTERVAL_US);
        for (seconds, time_ms) in [(0, 10_000), (1, 499), (2, 999), (15, 7_492), (30, 10_000)] {
            let time = time_to_take_over(interval(seconds));
            assert_eq!(time.as_ms(), time_ms, "{seconds} s");
        }
    }
}
