//! This file holds steps of setting the machine up as bytes: a step as described is four references
//! to texts or more, which a 64-bit machine's program has room for in no table of them.
//!
//! They are written by the compiler only ([`setup!`](crate::setup)), and read step by step.

use super::SetupOp;
use crate::packed::{Packed, packed};
use core::ffi::CStr;

/// Steps of setting the machine up, in their order: which kinds there are, a bit each; then each
/// step, its kind, what it is about, its numbers and its other texts. Numbers begin with the lowest
/// byte, texts end with a nul. A source that is named as the file system's type is left empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup(&'static [u8]);

const WAIT_DEVICE: u8 = 0;
const MOUNT: u8 = 1;
const UNMOUNT: u8 = 2;
const DIRECTORY: u8 = 3;
const SYMLINK: u8 = 4;
const SYSCTL: u8 = 5;
const HOSTNAME: u8 = 6;
const LOOPBACK_UP: u8 = 7;

impl SetupOp {
    /// What it does, to be followed by [`Self::operand`].
    pub fn word(self) -> Packed {
        const WORDS: Packed = packed!(
            "wait for \nmount \nunmount \ndirectory \nsymlink \nsysctl \nhost name \n\
             loopback interface\n"
        );
        WORDS.line(self.kind().into())
    }

    /// What it is about.
    pub const fn operand(self) -> &'static CStr {
        match self {
            Self::WaitDevice(operand)
            | Self::Mount { at: operand, .. }
            | Self::Unmount(operand)
            | Self::Directory { path: operand, .. }
            | Self::Symlink { path: operand, .. }
            | Self::Sysctl { path: operand, .. }
            | Self::Hostname(operand) => operand,
            Self::LoopbackUp => c"",
        }
    }

    const fn kind(self) -> u8 {
        match self {
            Self::WaitDevice(_) => WAIT_DEVICE,
            Self::Mount { .. } => MOUNT,
            Self::Unmount(_) => UNMOUNT,
            Self::Directory { .. } => DIRECTORY,
            Self::Symlink { .. } => SYMLINK,
            Self::Sysctl { .. } => SYSCTL,
            Self::Hostname(_) => HOSTNAME,
            Self::LoopbackUp => LOOPBACK_UP,
        }
    }
}

impl Setup {
    /// For [`setup!`](crate::setup): what [`pack`] returned.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(bytes: &'static [u8]) -> Self {
        Self(bytes)
    }

    /// Whether a device is waited for.
    pub const fn waits(self) -> bool {
        self.has(WAIT_DEVICE)
    }

    /// Whether something is mounted.
    pub const fn mounts(self) -> bool {
        self.has(MOUNT)
    }

    /// Whether a directory is made.
    pub const fn makes_directories(self) -> bool {
        self.has(DIRECTORY)
    }

    /// Whether a symbolic link is made.
    pub const fn makes_links(self) -> bool {
        self.has(SYMLINK)
    }

    const fn has(self, kind: u8) -> bool {
        match self.0 {
            [kinds, ..] => *kinds & (1 << kind) != 0,
            [] => false,
        }
    }

    /// The steps. `text` finds the text that bytes begin with, which end it with a nul.
    pub fn ops(
        self,
        text: impl Fn(&'static [u8]) -> &'static CStr,
    ) -> impl Iterator<Item = SetupOp> {
        Ops {
            rest: self.0.get(1..).unwrap_or_default(),
            text,
        }
    }
}

/// Steps that are not read yet.
struct Ops<F> {
    rest: &'static [u8],
    text: F,
}

impl<F: Fn(&'static [u8]) -> &'static CStr> Ops<F> {
    fn text(&mut self) -> &'static CStr {
        let text = (self.text)(self.rest);
        let end = text.to_bytes_with_nul().len();
        self.rest = self.rest.get(end..).unwrap_or_default();
        text
    }

    #[inline(never)]
    fn number<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        let Some((number, rest)) = self.rest.split_first_chunk() else {
            return [0; BYTES];
        };
        self.rest = rest;
        *number
    }
}

impl<F: Fn(&'static [u8]) -> &'static CStr> Iterator for Ops<F> {
    type Item = SetupOp;

    fn next(&mut self) -> Option<SetupOp> {
        let (&kind, rest) = self.rest.split_first()?;
        self.rest = rest;
        let operand = self.text();
        Some(match kind {
            WAIT_DEVICE => SetupOp::WaitDevice(operand),
            MOUNT => {
                let flags = u32::from_le_bytes(self.number());
                let (source, kind) = (self.text(), self.text());
                SetupOp::Mount {
                    at: operand,
                    flags,
                    source: if source.is_empty() { kind } else { source },
                    kind,
                    data: self.text(),
                }
            }
            UNMOUNT => SetupOp::Unmount(operand),
            DIRECTORY => SetupOp::Directory {
                path: operand,
                mode: u16::from_le_bytes(self.number()),
                uid: u32::from_le_bytes(self.number()),
                gid: u32::from_le_bytes(self.number()),
            },
            SYMLINK => SetupOp::Symlink {
                path: operand,
                target: self.text(),
            },
            SYSCTL => SetupOp::Sysctl {
                path: operand,
                value: self.text(),
            },
            HOSTNAME => SetupOp::Hostname(operand),
            _ => SetupOp::LoopbackUp,
        })
    }
}

/// The [`Setup`](crate::unit::Setup) of these steps, which are constants.
#[macro_export]
macro_rules! setup {
    ($($op:expr),* $(,)?) => {{
        const OPS: &[$crate::unit::SetupOp] = &[$($op),*];
        const BYTES: [u8; $crate::unit::setup_length(OPS)] = $crate::unit::setup_bytes(OPS);
        $crate::unit::Setup::new(&BYTES)
    }};
}

/// Bytes of these steps.
#[doc(hidden)]
#[must_use]
pub const fn setup_length(ops: &[SetupOp]) -> usize {
    compiler::pack::<0>(ops).1
}

/// These steps as bytes; `N` is their [`setup_length`].
#[doc(hidden)]
#[must_use]
pub const fn setup_bytes<const N: usize>(ops: &[SetupOp]) -> [u8; N] {
    compiler::pack(ops).0
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "the compiler does it, and what is wrong is not compiled"
)]
mod compiler {
    use super::*;

