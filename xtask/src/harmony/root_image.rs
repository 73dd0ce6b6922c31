//! This file writes and reads root images: what an oh-tee kernel is built with and starts as its
//! first task.
//!
//! An image is a static ELF file of whole pages whose first 216 bytes are overwritten by six
//! big-endian numbers and at most three program headers as ELF has them. The kernel maps its pages
//! where they lie and checks next to nothing, so everything is checked here, and what was written
//! is read back.

mod refusal;

pub use refusal::Refusal;

use super::elf_file::{self, ElfFile};

/// The day since which the kernel reads images like this; there was another layout before.
pub const LAYOUT: &str = "2025-01-06";

/// Segments that the header has room for.
pub const SEGMENT_COUNT_MAX: usize = 3;
/// Bytes of a page.
pub const PAGE_BYTES: u64 = 4_096;

/// Bytes of the numbers, of a program header, and of both at most.
const NUMBER_BYTES: u64 = 48;
const ENTRY_BYTES: u64 = 56;
const HEADER_BYTES: u64 = 216;
const _: () = assert!(NUMBER_BYTES + 3 * ENTRY_BYTES == HEADER_BYTES);

/// Where the kernel puts the root task's stack: nothing may lie from here on.
const ADDRESS_END: u64 = 0x5000_0000_0000;

const PT_LOAD: u32 = 1;
const WRITABLE: u32 = 2;
const READABLE: u32 = 4;
const EXECUTABLE: u32 = 1;

/// A piece of the root task's memory; all of it is in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins in the image.
    pub offset: u64,
    /// Where it begins in memory.
    pub address: u64,
    /// Its bytes in the image.
    pub in_file: u64,
    /// Its bytes in memory.
    pub in_memory: u64,
    /// What may be done with it, as ELF counts.
    pub flags: u32,
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootImage {
    /// The first instruction.
    pub entry: u64,
    /// Where the program headers lie in memory; 0: nowhere.
    pub headers: u64,
    /// From the lowest to the highest address.
    pub memory_bytes: u64,
    /// Its pieces.
    pub segments: Vec<Segment>,
}

/// The root image of a linked program, read back.
///
/// # Errors
/// What the kernel would choke on.
pub fn write(elf: &[u8]) -> Result<(Vec<u8>, RootImage), Refusal> {
    let program = elf_file::parse(elf).map_err(Refusal::NotElf)?;
    if let Some(name) = program.section_before(HEADER_BYTES) {
        return Err(Refusal::HeaderInUse(name));
    }
    let (mut image, wanted) = lay_out(elf, &program)?;
    let numbers = [
        wanted.memory_bytes,
        wanted.entry,
        program.flags.into(),
        ENTRY_BYTES,
        as_u64(wanted.segments.len()),
        wanted.headers,
    ];
    let mut header: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect();
    header.extend(wanted.segments.iter().flat_map(program_header));
    image[..header.len()].copy_from_slice(&header);
    let read = read(&image)?;
    if read != wanted {
        return Err(Refusal::Mismatch("the header"));
    }
    for (segment, source) in read.segments.iter().zip(&program.loads) {
        let (begin, end) = (
            as_usize(segment.offset),
            as_usize(segment.offset + segment.in_file),
        );
        let skipped = if begin == 0 {
            header.len().max(as_usize(HEADER_BYTES))
        } else {
            0
        };
        let data = program.data(elf, source).unwrap_or_default();
        let (copied, zeroes) = image[begin..end].split_at(data.len());
        if copied[skipped..] != data[skipped..] || zeroes.iter().any(|byte| *byte != 0) {
            return Err(Refusal::Mismatch("a segment"));
        }
    }
    Ok((image, read))
}

/// Lays the program's segments out one behind the other, zeroed variables included. One that holds
/// the file's own headers stays in front: they make room for the image's.
fn lay_out(elf: &[u8], program: &ElfFile) -> Result<(Vec<u8>, RootImage), Refusal> {
    let holds_headers = program.loads.first().is_some_and(|load| load.offset == 0);
    let mut image = vec![
        0;
        if holds_headers {
            0
        } else {
            as_usize(PAGE_BYTES)
        }
    ];
    let mut segments = Vec::new();
    for (index, load) in program.loads.iter().enumerate() {
        let end = load.address.checked_add(load.in_memory);
        let end = end.and_then(|end| end.checked_next_multiple_of(PAGE_BYTES));
        let end = end.filter(|end| *end <= ADDRESS_END);
        let Some(end) = end else {
            let address = load.address;
            return Err(Refusal::Address { index, address });
        };
        let length = end - load.address.min(end);
        let data = program.data(elf, load);
        let data = data.ok_or(Refusal::BeyondFile { index })?;
        let offset = as_u64(image.len());
        image.extend_from_slice(data);
        image.resize(as_usize(offset + length.max(as_u64(data.len()))), 0);
        image.resize(image.len().next_multiple_of(as_usize(PAGE_BYTES)), 0);
        segments.push(Segment {
            offset,
            address: load.address,
            in_file: length,
            in_memory: length,
            flags: load.flags,
        });
    }
    let headers = match segments.first() {
        Some(first) if first.offset == 0 => first.address + NUMBER_BYTES,
        _ => 0,
    };
    let memory_bytes = memory_bytes(&segments);
    let image_of = RootImage {
        entry: program.entry,
        headers,
        memory_bytes,
        segments,
    };
    Ok((image, image_of))
}

