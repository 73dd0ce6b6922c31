//! This file is `cargo xtask image` and `cargo xtask run`: it joins set-up, build and test bench.

use crate::bench::programs;
use crate::cli::{Image, Run, Scenarios};
use crate::{build, harmony, house, product, setup};
use anyhow::Result;
use manifests::board::{Abi, Board};
use qemu_tests::image::{Disk, quoted};
use qemu_tests::progress::say;
use qemu_tests::run::{self, Manner, Medium, Request};
use qemu_tests::scenarios::{self, Bench};
use std::path::{Path, PathBuf};

/// Writes an image into the folder that the user chose.
///
/// # Errors
/// It cannot be built.
pub fn write(image: &Image) -> Result<()> {
    let board = house::board(&image.board)?;
    let product = product_for(&board, image.product.as_deref())?;
    let out = match &image.out {
        Some(out) => std::path::absolute(out)?,
        None => default_out(&product, &board),
    };
    if board.abi == Abi::OhTee {
        return harmony::write(&board, &product, &out);
    }
    if board.disk.is_none() {
        let built = with_request(&board, &product, &out, run::build_image)?;
        say(&format!("image: {}", built.summary));
        return list(&out);
    }
    setup::ensure(&[setup::file_system()])?;
    let bytes_min = u64::from(image.disk_mib) << 20;
    let built = with_request(&board, &product, &out, |request| {
        run::build_disk(request, bytes_min)
    })?;
    say(&format!("image: {}", built.image.summary));
    list(&out)?;
    println!("{}", how_to_write(&built.disk));
    Ok(())
}

/// What was written, a line each.
const WRITTEN: [(&str, &str); 7] = [
    ("kernel", "the board's kernel"),
    (
        "initramfs.cpio",
        "the whole root file system, to run from memory",
    ),
    (
        "disk.img",
        "partition table and ext4 root, with the two below in its /boot",
    ),
    (
        "disk-initramfs.cpio",
        "loads the drivers and goes over to the disk",
    ),
    ("contents.txt", "every path with its size"),
    ("run.sh", "boots from memory, under QEMU"),
    ("run-disk.sh", "boots from the disk, under QEMU"),
];

fn list(out: &Path) -> Result<()> {
    say(&format!("{} has", house::shown(out)));
    for (name, what) in WRITTEN {
        if let Ok(data) = std::fs::metadata(out.join(name)) {
            say(&format!("  {name:<20} {:>11} bytes  {what}", data.len()));
        }
    }
    Ok(())
}

/// How the disk image comes onto a card, to be typed in the workspace's folder.
fn how_to_write(disk: &Disk) -> String {
    let from = quoted(&format!("if={}", house::shown(&disk.file)));
    format!(
        "\nTo write it to a card or eMMC, as root. THIS ERASES THE WHOLE DEVICE: look with `lsblk` \
         which one it \
         is\nand put its name for sdX (eMMC: mmcblkN, never one of its partitions):\n\n\
         \x20   dd {from} of=/dev/sdX bs=4M conv=fsync status=progress\n\n\
         The root file system is partition 1, PARTUUID={}.",
        disk.partition
    )
}

/// The product that the user chose, or the board's usual one.
fn product_for(board: &Board, product: Option<&str>) -> Result<PathBuf> {
    let usual = match board.abi {
        Abi::Linux => "gateway",
        Abi::OhTee => "harmony-demo",
        Abi::Library => "minimal",
    };
    house::product(product.unwrap_or(usual))
}

/// Boots a product and judges it.
///
/// # Errors
/// It cannot be built or does not work.
pub fn run(choice: &Run) -> Result<()> {
    let board = house::board(&choice.board)?;
    let product = product_for(&board, choice.product.as_deref())?;
    let manner = match (choice.once, choice.interactive) {
        (true, _) => Manner::Once,
        (false, true) => Manner::Interactive,
        (false, false) => Manner::HandOver,
    };
    setup::ensure(&[setup::qemu(&board)])?;
    if board.abi == Abi::OhTee {
        let out = default_out(&product, &board);
        return harmony::run(&board, &product, &out);
    }
    let medium = if choice.disk {
        setup::ensure(&[setup::file_system()])?;
        Medium::Disk
    } else {
        Medium::Memory
    };
    let out = default_out(&product, &board);
    with_request(&board, &product, &out, |request| {
        run::run(request, manner, medium)
    })
}

