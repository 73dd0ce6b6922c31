//! This file is what happens when healing does not help: process 1 dies again and again, and the
//! steps of the manifest's `[healing]` are taken, one each time.
//!
//! How often the machine was started anew for that outlives it in a record: two lines of text in a
//! file or a device. Only children touch it, so nothing waits for a disk.

use crate::bytes::{Fields, number};
use crate::console::say;
use crate::lines::Lines;
use crate::linux::Linux;
use crate::power::helper;
use crate::region::{HEALS, at};
use crate::sys::{fd, process};
use crate::uses::uses;
use crate::{epitaph, errno};
use core::ffi::CStr;
use init_core::checkpoint::last_act;
use init_core::effect::FinalAction;
use init_core::event::Errno;
use init_core::hal::{Clock, Power};
use init_core::packed::{Packed, packed};
use init_core::report::{self, Line};
use init_core::time::{Duration, Instant};
use init_core::unit::{HealingDesc, HealingStep};
use linux_raw_sys::general as abi;

/// Lives in a row, none of which deals with anything that it takes in: more are in vain.
pub(crate) const VAIN_MAX: u32 = 8;

/// A life that began so long after the one before is not in a row with it.
const VAIN_SECONDS_MAX: u32 = 10;

/// Until the machine starts anew although its record is not written, and then although its file
/// systems are not detached: flash that erases a block takes a second and more.
pub(crate) const FINISH_TIME: Duration = Duration::from_secs(5);

/// The signal that asks for the rescue target: SIGRTMIN+1, as users of glibc and musl count.
const RESCUE_SIGNAL: u8 = 35;

/// Bytes of the record: written at once, over what was there, so that it is never half a record.
const RECORD_BYTES: usize = 256;

/// Bytes of its first line.
const FIRST_BYTES: usize = 32;

/// What that begins with; the number follows.
const TITLE: &[u8] = b"restarts:";

/// EIO: less was written than was to be.
const NOT_ALL: Errno = Errno(5);

impl Linux {
    /// The manifest's own steps. Products that name none are linked without what they take.
    fn own_steps(&self) -> Option<&'static HealingDesc> {
        if HEALS && uses().healing_steps {
            self.manifest.healing
        } else {
            None
        }
    }

    /// A life or a core begins after a death. Where there were too many, the next step is taken;
    /// not for one `by_others`, who may have had no cause.
    pub(crate) fn escalate(&mut self, by_others: bool) {
        // What costs nothing comes first, and instead of a step.
        #[cfg(feature = "exchange")]
        if self.drop_choice() {
            return;
        }
        if by_others {
            return;
        }
        let (now, region) = (self.now(), self.region);
        let own = self.own_steps();
        let (second, _) = now.parts();
        if second.saturating_sub(region.get(at::BEGAN)) > VAIN_SECONDS_MAX {
            region.set(at::VAIN, 1);
        }
        region.set(at::BEGAN, second);
        let often = own.is_some_and(|healing| self.is_too_often(healing, second));
        if !often && region.get(at::VAIN) <= VAIN_MAX {
            return;
        }
        region.set(at::VAIN, 0);
        let step = match own {
            Some(healing) => self.next_step(healing, now),
            None => Some(HealingStep::Reboot),
        };
        let action = match step {
            // What is left to do is done by the lives to come.
            None | Some(HealingStep::Rescue) => None,
            Some(HealingStep::Reboot | HealingStep::OtherSlot) => Some(FinalAction::Reboot),
            Some(HealingStep::PowerOff) => Some(FinalAction::PowerOff),
        };
        let (_, state) = region.core_words();
        // Whoever asked for an end gets that one.
        let asked = action.and_then(|_| last_act(state));
        let then = match asked {
            Some(_) => packed!("the machine goes down all the same"),
            None => words(step),
        };
        self.say("process 1 dies again and again: ", then);
        if let Some(action) = asked.or(action) {
            self.finish(action, self.now().after(FINISH_TIME));
        }
    }

    /// The machine is up: what the boot before ended of is said, if it was that.
    pub(crate) fn tell_last_death(&self) {
        if let Some(path) = self.own_steps().and_then(|healing| healing.record) {
            self.tell_record(path);
        }
    }

    /// Counts a death; whether there were more than the manifest's limit.
    fn is_too_often(&self, healing: &HealingDesc, second: u32) -> bool {
        let (Some(limit), region) = (healing.limit, self.region) else {
            return false;
        };
        let (within, _) = limit.within.parts();
        if second.saturating_sub(region.get(at::DEATHS_SINCE)) >= within {
            region.set(at::DEATHS_SINCE, second);
            region.set(at::DEATHS, 0);
        }
        let count = region.get(at::DEATHS).saturating_add(1);
        let often = count > limit.count.into();
        region.set(at::DEATHS, if often { 0 } else { count });
        often
    }

    /// Which step is next; what has to be known to the boot loader, the next boot or the next life
    /// for it is left there.
    fn next_step(&mut self, healing: &'static HealingDesc, now: Instant) -> Option<HealingStep> {
        let region = self.region;
        let taken = region.get(at::STEPS);
        region.set(at::STEPS, taken.saturating_add(1));
        let mut step = healing.step(taken, 0);
        match step {
            None => {}
            Some(HealingStep::Rescue) => {
                // It stays pending until a life deals with it, however many die before.
                let _ = process::signal_init(RESCUE_SIGNAL);
            }
            Some(HealingStep::Reboot | HealingStep::OtherSlot | HealingStep::PowerOff) => {
                region.set(at::STARTS, 0);
                if let Some(path) = healing.record {
                    let is_good = now >= Instant::ZERO.after(healing.reset_after);
                    self.record_death(path, is_good);
                }
                step = healing.step(taken, region.get(at::STARTS));
            }
        }
        if step == Some(HealingStep::OtherSlot) {
            self.restart_word = Some(healing.other_slot);
        }
        step
    }

    /// Reads how often the machine was started anew, and writes that it is once more and why.
    fn record_death(&mut self, path: &'static CStr, is_good: bool) {
        let (region, manifest) = (self.region, self.manifest);
        let console = self.console_of_children();
        let child = helper(&|| {
            if !is_good {
                region.set(at::STARTS, starts(&mut Lines::of(path)));
            }
            let starts = region.get(at::STARTS).saturating_add(1);
            keep(path, console, starts, &|line| {
                epitaph::write(&region, manifest, line);
            });
        });
        let deadline = self.now().after(FINISH_TIME);
        self.wait_for(&mut [child], deadline);
    }

    /// Says what the boot before ended of, once. In a child.
    fn tell_record(&self, path: &CStr) {
        let console = self.console_of_children();
        let _ = helper(&|| {
            let mut lines = Lines::of(path);
            let starts = starts(&mut lines);
            let Some(epitaph) = lines.next().filter(|line| starts > 0 && !line.is_empty()) else {
                return;
            };
            // First, so that whoever has read the line need not fear for what is written next.
            keep(path, console, starts, &|_| {});
            say(console, &|line| {
                line.say(packed!("started anew, ")).number(starts);
                line.say(packed!(" in a row: ")).bytes(epitaph);
            });
        });
    }

    fn console_of_children(&self) -> Option<&'static CStr> {
        self.console.is_device().then_some(self.manifest.console)
    }
}

