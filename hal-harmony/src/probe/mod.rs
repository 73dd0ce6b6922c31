//! This room walks the conformance table over a kernel and writes what it answers: one line a row,
//! `name expected got`. It is for a root task of its own; it shares nothing with the HAL but the
//! numbers, the structures and the trap.

mod channel;
mod child;
mod got;
mod plain;
mod process;
mod rows;
mod walk;

pub use rows::{ROWS, Row};

use crate::abi::Kernel;
use crate::abi::layout::{PMO_DATA, RingPage};
use crate::exits;
use channel::Line;
use child::Step;
use embedded_io::Write;
use got::Got;
use plain::is_cap;
use process::Quota;
use walk::{Hands, NO_CAP, PAGE, word};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which.
    pub row: Row,
    /// What it is called in transcripts.
    pub name: &'static str,
    /// Cannot be judged where the kernel's clock stands still.
    pub needs_clock: bool,
    /// What the real kernel answered.
    pub expected: &'static [i64],
}

const fn entry(row: Row, name: &'static str, needs_clock: bool, expected: &'static [i64]) -> Entry {
    Entry {
        row,
        name,
        needs_clock,
        expected,
    }
}

/// The ring that exits are told in: room for three, so that it can be made to overflow. A root task
/// keeps it in a static.
pub const fn ring() -> RingPage {
    exits::page::<3>()
}

/// Walks all rows, as the root task of `kernel`. `window` is an address where that has nothing for
/// a mebibyte. Writes a line a row, `name expected got`, and one that counts them:
/// `rows differ skipped`. The number of rows that differ.
///
/// # Errors
/// Those of writing.
pub fn run<K: Kernel, W: Write>(
    kernel: &K,
    ring: &'static RingPage,
    window: u64,
    to: &mut W,
) -> Result<u32, W::Error> {
    let mut probe = Probe {
        hands: Hands::new(kernel, ring, word(window)),
        line: Line::default(),
        quota: Quota::default(),
        first: 0,
        runs: false,
    };
    let (mut count, mut differ, mut skipped) = (0_u32, 0_u32, 0_u32);
    for entry in &ROWS {
        to.write_all(entry.name.as_bytes())?;
        to.write_all(b" ")?;
        got::write(to, entry.expected)?;
        to.write_all(b" ")?;
        count = count.saturating_add(1);
        if entry.needs_clock && !probe.runs {
            skipped = skipped.saturating_add(1);
            to.write_all(b"skipped\n")?;
            continue;
        }
        let got = probe.row(entry.row);
        if got.numbers() != entry.expected {
            differ = differ.saturating_add(1);
        }
        got::write(to, got.numbers())?;
        to.write_all(b"\n")?;
    }
    to.write_all(b"rows differ skipped: ")?;
    got::write(to, &[count.into(), differ.into(), skipped.into()])?;
    to.write_all(b"\n")?;
    Ok(differ)
}

/// What the rows share.
struct Probe<'k, K> {
    hands: Hands<'k, K>,
    line: Line,
    quota: Quota,
    /// The page that rows map and unmap.
    first: i64,
    /// The kernel's clock goes on.
    runs: bool,
}

