//! This file gives the calls about messages their types: who may receive, who may be answered, and
//! a thread of our own that does nothing but receive.
//!
//! **Only who is alive is answered.** The kernel dies of a reply to a process that it has freed. So
//! a reply needs the caller's [`Group`], which [`Calls::free`] takes away, and its number must be
//! the one that the kernel wrote into the message; a call is answered once.
//!
//! ```compile_fail,E0382
//! use hal_harmony::abi::{Asked, Calls, Group, Kernel, MESSAGE_BYTES};
//! fn late<K: Kernel>(calls: &Calls<K>, asked: Asked, caller: Group) {
//!     let _ = calls.free(caller);
//!     let _ = calls.reply(asked, &caller, &[0; MESSAGE_BYTES]);
//! }
//! ```
//!
//! ```compile_fail,E0382
//! use hal_harmony::abi::{Asked, Calls, Group, Kernel, MESSAGE_BYTES};
//! fn twice<K: Kernel>(calls: &Calls<K>, asked: Asked, caller: &Group) {
//!     let _ = calls.reply(asked, caller, &[0; MESSAGE_BYTES]);
//!     let _ = calls.reply(asked, caller, &[0; MESSAGE_BYTES]);
//! }
//! ```
//!
//! ```compile_fail,E0061
//! use hal_harmony::abi::{Asked, Calls, Kernel, MESSAGE_BYTES};
//! fn nobody<K: Kernel>(calls: &Calls<K>, asked: Asked) {
//!     let _ = calls.reply(asked, &[0; MESSAGE_BYTES]);
//! }
//! ```
//!
//! **A process is lent a channel and nothing else of ours.**
//!
//! ```compile_fail,E0308
//! use hal_harmony::abi::{Calls, Group, Kernel, Notification};
//! fn lend<K: Kernel>(calls: &Calls<K>, exits: &Notification, group: &Group) {
//!     let _ = calls.lend(exits, group);
//! }
//! ```
//!
//! ```
//! use hal_harmony::abi::{Calls, Channel, Group, Kernel};
//! fn lend<K: Kernel>(calls: &Calls<K>, channel: &Channel, group: &Group) {
//!     let _ = calls.lend(channel, group);
//! }
//! ```

use super::calls::{Calls, Error, Group, address, bytes, word};
use super::layout::{OWN_GROUP, SOURCE_CALL, Source, THREAD_USER, ThreadArgs};
use super::number::Number;
use super::{Kernel, Thread};
use core::sync::atomic::AtomicU64;
use init_core::event::Errno;

/// Bytes of every message and of every reply: the kernel tells nobody how long one was.
pub const MESSAGE_BYTES: usize = init_core::protocol::letter::LETTER_BYTES;

/// A channel that we made and receive from.
#[derive(Debug)]
pub struct Channel(i32);

/// Where a process finds the channel: its number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent(i32);

impl Lent {
    /// The number, to tell the process.
    pub fn number(self) -> i32 {
        self.0
    }
}

/// A handle that nobody waits on: the next message can be received by it.
#[derive(Debug)]
pub struct Handle(i32);

/// A caller that waits until it is answered, and the handle by which that can be done.
#[derive(Debug)]
pub struct Asked {
    handle: i32,
    pid: i32,
}

/// What was received.
#[derive(Debug)]
pub enum Received {
    /// Sent and forgotten; the handle is as it was.
    Told {
        /// The sender, as the kernel knows it.
        pid: i32,
        /// For the next message.
        handle: Handle,
    },
    /// Sent, and an answer is waited for.
    Asked(Asked),
    /// Nothing: the kernel refused.
    Nothing(Handle),
}

impl Asked {
    /// Who asks, as the kernel knows it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Gives up to answer: the caller waits for as long as it lives.
    pub fn forget(self) -> Handle {
        Handle(self.handle)
    }

    /// As two numbers, to be put through memory that two threads share.
    pub(crate) fn into_numbers(self) -> (i32, i32) {
        (self.handle, self.pid)
    }

    /// From the two numbers that [`Self::into_numbers`] gave, once.
    pub(crate) fn from_numbers(handle: i32, pid: i32) -> Self {
        Self { handle, pid }
    }
}

impl Handle {
    /// As a number, to be put through memory that two threads share.
    pub(crate) fn into_number(self) -> i32 {
        self.0
    }

    /// From the number that [`Self::into_number`] gave, once.
    pub(crate) fn from_number(number: i32) -> Self {
        Self(number)
    }
}

/// 64-bit words of the stack of a thread of ours, which receives and copies. (Of a test's, the host
/// takes care.)
const STACK_WORDS: usize = 256;

/// The stack of a thread of ours. Its words are atomic because a thread that the compiler does not
/// know of writes them.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Stack([AtomicU64; STACK_WORDS]);

impl Stack {
    /// A stack that nobody uses.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; STACK_WORDS])
    }
}

impl Default for Stack {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kernel> Calls<K> {
    /// Makes a channel; only we can receive from it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn channel(&self) -> Result<Channel, Error> {
        self.plain(Number::CREATE_CHANNEL, [0; 6]).map(Channel)
    }

    /// Makes a handle.
    ///
    /// # Errors
    /// The kernel's.
    pub fn handle(&self) -> Result<Handle, Error> {
        self.plain(Number::CREATE_MSG_HDL, [0; 6]).map(Handle)
    }