fn words(step: Option<HealingStep>) -> Packed {
    match step {
        None => packed!("it goes on"),
        Some(HealingStep::Rescue) => packed!("to the rescue target"),
        Some(HealingStep::Reboot) => packed!("the machine starts anew"),
        Some(HealingStep::OtherSlot) => packed!("the machine starts anew from its other slot"),
        Some(HealingStep::PowerOff) => packed!("the machine is switched off"),
    }
}

/// The number in a record's first line; 0 where there is no record, or what is no record.
fn starts(lines: &mut Lines) -> u32 {
    let mut fields = Fields::of(lines.next().unwrap_or_default());
    match fields.behind(0) == TITLE {
        true => number(fields.behind(0), 10).unwrap_or(0),
        false => 0,
    }
}

/// Writes a record; says why not where that is so.
fn keep(path: &CStr, console: Option<&CStr>, starts: u32, epitaph: report::Words<'_>) {
    if let Err(error) = write(path, starts, epitaph) {
        say(console, &|line| {
            line.say(packed!("no record in ")).bytes(path.to_bytes());
            line.text(": ").errno(error);
        });
    }
}

fn write(path: &CStr, starts: u32, epitaph: report::Words<'_>) -> Result<(), Errno> {
    let mut record = [b'\n'; RECORD_BYTES];
    let (first, second) = record.split_at_mut(FIRST_BYTES);
    let mut line = Line::new(first);
    line.bytes(TITLE).text(" ").number(starts);
    line.fill_to(FIRST_BYTES - 1).end();
    let mut line = Line::new(second);
    epitaph(&mut line);
    line.end();
    // A file where a device should be would be gone with this boot.
    let flags = match path.to_bytes().starts_with(b"/dev/") {
        true => abi::O_WRONLY | abi::O_NOCTTY,
        false => abi::O_WRONLY | abi::O_NOCTTY | abi::O_CREAT,
    };
    let file = fd::open(path, flags, 0o600)?;
    let written = rustix::io::write(&file, &record).map_err(errno)?;
    if written < RECORD_BYTES {
        return Err(NOT_ALL);
    }
    // A device in memory has nothing to write back, and says so.
    let _ = rustix::fs::fsync(&file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    fn record(content: &[u8]) -> (tempfile::NamedTempFile, CString) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        let path = CString::new(file.path().as_os_str().as_bytes()).unwrap();
        (file, path)
    }

    #[test]
    fn what_was_written_is_read_whatever_was_there_before() {
        for before in [&b""[..], b"restarts: 7\nold\n", &[b'x'; 4_096]] {
            let (_file, path) = record(before);
            write(&path, u32::MAX, &|line| {
                line.text("it died");
            })
            .unwrap();
            let mut lines = Lines::of(&path);
            assert_eq!(starts(&mut lines), u32::MAX);
            assert_eq!(lines.next(), Some(&b"it died"[..]));
            write(&path, 2, &|_| {}).unwrap();
            let mut lines = Lines::of(&path);
            assert_eq!(starts(&mut lines), 2);
            assert_eq!(lines.next(), Some(&b""[..]));
        }
    }

    #[test]
    fn what_is_no_record_counts_nothing() {
        let damaged: [&[u8]; 6] = [
            b"",
            b"restarts:",
            b"restarts: many\n",
            b"restarts: 4294967296\n",
            b"restarts:3\n",
            &[0xff; 300],
        ];
        for content in damaged {
            let (_file, path) = record(content);
            assert_eq!(
                starts(&mut Lines::of(&path)),
                0,
                "{}",
                content.escape_ascii()
            );
        }
        assert_eq!(starts(&mut Lines::of(c"/nowhere/at/all")), 0);
        assert!(write(c"/nowhere/at/all", 1, &|_| {}).is_err());
        let device = c"/dev/no-such-device";
        assert_eq!(write(device, 1, &|_| {}), Err(Errno(2)));
        assert!(fd::open_to_read(device).is_err());
    }
}
