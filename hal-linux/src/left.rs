//! This file is what a life of process 1 finds: what the one before it left, or nothing.

use crate::carried::upgrades;
use crate::control;
use crate::heal;
use crate::linux::Buffers;
use crate::region::{self, Region, SPLIT, at};
use crate::sys::fd::{self, Fd};
use crate::sys::kernel::Kernel;
use init_core::unit::Manifest;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that process 1 has besides one for each unit that is starting: standard ones, what
/// it waits with, the console, the control socket and its clients, a new pipe.
const DESCRIPTOR_COUNT_MIN: u64 = 32;

/// What the life before this one left.
#[derive(Debug)]
pub struct Left {
    /// The memory that outlives the program; new, if there was no life before.
    pub(crate) region: &'static Region,
    /// There was a life before.
    is_heir: bool,
    /// The region's file, if another program's had to be written down anew.
    pub(crate) file: Option<Fd>,
    pub(crate) clients: &'static mut control::Clients,
}

impl Left {
    /// Looks for it, and has faults handled from now on. Where there is not even memory for it,
    /// the program ends.
    pub fn find(manifest: &Manifest, buffers: &'static mut Buffers) -> Self {
        ensure_descriptors(manifest.units.len());
        fill_standard_descriptors();
        let (region, is_heir, file) = region(manifest);
        let region = &*buffers.region.write(region);
        if region.is_kept() && file.is_none() {
            heal::arm(region, is_heir);
        }
        Self {
            region,
            is_heir,
            file,
            clients: &mut buffers.clients,
        }
    }

    /// Whether there was a life before.
    pub fn is_heir(&self) -> bool {
        self.is_heir
    }
}

/// What the life before left, or a new region; whether there was a life before, and the region's
/// file if another program's had to be written down anew.
fn region(manifest: &Manifest) -> (Region, bool, Option<Fd>) {
    let new = || heal::needed(Region::new(manifest, Kernel::probe()));
    if !region::HEALS {
        return (new(), false, None);
    }
    if let Some(left) = Region::left_to(manifest) {
        return (left, true, None);
    }
    if let Some(code) = upgrades()
        && let Some(left) = Region::inherited()
        && left.get(at::HANDOVER) == heal::HANDOVER_UPGRADE
    {
        if SPLIT {
            // What it may write is read now.
            let _how = crate::split::end(left.core_process());
        }
        let Some((region, file)) = (code.adopt)(&left, manifest) else {
            heal::go_back();
        };
        return (region, true, Some(file));
    }
    (new(), false, None)
}

/// Raises our limit of open descriptors if we were started with one that we cannot live with.
pub(crate) fn ensure_descriptors(unit_count: usize) {
    let units = u64::try_from(unit_count).unwrap_or(u64::MAX);
    let needed = DESCRIPTOR_COUNT_MIN.saturating_add(units);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < needed) {
        let new = Rlimit {
            current: Some(needed),
            maximum: maximum.map(|maximum| maximum.max(needed)),
        };
        // Refused without the right to; then we try with what there is.
        let _ = setrlimit(Resource::Nofile, new);
    }
}

/// Descriptors 0 to 2 lead somewhere, so that nothing that is opened later lands there.
fn fill_standard_descriptors() {
    for _ in 0..3 {
        let Ok(file) = fd::open(c"/", linux_raw_sys::general::O_PATH, 0) else {
            return;
        };
        if file.number() > 2 {
            return;
        }
        file.leak();
    }
}
