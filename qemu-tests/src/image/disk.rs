//! This file writes a disk: a partition table and one partition, the ext4 root file system.
//!
//! The table is an MBR, because every boot ROM and boot loader of the boards we know takes it, and
//! because it fits a card of any size as it is: GPT keeps a second copy at the disk's end, and its
//! entries lie where some boot ROMs (Allwinner's, NXP's) look for the boot loader. Nothing here is
//! larger than the 2 TiB that an MBR can tell. The bytes from the first sector to the partition
//! stay free for a boot loader; writing the image again does not keep what is there.

use super::ext4;
use super::tree::Tree;
use anyhow::{Context, Result, bail};
use mbrman::{BOOT_ACTIVE, CHS, MBR, MBRPartitionEntry};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const SECTOR_BYTES: u32 = 512;

/// Where the partition begins. Boot loaders lie before it: Rockchip's reach 16 MiB, others' less.
const FIRST_BYTE: u64 = 16 << 20;

/// "Linux" in an MBR.
const LINUX: u8 = 0x83;

/// A written disk.
#[derive(Debug, Clone)]
pub struct Disk {
    /// What `dd` writes.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The partition's identity, as the kernel's `root=PARTUUID=` takes it.
    pub partition: String,
}

/// Writes `tree` to the disk `file`, at least `bytes_min` long. `seed` is what the disk's identity
/// is made from: disks of different content do not share it.
pub(super) fn write(tree: &Tree, file: &Path, bytes_min: u64, seed: &[u8]) -> Result<Disk> {
    let digest: [u8; 32] = Sha256::digest(seed).into();
    let [a, b, c, d, rest @ ..] = digest;
    let signature = [a, b, c, d];
    let root_bytes = ext4::fitting_bytes(tree).max(bytes_min.saturating_sub(FIRST_BYTE));
    let bytes = FIRST_BYTE + root_bytes;
    let root = file.with_extension("ext4");
    ext4::write(
        tree,
        &root,
        root_bytes,
        &uuid(&rest),
        &file.with_extension("work"),
    )
    .context("writing the root file system")?;
    let mut disk = File::create(file).with_context(|| format!("creating {}", file.display()))?;
    disk.set_len(bytes)?;
    write_table(&mut disk, signature, root_bytes).context("writing the partition table")?;
    copy_at(&root, &mut disk, FIRST_BYTE)?;
    fs::remove_file(&root)?;
    Ok(Disk {
        file: file.to_path_buf(),
        bytes,
        partition: format!("{:08x}-01", u32::from_le_bytes(signature)),
    })
}

fn write_table(disk: &mut File, signature: [u8; 4], root_bytes: u64) -> Result<()> {
    let sectors = |bytes: u64| u32::try_from(bytes / u64::from(SECTOR_BYTES));
    let Ok(count) = sectors(root_bytes) else {
        bail!("the disk is larger than the 2 TiB that its partition table can tell");
    };
    let mut table = MBR::new_from(disk, SECTOR_BYTES, signature)?;
    table.header.partition_1 = MBRPartitionEntry {
        boot: BOOT_ACTIVE,
        first_chs: CHS::empty(),
        sys: LINUX,
        last_chs: CHS::empty(),
        starting_lba: sectors(FIRST_BYTE)?,
        sectors: count,
    };
    disk.rewind()?;
    Ok(table.write_into(disk)?)
}

/// Copies the file `from` to `disk` at `place`; what is zero stays a hole.
fn copy_at(from: &Path, disk: &mut File, place: u64) -> Result<()> {
    let mut source = File::open(from)?;
    let mut chunk = vec![0; 1 << 16];
    let mut at = place;
    loop {
        let count = source.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        if bytes.iter().any(|byte| *byte != 0) {
            disk.seek(SeekFrom::Start(at))?;
            disk.write_all(bytes)?;
        }
        at += u64::try_from(count)?;
    }
}

/// A UUID of version 8: made from a digest, not from chance.
fn uuid(digest: &[u8]) -> String {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = *from;
    }
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_the_same_each_time_and_holds_what_the_tree_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tree = Tree::skeleton();
        tree.put_bytes("etc/with space", 0o640, "text\n");
        tree.put_bytes("usr/bin/su", 0o4755, vec![7; 70_000]);
        tree.put_link_if_absent("sbin/sctl", "/init");
        let disks = ["a.img", "b.img"].map(|name| {
            let file = folder.path().join(name);
            write(&tree, &file, 0, b"seed").expect("written")
        });
        let [a, b] = disks.map(|disk| fs::read(disk.file).expect("read back"));
        assert!(a == b, "the two disks differ");
        assert_eq!(&a[510..512], &[0x55, 0xaa]);
        // First entry: active, Linux, from sector 32768.
        assert_eq!(
            (a[446], a[450], &a[454..458]),
            (0x80, 0x83, &[0, 0x80, 0, 0][..])
        );
        let root = folder.path().join("root");
        fs::write(&root, &a[FIRST_BYTE as usize..]).expect("the partition");
        let ask = |request: &str| {
            let output = std::process::Command::new("/usr/sbin/debugfs")
                .args(["-R", request])
                .arg(&root)
                .output()
                .expect("debugfs");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(ask("cat \"/etc/with space\""), "text\n");
        for (path, wanted) in [
            ("/usr/bin/su", "Mode:  04755"),
            ("/dev/console", "Device major/minor number: 05:01"),
            ("/usr/bin/su", "ctime: 0x5e0be100"),
            ("/usr/bin", "crtime: 0x5e0be100"),
            ("/tmp", "Mode:  01777"),
            ("/usr/sbin/sctl", "Fast link dest: \"/init\""),
            ("\"/etc/with space\"", "User:     0   Group:     0"),
        ] {
            let said = ask(&format!("stat {path}"));
            assert!(said.contains(wanted), "{path}: {said}");
        }
    }
}
