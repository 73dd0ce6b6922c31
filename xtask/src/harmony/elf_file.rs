//! This file reads the linked program that becomes a root image.

use object::Endianness;
use object::elf::{
    EM_AARCH64, ET_EXEC, FileHeader64, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_TLS, SHF_ALLOC,
    SHT_NOBITS,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

/// A piece of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub offset: u64,
    pub address: u64,
    pub in_file: u64,
    pub in_memory: u64,
    pub flags: u32,
}

/// A program that may become a root image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFile {
    pub entry: u64,
    pub flags: u32,
    /// Lowest address first.
    pub loads: Vec<Load>,
    /// Name and offset of each section with contents that are loaded.
    sections: Vec<(String, u64)>,
}

impl ElfFile {
    /// What the file has of a piece.
    pub fn data<'f>(&self, file: &'f [u8], load: &Load) -> Option<&'f [u8]> {
        let begin = usize::try_from(load.offset).ok()?;
        let end = begin.checked_add(usize::try_from(load.in_file).ok()?)?;
        file.get(begin..end)
    }

    /// A section that begins in front of this offset.
    pub fn section_before(&self, offset: u64) -> Option<String> {
        let mut sections = self.sections.iter();
        let found = sections.find(|(_, at)| *at < offset);
        found.map(|(name, _)| format!("section {name}"))
    }
}

/// Reads a program; the error says what is wrong with it.
pub fn parse(file: &[u8]) -> Result<ElfFile, String> {
    let cause = |error: object::Error| error.to_string();
    let header = FileHeader64::<Endianness>::parse(file).map_err(cause)?;
    let endian = header.endian().map_err(cause)?;
    if endian != Endianness::Little {
        return Err("its numbers are big-endian".to_string());
    }
    if header.e_machine(endian) != EM_AARCH64 {
        return Err("it is not for 64-bit ARM".to_string());
    }
    if header.e_type(endian) != ET_EXEC {
        return Err("it is not linked for a fixed address".to_string());
    }
    let mut loads = Vec::new();
    for program in header.program_headers(endian, file).map_err(cause)? {
        let refused = match program.p_type(endian) {
            PT_LOAD => {
                loads.push(Load {
                    offset: program.p_offset(endian),
                    address: program.p_vaddr(endian),
                    in_file: program.p_filesz(endian),
                    in_memory: program.p_memsz(endian),
                    flags: program.p_flags(endian).0,
                });
                continue;
            }
            PT_INTERP => "an interpreter",
            PT_DYNAMIC => "relocations",
            PT_TLS => "thread-local variables",
            _ => continue,
        };
        return Err(format!("it needs {refused}, which nobody sets up"));
    }
    loads.retain(|load| load.in_memory > 0);
    loads.sort_by_key(|load| load.address);
    let sections = header.sections(endian, file).map_err(cause)?;
    let loaded = sections.iter().filter(|section| {
        let is_loaded = section.sh_flags(endian).contains(SHF_ALLOC);
        is_loaded && section.sh_type(endian) != SHT_NOBITS && section.sh_size(endian) > 0
    });
    let loaded = loaded.map(|section| {
        let name = sections.section_name(endian, section).unwrap_or_default();
        (
            String::from_utf8_lossy(name).into_owned(),
            section.sh_offset(endian),
        )
    });
    Ok(ElfFile {
        entry: header.e_entry(endian),
        flags: header.e_flags(endian).0,
        loads,
        sections: loaded.collect(),
    })
}
