//! This file writes the RAM disk of a product: a cpio archive of its services' programs, which is
//! loaded beside the kernel, where the board says.

use crate::product;
use anyhow::{Context, Result, bail};
use manifests::board::Board;
use qemu_tests::image::{self, Tree};
use std::path::{Path, PathBuf};

/// Writes it into `out`, if the product has its programs there; `services`: where they were built.
///
/// # Errors
/// A program is missing, or the board has no room for all of them.
pub fn write(
    board: &Board,
    product: &Path,
    services: Option<&Path>,
    out: &Path,
) -> Result<Option<PathBuf>> {
    let programs = product::on_ram_disk(product, board, services)?;
    let Some(place) = board.ram_disk.as_ref().filter(|_| !programs.is_empty()) else {
        return Ok(None);
    };
    let mut tree = Tree::default();
    for (name, file) in &programs {
        tree.put_file(name, 0o755, file)?;
    }
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let file = out.join("ram-disk.cpio");
    image::write_archive(&tree, &file)?;
    let (bytes, most) = (std::fs::metadata(&file)?.len(), u64::from(place.kib) << 10);
    if bytes > most {
        bail!(
            "the RAM disk has {bytes} bytes, and board `{}` room for {most} (kib in its \
             board.toml)",
            board.name
        );
    }
    Ok(Some(file))
}

/// What has QEMU load it.
pub fn loader(board: &Board, file: &Path) -> Vec<String> {
    let Some(place) = &board.ram_disk else {
        return Vec::new();
    };
    // A comma ends an option's value, unless it is doubled.
    let file = file.display().to_string().replace(',', ",,");
    let device = format!("loader,file={file},addr={:#x},force-raw=on", place.address);
    ["-device".to_string(), device].to_vec()
}
