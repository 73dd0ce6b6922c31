//! This file brings the loopback interface up, and looks at what comes through a connection.

use super::fd::{self, Fd};
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
    let socket = fd::socket(net::AF_INET, net::SOCK_DGRAM)?;
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

/// The control message that comes with every frame, first, in a connection whose listener passes
/// credentials: `struct cmsghdr` of `linux/socket.h` and `struct ucred`, who has sent the frame.
#[repr(C)]
struct Sender {
    length: usize,
    level: u32,
    kind: u32,
    process: u32,
    user: u32,
    group: u32,
}

/// Room for this message and for none besides.
const SENDER_BYTES: usize = size_of::<usize>() + 20;

const _: () = assert!(core::mem::offset_of!(Sender, group) + 4 == SENDER_BYTES);

/// What is first in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will come.
    End,
    /// A frame of root's of so many bytes, be they more than there is room for.
    Frame(usize),
    /// A frame of somebody else's or with descriptors, or an error.
    Other,
}

/// EAGAIN.
const NOTHING_YET: Errno = Errno(11);

/// Looks at what is first, which stays. No descriptor is taken: room for them there is none.
pub fn look(connection: &Fd, room: &mut [u8]) -> First {
    first(
        connection,
        room,
        net::MSG_PEEK | net::MSG_DONTWAIT | net::MSG_TRUNC,
    )
}

/// `struct msghdr` as programs have it, on machines of either width and with the lower bytes
/// first: an address and its length, parts and how many, control messages and their bytes, flags.
/// Each takes a word, where it may be smaller as well.
pub(super) type Message = [usize; 7];

const _: () = assert!(cfg!(target_endian = "little"));

#[inline(never)]
fn first(connection: &Fd, room: &mut [u8], flags: u32) -> First {
    let mut sender = Sender {
        length: 0,
        level: 0,
        kind: 0,
        process: 0,
        user: u32::MAX,
        group: 0,
    };
    let part = [room.as_mut_ptr().expose_provenance(), room.len()];
    let parts = (&raw const part).expose_provenance();
    let into = (&raw mut sender).expose_provenance();
    let mut message: Message = [0, 0, parts, 1, into, SENDER_BYTES, 0];
    let pointer = (&raw mut message).expose_provenance();
    let arguments = [usize::from(connection.number()), pointer, word(flags)];
    // SAFETY: the pointer leads to a message whose one part is the room and whose control messages
    // have the room that is given; the call writes these and nothing else.
    let answer = result(unsafe { syscall(abi::__NR_recvmsg, arguments) });
    let [.., control_bytes, told] = message;
    match answer {
        Err(NOTHING_YET) => First::Nothing,
        Ok(0) if control_bytes == 0 => First::End,
        Ok(length) if told & word(net::MSG_CTRUNC) | word(sender.user) == 0 => First::Frame(length),
        Ok(_) | Err(_) => First::Other,
    }
}

/// Takes away what somebody has sent first, unseen, with all that comes with it.
pub fn skip(socket: &Fd) {
    let _ = first(socket, &mut [], net::MSG_DONTWAIT);
}

fn word(value: u32) -> usize {
    usize::try_from(value).unwrap_or(0)
}
