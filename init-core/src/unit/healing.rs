//! This file defines what is done when process 1 dies again and again although it heals.

use crate::time::Duration;
use core::ffi::CStr;

/// When healing is given up, and what follows then.
#[derive(Clone, Copy, Debug)]
pub struct HealingDesc {
    /// More deaths than these are too many, whatever was done between them. `None`: only lives that
    /// end before they deal with anything count.
    pub limit: Option<DeathLimit>,
    /// What is done, one step each time that it has come so far. Those that start the machine anew
    /// are taken one a boot, and the last of them again.
    pub steps: &'static [HealingStep],
    /// What the kernel is told for [`HealingStep::OtherSlot`].
    pub other_slot: &'static CStr,
    /// Where it is written how often the machine was started anew, and why.
    pub record: Option<&'static CStr>,
    /// Who has been up for so long begins again with the first step.
    pub reset_after: Duration,
    /// The flight recorder, if there is one.
    pub recorder: Option<RecorderDesc>,
}

/// The flight recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecorderDesc {
    /// Its memory.
    pub bytes: u32,
    /// A number for all that the manifest was compiled into: what is recorded by one is performed
    /// again by the same only.
    pub manifest: u32,
}

/// More deaths than `count` in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeathLimit {
    /// How many are healed.
    pub count: u16,
    /// In this time.
    pub within: Duration,
}

/// What is done when healing does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealingStep {
    /// The machine goes to its rescue target.
    Rescue,
    /// The machine starts anew.
    Reboot,
    /// The machine starts anew, from its other slot if its boot loader does as it is told.
    OtherSlot,
    /// The machine is switched off.
    PowerOff,
}

impl HealingDesc {
    /// Whether anything is done otherwise than where the manifest says nothing.
    pub const fn has_steps(&self) -> bool {
        let is_usual = matches!(self.steps, [HealingStep::Reboot]);
        !is_usual || self.limit.is_some() || self.record.is_some()
    }

    /// The step for the time after `taken` others in this boot, and after `starts` boots that ended
    /// so; `None`: there is nothing to do but to go on.
    pub fn step(&self, taken: u32, starts: u32) -> Option<HealingStep> {
        let at = usize::try_from(taken).unwrap_or(usize::MAX);
        if let Some(HealingStep::Rescue) = self.steps.get(at) {
            return Some(HealingStep::Rescue);
        }
        let mut left = starts;
        let mut last = None;
        for step in self.steps {
            if *step == HealingStep::Rescue {
                continue;
            }
            last = Some(*step);
            if left == 0 {
                break;
            }
            left = left.saturating_sub(1);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HealingStep::{OtherSlot, PowerOff, Reboot, Rescue};

    #[test]
    fn each_boot_takes_the_next_step_and_the_last_one_again() {
        let table: &[(&'static [HealingStep], u32, u32, Option<HealingStep>)] = &[
            (&[], 0, 0, None),
            (&[Reboot], 0, 0, Some(Reboot)),
            (&[Reboot], 0, 9, Some(Reboot)),
            (&[Rescue], 0, 0, Some(Rescue)),
            (&[Rescue], 1, 0, None),
            (&[Rescue, Reboot, OtherSlot], 0, 0, Some(Rescue)),
            (&[Rescue, Reboot, OtherSlot], 0, 7, Some(Rescue)),
            (&[Rescue, Reboot, OtherSlot], 1, 0, Some(Reboot)),
            (&[Rescue, Reboot, OtherSlot], 1, 1, Some(OtherSlot)),
            (&[Rescue, Reboot, OtherSlot], 1, 2, Some(OtherSlot)),
            (&[Rescue, Reboot, OtherSlot], u32::MAX, 0, Some(Reboot)),
            (&[Reboot, Reboot, PowerOff], 0, 1, Some(Reboot)),
            (&[Reboot, Reboot, PowerOff], 0, u32::MAX, Some(PowerOff)),
        ];
        for (steps, taken, starts, wanted) in table {
            let healing = HealingDesc {
                limit: None,
                steps,
                other_slot: c"",
                record: None,
                reset_after: Duration::ZERO,
                recorder: None,
            };
            let step = healing.step(*taken, *starts);
            assert_eq!(step, *wanted, "{steps:?} {taken} {starts}");
        }
    }
}
