//! This file reads what a product's root file system is made of: the `[rootfs]` of its manifest.
//!
//! It reads nothing else of the manifest and judges nothing: that is the compiler's work, which
//! refuses a bad manifest with its own diagnostics when process 1 is built.

use anyhow::{Context, Result, bail};
use qemu_tests::image::Recipe;
use std::path::Path;
use toml::{Table, Value};

/// Includes in includes; deeper nesting is a circle.
const DEPTH_MAX: usize = 8;

/// The recipe of the manifest at `path`, as it is for `board`.
///
/// # Errors
/// The manifest or one that it includes cannot be read.
pub fn of(path: &Path, board: &str) -> Result<Recipe> {
    let mut recipe = Recipe::default();
    collect(path, board, &mut recipe, DEPTH_MAX)?;
    Ok(recipe)
}

/// What is read later replaces whole arrays, as in the manifest language.
fn collect(path: &Path, board: &str, recipe: &mut Recipe, depth: usize) -> Result<()> {
    if depth == 0 {
        bail!("{}: includes go in a circle", path.display());
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the manifest {}", path.display()))?;
    let file: Table =
        toml::from_str(&text).with_context(|| format!("{} is not TOML 1.0", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    for include in words(file.get("include")) {
        collect(
            &folder.join(include),
            board,
            recipe,
            depth.saturating_sub(1),
        )?;
    }
    let overlay = file.get("board").and_then(|boards| boards.get(board));
    for table in [
        file.get("rootfs"),
        overlay.and_then(|overlay| overlay.get("rootfs")),
    ] {
        let Some(table) = table.and_then(Value::as_table) else {
            continue;
        };
        let replace = |words: &mut Vec<String>, key: &str| {
            if table.contains_key(key) {
                *words = self::words(table.get(key));
            }
        };
        replace(&mut recipe.packages, "packages");
        replace(&mut recipe.exclude, "exclude");
        replace(&mut recipe.modules, "modules");
        if table.contains_key("folders") {
            let folders = words(table.get("folders"));
            recipe.folders = folders.iter().map(|name| folder.join(name)).collect();
        }
    }
    Ok(())
}

/// A word, or a list of words.
fn words(value: Option<&Value>) -> Vec<String> {
    let word = |value: &Value| value.as_str().map(str::to_string);
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(word).collect(),
        Some(value) => word(value).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_later_replaces_whole_arrays() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        write(
            "base.toml",
            "[rootfs]\npackages = [\"a\"]\nfolders = [\"base\"]\n",
        );
        let product = write(
            "product.toml",
            "include = [\"base.toml\"]\n[rootfs]\npackages = [\"b\", \"c\"]\n\
             [board.pc.rootfs]\nmodules = [\"ext4\"]\n",
        );
        let recipe = of(&product, "pc").expect("readable");
        assert_eq!(recipe.packages, ["b", "c"]);
        assert_eq!(recipe.folders, [folder.path().join("base")]);
        assert_eq!(recipe.modules, ["ext4"]);
        assert!(of(&product, "arm").expect("readable").modules.is_empty());
    }

    #[test]
    fn includes_in_a_circle_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "include = [\"a.toml\"]\n").expect("written");
        let error = of(&path, "pc").expect_err("it includes itself");
        assert!(error.to_string().contains("in a circle"), "{error}");
    }
}
