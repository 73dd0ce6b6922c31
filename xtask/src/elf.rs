//! This file reads and strips the ELF files that are flashed.
//!
//! Stripping keeps what the kernel loads, byte for byte, and cuts off everything behind it:
//! symbols, line tables, relocations and the section table itself.

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSegment, SectionKind};

/// Static sizes of a program in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Code and constants.
    pub text: u64,
    /// Initialised variables.
    pub data: u64,
    /// Zeroed variables.
    pub bss: u64,
}

/// The sizes of the sections that are loaded.
pub fn sizes(elf: &object::File<'_>) -> Sizes {
    let mut sizes = Sizes::default();
    for section in elf.sections() {
        let part = match section.kind() {
            SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => {
                &mut sizes.text
            }
            SectionKind::Data | SectionKind::Tls => &mut sizes.data,
            SectionKind::UninitializedData | SectionKind::UninitializedTls => &mut sizes.bss,
            _ => continue,
        };
        *part += section.size();
    }
    sizes
}

/// Sees to it that kernels with pages of up to `page_bytes` can load each segment: it is aligned
/// as the linker was told to, lies in the file as it does in memory, and has its pages to itself.
///
/// # Errors
/// The first segment that is not so.
pub fn check_pages(elf: &object::File<'_>, page_bytes: u64) -> Result<()> {
    let mut pages_end = 0;
    for segment in elf.segments() {
        let (address, (offset, _)) = (segment.address(), segment.file_range());
        let align = segment.align();
        if align != page_bytes {
            bail!(
                "the segment at {address:#x} is aligned to {align} bytes, and the board's \
                 page-size is {page_bytes}: the linker takes it from -zmax-page-size"
            );
        }
        if address % page_bytes != offset % page_bytes {
            bail!("the segment at {address:#x} lies otherwise in its page than in the file");
        }
        if address / page_bytes < pages_end {
            bail!("the segment at {address:#x} begins in a page of the one before");
        }
        pages_end = (address + segment.size()).div_ceil(page_bytes);
    }
    Ok(())
}

/// `file` without what the kernel does not load.
///
/// # Errors
/// It is no little-endian ELF file, or a segment reaches behind its end.
pub fn strip(mut file: Vec<u8>) -> Result<Vec<u8>> {
    let elf = object::File::parse(&*file).context("the linker wrote no ELF file")?;
    if !elf.is_little_endian() {
        bail!("only little-endian boards are supported");
    }
    let wide = elf.is_64();
    // A segment of variables that begin as zeros has a place in the file, and nothing there.
    let loaded = elf.segments().map(|segment| segment.file_range());
    let end = loaded
        .filter(|(_, size)| *size > 0)
        .map(|(at, size)| at + size)
        .max()
        .context("the program has no segment")?;
    let end = usize::try_from(end)?.max(headers_end(&file, wide)?);
    if end > file.len() {
        bail!("a segment reaches behind the end of the file");
    }
    file.truncate(end);
    // e_shoff, then e_shnum and e_shstrndx: there is no section table any more.
    let (table, count) = if wide {
        (0x28..0x30, 0x3c..0x40)
    } else {
        (0x20..0x24, 0x30..0x34)
    };
    for field in [table, count] {
        file.get_mut(field)
            .context("the ELF header is cut off")?
            .fill(0);
    }
    Ok(file)
}

/// Where the program headers end: they may lie behind all segments.
fn headers_end(file: &[u8], wide: bool) -> Result<usize> {
    let field = |at: usize, size: usize| -> Result<usize> {
        let bytes = file
            .get(at..at + size)
            .context("the ELF header is cut off")?;
        let value = bytes
            .iter()
            .rev()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        Ok(usize::try_from(value)?)
    };
    let (offset, size, count) = if wide {
        (field(0x20, 8)?, field(0x36, 2)?, field(0x38, 2)?)
    } else {
        (field(0x1c, 4)?, field(0x2a, 2)?, field(0x2c, 2)?)
    };
    Ok(offset + size * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place in the file, the address, the size and the alignment of a segment.
    type Segment = [u64; 4];

    /// A 64-bit ARM program of these segments, of which only the headers are there.
    fn program(segments: &[Segment]) -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend([2, 0, 183, 0, 1, 0, 0, 0]);
        for word in [0_u64, 64, 0] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0, 0, 0, 0, 64, 0, 56, 0]);
        file.extend(u16::try_from(segments.len()).expect("a few").to_le_bytes());
        file.extend([64, 0, 0, 0, 0, 0]);
        for [offset, address, size, align] in segments {
            file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
            for word in [offset, address, address, size, size, align] {
                file.extend(word.to_le_bytes());
            }
        }
        file
    }

    fn fault(segments: &[Segment], page_bytes: u64) -> String {
        let file = program(segments);
        let elf = object::File::parse(&*file).expect("it is one");
        match check_pages(&elf, page_bytes) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_program_that_the_boards_kernels_cannot_load_is_refused() {
        const K4: u64 = 4096;
        const K64: u64 = 65536;
        let code = [0, 0x1_0000, 0x2345, K4];
        assert_eq!(fault(&[code, [0x2345, 0x1_3345, 99, K4]], K4), "");
        // What the linker of 64-bit ARM does when nobody tells it a page size, and the other way.
        let told = fault(&[[0, 0x1_0000, 0x2345, K64]], K4);
        assert!(told.contains("aligned to 65536 bytes"), "{told}");
        let told = fault(&[[0, 0x1_0000, 99, K64], [99, 0x2_0063, 9, K4]], K64);
        assert!(told.contains("0x20063 is aligned to 4096"), "{told}");
        let told = fault(&[code, [0x2345, 0x1_3346, 99, K4]], K4);
        assert!(told.contains("0x13346 lies otherwise"), "{told}");
        let told = fault(&[code, [0x2345, 0x1_2345, 99, K4]], K4);
        assert!(told.contains("0x12345 begins in a page"), "{told}");
    }
}
