//! This file is the profile "oh-tee": the number of every call that the HAL and the probe make.
//!
//! A number is a byte and can only be taken from this table, because the kernel does not check its
//! range. Sibling kernels number the same calls otherwise and would be a table of their own.

/// The number of a kernel call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(u8);

macro_rules! profile {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Number {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The call's name in this table, for transcripts.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($name),)*
                    _ => "?",
                }
            }

            /// The call that a processor's register asks for; `None`: none of the table.
            pub const fn from_register(word: u64) -> Option<Self> {
                match word {
                    $($number => Some(Self($number)),)*
                    _ => None,
                }
            }
        }
    };
}

profile! {
    /// Writes to the console: address, length.
    PUTSTR = 0;
    /// Makes a memory object: size, type; its capability.
    CREATE_PMO = 10;
    /// Makes one of the machine's own memory: address, size; its capability.
    CREATE_DEVICE_PMO = 11;
    /// Maps one: group, object, address, permissions, length. Into another group: the object's
    /// capability there.
    MAP_PMO = 12;
    /// Unmaps one: group, object, address.
    UNMAP_PMO = 13;
    /// Writes into one: object, offset, address, length.
    WRITE_PMO = 14;
    /// Reads from one: object, offset, address, length.
    READ_PMO = 15;
    /// Gives up a capability: capability, whether all copies.
    REVOKE_CAP = 18;
    /// Charges an object to another group: object, group.
    TRANSFER_PMO_OWNER = 20;
    /// Gives capabilities away: group, address of them, count, address of their new numbers.
    TRANSFER_CAPS = 62;
    /// Makes a process: address of its arguments; its capability.
    CREATE_CAP_GROUP = 80;
    /// Ends the own process: code.
    EXIT_GROUP = 81;
    /// Makes a thread: address of its arguments; its capability.
    CREATE_THREAD = 82;
    /// Ends the own thread.
    THREAD_EXIT = 83;
    /// Ends a process: its capability.
    KILL_GROUP = 86;
    /// Where exits are told: notification, address of the ring.
    REGISTER_RECYCLE = 90;
    /// Frees what an ended process held: its capability.
    CAP_GROUP_RECYCLE = 91;
    /// Lets others of the same priority run.
    YIELD = 100;
    /// The own thread's priority: 0.
    GET_PRIO = 104;
    /// Makes a notification; its capability.
    CREATE_NOTIFC = 130;
    /// Waits for one: notification, whether to block, address of a relative time or 0.
    WAIT = 131;
    /// Notifies one: notification.
    NOTIFY = 132;
    /// Makes a handle by which messages are replied to; its capability.
    CREATE_MSG_HDL = 140;
    /// Makes a message channel; its capability.
    CREATE_CHANNEL = 141;
    /// Ends one, by who made it: channel.
    STOP_CHANNEL = 142;
    /// Receives: channel, address, length, handle, address of the source, limit.
    RECEIVE = 143;
    /// Sends and waits for a reply: channel, address, length, address, length, address of a limit.
    CALL = 144;
    /// Replies: handle, address, length.
    REPLY = 145;
    /// Sends: channel, address, length.
    NOTIFY_CHANNEL = 146;
    /// Makes instructions written as data visible: address, length, operation.
    CACHE_FLUSH = 180;
    /// The time: clock, address.
    CLOCK_GETTIME = 200;
    /// Switches the power off. On some boards it returns.
    POWEROFF = 234;
}

impl Number {
    /// What the processor's register is given.
    pub const fn get(self) -> u64 {
        // The only widening that a constant function can do without `as` is by bytes.
        u64::from_le_bytes([self.0, 0, 0, 0, 0, 0, 0, 0])
    }
}

impl core::fmt::Debug for Number {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