    /// What has been written so far, as far as there is room for it, and its length.
    type Written<const N: usize> = ([u8; N], usize);

    const fn put<const N: usize>((mut bytes, at): Written<N>, more: &[u8]) -> Written<N> {
        let mut index = 0;
        while index < more.len() {
            if at + index < N {
                bytes[at + index] = more[index];
            }
            index += 1;
        }
        (bytes, at + more.len())
    }

    const fn text<const N: usize>(written: Written<N>, text: &CStr) -> Written<N> {
        put(written, text.to_bytes_with_nul())
    }

    const fn are_same(one: &[u8], other: &[u8]) -> bool {
        let mut index = 0;
        while index < one.len() && index < other.len() && one[index] == other[index] {
            index += 1;
        }
        index == one.len() && index == other.len()
    }

    pub const fn pack<const N: usize>(ops: &[SetupOp]) -> Written<N> {
        let mut kinds = 0;
        let mut written = put(([0; N], 0), &[0]);
        let mut index = 0;
        while index < ops.len() {
            kinds |= 1 << ops[index].kind();
            written = step(written, ops[index]);
            index += 1;
        }
        if N > 0 {
            written.0[0] = kinds;
        }
        written
    }

    const fn step<const N: usize>(written: Written<N>, op: SetupOp) -> Written<N> {
        let written = text(put(written, &[op.kind()]), op.operand());
        match op {
            SetupOp::Mount {
                source,
                kind,
                flags,
                data,
                ..
            } => {
                let is_same = are_same(source.to_bytes(), kind.to_bytes());
                let source = if is_same { c"" } else { source };
                let written = text(put(written, &flags.to_le_bytes()), source);
                text(text(written, kind), data)
            }
            SetupOp::Directory { mode, uid, gid, .. } => {
                let written = put(put(written, &mode.to_le_bytes()), &uid.to_le_bytes());
                put(written, &gid.to_le_bytes())
            }
            SetupOp::Symlink { target: more, .. } | SetupOp::Sysctl { value: more, .. } => {
                text(written, more)
            }
            SetupOp::WaitDevice(_)
            | SetupOp::Unmount(_)
            | SetupOp::Hostname(_)
            | SetupOp::LoopbackUp => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{format, vec::Vec};

    #[test]
    fn steps_are_read_as_they_were_written() {
        const ALL: &[SetupOp] = &[
            SetupOp::WaitDevice(c"/dev/a"),
            SetupOp::Mount {
                source: c"none",
                at: c"/b",
                kind: c"",
                flags: 0x0102_0304,
                data: c"x=\xff",
            },
            SetupOp::Mount {
                source: c"proc",
                at: c"/p",
                kind: c"proc",
                flags: 0,
                data: c"",
            },
            SetupOp::Unmount(c"/c"),
            SetupOp::Directory {
                path: c"/d",
                mode: 0o7777,
                uid: u32::MAX,
                gid: 5,
            },
            SetupOp::Symlink {
                path: c"/e",
                target: c"",
            },
            SetupOp::Sysctl {
                path: c"/f",
                value: c"1 2",
            },
            SetupOp::Hostname(c"g"),
            SetupOp::LoopbackUp,
        ];
        const BYTES: [u8; setup_length(ALL)] = setup_bytes(ALL);
        let read = |setup: Setup| -> Vec<_> {
            let text = |bytes| CStr::from_bytes_until_nul(bytes).unwrap();
            setup.ops(text).map(|op| format!("{op:?}")).collect()
        };
        let written: Vec<_> = ALL.iter().map(|op| format!("{op:?}")).collect();
        assert_eq!(read(Setup::new(&BYTES)), written);
        assert_eq!(read(setup![]), [""; 0]);
        assert_eq!(read(Setup::new(&[])), [""; 0]);
    }

    #[test]
    fn which_kinds_there_are_is_known_without_reading_them() {
        let kinds = |setup: Setup| {
            let waits = [setup.waits(), setup.mounts()];
            (waits, setup.makes_directories(), setup.makes_links())
        };
        let link = setup![
            SetupOp::LoopbackUp,
            SetupOp::Symlink {
                path: c"/a",
                target: c"/b"
            }
        ];
        assert_eq!(kinds(setup![]), ([false; 2], false, false));
        assert_eq!(kinds(link), ([false; 2], false, true));
        let wait = setup![SetupOp::WaitDevice(c"/a")];
        assert_eq!(kinds(wait), ([true, false], false, false));
    }
}
