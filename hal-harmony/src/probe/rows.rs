//! This file is generated from `conformance.tsv`: the rows that the probe walks.
//! A test holds it current; `UPDATE=1 cargo test -p hal-harmony` writes it.

use super::{Entry, entry};

/// A row, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Read the clock, let 2 ms pass on the counter, read it again.
    ClockRuns,
    /// Register_recycle with a notification and a ring.
    RegisterRecycle,
    /// Create_notifc.
    NotificationCreate,
    /// Wait without blocking.
    WaitEmpty,
    /// Notify.
    Notify,
    /// Wait without blocking, after one notify.
    WaitNotified,
    /// Notify twice; wait three times without blocking.
    WaitCounted,
    /// Wait, blocking, 30 ms, nobody notifies.
    WaitTimedOut,
    /// Wait on a number that is no capability.
    WaitBadCap,
    /// Notify a number that is no capability.
    NotifyBadCap,
    /// Create_pmo of a page of data.
    MemoryCreate,
    /// Create_pmo of nothing.
    MemorySizeZero,
    /// Create_pmo of type 99.
    MemoryTypeUnknown,
    /// Write_pmo 4 bytes at 8, read_pmo them back.
    MemoryWriteRead,
    /// Write_pmo 8 bytes at 4 bytes before the end.
    MemoryWriteRange,
    /// Read_pmo 8 bytes at 4 bytes before the end.
    MemoryReadRange,
    /// Write_pmo to a number that is no capability.
    MemoryWriteBadCap,
    /// Map_pmo a page into the own process, read and write.
    MapOwn,
    /// Map_pmo another page at the same address.
    MapOverlap,
    /// Unmap_pmo the first one.
    UnmapOwn,
    /// Map_pmo a page one byte above a free address.
    MapUnaligned,
    /// Map_pmo a number that is no capability.
    MapBadCap,
    /// Revoke_cap the page; write_pmo to it.
    Revoke,
    /// Create_cap_group.
    GroupCreate,
    /// Create_cap_group again with the badge of a process that exists.
    GroupBadgeTwice,
    /// Map_pmo a page into another process.
    MapOther,
    /// Transfer_pmo_owner 32 KiB to a process with 64 KiB.
    QuotaFits,
    /// Transfer_pmo_owner 64 KiB more to it.
    QuotaExceeded,
    /// Create_thread with priority 256.
    ThreadPriority256,
    /// Create_thread of type 99.
    ThreadType99,
    /// Create_thread in a number that is no capability.
    ThreadBadGroup,
    /// A process: exit_group(7).
    ExitCode,
    /// A process: exit_group(-5).
    ExitCodeNegative,
    /// A process: thread_exit.
    ExitLastThread,
    /// A process: writes to an address where nothing is.
    ExitDataFault,
    /// Kill_group a process that runs.
    ExitKilled,
    /// Kill_group a number that is no capability.
    KillBadCap,
    /// A process: kill_group itself, then get_prio.
    KillOneself,
    /// Cap_group_recycle an ended process until the answer is not -11.
    Recycle,
    /// Cap_group_recycle a number that is no capability.
    RecycleBadCap,
    /// A process that is not the root task: create_cap_group.
    ChildGroupCreate,
    /// A process that is not the root task: cap_group_recycle.
    ChildRecycle,
    /// A process that is not the root task: create_device_pmo.
    ChildDeviceMemory,
    /// A process one priority below, 50 times yield.
    PriorityBelow,
    /// A process of the own priority, 50 times yield.
    PriorityEqual,
    /// One page mapped into three processes, one after the other, each recycled.
    MemoryOutlives,
    /// Create_channel.
    ChannelCreate,
    /// Create_msg_hdl.
    HandleCreate,
    /// Notify the channel with 8 bytes.
    ChannelNotify,
    /// Receive into 8 bytes.
    ChannelReceive,
    /// Reply to it.
    ReplyToNotify,
    /// Notify with 8 bytes; receive into 4.
    ReceiveCut,
    /// Notify with 4 bytes; receive into 8.
    ReceiveNoLength,
    /// Notify a number that is no capability.
    ChannelBadCap,
    /// A process that did not create the channel: receive.
    ReceiveByOther,
    /// A process: call with 8 bytes; receive.
    Call,
    /// The same call had a limit of 1 ms: 5 ms later.
    CallNoTimeout,
    /// Reply with 8 bytes.
    Reply,
    /// Reply once more.
    ReplyAgain,
    /// A process calls; stop_channel before its message is received.
    StopChannel,
    /// Notify the stopped channel.
    StoppedNotify,
    /// Receive with a limit of 0 from another channel, empty.
    ReceivePollEmpty,
    /// A ring with room for three; five processes end, with 1 to 5; then one with 6.
    RingOverflow,
    /// A process with 64 KiB: create_pmo of 128 KiB.
    ChildMemoryQuota,
    /// A process: revoke_cap, with copies, a page of ours mapped into it; write_pmo to it.
    ChildRevokesCopies,
}

