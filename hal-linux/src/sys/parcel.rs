//! This file hands descriptors from a child to process 1: one at a time, each with a byte that says
//! which it is, through a pair of sockets that never wait.

use super::fd::Fd;
use super::network::Message;
use super::syscall::{result, syscall};
use init_core::event::Errno;
use linux_raw_sys::{general as abi, net};

/// A control message with one descriptor: `struct cmsghdr` of `linux/socket.h` and what follows it.
#[repr(C)]
struct Rights {
    length: usize,
    level: u32,
    kind: u32,
    descriptor: i32,
}

/// Its bytes, without what comes behind them to the next word: room for one descriptor and no more.
const RIGHTS_BYTES: usize = core::mem::offset_of!(Rights, descriptor) + 4;

const _: () = assert!(RIGHTS_BYTES == size_of::<usize>() + 12);

/// No descriptor.
const NONE: i32 = -1;

impl Rights {
    const fn of(descriptor: i32) -> Self {
        Self {
            length: RIGHTS_BYTES,
            level: net::SOL_SOCKET,
            kind: net::SCM_RIGHTS,
            descriptor,
        }
    }
}

/// The numbers of both ends, plus 1 each; 0 where they could not be made. What is sent at one
/// arrives at the other. Nobody owns them yet.
pub fn pair() -> [u32; 2] {
    let mut ends = [u32::MAX; 2];
    let pointer = (&raw mut ends).expose_provenance();
    let kind = net::SOCK_SEQPACKET | abi::O_CLOEXEC | abi::O_NONBLOCK;
    let arguments = [word(net::AF_UNIX), word(kind), 0, pointer];
    // SAFETY: the pointer leads to room for two descriptors.
    unsafe { syscall(abi::__NR_socketpair, arguments) };
    let [one, other] = ends;
    [one.wrapping_add(1), other.wrapping_add(1)]
}

/// Sends a descriptor.
///
/// # Errors
/// What sendmsg answers: nobody has the other end, or there is no memory.
pub fn send(socket: u16, which: u8, descriptor: &Fd) -> Result<(), Errno> {
    let (mut byte, mut rights) = (which, Rights::of(descriptor.number().into()));
    call(
        abi::__NR_sendmsg,
        socket,
        (&mut byte, &mut rights),
        net::MSG_NOSIGNAL,
    )
}

/// Looks at what was sent first: which it is, and a copy of the descriptor, which this process may
/// have no room for. It stays there until somebody takes it away. `None`: nothing is there.
pub fn look(socket: &Fd) -> Option<(u8, Result<Fd, Errno>)> {
    let (mut byte, mut rights) = (u8::MAX, Rights::of(NONE));
    let flags = net::MSG_PEEK | net::MSG_DONTWAIT | net::MSG_CMSG_CLOEXEC;
    let number = abi::__NR_recvmsg;
    call(number, socket.number(), (&mut byte, &mut rights), flags).ok()?;
    Some((byte, from_number(rights.descriptor)))
}

/// The kernel leaves -1 in its place where it has made none.
fn from_number(number: i32) -> Result<Fd, Errno> {
    Fd::from_answer(isize::try_from(number).unwrap_or(-1))
}

#[inline(never)]
fn call(
    number: u32,
    socket: u16,
    (byte, rights): (&mut u8, &mut Rights),
    flags: u32,
) -> Result<(), Errno> {
    let part = [(&raw mut *byte).expose_provenance(), 1];
    let rights = (&raw mut *rights).expose_provenance();
    let parts = (&raw const part).expose_provenance();
    let mut message: Message = [0, 0, parts, 1, rights, RIGHTS_BYTES, 0];
    let pointer = (&raw mut message).expose_provenance();
    // SAFETY: the pointer leads to a message whose one part is a byte and whose control message has
    // the length that is given; both calls read or write these and nothing else.
    result(unsafe { syscall(number, [socket.into(), pointer, word(flags)]) })?;
    Ok(())
}

fn word(value: u32) -> usize {
    usize::try_from(value).unwrap_or(0)
}