/// Runs the scenarios of the test bench.
///
/// # Errors
/// One of them fails.
pub fn scenarios(choice: &Scenarios) -> Result<()> {
    let boards = house::chosen(choice.board.as_deref())?;
    for board in &boards {
        setup::ensure(&[setup::qemu(board), setup::file_system()])?;
    }
    let bench = Bench {
        boards: &boards,
        cache: &house::target().join("cache"),
        out: &house::target().join("scenarios"),
        product: &house::product,
        recipe: &|board, product| product::recipe(product, board),
        build: &|board, product, rootfs| {
            let request = build::Request {
                board,
                product,
                rootfs: Some(rootfs),
                features: &[],
                heals: true,
            };
            build::firmware(&request).map(|firmware| firmware.file)
        },
        early: &build::early,
        keeper: &|board| Ok(build::keeper(board)?.file),
        forgets: &programs::forgets,
    };
    scenarios::run_all(&bench, choice.only.as_deref())
}

/// Builds the image that `cargo xtask run` boots.
///
/// # Errors
/// It cannot be built.
pub fn build(board: &Board, product: &Path) -> Result<qemu_tests::image::Image> {
    build_at(board, product, &default_out(product, board))
}

/// The same, in another folder.
///
/// # Errors
/// It cannot be built.
pub fn build_at(board: &Board, product: &Path, out: &Path) -> Result<qemu_tests::image::Image> {
    with_request(board, product, out, run::build_image)
}

/// Where the image of a product is put unless the user says otherwise.
pub fn default_out(product: &Path, board: &Board) -> PathBuf {
    house::target()
        .join("images")
        .join(&board.name)
        .join(house::stem(product))
}

/// Calls `perform` with everything that the test bench must know.
fn with_request<T>(
    board: &Board,
    product: &Path,
    out: &Path,
    perform: impl FnOnce(&Request<'_>) -> Result<T>,
) -> Result<T> {
    let build = |rootfs: &Path| {
        let request = build::Request {
            board,
            product,
            rootfs: Some(rootfs),
            features: &[],
            heals: true,
        };
        build::firmware(&request).map(|firmware| firmware.file)
    };
    let request = Request {
        board,
        product,
        recipe: product::recipe(product, board)?,
        cache: &house::target().join("cache"),
        out,
        build: &build,
        beside: &|_| Ok(Vec::new()),
        early: &|| build::early(board),
    };
    perform(&request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Not a whole number of the blocks that are written.
    const IMAGE_BYTES: usize = (5 << 20) + 512;
    const DEVICE_BYTES: u64 = 8 << 20;

    #[test]
    fn the_command_that_is_printed_writes_the_image_to_the_device() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("it's a disk.img");
        let image: Vec<u8> = (0..=250).cycle().take(IMAGE_BYTES).collect();
        std::fs::write(&file, &image).expect("there is room");
        let device = folder.path().join("device");
        let made = std::fs::File::create(&device).and_then(|it| it.set_len(DEVICE_BYTES));
        made.expect("a file of holes takes no room");
        let words = how_to_write(&Disk {
            file,
            bytes: u64::try_from(IMAGE_BYTES).expect("a few"),
            partition: "a-partition".to_string(),
        });
        let commands = words.lines().filter_map(|line| line.strip_prefix("    "));
        let commands: Vec<&str> = commands.collect();
        let [command] = commands.as_slice() else {
            panic!("one command is to be typed:\n{words}")
        };
        let name = device.display().to_string();
        assert_eq!(command.matches("/dev/sdX").count(), 1, "{command}");
        let typed = command.replace("/dev/sdX", &name);
        let done = Command::new("sh")
            .args(["-c", &typed])
            .current_dir(house::root())
            .output()
            .expect("there is a shell");
        assert!(done.status.success(), "{typed}: {done:?}");
        let written = std::fs::read(&device).expect("it is there");
        assert!(written.starts_with(&image), "{} bytes", written.len());
    }
}
