//! This file brings the loopback interface up.

use super::syscall::{result, syscall};
use linux_raw_sys::general as abi;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// `struct ifreq`: a name of 16 bytes, then a union whose first member here is the flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<InterfaceRequest>() == 40);
const _: () = assert!(core::mem::offset_of!(InterfaceRequest, flags) == 16);

/// From `linux/sockios.h` and `linux/if.h`.
const SIOCSIFFLAGS: usize = 0x8914;
const IFF_UP_RUNNING: i16 = 0x1 | 0x40;

/// Brings `lo` up.
///
/// # Errors
/// EPERM, ENODEV, EAFNOSUPPORT.
pub fn loopback_up() -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    let request = InterfaceRequest {
        name,
        flags: IFF_UP_RUNNING,
        rest: [0; 22],
    };
    let descriptor = usize::try_from(socket.as_fd().as_raw_fd()).unwrap_or(usize::MAX);
    let pointer = (&raw const request).expose_provenance();
    // SAFETY: the request has the size and layout that this call reads on all machines.
    let answer = unsafe { syscall(abi::__NR_ioctl, [descriptor, SIOCSIFFLAGS, pointer, 0, 0]) };
    result(answer)
        .map(|_| ())
        .map_err(|e| Errno::from_raw_os_error(e.0.into()))
}
