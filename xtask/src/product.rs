//! This file compiles a product's manifest on the desk: to check it, and for its root file system.
//!
//! Process 1 gets its tables from the same compiler, run by the board's build script.

use crate::cli::Check;
use crate::house;
use anyhow::{Result, bail};
use manifests::board::Board;
use manifests::compile::{self, Outcome, Request};
use manifests::expand;
use qemu_tests::image::Recipe;
use qemu_tests::progress::say;
use std::io::IsTerminal;
use std::path::Path;

/// Checks a manifest for one board, or for each that it is meant for.
///
/// # Errors
/// The manifest has an error for a board.
pub fn check(check: &Check) -> Result<()> {
    let product = house::product(&check.file)?;
    let rootfs = check.rootfs.as_deref();
    let mut boards = house::chosen(check.board.as_deref())?;
    if check.board.is_none() {
        // What is wrong for the first board is mostly wrong for all: say it once.
        boards.truncate(1);
    }
    for board in &boards {
        let outcome = compiled(&product, board, rootfs)?;
        if check.expand {
            print!("{}", expand::toml(&outcome.tree, &outcome.sources));
        }
        let units = outcome.product.map_or(0, |made| made.units.len());
        say(&format!(
            "{}: {units} units, no error on {}",
            house::shown(&product),
            board.name
        ));
    }
    Ok(())
}

/// What the product's root file system on `board` is made of.
///
/// # Errors
/// The manifest has an error.
pub fn recipe(product: &Path, board: &Board) -> Result<Recipe> {
    let rootfs = compiled(product, board, None)?
        .product
        .map(|made| made.rootfs);
    let rootfs = rootfs.unwrap_or_default();
    Ok(Recipe {
        packages: rootfs.packages,
        folders: rootfs.folders,
        exclude: rootfs.exclude,
        modules: rootfs.modules,
    })
}

/// The compiled manifest; what is to be said of it goes to stderr.
pub fn compiled(product: &Path, board: &Board, rootfs: Option<&Path>) -> Result<Outcome> {
    let base = std::env::current_dir()?;
    let request = Request {
        product,
        board,
        rootfs,
        base: &base,
        check_only: true,
    };
    let outcome = compile::compile(&request);
    eprint!("{}", outcome.render(std::io::stderr().is_terminal()));
    if outcome.product.is_none() {
        bail!(
            "the manifest {} has errors, see above",
            house::shown(product)
        );
    }
    Ok(outcome)
}
