//! This file tells which source an instruction of process 1 comes from.

use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use heal_campaign::moments::Places;
use object::{Object, ObjectSection};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// What deals with the kernel, and what keeps the state that outlives a death; for a core that is a
/// process of its own also what deals with its keeper.
const DELICATE: [&str; 3] = [
    "hal-linux/src/",
    "init-core/src/checkpoint/",
    "init-core/src/relay/",
];

/// What an instruction may come from besides, that is known to touch neither.
const DECIDING: &str = "init-core/src/";

/// The instruction that calls the kernel.
const CALL: &[u8] = &[0x0f, 0x05];

/// A program with its line tables.
pub struct Program {
    lines: Loader,
    code: Vec<(u64, Vec<u8>)>,
    /// What was looked up before.
    known: HashMap<u64, bool>,
}

impl Program {
    /// Reads them.
    ///
    /// # Errors
    /// The file cannot be read, or has no line tables.
    pub fn of(file: &Path) -> Result<Self> {
        let data =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let elf = object::File::parse(&*data).context("the linker wrote no ELF file")?;
        let code = elf
            .sections()
            .filter(|section| section.kind() == object::SectionKind::Text);
        let code = code
            .map(|section| anyhow::Ok((section.address(), section.data()?.to_vec())))
            .collect::<Result<_>>()?;
        let lines = Loader::new(file).map_err(|error| anyhow!("no line tables: {error}"))?;
        Ok(Self {
            lines,
            code,
            known: HashMap::new(),
        })
    }

    fn looked_up(&self, place: u64) -> bool {
        let Ok(mut frames) = self.lines.find_frames(place) else {
            return true;
        };
        let mut decides = false;
        while let Ok(Some(frame)) = frames.next() {
            let file = frame.location.and_then(|location| location.file);
            let file = file.unwrap_or_default();
            if DELICATE.iter().any(|folder| file.contains(folder)) {
                return true;
            }
            decides |= file.contains(DECIDING);
        }
        !decides
    }

    fn bytes(&self, place: u64, count: usize) -> Option<&[u8]> {
        self.code.iter().find_map(|(begin, bytes)| {
            let at = usize::try_from(place.checked_sub(*begin)?).ok()?;
            bytes.get(Range {
                start: at,
                end: at.checked_add(count)?,
            })
        })
    }
}

impl Places for Program {
    fn is_own(&self, place: u64) -> bool {
        self.bytes(place, 1).is_some()
    }

    fn is_call(&self, place: u64) -> bool {
        self.bytes(place, CALL.len()) == Some(CALL)
    }

    /// Also what is inlined into such code, and where nobody knows.
    fn is_delicate(&mut self, place: u64) -> bool {
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        let is = self.looked_up(place);
        self.known.insert(place, is);
        is
    }
}