/// All rows, in the order of the table.
#[rustfmt::skip]
pub const ROWS: [Entry; 65] = [
    entry(Row::ClockRuns, "clock-runs", false, &[1]),
    entry(Row::RegisterRecycle, "register-recycle", false, &[0]),
    entry(Row::NotificationCreate, "notification-create", false, &[1]),
    entry(Row::WaitEmpty, "wait-empty", false, &[-11]),
    entry(Row::Notify, "notify", false, &[0]),
    entry(Row::WaitNotified, "wait-notified", false, &[0]),
    entry(Row::WaitCounted, "wait-counted", false, &[0, 0, -11]),
    entry(Row::WaitTimedOut, "wait-timed-out", true, &[-110, 1]),
    entry(Row::WaitBadCap, "wait-bad-cap", false, &[-200]),
    entry(Row::NotifyBadCap, "notify-bad-cap", false, &[-200]),
    entry(Row::MemoryCreate, "memory-create", false, &[1]),
    entry(Row::MemorySizeZero, "memory-size-zero", false, &[-22]),
    entry(Row::MemoryTypeUnknown, "memory-type-unknown", false, &[-22]),
    entry(Row::MemoryWriteRead, "memory-write-read", false, &[0, 0, 1]),
    entry(Row::MemoryWriteRange, "memory-write-range", false, &[-22]),
    entry(Row::MemoryReadRange, "memory-read-range", false, &[-22]),
    entry(Row::MemoryWriteBadCap, "memory-write-bad-cap", false, &[-200]),
    entry(Row::MapOwn, "map-own", false, &[0]),
    entry(Row::MapOverlap, "map-overlap", false, &[-1]),
    entry(Row::UnmapOwn, "unmap-own", false, &[0]),
    entry(Row::MapUnaligned, "map-unaligned", false, &[0]),
    entry(Row::MapBadCap, "map-bad-cap", false, &[-200]),
    entry(Row::Revoke, "revoke", false, &[0, -200]),
    entry(Row::GroupCreate, "group-create", false, &[1]),
    entry(Row::GroupBadgeTwice, "group-badge-twice", false, &[1]),
    entry(Row::MapOther, "map-other", false, &[1]),
    entry(Row::QuotaFits, "quota-fits", false, &[0]),
    entry(Row::QuotaExceeded, "quota-exceeded", false, &[-12]),
    entry(Row::ThreadPriority256, "thread-priority-256", false, &[-22]),
    entry(Row::ThreadType99, "thread-type-99", false, &[-22]),
    entry(Row::ThreadBadGroup, "thread-bad-group", false, &[-200]),
    entry(Row::ExitCode, "exit-code", false, &[7]),
    entry(Row::ExitCodeNegative, "exit-code-negative", false, &[-5]),
    entry(Row::ExitLastThread, "exit-last-thread", false, &[0]),
    entry(Row::ExitDataFault, "exit-data-fault", false, &[-1]),
    entry(Row::ExitKilled, "exit-killed", false, &[0, 0]),
    entry(Row::KillBadCap, "kill-bad-cap", false, &[-22]),
    entry(Row::KillOneself, "kill-oneself", false, &[0, 0]),
    entry(Row::Recycle, "recycle", false, &[0]),
    entry(Row::RecycleBadCap, "recycle-bad-cap", false, &[-200]),
    entry(Row::ChildGroupCreate, "child-group-create", false, &[-1]),
    entry(Row::ChildRecycle, "child-recycle", false, &[1]),
    entry(Row::ChildDeviceMemory, "child-device-memory", false, &[1]),
    entry(Row::PriorityBelow, "priority-below", false, &[0]),
    entry(Row::PriorityEqual, "priority-equal", false, &[1]),
    entry(Row::MemoryOutlives, "memory-outlives", false, &[3]),
    entry(Row::ChannelCreate, "channel-create", false, &[1]),
    entry(Row::HandleCreate, "handle-create", false, &[1]),
    entry(Row::ChannelNotify, "channel-notify", false, &[0]),
    entry(Row::ChannelReceive, "channel-receive", false, &[0, 1, 1]),
    entry(Row::ReplyToNotify, "reply-to-notify", false, &[-22]),
    entry(Row::ReceiveCut, "receive-cut", false, &[0, 4]),
    entry(Row::ReceiveNoLength, "receive-no-length", false, &[0, 4]),
    entry(Row::ChannelBadCap, "channel-bad-cap", false, &[-200]),
    entry(Row::ReceiveByOther, "receive-by-other", false, &[-22]),
    entry(Row::Call, "call", false, &[0, 2, 1]),
    entry(Row::CallNoTimeout, "call-no-timeout", true, &[1]),
    entry(Row::Reply, "reply", false, &[0, 0, 1]),
    entry(Row::ReplyAgain, "reply-again", false, &[-22]),
    entry(Row::StopChannel, "stop-channel", false, &[0, -22]),
    entry(Row::StoppedNotify, "stopped-notify", false, &[-22]),
    entry(Row::ReceivePollEmpty, "receive-poll-empty", false, &[255]),
    entry(Row::RingOverflow, "ring-overflow", false, &[1, 2, 3, 3, 6, 5, 4, 1]),
    entry(Row::ChildMemoryQuota, "child-memory-quota", false, &[-12]),
    entry(Row::ChildRevokesCopies, "child-revokes-copies", false, &[0, -200]),
];
