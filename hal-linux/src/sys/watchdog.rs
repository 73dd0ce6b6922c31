//! This file talks to a watchdog's driver.

use super::fd::Fd;
use super::syscall::{result, syscall};
use init_core::event::Errno;
use linux_raw_sys::general as abi;

/// `WDIOC_SETTIMEOUT`, `WDIOC_GETTIMEOUT` and `WDIOC_SETPRETIMEOUT` of `linux/watchdog.h`, the same
/// on the machines that we know.
const SET_TIMEOUT: usize = 0xc004_5706;
const GET_TIMEOUT: usize = 0x8004_5707;
const SET_PRETIMEOUT: usize = 0xc004_5708;

/// Sets the seconds until the reset; how many they are now, which the hardware may choose.
///
/// # Errors
/// What the driver answers where it can neither set nor tell them.
pub fn set_timeout(device: &Fd, seconds: u16) -> Result<u32, Errno> {
    ask(device, SET_TIMEOUT, seconds.into()).or_else(|_| timeout(device))
}

/// The seconds until the reset, as they are.
///
/// # Errors
/// What a driver answers that does not tell.
pub fn timeout(device: &Fd) -> Result<u32, Errno> {
    ask(device, GET_TIMEOUT, 0)
}

/// Lets it warn so many seconds before the reset, or not at all; how many they are now, which the
/// hardware may choose. Setting the timeout may end that, so it comes after.
///
/// # Errors
/// What a driver answers that cannot.
pub fn set_pretimeout(device: &Fd, seconds: u32) -> Result<u32, Errno> {
    ask(device, SET_PRETIMEOUT, seconds)
}

/// Hands the driver a number; the one that it leaves there.
fn ask(device: &Fd, request: usize, value: u32) -> Result<u32, Errno> {
    let mut word = value;
    let pointer = (&raw mut word).expose_provenance();
    let number = usize::from(device.number());
    // SAFETY: the pointer leads to the number that each of our requests reads or writes.
    result(unsafe { syscall(abi::__NR_ioctl, [number, request, pointer]) })?;
    Ok(word)
}
