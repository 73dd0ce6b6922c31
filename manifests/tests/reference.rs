//! This file keeps `docs/manifest.md` what the schema says. `UPDATE=1` writes it.

use std::path::Path;

#[test]
fn the_reference_is_that_of_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manifest.md");
    let wanted = manifests::reference::markdown();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).expect("docs can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "docs/manifest.md is stale: UPDATE=1 cargo test -p manifests --test reference";
    assert!(found == wanted, "{hint}");
}

#[test]
fn every_key_and_every_id_is_in_the_reference() {
    let reference = manifests::reference::markdown();
    for key in manifests::schema::keys() {
        assert!(
            reference.contains(&format!("| `{}` |", key.name)),
            "{}",
            key.name
        );
    }
    for id in manifests::diagnostic::Id::ALL {
        assert!(
            reference.contains(&format!("| {} |", id.code())),
            "{}",
            id.code()
        );
    }
}
