//! This file reads what the guest tells about process 1: mappings, counters and system calls.
//!
//! It takes text as the console brought it, between lines of others, and refuses to make up a
//! figure whose line did not come.

use anyhow::{Context, Result, bail};

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

/// System calls since process 1 began to start its first service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Of process 1.
    pub own: u32,
    /// Of all others up to their first program's execution, which counts. A process that executes
    /// nothing does not count.
    pub children: u32,
    /// How many these are.
    pub programs: u32,
}

/// Reads `counted OWN CHILDREN PROGRAMS calls`: a line that came whole has its last word.
pub fn calls(text: &str) -> Result<Calls> {
    let counted = text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["counted", own, children, programs, "calls"] = words.as_slice() else {
            return None;
        };
        Some(Calls {
            own: own.parse().ok().filter(|own| *own > 0)?,
            children: children.parse().ok()?,
            programs: programs.parse().ok()?,
        })
    });
    counted.with_context(|| {
        format!("the guest's kernel recorded no start of a service by process 1:\n{text}")
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
        assert!(calls("counted 0 3 1 calls\n").is_err());
        assert!(calls("counted 7 3 1\n").is_err());
        assert!(switches("voluntary_ctxt_switches: 3\n").is_err());
    }

    #[test]
    fn calls_are_read_between_lines_of_others() {
        let text = "noise\r\ncounted 212 60 10 calls\r\ninit: more\r\n";
        let counted = Calls {
            own: 212,
            children: 60,
            programs: 10,
        };
        assert_eq!(calls(text).expect("whole"), counted);
    }

    #[test]
    fn switches_of_both_kinds_count() {
        let text = "voluntary_ctxt_switches:\t7\r\nnonvoluntary_ctxt_switches:\t2\r\n";
        assert_eq!(switches(text).expect("both"), 9);
    }
}
