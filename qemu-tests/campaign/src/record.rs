//! This file draws conclusions from what the witnesses wrote: which service was disturbed, and how
//! often each has ended.
//!
//! It knows nothing of process 1's own records; those are held against it elsewhere.

use crate::witness::{Line, Role};
use std::collections::BTreeSet;

/// One service, as its witnesses told it.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// The process of the last that began.
    pub pid: Option<u32>,
    /// Whether that one said that it ends.
    pub has_ended: bool,
    /// Ends told in all, and the code of the last.
    pub ends: u64,
    /// With which code the last one ended.
    pub code: Option<u8>,
}

/// All services of one machine.
#[derive(Debug)]
pub struct Record {
    services: Vec<Service>,
    /// Services whose process was replaced or doubled since this was last asked.
    disturbed: BTreeSet<usize>,
}

impl Record {
    /// Nothing has begun.
    #[must_use]
    pub fn new(services: usize) -> Self {
        Self {
            services: vec![Service::default(); services],
            disturbed: BTreeSet::new(),
        }
    }

    /// The service of this index, if there is one.
    #[must_use]
    pub fn service(&self, unit: usize) -> Option<&Service> {
        self.services.get(unit)
    }

    /// Whether every service has begun once.
    #[must_use]
    pub fn all_begun(&self) -> bool {
        self.services.iter().all(|service| service.pid.is_some())
    }

    /// Takes a line in. `lives` tells whether a process still is one of this service.
    pub fn take(&mut self, line: Line, lives: impl Fn(usize, u32) -> bool) {
        match line {
            Line::Begins { unit, pid } => {
                let Some(service) = self.services.get_mut(unit) else {
                    return;
                };
                let before = service.pid.replace(pid).filter(|before| *before != pid);
                let is_wrong = match (Role::of(unit), before) {
                    (_, None) => false,
                    (Role::Steady, Some(_)) => true,
                    // It says so before it ends, and is followed only after it has.
                    (Role::Ending, Some(_)) => !service.has_ended,
                    (Role::Asked, Some(before)) => lives(unit, before),
                };
                service.has_ended = false;
                if is_wrong {
                    self.disturbed.insert(unit);
                }
            }
            Line::Ends { unit, pid, code } => {
                let Some(service) = self.services.get_mut(unit) else {
                    return;
                };
                service.ends += 1;
                service.code = Some(code);
                match service.pid == Some(pid) {
                    true => service.has_ended = true,
                    // Another began while this one ran.
                    false => {
                        self.disturbed.insert(unit);
                    }
                }
            }
        }
    }

    /// Steady services that have no process any more. Each is told once: its process is forgotten.
    pub fn look_for_lost(&mut self, lives: impl Fn(usize, u32) -> bool) {
        for (unit, service) in self.services.iter_mut().enumerate() {
            let is_lost = |pid: &mut u32| Role::of(unit) == Role::Steady && !lives(unit, *pid);
            if service.pid.take_if(is_lost).is_some() {
                self.disturbed.insert(unit);
            }
        }
    }

    /// The services that were disturbed since this was last asked.
    pub fn disturbed(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.disturbed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of service `unit`, in order: (begins or ends, pid).
    fn disturbed(unit: usize, lines: &[(bool, u32)], alive: &[u32]) -> bool {
        let mut record = Record::new(5);
        for (begins, pid) in lines.iter().copied() {
            let line = match begins {
                true => Line::Begins { unit, pid },
                false => Line::Ends { unit, pid, code: 1 },
            };
            record.take(line, |_, pid| alive.contains(&pid));
        }
        !record.disturbed().is_empty()
    }

    const B: bool = true;
    const E: bool = false;

    #[test]
    fn a_second_process_of_a_service_is_noticed() {
        let (steady, ending, asked) = (0, 3, 4);
        assert!(!disturbed(steady, &[(B, 1)], &[1]));
        assert!(disturbed(steady, &[(B, 1), (B, 2)], &[]), "replaced");
        assert!(!disturbed(ending, &[(B, 1), (E, 1), (B, 2), (E, 2)], &[]));
        assert!(disturbed(ending, &[(B, 1), (B, 2)], &[1]), "doubled");
        assert!(disturbed(ending, &[(B, 1), (B, 2), (E, 1)], &[2]), "late");
        assert!(
            !disturbed(asked, &[(B, 1), (B, 2)], &[2]),
            "stopped between"
        );
        assert!(disturbed(asked, &[(B, 1), (B, 2)], &[1, 2]), "doubled");
    }

    #[test]
    fn a_steady_service_without_a_process_is_told_once() {
        let mut record = Record::new(5);
        record.take(Line::Begins { unit: 1, pid: 9 }, |_, _| true);
        record.look_for_lost(|_, _| true);
        assert!(record.disturbed().is_empty());
        record.look_for_lost(|_, _| false);
        record.look_for_lost(|_, _| false);
        assert_eq!(record.disturbed(), BTreeSet::from([1]));
        assert!(record.disturbed().is_empty());
    }

    #[test]
    fn ends_are_counted_with_the_last_code() {
        let mut record = Record::new(5);
        for (pid, code) in [(1, 7), (2, 9)] {
            record.take(Line::Begins { unit: 3, pid }, |_, _| false);
            record.take(Line::Ends { unit: 3, pid, code }, |_, _| false);
        }
        let service = record.service(3).expect("it is there");
        assert_eq!((service.ends, service.code), (2, Some(9)));
    }
}
