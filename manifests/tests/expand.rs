//! This file holds the expanded form of a manifest to its promise: it is the same product.

use manifests::compile::{Outcome, Request, compile, compile_text};
use manifests::{choose_board, emit, expand, house};
use std::path::Path;

fn outcome(product: &Path, text: Option<&str>) -> Outcome {
    let house = house();
    let board = choose_board(Some("pc-x86_64")).expect("the house has a PC");
    let request = Request {
        product,
        board: &board,
        rootfs: None,
        base: &house,
        check_only: false,
    };
    match text {
        Some(text) => compile_text(&request, text),
        None => compile(&request),
    }
}

#[test]
fn an_expanded_manifest_is_the_same_product() {
    let path = house().join("manifests/products/gateway.toml");
    let first = outcome(&path, None);
    let expanded = expand::toml(&first.tree, &first.sources);
    let second = outcome(&path, Some(&expanded));
    assert_eq!(second.render(false), "", "{expanded}");
    let tables = |outcome: Outcome| emit::emit(&outcome.product.expect("no error was said"));
    let (first, second) = (tables(first), tables(second));
    assert_eq!(without_order(&first), without_order(&second));
}

/// All lines but those that say where in the tables something lies.
fn without_order(tables: &str) -> Vec<&str> {
    let places = ["UnitId", "  edges: ", "PROGRAM_", "//"];
    let is_place = |line: &&str| !places.iter().any(|place| line.contains(place));
    let mut lines: Vec<_> = tables.lines().filter(is_place).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_key_has_its_origin() {
    let path = house().join("manifests/products/gateway.toml");
    let outcome = outcome(&path, None);
    let expanded = expand::toml(&outcome.tree, &outcome.sources);
    let line = |start: &str| {
        let found = expanded.lines().find(|line| line.starts_with(start));
        found
            .unwrap_or_else(|| panic!("no {start:?} in\n{expanded}"))
            .to_string()
    };
    assert!(line("name = ").contains("# manifests/products/gateway.toml:"));
    assert!(line("rescue-target = ").contains("# manifests/products/include/base.toml:"));
    assert!(
        line("instances = [\"ttyS0\"]").contains("gateway.toml:"),
        "the overlay is applied"
    );
    assert!(expanded.contains("# default, manifests/products/gateway.toml:"));
    assert!(expanded.contains("# built in"));
}
