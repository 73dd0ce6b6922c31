//! This file knows where things lie in the house, and which boards and products it has.
//!
//! It only looks; it must never create, fetch or build anything.

use anyhow::{Context, Result, bail};
use manifests::board::Board;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    // Cargo tells where the package lies now; the path of the build is the fallback.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Everything that is built or downloaded lies below this folder.
pub fn target() -> PathBuf {
    root().join("target")
}

/// All boards with Linux, sorted by name.
pub fn boards() -> Result<Vec<Board>> {
    Ok(Board::load_all(&root().join("board/linux"))?)
}

/// All boards of Harmony's microkernel, sorted by name.
pub fn harmony_boards() -> Result<Vec<Board>> {
    Ok(Board::load_all(&root().join("board/oh-tee"))?)
}

/// The board called `name`, or the one in the folder of that path.
pub fn board(name: &str) -> Result<Board> {
    if name.contains('/') {
        return Ok(Board::load(&std::path::absolute(name)?)?);
    }
    let mut boards = boards()?;
    boards.extend(harmony_boards()?);
    let names: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
    let choice = names.join(", ");
    let Some(board) = boards.iter().find(|board| board.name == name) else {
        bail!("there is no board {name:?}; choose one of {choice}");
    };
    Ok(board.clone())
}

/// The board called `name`, or all.
pub fn chosen(name: Option<&str>) -> Result<Vec<Board>> {
    name.map_or_else(boards, |name| Ok(vec![board(name)?]))
}

/// The manifest that the user means by `product`: a path, or the name of one of the house.
pub fn product(product: &str) -> Result<PathBuf> {
    let given = Path::new(product);
    let ours = root()
        .join("manifests/products")
        .join(format!("{product}.toml"));
    if product.ends_with(".toml") || given.is_file() {
        return std::path::absolute(given)
            .ok()
            .filter(|path| path.is_file())
            .with_context(|| format!("there is no manifest {product}"));
    }
    if ours.is_file() {
        return Ok(ours);
    }
    let names = products()?.join(", ");
    bail!("there is no product {product:?}; choose one of {names}, or give the path of a manifest")
}

/// Names of the products in `manifests/products`, sorted.
pub fn products() -> Result<Vec<String>> {
    let folder = root().join("manifests/products");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot list the products in {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_manifest = path.extension().is_some_and(|ending| ending == "toml");
        // `gateway.expect.toml` is not a product: it says how the product `gateway` is judged.
        if is_manifest && !stem(&path).contains('.') {
            names.push(stem(&path));
        }
    }
    names.sort();
    Ok(names)
}

/// The folder of the firmware package that `product` belongs to, where it has one of its own.
pub fn project(product: &Path) -> Option<PathBuf> {
    let folder = product.parent()?;
    let is_own = product.file_name()? == "product.toml" && folder.join("Cargo.toml").is_file();
    is_own.then(|| folder.to_path_buf())
}

/// The name of a product: its manifest's file name without the ending, or that of its package's
/// folder.
pub fn stem(manifest: &Path) -> String {
    let folder = project(manifest);
    folder
        .as_deref()
        .unwrap_or(manifest)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// `path` as it is typed in the workspace's folder.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
