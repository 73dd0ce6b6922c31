//! This file is the machine's last act. There are no file systems here: nothing is written back.

use crate::abi::{Kernel, Patience};
use crate::harmony::Harmony;
use init_core::effect::FinalAction;
use init_core::hal::Power;
use init_core::time::Instant;

impl<K: Kernel + 'static> Power for Harmony<K> {
    /// Returns where the board cannot do it, and for a halt: the root task must go on, and then
    /// does nothing but [`Harmony::rest`].
    fn finish(&mut self, action: FinalAction, _deadline: Instant) {
        #[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
        if !crate::SPLIT {
            crate::abi::log::carry(u32::MAX);
        }
        self.lasting.ended(action);
        match action {
            FinalAction::PowerOff => self.calls.power_off(),
            FinalAction::Reboot | FinalAction::Kexec => {
                if let Some(reset) = self.config.reset {
                    reset();
                }
            }
            FinalAction::Halt => {}
        }
    }
}

impl<K: Kernel + 'static> Harmony<K> {
    /// Sleeps until something happens that has no consequence any more. The kernel stops the
    /// machine when its root task ends, so a board does this for ever after the last act.
    pub fn rest(&mut self) {
        self.take_exits();
        let _ = self.calls.wait(&self.courier.bell, Patience::Endless);
    }
}
