//! This file compiles every product of the house for every board that it is meant for.

use manifests::board::{Board, Capability};
use manifests::compile::{Request, compile};
use std::path::{Path, PathBuf};

fn products() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("products");
    let files = std::fs::read_dir(folder).expect("the house has products");
    let mut files: Vec<_> = files
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

fn boards() -> Vec<Board> {
    let compositions = ["board/linux", "board/oh-tee"];
    let boards = compositions.map(|folder| Board::load_all(&manifests::house().join(folder)));
    let boards = boards.map(|boards| boards.expect("the boards are good"));
    boards.into_iter().flatten().collect()
}

#[test]
fn every_product_compiles_for_every_board_that_it_is_meant_for() {
    let base = manifests::house();
    for product in products() {
        let mut count = 0;
        let text = std::fs::read_to_string(&product).expect("a manifest");
        for board in boards() {
            // What names no board is meant for all that have files.
            let has_images = board.has(Capability::Images);
            if has_images && !text.contains(&board.name) {
                continue;
            }
            let outcome = compile(&Request {
                product: &product,
                board: &board,
                rootfs: None,
                base: &base,
                // Programs that go into an image are built together with it.
                check_only: has_images,
            });
            if !outcome.is_meant_for(&board.name) {
                continue;
            }
            count += 1;
            let said = outcome.render(false);
            assert!(said.is_empty(), "{}\n{said}", board.name);
            let product = outcome.product.expect("no error, so a product");
            let text = manifests::emit::emit(&product);
            assert!(text.contains("pub static MANIFEST"), "{text}");
        }
        assert!(count > 0, "{} is for no board", product.display());
    }
}