fn program_header(segment: &Segment) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(PT_LOAD.to_le_bytes());
    bytes.extend(segment.flags.to_le_bytes());
    for number in [
        segment.offset,
        segment.address,
        segment.address,
        segment.in_file,
        segment.in_memory,
        PAGE_BYTES,
    ] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

fn memory_bytes(segments: &[Segment]) -> u64 {
    let low = segments.iter().map(|segment| segment.address).min();
    let ends = segments.iter();
    let high = ends
        .map(|segment| segment.address.saturating_add(segment.in_memory))
        .max();
    high.unwrap_or(0).saturating_sub(low.unwrap_or(0))
}

/// Reads an image and holds it to all that the kernel takes for granted.
///
/// # Errors
/// What the kernel would choke on.
pub fn read(image: &[u8]) -> Result<RootImage, Refusal> {
    let length = as_u64(image.len());
    if length < HEADER_BYTES || !length.is_multiple_of(PAGE_BYTES) {
        return Err(Refusal::Length(length));
    }
    let big = |at: u64| u64::from_be_bytes(eight(image, at));
    let (entry_bytes, count) = (big(24), big(32));
    if entry_bytes != ENTRY_BYTES {
        return Err(Refusal::EntrySize(entry_bytes));
    }
    if count == 0 || count > as_u64(SEGMENT_COUNT_MAX) {
        return Err(Refusal::Count(count));
    }
    let mut segments: Vec<Segment> = Vec::new();
    for index in 0..as_usize(count) {
        let segment = segment(image, index)?;
        if let Some(last) = segments.last()
            && segment.address < last.address.saturating_add(last.in_memory)
        {
            return Err(Refusal::Overlap { index });
        }
        segments.push(segment);
    }
    let read = RootImage {
        entry: big(8),
        headers: big(40),
        memory_bytes: big(0),
        segments,
    };
    let runs = |segment: &&Segment| segment.flags & EXECUTABLE != 0;
    let holds = |segment: &Segment| {
        let end = segment.address.saturating_add(segment.in_memory);
        (segment.address..end).contains(&read.entry)
    };
    if !read.segments.iter().filter(runs).any(holds) || !read.entry.is_multiple_of(4) {
        return Err(Refusal::Entry(read.entry));
    }
    let counted = memory_bytes(&read.segments);
    if read.memory_bytes != counted {
        let said = read.memory_bytes;
        return Err(Refusal::MemoryBytes { said, counted });
    }
    Ok(read)
}

fn segment(image: &[u8], index: usize) -> Result<Segment, Refusal> {
    let at = NUMBER_BYTES + as_u64(index) * ENTRY_BYTES;
    let long = |offset: u64| u64::from_le_bytes(eight(image, at + offset));
    let [kind, flags] = [0, 32].map(|shift| u32::try_from(long(0) >> shift & 0xffff_ffff));
    let (kind, flags) = (kind.unwrap_or(0), flags.unwrap_or(0));
    let segment = Segment {
        offset: long(8),
        address: long(16),
        in_file: long(32),
        in_memory: long(40),
        flags,
    };
    let Segment {
        offset,
        address,
        in_file,
        in_memory,
        ..
    } = segment;
    if kind != PT_LOAD {
        return Err(Refusal::Kind { index, kind });
    }
    if in_file != in_memory {
        return Err(Refusal::NotInFile {
            index,
            in_file,
            in_memory,
        });
    }
    let paged = [
        ("offset", offset),
        ("address", address),
        ("length", in_memory),
    ];
    let unaligned = |(_, value): &&(&str, u64)| !value.is_multiple_of(PAGE_BYTES);
    if let Some((what, value)) = paged.iter().find(unaligned) {
        let (what, value) = (*what, *value);
        return Err(Refusal::Unaligned { index, what, value });
    }
    let end = offset.checked_add(in_file);
    if in_file == 0 || end.is_none_or(|end| end > as_u64(image.len())) {
        return Err(Refusal::BeyondFile { index });
    }
    let end = address.saturating_add(in_memory);
    if address < PAGE_BYTES || end > ADDRESS_END {
        return Err(Refusal::Address {
            index,
            address: end,
        });
    }
    let both = WRITABLE | EXECUTABLE;
    if flags & READABLE == 0 || flags & both == both || flags > 7 {
        return Err(Refusal::Permissions { index, flags });
    }
    Ok(segment)
}

fn eight(image: &[u8], at: u64) -> [u8; 8] {
    let begin = as_usize(at);
    let bytes = image.get(begin..begin + 8);
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or([0; 8])
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn as_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
