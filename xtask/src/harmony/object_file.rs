//! This file puts a root image into an object file, under the names by which an oh-tee kernel
//! knows its root task, so that it can be linked with such a kernel.

use anyhow::{Context, Result, bail};
use object::write::{Object, StandardSegment, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSection, ObjectSymbol, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};

/// The section, and the two symbols in it.
const SECTION: &str = ".incbin-procmgr_bin";
const START: &str = "binary_procmgr_bin_start";
const SIZE: &str = "binary_procmgr_bin_size";

/// The kernel maps the image's pages where they lie.
const ALIGN: u64 = 4_096;

/// The object file of an image, read back.
///
/// # Errors
/// It cannot be written, or does not read back.
pub fn write(image: &[u8]) -> Result<Vec<u8>> {
    let mut file = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
    let segment = file.segment_name(StandardSegment::Data).to_vec();
    let section = file.add_section(segment, SECTION.into(), SectionKind::ReadOnlyData);
    let length = u64::try_from(image.len())?;
    let symbols = [
        (START, image.to_vec(), length, ALIGN),
        (SIZE, length.to_le_bytes().to_vec(), 8, 8),
    ];
    for (name, data, size, align) in symbols {
        let value = file.append_section_data(section, &data, align);
        file.add_symbol(Symbol {
            name: name.into(),
            value,
            size,
            kind: SymbolKind::Data,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    let bytes = file.write().context("the object file")?;
    if read(&bytes)? != image {
        bail!("the object file does not read back as the image");
    }
    Ok(bytes)
}

/// The image in an object file.
///
/// # Errors
/// It is no such file.
pub fn read(bytes: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(bytes).context("no object file")?;
    let section = file.section_by_name(SECTION).context("no such section")?;
    if section.align() != ALIGN {
        bail!("the section is not aligned to pages");
    }
    let data = section.data()?;
    let at = |name: &str| -> Result<usize> {
        let mut symbols = file.symbols();
        let symbol = symbols.find(|symbol| symbol.name() == Ok(name) && symbol.is_global());
        let symbol = symbol.with_context(|| format!("no symbol {name}"))?;
        Ok(usize::try_from(symbol.address())?)
    };
    let (start, size) = (at(START)?, at(SIZE)?);
    let size = data.get(size..size + 8).context("no size")?;
    let size = usize::try_from(u64::from_le_bytes(size.try_into()?))?;
    let image = data.get(start..start + size).context("less than it says")?;
    Ok(image.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_under_the_names_that_the_kernel_knows() {
        let image: Vec<u8> = (0..=255).cycle().take(3 * 4_096).collect();
        let file = write(&image).expect("a file");
        assert_eq!(read(&file).expect("the image"), image);
    }

    #[test]
    fn a_file_without_the_names_is_refused() {
        let file = write(&[7; 4_096]).expect("a file");
        let text = String::from_utf8_lossy(&file).into_owned();
        assert!(text.contains(START));
        let at = file
            .windows(START.len())
            .position(|name| name == START.as_bytes());
        let mut other = file.clone();
        other[at.expect("its name")] = b'B';
        assert!(read(&other).is_err());
        assert!(read(&file[..100]).is_err());
    }
}
