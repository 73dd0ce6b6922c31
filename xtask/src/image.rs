//! This file is `cargo xtask image` and `cargo xtask run`: it joins set-up, build and test bench.

use crate::cli::{Image, Run, Scenarios};
use crate::{build, house, product, setup};
use anyhow::Result;
use manifests::board::Board;
use qemu_tests::progress::say;
use qemu_tests::run::{self, Manner, Request};
use qemu_tests::scenarios::{self, Bench};
use std::path::{Path, PathBuf};

/// Writes an image into the folder that the user chose.
///
/// # Errors
/// It cannot be built.
pub fn write(image: &Image) -> Result<()> {
    let board = house::board(&image.board)?;
    let product = house::product(&image.product)?;
    let out = match &image.out {
        Some(out) => std::path::absolute(out)?,
        None => default_out(&product, &board),
    };
    let built = with_request(&board, &product, &out, run::build_image)?;
    say(&format!("image: {}", built.summary));
    say(&format!("  {} boots it", house::shown(&out.join("run.sh"))));
    Ok(())
}

/// Boots a product and judges it.
///
/// # Errors
/// It cannot be built or does not work.
pub fn run(choice: &Run) -> Result<()> {
    let board = house::board(&choice.board)?;
    let product = house::product(&choice.product)?;
    let manner = match (choice.once, choice.interactive) {
        (true, _) => Manner::Once,
        (false, true) => Manner::Interactive,
        (false, false) => Manner::HandOver,
    };
    setup::ensure(&[setup::qemu(&board)])?;
    let out = default_out(&product, &board);
    with_request(&board, &product, &out, |request| run::run(request, manner))
}

/// Runs the scenarios of the test bench.
///
/// # Errors
/// One of them fails.
pub fn scenarios(choice: &Scenarios) -> Result<()> {
    let boards = house::chosen(choice.board.as_deref())?;
    for board in &boards {
        setup::ensure(&[setup::qemu(board)])?;
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
            };
            build::firmware(&request).map(|firmware| firmware.file)
        },
    };
    scenarios::run_all(&bench, choice.only.as_deref())
}

fn default_out(product: &Path, board: &Board) -> PathBuf {
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
    };
    perform(&request)
}
