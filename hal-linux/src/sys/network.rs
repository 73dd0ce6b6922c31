//! This file brings the loopback interface up.

use super::syscall::{result, syscall};
use init_core::event::Errno;
use linux_raw_sys::general as abi;
use linux_raw_sys::net;

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
    let socket = super::fd::socket(net::AF_INET, net::SOCK_DGRAM)?;
    let name = *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let request = InterfaceRequest {
        name,
        flags: IFF_UP_RUNNING,
        rest: [0; 22],
    };
    let descriptor = usize::from(socket.number());
    let pointer = (&raw const request).expose_provenance();
    // SAFETY: the request has the size and layout that this call reads on all machines.
    let answer = unsafe { syscall(abi::__NR_ioctl, [descriptor, SIOCSIFFLAGS, pointer]) };
    result(answer).map(|_| ())
}

/// `struct ucred`.
#[repr(C)]
struct Credentials {
    pid: i32,
    uid: u32,
    gid: u32,
}

const _: () = assert!(size_of::<Credentials>() == 12);

/// Whether the process at the other end of a Unix connection belonged to root when it connected.
pub fn peer_is_root(connection: &super::fd::Fd) -> bool {
    let mut peer = Credentials {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut size = 12_u32;
    let (level, option) = (net::SOL_SOCKET, net::SO_PEERCRED);
    let word = |value: u32| usize::try_from(value).unwrap_or(0);
    let arguments = [
        usize::from(connection.number()),
        word(level),
        word(option),
        (&raw mut peer).expose_provenance(),
        (&raw mut size).expose_provenance(),
    ];
    // SAFETY: the pointers lead to a structure of that size and to the size.
    let answer = unsafe { syscall(abi::__NR_getsockopt, arguments) };
    result(answer).is_ok() && size == 12 && peer.uid == 0
}

/// Takes away what somebody has sent first, unseen, with all that comes with it.
#[inline(never)]
pub fn skip(socket: &super::fd::Fd) {
    let flags = rustix::net::RecvFlags::DONTWAIT;
    let _ = rustix::net::recv(socket, &mut [0_u8], flags);
}
