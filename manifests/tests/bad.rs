//! This file holds the corpus of bad manifests to its exact texts: one purpose, one id, one file.
//!
//! `tests/bad/M0xx-words.toml` must give that id and nothing else, and exactly the text beside it;
//! `UPDATE=1` writes the texts anew. The board is `toy`, or `harmony` for
//! `M0xx-words-on-harmony`; a folder `M0xx-words.rootfs` beside the
//! file is its root file system. Lines in the texts that come from the machine are cut.

use manifests::board::Board;
use manifests::compile::{Outcome, Request, compile};
use manifests::diagnostic::Id;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .expect("there is a corpus")
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .filter(|path| name(path).starts_with('M'))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn outcome(path: &Path) -> Outcome {
    let board = match name(path).contains("-on-harmony") {
        true => "harmony",
        false => "toy",
    };
    let board = Board::load(&folder().join(board)).unwrap_or_else(|error| panic!("{error}"));
    let rootfs = path.with_extension("rootfs");
    compile(&Request {
        product: path,
        board: &board,
        rootfs: rootfs.is_dir().then_some(rootfs.as_path()),
        base: &folder(),
        check_only: false,
    })
}

#[test]
fn every_bad_manifest_gives_its_id_and_exactly_its_text() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    for path in files() {
        let outcome = outcome(&path);
        let said = outcome.render(false);
        let code = name(&path)
            .split('-')
            .next()
            .unwrap_or_default()
            .to_string();
        let only = outcome
            .problems
            .iter()
            .all(|problem| problem.id.code() == code);
        if outcome.problems.is_empty() || !only {
            wrong.push_str(&format!("{}: not exactly {code}:\n{said}\n", name(&path)));
        }
        if outcome
            .problems
            .iter()
            .any(manifests::diagnostic::Diagnostic::is_error)
        {
            assert!(
                outcome.product.is_none(),
                "{}: an error and a product",
                name(&path)
            );
        }
        let text = path.with_extension("txt");
        if update {
            std::fs::write(&text, &said).expect("the corpus can be written");
        }
        let wanted = std::fs::read_to_string(&text).unwrap_or_default();
        if wanted != said {
            wrong.push_str(&format!(
                "{}: wanted\n{wanted}\nfound\n{said}\n(UPDATE=1 writes it)\n",
                name(&path)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_id_has_an_example() {
    let names: Vec<_> = files().iter().map(|path| name(path)).collect();
    let has = |id: &&Id| {
        names
            .iter()
            .any(|name| name.starts_with(&format!("{}-", id.code())))
    };
    let missing: Vec<_> = Id::ALL.iter().filter(|id| !has(id)).collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}

#[test]
fn every_place_lies_in_its_file() {
    for path in files() {
        let outcome = outcome(&path);
        for problem in &outcome.problems {
            let spans = problem.related.iter().map(|(span, _)| *span);
            for span in spans.chain([problem.span]) {
                let text = outcome
                    .sources
                    .get(span.file)
                    .map(|source| source.text.as_str());
                let part = text.and_then(|text| text.get(span.start..span.end));
                assert!(
                    part.is_some(),
                    "{}: {span:?} of {:?}",
                    name(&path),
                    problem.message
                );
            }
        }
    }
}
