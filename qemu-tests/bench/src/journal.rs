//! This file reads the journal of a run, to which the benchmark's programs append.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file, beside the journal, of what goes to nobody.
const COMPLAINTS: &str = "complaints";

/// Bytes of a record: time, kind, index, value.
const RECORD_BYTES: usize = 24;

/// What happened; `qemu-tests/programs/src/journal.rs` has the same numbers and their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Machine,
    Begin,
    End,
    Timed,
    Refused,
    Request,
    Reaped,
}

const KINDS: [Kind; 7] = [
    Kind::Machine,
    Kind::Begin,
    Kind::End,
    Kind::Timed,
    Kind::Refused,
    Kind::Request,
    Kind::Reaped,
];

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub time_ns: u64,
    pub kind: Kind,
    pub index: u32,
    pub value: u64,
}

impl Record {
    fn read(bytes: [u8; RECORD_BYTES]) -> Option<Self> {
        let [t0, t1, t2, t3, t4, t5, t6, t7, rest @ ..] = bytes;
        let [k0, k1, k2, k3, i0, i1, i2, i3, value @ ..] = rest;
        let kind = u32::from_ne_bytes([k0, k1, k2, k3]).checked_sub(1)?;
        Some(Self {
            time_ns: u64::from_ne_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            kind: *KINDS.get(usize::try_from(kind).ok()?)?,
            index: u32::from_ne_bytes([i0, i1, i2, i3]),
            value: u64::from_ne_bytes(value),
        })
    }
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    file: File,
    folder: PathBuf,
    unfinished: Vec<u8>,
    /// What was read of it so far, in the order of writing.
    pub records: Vec<Record>,
}

impl Journal {
    /// An empty one.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
        let folder = path.parent().unwrap_or(path).to_path_buf();
        File::create(folder.join(COMPLAINTS))?;
        Ok(Self {
            file: File::open(path)?,
            folder,
            unfinished: Vec::new(),
            records: Vec::new(),
        })
    }

    /// Takes in what was written since.
    ///
    /// # Errors
    /// It cannot be read, or holds what none of our programs writes.
    pub fn read(&mut self) -> Result<()> {
        self.file.read_to_end(&mut self.unfinished)?;
        let whole = self.unfinished.len() / RECORD_BYTES * RECORD_BYTES;
        let rest = self.unfinished.split_off(whole);
        let bytes = std::mem::replace(&mut self.unfinished, rest);
        for record in bytes.as_chunks().0 {
            let Some(record) = Record::read(*record) else {
                bail!("no program of the benchmark writes {record:?}");
            };
            self.records.push(record);
        }
        Ok(())
    }

    /// Where those complain who have nobody to hear them.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn complain(&self) -> Result<File> {
        let file = self.folder.join(COMPLAINTS);
        let opened = File::options().append(true).create(true).open(&file);
        opened.with_context(|| format!("cannot make {}", file.display()))
    }

    /// What was said while the machine was set up and since, for a message.
    pub fn complaints(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join(COMPLAINTS)).unwrap_or_default();
        match text.trim() {
            "" => String::new(),
            words => format!(": {words}"),
        }
    }
}

/// Nanoseconds of the clock that the records have.
pub fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_record_is_read_when_all_of_it_is_there_and_what_is_none_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let mut journal = Journal::create(&path).expect("it can be made");
        let mut writer = File::options()
            .append(true)
            .open(&path)
            .expect("it is there");
        let mut bytes = Vec::new();
        bytes.extend(7_u64.to_ne_bytes());
        bytes.extend(2_u32.to_ne_bytes());
        bytes.extend(3_u32.to_ne_bytes());
        bytes.extend(9_u64.to_ne_bytes());
        let (begin, end) = bytes.split_at(10);
        writer.write_all(begin).expect("room");
        journal.read().expect("half a record is none");
        assert!(journal.records.is_empty());
        writer.write_all(end).expect("room");
        journal.read().expect("a record");
        let wanted = Record {
            time_ns: 7,
            kind: Kind::Begin,
            index: 3,
            value: 9,
        };
        assert_eq!(journal.records, [wanted]);
        writer.write_all(&[0; RECORD_BYTES]).expect("room");
        assert!(journal.read().is_err());
    }
}
