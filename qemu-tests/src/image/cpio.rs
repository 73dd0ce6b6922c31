//! This file writes a tree as a "newc" cpio archive, the form in which the kernel takes an
//! initramfs.
//!
//! The same tree always gives the same bytes: entries come in the order of their paths, inode
//! numbers count up and every time is zero. Format: the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`.

use super::tree::{Content, Node, Tree};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// File type bits of `st_mode`.
pub(super) const FOLDER: u32 = 0o040_000;
pub(super) const REGULAR: u32 = 0o100_000;
pub(super) const LINK: u32 = 0o120_000;
pub(super) const CHARACTER: u32 = 0o020_000;

/// The archive is padded to this, as other writers do.
const BLOCK_BYTES: u64 = 512;

/// Writes `tree` to the file `path`.
pub(super) fn write(tree: &Tree, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    let mut archive = Archive {
        out: BufWriter::new(file),
        written: 0,
        inode: 0,
    };
    for (name, node) in tree.nodes() {
        archive
            .node(name, node)
            .with_context(|| format!("adding {name}"))?;
    }
    archive
        .finish()
        .with_context(|| format!("writing {}", path.display()))
}

struct Archive {
    out: BufWriter<File>,
    written: u64,
    inode: u32,
}

impl Archive {
    fn node(&mut self, name: &str, node: &Node) -> Result<()> {
        match &node.content {
            Content::Folder => self.header(name, node, FOLDER, 0, (0, 0))?,
            Content::Device { major, minor } => {
                self.header(name, node, CHARACTER, 0, (*major, *minor))?;
            }
            Content::Link(target) => self.whole(name, node, LINK, target.as_bytes())?,
            Content::Bytes(bytes) => self.whole(name, node, REGULAR, bytes)?,
            Content::File { source, bytes } => {
                let mut file =
                    File::open(source).with_context(|| format!("opening {}", source.display()))?;
                self.header(name, node, REGULAR, u32::try_from(*bytes)?, (0, 0))?;
                let copied = io::copy(&mut file, &mut self.out)?;
                ensure!(
                    copied == *bytes,
                    "{} changed while it was read",
                    source.display()
                );
                self.written += copied;
                self.pad(4)?;
            }
        }
        Ok(())
    }

    fn whole(&mut self, name: &str, node: &Node, kind: u32, bytes: &[u8]) -> Result<()> {
        self.header(name, node, kind, u32::try_from(bytes.len())?, (0, 0))?;
        self.put(bytes)?;
        self.pad(4)
    }

    fn header(
        &mut self,
        name: &str,
        node: &Node,
        kind: u32,
        bytes: u32,
        device: (u32, u32),
    ) -> Result<()> {
        self.inode += 1;
        let links = if kind == FOLDER { 2 } else { 1 };
        let name_bytes = u32::try_from(name.len() + 1)?;
        let fields = [
            self.inode,
            kind | node.mode,
            node.uid,
            node.gid,
            links,
            0, // time of change
            bytes,
            0, // device that holds the file: major
            0, // and minor
            device.0,
            device.1,
            name_bytes,
            0, // check sum, unused in this form
        ];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        self.put(header.as_bytes())?;
        self.put(name.as_bytes())?;
        self.put(&[0])?;
        self.pad(4)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.written += u64::try_from(bytes.len())?;
        Ok(())
    }

    fn pad(&mut self, to: u64) -> Result<()> {
        while !self.written.is_multiple_of(to) {
            self.put(&[0])?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.inode = 0;
        let end = Node {
            mode: 0,
            uid: 0,
            gid: 0,
            content: Content::Folder,
        };
        self.header("TRAILER!!!", &end, 0, 0, (0, 0))?;
        self.pad(BLOCK_BYTES)?;
        Ok(self.out.flush()?)
    }
}
