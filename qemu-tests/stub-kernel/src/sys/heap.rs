//! This file is the stub's own memory for its tables: blocks of powers of two, each size with a
//! list of its free ones.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

/// 16 bytes to 1 MiB.
const SIZES: usize = 17;
const BYTES: usize = 8 << 20;

#[repr(C, align(4096))]
struct Room(UnsafeCell<[u8; BYTES]>);

/// The heap.
struct Heap {
    room: Room,
    lists: UnsafeCell<([*mut u8; SIZES], usize)>,
}

// SAFETY: there is one processor, and the kernel is not interrupted.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap {
    room: Room(UnsafeCell::new([0; BYTES])),
    lists: UnsafeCell::new(([null_mut(); SIZES], 0)),
};

fn class(layout: Layout) -> Option<(usize, usize)> {
    let bytes = layout
        .size()
        .max(layout.align())
        .max(16)
        .next_power_of_two();
    let class = usize::try_from(bytes.trailing_zeros())
        .ok()?
        .checked_sub(4)?;
    (class < SIZES).then_some((class, bytes))
}

// SAFETY: blocks are handed out once until they come back, as large and as aligned as asked.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((class, bytes)) = class(layout) else {
            return null_mut();
        };
        // SAFETY: see `Sync`; no other reference to the lists is alive.
        let (lists, used) = unsafe { &mut *self.lists.get() };
        let first = lists[class];
        if !first.is_null() {
            // SAFETY: a free block's first word is the next free block.
            lists[class] = unsafe { first.cast::<*mut u8>().read() };
            return first;
        }
        let at = used.next_multiple_of(bytes.min(4_096));
        if at + bytes > BYTES {
            return null_mut();
        }
        *used = at + bytes;
        // SAFETY: within the room, as was just looked at.
        unsafe { self.room.0.get().cast::<u8>().add(at) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((class, _)) = class(layout) else {
            return;
        };
        // SAFETY: see `Sync`; no other reference to the lists is alive.
        let (lists, _) = unsafe { &mut *self.lists.get() };
        // SAFETY: the block is at least 16 bytes, and nobody's any more.
        unsafe { block.cast::<*mut u8>().write(lists[class]) };
        lists[class] = block;
    }
}
