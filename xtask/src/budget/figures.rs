//! This file reads what the guest tells about process 1: mappings, counters and system calls.
//!
//! It takes text as the console brought it, between lines of others, and refuses to make up a
//! figure whose line did not come.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// One memory file that process 1 holds open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryFile {
    pub name: String,
    pub kib: u32,
}

/// What process 1 has in memory, in KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Its own pages: variables, stack, copies of what the file holds.
    pub anonymous: u32,
    /// Pages of memory files and of shared anonymous mappings.
    pub shared: u32,
    /// Pages of the program's file, which the page cache has anyhow.
    pub file: u32,
    /// Page tables.
    pub page_tables: u32,
    /// Each memory file, mapped or not.
    pub memory_files: Vec<MemoryFile>,
}

impl Memory {
    /// Everything that counts as resident.
    pub fn resident(&self) -> u32 {
        self.anonymous
            .saturating_add(self.shared)
            .saturating_add(self.file)
    }
}

/// Adds the mappings of `/proc/1/smaps` up. (`/proc/1/status` is up to 64 pages behind on kernels
/// before 6.2, and calls the pages of a program on an initramfs shared memory.)
pub fn memory(text: &str) -> Result<Memory> {
    let mut memory = Memory::default();
    let mut name = String::new();
    let mut rss = 0_u32;
    let mut mappings = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [range, _, _, _, _, rest @ ..] if is_range(range) => {
                name = rest.join(" ");
                mappings += 1;
            }
            ["Rss:", kib, "kB"] => rss = kib.parse().context("Rss")?,
            ["Anonymous:", kib, "kB"] => {
                let anonymous: u32 = kib.parse().context("Anonymous")?;
                let other = rss
                    .checked_sub(anonymous)
                    .context("more anonymous than Rss")?;
                memory.anonymous += anonymous;
                let is_memory = ["/memfd:", "/dev/zero", "/SYSV", "[anon"]
                    .iter()
                    .any(|begin| name.starts_with(begin));
                let place = match is_memory {
                    true => &mut memory.shared,
                    false => &mut memory.file,
                };
                *place += other;
            }
            ["VmPTE:", kib, "kB"] => memory.page_tables = kib.parse().context("VmPTE")?,
            ["memory-file", blocks, name, ..] => {
                // Blocks of stat(2) have 512 bytes.
                let kib = blocks.parse::<u32>().context("blocks")?.div_ceil(2);
                let name = name.to_string();
                memory.memory_files.push(MemoryFile { name, kib });
            }
            _ => {}
        }
    }
    if mappings == 0 || memory.anonymous == 0 || memory.page_tables == 0 {
        bail!("the guest does not tell the mappings of process 1:\n{text}");
    }
    Ok(memory)
}

fn is_range(word: &str) -> bool {
    let mut ends = word.split('-');
    let is_address = |end: Option<&str>| {
        end.is_some_and(|end| end.len() >= 4 && end.chars().all(|c| c.is_ascii_hexdigit()))
    };
    is_address(ends.next()) && is_address(ends.next()) && ends.next().is_none()
}

/// System calls since the start of process 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Of process 1.
    pub own: u32,
    /// Of its children, the one that executes the program included.
    pub children: u32,
}

/// Counts lines `call PID NUMBER`: all of process 1's, and those of every other process up to and
/// including the first whose number is one of `executes`. A process that executes nothing does not
/// count.
pub fn calls(text: &str, executes: &[u32]) -> Result<Calls> {
    let mut own = 0;
    let mut others: BTreeMap<u32, (u32, bool)> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["call", pid, number] = words.as_slice() else {
            continue;
        };
        let (Ok(pid), Ok(number)) = (pid.parse(), number.parse::<u32>()) else {
            continue;
        };
        if pid == 1 {
            own += 1;
            continue;
        }
        let (count, executed) = others.entry(pid).or_default();
        if !*executed {
            *count += 1;
            *executed = executes.contains(&number);
        }
    }
    if own == 0 {
        bail!("the guest's kernel recorded no system call of process 1");
    }
    let children = others.values().filter(|(_, executed)| *executed);
    Ok(Calls {
        own,
        children: children.map(|(count, _)| count).sum(),
    })
}

/// How often process 1 was switched away from, by its own will or not.
pub fn switches(text: &str) -> Result<u32> {
    let count = |key: &str| {
        let value = text.lines().find_map(|line| line.trim().strip_prefix(key));
        let value = value.with_context(|| format!("the guest does not tell {key}"))?;
        value.trim().parse::<u32>().with_context(|| key.to_string())
    };
    Ok(count("voluntary_ctxt_switches:")? + count("nonvoluntary_ctxt_switches:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "00400000-00410000 r-xp 00000000 00:02 1090    /init\r
Rss:                  60 kB\r
Anonymous:             0 kB\r
init: a line of somebody else\r
00411000-0041a000 rw-p 00010000 00:02 1090    /init\r
Rss:                  20 kB\r
Anonymous:            16 kB\r
b6f00000-b6f04000 rw-s 00000000 00:01 7    /memfd:region (deleted)\r
Rss:                  16 kB\r
Anonymous:             0 kB\r
7ffff000-80000000 rw-p 00000000 00:00 0    [stack]\r
Rss:                   8 kB\r
Anonymous:             8 kB\r
VmPTE:\t      40 kB\r
memory-file 32 /memfd:region (deleted)\r
";

    #[test]
    fn mappings_are_added_up_by_what_is_behind_them() {
        let memory = memory(SMAPS).expect("whole");
        assert_eq!((memory.anonymous, memory.shared, memory.file), (24, 16, 64));
        assert_eq!((memory.resident(), memory.page_tables), (104, 40));
        let region = MemoryFile {
            name: "/memfd:region".to_string(),
            kib: 16,
        };
        assert_eq!(memory.memory_files, [region]);
    }

    #[test]
    fn a_figure_that_did_not_come_is_not_made_up() {
        assert!(memory("").is_err());
        assert!(memory(&SMAPS.replace("VmPTE", "VmXXX")).is_err());
        assert!(calls("call 7 221\n", &[221]).is_err());
        assert!(switches("voluntary_ctxt_switches: 3\n").is_err());
    }

    #[test]
    fn a_child_counts_up_to_its_exec_and_only_if_it_executes() {
        let text = "call 1 220\r\nnoise\r\ncall 57 24\r\ncall 57 221\r\ncall 57 63\r\n\
                    call 58 24\r\ncall 1 95\r\n";
        let counted = calls(text, &[221]).expect("some");
        assert_eq!(
            counted,
            Calls {
                own: 2,
                children: 2
            }
        );
    }

    #[test]
    fn switches_of_both_kinds_count() {
        let text = "voluntary_ctxt_switches:\t7\r\nnonvoluntary_ctxt_switches:\t2\r\n";
        assert_eq!(switches(text).expect("both"), 9);
    }
}
