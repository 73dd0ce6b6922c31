//! This file holds what only products carry whose process 1 can be exchanged: where it is not
//! asked for, nothing leads to its code and the program is linked without it.

use crate::linux::Linux;
use crate::region::Region;
use crate::sys::fd::Fd;
#[cfg(feature = "freestanding")]
use crate::{region::HEALS, uses::uses};
use init_core::Core;
use init_core::event::{Errno, ExitStatus};
use init_core::ident::{ClientId, UnitId};
use init_core::renewal::{HotUpgrade, Obstacle};
use init_core::unit::Manifest;

/// The way to `upgrade` and `trial`; what each does is said there.
#[derive(Debug)]
pub(crate) struct Upgrades {
    pub(crate) core: Option<&'static HotUpgrade>,
    pub(crate) begin_trial: fn(&mut Linux, ClientId) -> Result<(), Errno>,
    pub(crate) forget_image: fn(&Linux),
    pub(crate) trial_result: fn(&Linux, ExitStatus) -> Option<Obstacle>,
    pub(crate) is_known: fn(&Linux, UnitId) -> bool,
    pub(crate) execute: fn(&Linux) -> Errno,
    pub(crate) adopt: fn(&Region, &Manifest) -> Option<(Region, Fd)>,
    pub(crate) take_over: fn(&mut Linux),
    pub(crate) left: fn() -> Option<&'static Region>,
    pub(crate) stand_trial: fn(&mut Core<'static>, &Manifest) -> u8,
}

/// That way, if there is one.
pub(crate) fn upgrades() -> Option<&'static Upgrades> {
    #[cfg(feature = "freestanding")]
    if HEALS && uses().upgrades {
        return Some(&crate::upgrade::WAY);
    }
    None
}