    /// Lets a process send to the channel. It cannot receive from it, and freeing the process
    /// leaves the channel as it is.
    ///
    /// # Errors
    /// The kernel's.
    pub fn lend(&self, channel: &Channel, group: &Group) -> Result<Lent, Error> {
        let from = channel.0;
        let mut to = -1_i32;
        let to_at = bytes(core::ptr::from_mut(&mut to).expose_provenance());
        let arguments = [word(group.capability()), address(&from), 1, to_at, 0, 0];
        // SAFETY: the kernel reads one number and writes one; both are ours until it returns.
        super::calls::judge(unsafe { self.kernel().call(Number::TRANSFER_CAPS, arguments) })?;
        if to < 0 {
            return Err(Error::Kernel(Errno(22)));
        }
        Ok(Lent(to))
    }

    /// Sleeps until a message comes, for ever. (A receive with a limit does not come back on this
    /// kernel, and one that only looks leaves the receiver behind when it finds nothing.)
    pub fn receive(
        &self,
        channel: &Channel,
        handle: Handle,
        message: &mut [u8; MESSAGE_BYTES],
    ) -> Received {
        const FOREVER: u64 = 0xffff_ffff;
        let mut source = Source::default();
        let arguments = [
            word(channel.0),
            bytes(message.as_mut_ptr().expose_provenance()),
            bytes(MESSAGE_BYTES),
            word(handle.0),
            bytes(core::ptr::from_mut(&mut source).expose_provenance()),
            FOREVER,
        ];
        // SAFETY: the kernel writes a message and its source; both are ours until it returns.
        let result = super::calls::judge(unsafe { self.kernel().call(Number::RECEIVE, arguments) });
        let (Ok(0), Ok(pid)) = (result, i32::try_from(source.pid)) else {
            return Received::Nothing(handle);
        };
        if source.kind == SOURCE_CALL {
            return Received::Asked(Asked {
                handle: handle.0,
                pid,
            });
        }
        Received::Told { pid, handle }
    }

    /// Answers. What the kernel makes of it is the caller's own affair: it may have ended. The
    /// handle is free again.
    ///
    /// # Errors
    /// The call, when it is not that process's: nothing was done.
    pub fn reply(
        &self,
        asked: Asked,
        to: &Group,
        message: &[u8; MESSAGE_BYTES],
    ) -> Result<Handle, Asked> {
        if asked.pid != to.pid() {
            return Err(asked);
        }
        let at = bytes(message.as_ptr().expose_provenance());
        let arguments = [word(asked.handle), at, bytes(MESSAGE_BYTES), 0, 0, 0];
        let _ = self.plain(Number::REPLY, arguments);
        Ok(Handle(asked.handle))
    }

    /// Sends a message to ourselves: what was sent before it has been received when it is.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(&self, channel: &Channel, message: &[u8; MESSAGE_BYTES]) -> Result<(), Error> {
        let at = bytes(message.as_ptr().expose_provenance());
        let arguments = [word(channel.0), at, bytes(MESSAGE_BYTES), 0, 0, 0];
        self.plain(Number::NOTIFY_CHANNEL, arguments).map(drop)
    }

    /// Starts a thread of our own, which never ends. It must not panic: as all that we are, it can
    /// only end with the machine.
    ///
    /// # Errors
    /// [`Error::Range`] for a priority above 255, or the kernel's.
    pub fn own_thread<T: Sync>(
        &self,
        runs: extern "C-unwind" fn(&'static T) -> !,
        with: &'static T,
        stack: &'static Stack,
        priority: u32,
    ) -> Result<Thread, Error> {
        if priority > 255 {
            return Err(Error::Range);
        }
        let end = core::ptr::from_ref(stack).wrapping_add(1);
        #[expect(
            clippy::as_conversions,
            reason = "the only way to a function's address"
        )]
        let code = runs as *const ();
        let args = ThreadArgs {
            cap_group: OWN_GROUP,
            stack: bytes(end.expose_provenance()),
            pc: bytes(code.expose_provenance()),
            argument: bytes(core::ptr::from_ref(with).expose_provenance()),
            tls: 0,
            priority,
            kind: THREAD_USER,
        };
        self.plain(Number::CREATE_THREAD, [address(&args), 0, 0, 0, 0, 0])
            .map(|_| Thread(()))
    }

    /// Notifies ourselves.
    pub fn notify(&self, notification: &super::Notification) {
        let number = notification.capability();
        let _ = self.plain(Number::NOTIFY, [word(number), 0, 0, 0, 0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// A kernel that takes everything and counts replies.
    #[derive(Default)]
    struct Counts(Cell<u32>);

    impl Kernel for Counts {
        unsafe fn call(&self, number: Number, _: [u64; 6]) -> u64 {
            if number == Number::REPLY {
                self.0.set(self.0.get() + 1);
            }
            7
        }

        fn counter(&self) -> u64 {
            0
        }

        fn frequency(&self) -> u64 {
            0
        }
    }

    #[test]
    fn a_call_of_one_process_is_not_answered_by_the_handle_of_another() {
        let calls = Calls::new(Counts::default());
        let group = |badge| calls.group(badge, b"a", 0).unwrap();
        let (caller, other) = (group(200), group(201));
        let message = [0; MESSAGE_BYTES];
        let asked = Asked::from_numbers(9, 200);
        let asked = calls.reply(asked, &other, &message).unwrap_err();
        assert_eq!(calls.kernel().0.get(), 0);
        let handle = calls.reply(asked, &caller, &message).unwrap();
        assert_eq!((handle.into_number(), calls.kernel().0.get()), (9, 1));
    }
}
