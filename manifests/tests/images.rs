//! This file compiles a product whose programs lie in the image: each is put in once, and what the
//! manifest says of a service arrives in the tables.

use manifests::board::Board;
use manifests::compile::{Request, compile};
use manifests::emit;
use std::path::Path;

#[test]
fn programs_are_put_in_once_and_services_have_what_the_manifest_says() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let board = Board::load(&tests.join("bad/harmony")).expect("a good board");
    let images = tests.join("good/images");
    let outcome = compile(&Request {
        product: &tests.join("good/on-harmony.toml"),
        board: &board,
        rootfs: Some(&images),
        base: &tests,
        check_only: false,
    });
    assert_eq!(outcome.render(false), "");
    assert!(outcome.inputs.contains(&images.join("pump")));
    let text = emit::emit(&outcome.product.expect("no error was said"));
    let file = images.join("pump").display().to_string();
    let wanted = [
        "pub static IMAGES: [::init_core::unit::Image; 1] = [",
        &format!("Image {{ path: c\"pump\", file: include_bytes!({file:?}) }},"),
        r#"arguments: &[Some(&b"pump\0"[0]), Some(&b"-v\0"[0]), Some(&b"one\0"[0]), None],"#,
        "priority: 6,",
        "priority: 3,",
        "ready: ::init_core::unit::Readiness::Letter,",
        "watchdog: ::init_core::time::Duration::from_us(2000000),",
        "watchdog: ::init_core::time::Duration::MAX,",
        "controls: true,",
        "Resource::Data, soft: ::init_core::unit::LimitValue::Max(262144)",
    ];
    for line in wanted {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    assert_eq!(text.matches("include_bytes!").count(), 1);
}
