//! This file is the calls of sockets. As with the others, an answer that is negative is handed on.

use super::syscall::syscall;
use core::ffi::CStr;
use linux_raw_sys::{general as abi, net};

/// Where a TCP socket listens, as the kernel has it.
#[derive(Clone, Copy, Debug)]
pub struct Address([u8; size_of::<net::sockaddr_in>()]);

/// A connection to the Unix socket with that path, which keeps messages apart.
pub fn connect_unix(path: &CStr) -> isize {
    let mut address = [0; size_of::<net::sockaddr_un>()];
    let family = (net::AF_UNIX as u16).to_ne_bytes();
    let bytes = family.iter().chain(path.to_bytes_with_nul());
    let mut length = 0;
    for (at, byte) in address.iter_mut().zip(bytes) {
        *at = *byte;
        length += 1;
    }
    let socket = new(net::AF_UNIX, net::SOCK_SEQPACKET);
    // SAFETY: the address is at least that long.
    unsafe { connect_to(socket, address.as_ptr(), length) };
    socket
}

/// A TCP socket that listens at a port of the kernel's choice, and where that is.
pub fn listen() -> (isize, Address) {
    let socket = new(net::AF_INET, net::SOCK_STREAM);
    // SAFETY: no pointer.
    unsafe { syscall(abi::__NR_listen, [socket as usize, 1, 0, 0, 0]) };
    let mut address = Address([0; _]);
    let mut length = size_of::<Address>() as u32;
    let (at, length_at) = (address.0.as_mut_ptr() as usize, (&raw mut length) as usize);
    // SAFETY: the address is as long as the length says.
    unsafe {
        syscall(
            abi::__NR_getsockname,
            [socket as usize, at, length_at, 0, 0],
        )
    };
    (socket, address)
}

/// A TCP connection to who listens there.
pub fn connect(address: &Address) -> isize {
    let socket = new(net::AF_INET, net::SOCK_STREAM);
    // SAFETY: the address is that long.
    unsafe { connect_to(socket, address.0.as_ptr(), address.0.len()) };
    socket
}

/// Two Unix sockets that are connected to each other.
pub fn pair() -> [isize; 2] {
    let mut ends = [-1_i32; 2];
    let at = (&raw mut ends) as usize;
    let (domain, kind) = (net::AF_UNIX as usize, net::SOCK_STREAM as usize);
    // SAFETY: two descriptors have room.
    unsafe { syscall(abi::__NR_socketpair, [domain, kind, 0, at, 0]) };
    ends.map(|end| end as isize)
}

/// Lets whoever closes the connection wait until all was taken that is sent, and no longer than
/// that.
pub fn linger(socket: isize, seconds: i32) {
    let option = net::linger {
        l_onoff: 1,
        l_linger: seconds,
    };
    let (level, name) = (net::SOL_SOCKET as usize, net::SO_LINGER as usize);
    let (at, size) = ((&raw const option) as usize, size_of::<net::linger>());
    // SAFETY: the option is that long.
    unsafe {
        syscall(
            abi::__NR_setsockopt,
            [socket as usize, level, name, at, size],
        )
    };
}

/// Sends what there is room for; whether there was any.
pub fn send(socket: isize, bytes: &[u8]) -> bool {
    let (at, flags) = (bytes.as_ptr() as usize, net::MSG_DONTWAIT as usize);
    // SAFETY: the bytes are that long. Nobody is named, so how long a name is says nothing.
    let answer = unsafe {
        syscall(
            abi::__NR_sendto,
            [socket as usize, at, bytes.len(), flags, 0],
        )
    };
    answer >= 0
}

/// Sends one byte through a Unix socket, and descriptors with it.
pub fn pass<const COUNT: usize>(socket: isize, descriptors: &[isize; COUNT]) {
    #[repr(C)]
    struct Rights<const COUNT: usize> {
        header: net::cmsghdr,
        descriptors: [i32; COUNT],
    }
    let length = size_of::<net::cmsghdr>() + COUNT * size_of::<i32>();
    let mut rights = Rights {
        header: net::cmsghdr {
            cmsg_len: length,
            cmsg_level: net::SOL_SOCKET as i32,
            cmsg_type: net::SCM_RIGHTS as i32,
        },
        descriptors: descriptors.map(|descriptor| descriptor as i32),
    };
    let mut byte = 0_u8;
    let mut part = abi::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let message = net::msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: (&raw mut part).cast(),
        msg_iovlen: 1,
        msg_control: (&raw mut rights).cast(),
        msg_controllen: length,
        msg_flags: 0,
    };
    let at = (&raw const message) as usize;
    // SAFETY: the message leads to one byte and to rights of that length.
    unsafe { syscall(abi::__NR_sendmsg, [socket as usize, at, 0, 0, 0]) };
}

/// Says at a connection that nothing more will be sent, nor read.
pub fn shut_down(socket: isize) {
    let both = net::SHUT_RDWR as usize;
    // SAFETY: no pointer.
    unsafe { syscall(abi::__NR_shutdown, [socket as usize, both, 0, 0, 0]) };
}

fn new(domain: u32, kind: u32) -> isize {
    // SAFETY: no pointer.
    unsafe { syscall(abi::__NR_socket, [domain as usize, kind as usize, 0, 0, 0]) }
}

/// # Safety
/// The address is that long.
unsafe fn connect_to(socket: isize, address: *const u8, length: usize) {
    // SAFETY: the caller vouches for the length.
    unsafe {
        syscall(
            abi::__NR_connect,
            [socket as usize, address as usize, length, 0, 0],
        )
    };
}
