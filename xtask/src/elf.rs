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
