//! This file talks to a watchdog's driver.

use super::fd::Fd;
use super::syscall::{result, syscall};
use init_core::event::Errno;
use linux_raw_sys::general as abi;

/// `WDIOC_SETTIMEOUT` and `WDIOC_GETTIMEOUT` of `linux/watchdog.h`, the same on the machines that
/// we know.
const SET_TIMEOUT: usize = 0xc004_5706;
const GET_TIMEOUT: usize = 0x8004_5707;

/// Sets the seconds until the reset; how many they are now, which the hardware may choose.
///
/// # Errors
/// What the driver answers where it can neither set nor tell them.
pub fn set_timeout(device: &Fd, seconds: u16) -> Result<u32, Errno> {
    let mut word = i32::from(seconds);
    let pointer = (&raw mut word).expose_provenance();
    let number = usize::from(device.number());
    let ask = |request: usize| {
        // SAFETY: the pointer leads to the number that both requests write.
        result(unsafe { syscall(abi::__NR_ioctl, [number, request, pointer, 0, 0]) })
    };
    ask(SET_TIMEOUT).or_else(|_| ask(GET_TIMEOUT))?;
    Ok(u32::try_from(word).unwrap_or(0))
}
