//! This file sends a signal to whoever the command left.

use super::Linux;
use crate::sys::{group, process};

/// Bytes of the list of children read at once.
const LIST_BYTES: usize = 1_024;

/// Rounds of reading: the list is bounded by this, some ten thousand processes. Those beyond it get
/// the signal in a later round, when others have gone.
const ROUND_COUNT_MAX: usize = 64;

impl Linux<'_> {
    /// Sends it to the command's group and to every child; in process 1's last round, and where
    /// nobody tells the children, to everyone.
    pub(super) fn signal_rest(&self, number: u8) {
        // Each fails where nobody is left, which is what all this is for.
        if self.own_pid == 1 && self.keeper.is_last() {
            let _ = process::signal_all(number);
            return;
        }
        if self.pid != 0 {
            let _ = process::signal_group(self.pid, number);
        }
        if self.signal_children(number).is_none() && self.own_pid == 1 {
            let _ = process::signal_all(number);
        }
    }

    /// `None`: there is no list.
    fn signal_children(&self, number: u8) -> Option<()> {
        let list = self.children.as_ref()?;
        let (mut pid, mut place) = (0_u32, 0_u64);
        for _ in 0..ROUND_COUNT_MAX {
            let mut bytes = [0; LIST_BYTES];
            // Read from its beginning, it is made anew.
            let count = rustix::io::pread(list, &mut bytes, place).ok()?;
            place = place.saturating_add(u64::try_from(count).unwrap_or(0));
            for byte in bytes.get(..count).unwrap_or_default() {
                match byte.wrapping_sub(b'0') {
                    digit @ 0..=9 => pid = pid.wrapping_mul(10).wrapping_add(digit.into()),
                    _ => {
                        self.signal_child(pid, number);
                        pid = 0;
                    }
                }
            }
            if count == 0 {
                break;
            }
        }
        Some(())
    }

    /// Children of ours keep their number until we reap them, so it is nobody else's. One that
    /// leads a group gets it with its group. Those of the command's group have had it.
    fn signal_child(&self, pid: u32, number: u8) {
        let _ = match group::of(pid) {
            Some(group) if group == self.pid => Ok(()),
            Some(group) if group == pid => process::signal_group(pid, number),
            _ => process::signal(pid, number),
        };
    }
}
