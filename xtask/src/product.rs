//! This file compiles a product's manifest on the desk: to check it, and for its root file system.
//!
//! Process 1 gets its tables from the same compiler, run by the board's build script.

use crate::cli::Check;
use crate::house;
use anyhow::{Result, bail};
use manifests::board::{Abi, Board};
use manifests::compile::{self, Outcome, Request};
use manifests::{expand, unused};
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
    let mut said = Vec::new();
    let mut refused = Vec::new();
    let mut expanded = false;
    let mut boards = house::chosen(check.board.as_deref())?;
    if check.board.is_none() {
        boards.extend(house::harmony_boards()?);
    }
    for board in boards {
        let outcome = outcome(&product, &board, rootfs)?;
        let is_meant = match board.abi {
            Abi::Linux | Abi::Library => outcome.is_meant_for(&board.name),
            Abi::OhTee => outcome.names(&board.name),
        };
        if check.board.is_none() && !is_meant {
            continue;
        }
        // What is wrong for one board is mostly wrong for all: say it once.
        let text = outcome.render(std::io::stderr().is_terminal());
        if !said.contains(&text) {
            eprint!("{text}");
            said.push(text);
        }
        if check.expand && !expanded {
            expanded = true;
            print!("{}", expand::toml(&outcome.tree, &outcome.sources));
        }
        let Some(made) = outcome.product else {
            refused.push(board.name);
            continue;
        };
        let units = made.units.len();
        let name = house::shown(&product);
        say(&format!(
            "{name}: {units} units, no error on {}",
            board.name
        ));
    }
    if !refused.is_empty() {
        let name = house::shown(&product);
        bail!("{name} has errors on {}, see above", refused.join(", "));
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

/// The features that a program of this product has. What is wrong with the manifest is said where
/// it is compiled.
pub fn features(product: &Path, board: &Board) -> Result<Vec<String>> {
    let Some(made) = outcome(product, board, None)?.product else {
        return Ok(Vec::new());
    };
    let records = made.healing.is_some_and(|it| it.recorder.is_some());
    let all = [
        ("split", made.split.is_some()),
        ("exchange", made.split.is_some() && made.hot_upgrade),
        ("recorder", records),
        ("ram-disk", made.ram_disk.is_some()),
    ];
    let wanted = all.into_iter().filter(|(_, is_wanted)| *is_wanted);
    Ok(wanted.map(|(name, _)| name.to_string()).collect())
}

/// The features that leave out of process 1 what this product does not use. A project of its own
/// has those that it asks for.
pub fn leaving_out(product: &Path, board: &Board) -> Result<Vec<&'static str>> {
    if board.abi != Abi::Linux || house::project(product).is_some() {
        return Ok(Vec::new());
    }
    let made = outcome(product, board, None)?.product;
    Ok(made.as_ref().map(unused::features).unwrap_or_default())
}

/// The programs that the product has in a RAM disk, by their names; none: there is no RAM disk.
pub fn on_ram_disk(
    product: &Path,
    board: &Board,
    rootfs: Option<&Path>,
) -> Result<Vec<(String, std::path::PathBuf)>> {
    let made = outcome(product, board, rootfs)?.product;
    let made = made.filter(|made| made.ram_disk.is_some());
    let images = made.and_then(|made| made.images).unwrap_or_default();
    Ok(images.into_iter().map(|one| (one.name, one.file)).collect())
}

/// The compiled manifest; what is to be said of it goes to stderr.
pub fn compiled(product: &Path, board: &Board, rootfs: Option<&Path>) -> Result<Outcome> {
    let outcome = outcome(product, board, rootfs)?;
    eprint!("{}", outcome.render(std::io::stderr().is_terminal()));
    if outcome.product.is_none() {
        bail!(
            "the manifest {} has errors, see above",
            house::shown(product)
        );
    }
    Ok(outcome)
}

fn outcome(product: &Path, board: &Board, rootfs: Option<&Path>) -> Result<Outcome> {
    let base = std::env::current_dir()?;
    Ok(compile::compile(&Request {
        product,
        board,
        rootfs,
        base: &base,
        check_only: true,
    }))
}