impl<K: Kernel> Probe<'_, K> {
    fn row(&mut self, row: Row) -> Got {
        match row {
            Row::ClockRuns => {
                let runs = plain::clock_runs(&self.hands);
                self.runs = runs == 1;
                runs.into()
            }
            Row::RegisterRecycle => self.hands.registered.into(),
            Row::NotificationCreate
            | Row::WaitEmpty
            | Row::Notify
            | Row::WaitNotified
            | Row::WaitCounted
            | Row::WaitTimedOut
            | Row::WaitBadCap
            | Row::NotifyBadCap => self.notification(row),
            Row::MemoryCreate
            | Row::MemorySizeZero
            | Row::MemoryTypeUnknown
            | Row::MemoryWriteRead
            | Row::MemoryWriteRange
            | Row::MemoryReadRange
            | Row::MemoryWriteBadCap
            | Row::MapOwn
            | Row::MapOverlap
            | Row::UnmapOwn
            | Row::MapUnaligned
            | Row::MapBadCap
            | Row::Revoke => self.memory(row),
            Row::ChannelCreate
            | Row::HandleCreate
            | Row::ChannelNotify
            | Row::ChannelReceive
            | Row::ReplyToNotify
            | Row::ReceiveCut
            | Row::ReceiveNoLength
            | Row::ChannelBadCap
            | Row::ReceiveByOther
            | Row::Call
            | Row::CallNoTimeout
            | Row::Reply
            | Row::ReplyAgain
            | Row::StopChannel
            | Row::StoppedNotify
            | Row::ReceivePollEmpty => self.channel(row),
            _ => self.process(row),
        }
    }

    fn notification(&mut self, row: Row) -> Got {
        let hands = &self.hands;
        match row {
            Row::NotificationCreate => hands.notification_create().into(),
            Row::WaitEmpty => hands.wait_after::<1>(0),
            Row::WaitNotified => hands.wait_after::<1>(1),
            Row::WaitCounted => hands.wait_after::<3>(2),
            Row::WaitTimedOut => hands.wait_timed_out(),
            Row::WaitBadCap => hands.raw.wait(NO_CAP, 0, None).into(),
            Row::NotifyBadCap => hands.notify_bad_cap().into(),
            _ => hands.notify_once().into(),
        }
    }

    fn memory(&mut self, row: Row) -> Got {
        let hands = &self.hands;
        match row {
            Row::MemoryCreate => is_cap(hands.memory_create(PAGE, word(PMO_DATA))).into(),
            Row::MemorySizeZero => hands.memory_create(0, word(PMO_DATA)).into(),
            Row::MemoryTypeUnknown => hands.memory_create(PAGE, 99).into(),
            Row::MemoryWriteRead => hands.memory_write_read(),
            Row::MemoryWriteRange => hands.memory_write_range().into(),
            Row::MemoryReadRange => hands.memory_read_range().into(),
            Row::MemoryWriteBadCap => hands.raw.write(NO_CAP, 0, b"gone").into(),
            Row::MapOwn => {
                self.first = walk::page(hands.raw);
                hands.map_own(self.first, hands.window).into()
            }
            Row::MapOverlap => hands.map_own(walk::page(hands.raw), hands.window).into(),
            Row::UnmapOwn => hands.unmap_own(self.first).into(),
            Row::MapUnaligned => hands.map_unaligned().into(),
            Row::MapBadCap => hands.map_own(NO_CAP, hands.window).into(),
            _ => hands.revoke(),
        }
    }

    fn channel(&mut self, row: Row) -> Got {
        let (hands, line) = (&mut self.hands, &mut self.line);
        match row {
            Row::ChannelCreate => line.open(hands).into(),
            Row::HandleCreate => line.handle(hands).into(),
            Row::ChannelNotify | Row::StoppedNotify => line.notify(hands).into(),
            Row::ChannelReceive => line.receive(hands),
            Row::ReplyToNotify | Row::ReplyAgain => line.reply(hands).into(),
            Row::ReceiveCut => line.through::<K, 8, 4>(hands),
            Row::ReceiveNoLength => line.through::<K, 4, 8>(hands),
            Row::ChannelBadCap => Line::bad_cap(hands).into(),
            Row::ReceiveByOther => line.receive_by_other(hands).into(),
            Row::Call => line.call(hands),
            Row::CallNoTimeout => line.still_waits(hands).into(),
            Row::Reply => line.answered(hands),
            Row::StopChannel => line.stop(hands),
            _ => Line::poll(hands).into(),
        }
    }

    fn process(&mut self, row: Row) -> Got {
        use crate::abi::number::Number;
        let (hands, quota) = (&mut self.hands, &mut self.quota);
        match row {
            Row::GroupCreate => quota.group(hands).into(),
            Row::GroupBadgeTwice => quota.group_again(hands).into(),
            Row::MapOther => quota.map_other(hands).into(),
            Row::QuotaFits => quota.charge(hands, 32 * 1_024).into(),
            Row::QuotaExceeded => quota.charge(hands, 64 * 1_024).into(),
            Row::ThreadPriority256 => quota.thread(hands, 256, 2).into(),
            Row::ThreadType99 => quota.thread(hands, 1, 99).into(),
            Row::ThreadBadGroup => quota.thread_nowhere(hands).into(),
            Row::ExitCode => hands.code(&[Step::exit(7)]).into(),
            Row::ExitCodeNegative => hands.code(&[Step::exit(-5)]).into(),
            Row::ExitLastThread => hands.code(&[Step::call(Number::THREAD_EXIT, &[])]).into(),
            Row::ExitDataFault => hands.code(&[Step::FAULT]).into(),
            Row::ExitKilled => hands.exit_killed(),
            Row::KillBadCap => hands.raw.plain(Number::KILL_GROUP, &[NO_CAP]).into(),
            Row::KillOneself => hands.kill_oneself(),
            Row::Recycle => hands.recycle_ended().into(),
            Row::RecycleBadCap => hands.raw.plain(Number::CAP_GROUP_RECYCLE, &[NO_CAP]).into(),
            Row::ChildGroupCreate => hands.child_group_create().into(),
            Row::ChildRecycle => hands.child_recycle().into(),
            Row::ChildDeviceMemory => hands.child_device_memory().into(),
            Row::PriorityBelow => hands.priority_below().into(),
            Row::PriorityEqual => hands.priority_equal().into(),
            Row::MemoryOutlives => hands.memory_outlives().into(),
            Row::ChildMemoryQuota => hands.child_memory_quota().into(),
            Row::ChildRevokesCopies => hands.child_revokes_copies(),
            _ => hands.ring_overflow(),
        }
    }
}
