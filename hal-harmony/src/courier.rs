//! This file is the root task's second thread: it receives messages and puts them where the first
//! one finds them.
//!
//! A receive cannot be given a limit, so it has a thread of its own, more important than all who
//! send: it sleeps in the receive whenever it is not copying, and what is sent is not left in the
//! kernel. It decides nothing, it answers nobody, and it never ends.

use crate::SPLIT;
use crate::abi::{
    Calls, Channel, Error, Handle, Kernel, MESSAGE_BYTES, Notification, Patience, Received, Stack,
};
use crate::post::{CORE_HANDLE_COUNT, HANDLE_COUNT, Post};
use core::sync::atomic::{AtomicBool, Ordering};

/// What the root task's own messages are marked with.
pub const OWN_PID: i32 = 1;

/// What both threads share.
#[derive(Debug)]
pub struct Courier<K> {
    calls: Calls<K>,
    /// What messages come by.
    pub channel: Channel,
    /// What the first thread is woken by. Nobody else ever holds it.
    pub bell: Notification,
    /// What came.
    pub post: Post,
    /// The kernel refused to receive: nothing comes any more.
    deaf: AtomicBool,
}

impl<K: Kernel + Clone + Sync> Courier<K> {
    /// A channel and handles, and nobody who receives yet.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(calls: &Calls<K>, bell: Notification) -> Result<Self, Error> {
        let post = Post::new();
        for _ in 0..HANDLE_COUNT {
            post.give(calls.handle()?);
        }
        if SPLIT {
            for _ in 0..CORE_HANDLE_COUNT {
                post.give_core(calls.handle()?);
            }
        }
        Ok(Self {
            calls: calls.clone(),
            channel: calls.channel()?,
            bell,
            post,
            deaf: AtomicBool::new(false),
        })
    }

    /// Starts to receive.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(&'static self, stack: &'static Stack, priority: u32) -> Result<(), Error> {
        let thread = self
            .calls
            .own_thread(Self::carry, self, stack, priority.min(255))?;
        let _ = thread;
        Ok(())
    }

    extern "C-unwind" fn carry(courier: &'static Self) -> ! {
        let mut next = None;
        loop {
            next = courier.receive(next);
        }
    }

    /// One message; the handle for the next one, if it is left.
    fn receive(&self, handle: Option<Handle>) -> Option<Handle> {
        let Some(handle) = handle.or_else(|| self.post.take_handle()) else {
            // Cannot happen: the last handle is never given to a call.
            self.be_deaf();
            return None;
        };
        // What is shorter leaves zeros.
        let mut sheet = [0; MESSAGE_BYTES];
        let left = match self.calls.receive(&self.channel, handle, &mut sheet) {
            Received::Told { pid, handle } if SPLIT && self.post.is_core(pid) => {
                self.post.count_noise();
                Some(handle)
            }
            Received::Asked(asked) if SPLIT && self.post.is_core(asked.pid()) => {
                Some(self.post.put_core(asked))
            }
            Received::Told { pid, handle } => {
                if pid == OWN_PID {
                    self.post.put_mark(pid, &sheet);
                } else {
                    self.post.put_told(pid, &sheet);
                }
                Some(handle)
            }
            Received::Asked(asked) => match self.post.take_handle() {
                Some(next) => {
                    self.post.put_asked(asked, &sheet);
                    Some(next)
                }
                // More calls at once than there are handles: this one is never answered.
                None => {
                    self.post.count_dropped();
                    Some(asked.forget())
                }
            },
            Received::Nothing(handle) => {
                self.be_deaf();
                Some(handle)
            }
        };
        self.calls.notify(&self.bell);
        left
    }

    /// The kernel does not let us receive. Trying for ever would starve everybody.
    fn be_deaf(&self) {
        self.deaf.store(true, Ordering::Release);
        self.calls.notify(&self.bell);
        if let Ok(nothing) = self.calls.notification() {
            let _ = self.calls.wait(&nothing, Patience::Endless);
        }
        self.calls.give_way();
    }
}

impl<K> Courier<K> {
    /// Whether nothing comes any more; told once.
    pub fn take_deaf(&self) -> bool {
        self.deaf.swap(false, Ordering::AcqRel)
    }
}
