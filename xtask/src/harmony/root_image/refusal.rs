//! This file says why something is no root image, in words for the user.

use super::{ADDRESS_END, ENTRY_BYTES, HEADER_BYTES, PAGE_BYTES, SEGMENT_COUNT_MAX};
use std::fmt;

/// Why something is no root image, or cannot become one. Segments count from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No static ELF file for this processor, and why.
    NotElf(String),
    /// Shorter than its header, or not of whole pages.
    Length(u64),
    /// A program header of another size.
    EntrySize(u64),
    /// No segment, or more than the header has room for.
    Count(u64),
    /// Not something to load.
    Kind { index: usize, kind: u32 },
    /// Less of it in the file than in memory: the kernel stops.
    NotInFile {
        index: usize,
        in_file: u64,
        in_memory: u64,
    },
    /// Its place in the image or in memory, or its length, is not of whole pages.
    Unaligned {
        index: usize,
        what: &'static str,
        value: u64,
    },
    /// It reaches beyond the image.
    BeyondFile { index: usize },
    /// It lies where the kernel has the stack, or at no address.
    Address { index: usize, address: u64 },
    /// It and the one before it share pages.
    Overlap { index: usize },
    /// It may be written and executed, or not be read.
    Permissions { index: usize, flags: u32 },
    /// The first instruction lies outside of what may be executed.
    Entry(u64),
    /// The header says another size of memory than its segments have.
    MemoryBytes { said: u64, counted: u64 },
    /// Something of the program lies where the header goes.
    HeaderInUse(String),
    /// What was written does not read back as what was meant.
    Mismatch(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf(why) => write!(f, "no static program for an oh-tee kernel: {why}"),
            Self::Length(bytes) => write!(
                f,
                "{bytes} bytes are no root image: it has a header of {HEADER_BYTES} bytes and \
                 whole pages"
            ),
            Self::EntrySize(bytes) => {
                write!(
                    f,
                    "program headers of {bytes} bytes; the kernel reads {ENTRY_BYTES}"
                )
            }
            Self::Count(count) => write!(
                f,
                "{count} segments; the header has room for 1 to {SEGMENT_COUNT_MAX}: join \
                 sections in link.x"
            ),
            Self::Kind { index, kind } => {
                write!(
                    f,
                    "segment {index} is of type {kind}; the kernel takes all as PT_LOAD"
                )
            }
            Self::NotInFile {
                index,
                in_file,
                in_memory,
            } => write!(
                f,
                "segment {index}: {in_file} bytes in the file, {in_memory} in memory; the kernel \
                 clears nothing"
            ),
            Self::Unaligned { index, what, value } => {
                write!(
                    f,
                    "segment {index}: {what} {value:#x} is not of whole pages"
                )
            }
            Self::BeyondFile { index } => write!(f, "segment {index} reaches beyond the image"),
            Self::Address { index, address } => write!(
                f,
                "segment {index} ends at {address:#x}; addresses are from {PAGE_BYTES:#x} to \
                 {ADDRESS_END:#x}"
            ),
            Self::Overlap { index } => write!(f, "segments {} and {index} overlap", index - 1),
            Self::Permissions { index, flags } => write!(
                f,
                "segment {index} has flags {flags}: readable, and never writable and executable"
            ),
            Self::Entry(entry) => write!(f, "the entry {entry:#x} is in no executable segment"),
            Self::MemoryBytes { said, counted } => write!(
                f,
                "the header says {said} bytes of memory, its segments have {counted}"
            ),
            Self::HeaderInUse(what) => {
                write!(
                    f,
                    "{what} lies in the first {HEADER_BYTES} bytes, where the header goes"
                )
            }
            Self::Mismatch(what) => write!(f, "the image does not read back: {what} differs"),
        }
    }
}

impl std::error::Error for Refusal {}
