//! This file loads the root image, by its header, as that kernel does.

use crate::kernel::Kernel;
use crate::memory::{Kind, Memory};
use crate::object::{Doing, Object};
use crate::space::{EXECUTE, READ, WRITE};
use crate::sys::boot::Frame;
use crate::sys::cpu::{self, Console};
use crate::sys::page::{self, PAGE};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::fmt::Write;

/// Where the root task's stack lies, and how long it is.
const STACK: u64 = 0x5000_0000_0000;
const STACK_BYTES: u64 = 8 << 20;
const PRIORITY: u32 = 10;
const NAME: &[u8] = b"/procmgr.srv\0";

/// Offsets of the program headers in the image.
const HEADERS: u64 = 48;
const HEADER_BYTES: u64 = 56;

struct Header {
    entry: u64,
    flags: u64,
    count: u64,
    headers: u64,
}

fn big(at: u64) -> u64 {
    let mut bytes = [0; 8];
    page::read(at, &mut bytes);
    u64::from_be_bytes(bytes)
}

fn little(at: u64) -> u64 {
    let mut bytes = [0; 8];
    page::read(at, &mut bytes);
    u64::from_le_bytes(bytes)
}

impl Kernel {
    /// Makes the root task: stack, segments, thread; its next free capability is 7 where it has
    /// three segments.
    pub fn load_root(&mut self) {
        let (image, bytes) = page::root_image();
        let _ = writeln!(Console, "stub: not Harmony; a root image of {bytes} bytes");
        let header = Header {
            entry: big(image + 8),
            flags: big(image + 16),
            count: big(image + 32),
            headers: big(image + 40),
        };
        assert!(
            big(image + 24) == HEADER_BYTES && header.count <= 3,
            "no root image"
        );
        let root = self
            .new_group(1, 1, u64::MAX)
            .expect("memory for the root task");
        assert!(root == 0, "somebody was there before the root task");
        let stack = Memory::new(Kind::Lazy, STACK_BYTES).expect("memory for a stack");
        let stack = Rc::new(stack);
        let group = &mut self.groups[root];
        group.grant(Object::Memory(stack.clone()));
        assert!(
            group.space.map(STACK, &stack, READ | WRITE),
            "the stack's place"
        );
        for index in 0..header.count {
            self.load_segment(root, image, bytes, index);
        }
        let top = STACK + STACK_BYTES - PAGE;
        let environment = environment(top, &header);
        let group = &mut self.groups[root];
        let written = group.space.copy_out(top, &environment);
        written.expect("memory for the environment");
        group.grant(Object::Thread);
        group.caps.resize(7, None);
        let frame = Frame::new(header.entry, top, 0, 0);
        self.new_thread(root, frame, PRIORITY, Doing::Runs);
        self.threads[0].frame.x[0] = 0;
        cpu::forget_instructions();
    }

    /// Maps a segment's pages where they lie in the kernel's own image.
    fn load_segment(&mut self, root: usize, image: u64, bytes: u64, index: u64) {
        let at = image + HEADERS + index * HEADER_BYTES;
        let (flags, offset) = (little(at) >> 32, little(at + 8));
        let (address, in_file, in_memory) = (little(at + 16), little(at + 32), little(at + 40));
        assert!(
            in_file == in_memory,
            "segment {index}: not all of it is in the file"
        );
        let physical = image + offset;
        let aligned = physical.is_multiple_of(PAGE) && address.is_multiple_of(PAGE);
        assert!(aligned, "segment {index}: no whole pages");
        assert!(
            offset + in_file <= bytes,
            "segment {index}: beyond the image"
        );
        let memory = Memory::new(Kind::Fixed(physical), in_memory);
        let memory = Rc::new(memory.expect("a segment's length"));
        let may = [(4, READ), (2, WRITE), (1, EXECUTE)];
        let may = may.iter().filter(|(flag, _)| flags & flag != 0);
        let may = may.map(|(_, may)| may).sum();
        let group = &mut self.groups[root];
        assert!(
            group.space.map(address, &memory, may),
            "segment {index}: its place"
        );
        group.grant(Object::Memory(memory));
    }
}

/// The page that the root task finds at its stack pointer: argument, no environment, and what its
/// image is.
fn environment(top: u64, header: &Header) -> Vec<u8> {
    let name = top + PAGE / 2;
    let words = [
        1,
        name,
        0,
        0,
        // Page size, program headers, their size and count, flags, entry.
        6,
        PAGE,
        3,
        header.headers,
        4,
        HEADER_BYTES,
        5,
        header.count,
        8,
        header.flags,
        9,
        header.entry,
        0,
        0,
    ];
    let mut page: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    page.resize(page::PAGE_BYTES / 2, 0);
    page.extend_from_slice(NAME);
    page.resize(page::PAGE_BYTES, 0);
    page
}
