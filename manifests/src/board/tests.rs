//! This file tests the reader of boards.

use super::*;

const GOOD: &str = r#"name = "toy"
triple = "aarch64-unknown-linux-musl"
debian-arch = "arm64"
page-size = 4096
console = "ttyAMA0"
capabilities = ["reboot", "power-off"]
[kernel]
packages = ["linux-image-cloud-arm64"]
append = "console=ttyAMA0"
[qemu]
program = "qemu-system-aarch64"
package = "qemu-system-arm"
args = ["-M", "virt"]
[budget]
file-kib = 72
"#;

fn parse(text: &str) -> Result<Board, BoardError> {
    let folder = Path::new("board/linux/toy");
    Board::parse(folder, text).map_err(|problem| problem.locate("board.toml".into(), text))
}

#[test]
fn every_board_of_the_house_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../board/linux");
    let boards = Board::load_all(&root).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
    for wanted in ["pc-x86_64", "virt-aarch64", "virt-armv7"] {
        assert!(names.contains(&wanted), "{wanted} is missing in {names:?}");
    }
    for board in &boards {
        let console = format!("console={}", board.console);
        assert!(
            board.kernel.append.contains(&console),
            "{}: no {console}",
            board.name
        );
        assert!(
            board.has(Capability::PowerOff),
            "{}: --once could not end",
            board.name
        );
    }
}

#[test]
fn the_boards_without_linux_are_read_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../board/oh-tee");
    let boards = Board::load_all(&root).unwrap_or_else(|error| panic!("{error}"));
    assert!(boards.iter().any(|board| board.name == "oh-tee-virt"));
    for board in &boards {
        assert_eq!(board.abi, Abi::OhTee, "{}", board.name);
        assert!(board.folder.join("link.x").is_file(), "{}", board.name);
    }
}

/// A board without Linux.
const BARE: &str = r#"name = "toy"
abi = "oh-tee"
triple = "aarch64-unknown-none"
page-size = 4096
capabilities = ["power-off"]
[qemu]
program = "qemu-system-aarch64"
package = "qemu-system-arm"
args = []
[budget]
file-kib = 64
"#;

#[test]
fn a_board_without_linux_has_no_keys_of_linux() {
    let board = parse(BARE).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(board.abi, Abi::OhTee);
    let kernel = "[kernel]\npackages = [\"x\"]\nappend = \"\"\n[qemu]";
    let cases = [
        (
            "aarch64-unknown-none",
            "thumbv7m-none-eabi",
            ":3:10",
            "aarch64-unknown-none",
        ),
        ("4096", "16384", ":4:13", "pages of 4096 bytes"),
        (
            "page-size",
            "console = \"x\"\npage-size",
            ":4:11",
            "`console` is for boards with Linux",
        ),
        (
            "[qemu]",
            kernel,
            ":6:1",
            "`kernel` is for boards with Linux",
        ),
        ("oh-tee", "oh-tea", ":2:7", "unknown variant `oh-tea`"),
    ];
    for (good, bad, place, cause) in cases {
        let error = parse(&BARE.replacen(good, bad, 1))
            .expect_err(bad)
            .to_string();
        assert!(error.contains(place), "wanted {place} in:\n{error}");
        assert!(error.contains(cause), "wanted {cause:?} in:\n{error}");
    }
}

#[test]
fn a_good_board_is_read_as_written() {
    let board = parse(GOOD).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(board.page_bytes, 4096);
    assert_eq!(
        board.capabilities,
        [Capability::PowerOff, Capability::Reboot]
    );
    assert_eq!(board.qemu.args, ["-M", "virt"]);
    assert_eq!(board.budget.file_kib, 72);
    assert_eq!(board.budget.text_kib, None);
}

#[test]
fn a_bad_board_is_refused_with_its_place() {
    let cases = [
        (
            "name = \"toy\"",
            "name = \"pc\"",
            "board.toml:1:8",
            "name = \"toy\"",
        ),
        (
            "aarch64-unknown-linux-musl",
            "thumbv7m-none-eabi",
            ":2:10",
            "Linux target triple",
        ),
        ("4096", "5000", ":4:13", "power of two"),
        ("4096", "131072", ":4:13", "power of two"),
        ("page-size", "pagesize", ":4:1", "unknown field `pagesize`"),
        (
            "\"ttyAMA0\"\n",
            "\"/dev/ttyAMA0\"\n",
            ":5:11",
            "without /dev/",
        ),
        (
            "\"reboot\"",
            "\"rebot\"",
            ":6:17",
            "unknown variant `rebot`",
        ),
        (
            "\"reboot\"",
            "\"power-off\"",
            ":6:16",
            "\"power-off\" is listed twice",
        ),
        (
            "[\"linux-image-cloud-arm64\"]",
            "[]",
            ":7:1",
            "kernel.packages is empty",
        ),
        (
            "debian-arch = \"arm64\"\n",
            "",
            ":1:8",
            "missing field `debian-arch`",
        ),
        ("file-kib = 72", "", ":14:1", "missing field `file-kib`"),
        ("[qemu]", "[qemu", ":10:6", "unclosed table"),
    ];
    for (good, bad, place, cause) in cases {
        let text = GOOD.replacen(good, bad, 1);
        let error = parse(&text).expect_err(&text).to_string();
        assert!(error.contains(place), "wanted {place} in:\n{error}");
        assert!(error.contains(cause), "wanted {cause:?} in:\n{error}");
    }
}

#[test]
fn an_error_underlines_its_source() {
    let error = parse(&GOOD.replacen("4096", "5000", 1)).expect_err("5000 is no page size");
    let wanted = "page-size is a power of two from 4096 to 65536 bytes\n \
                  --> board.toml:4:13\n  |\n4 | page-size = 5000\n  |             ^^^^";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn a_missing_file_names_its_path() {
    let error = Board::load(Path::new("no/such/board")).expect_err("there is no such board");
    let error = error.to_string();
    assert!(error.contains("no/such/board/board.toml"), "{error}");
}
