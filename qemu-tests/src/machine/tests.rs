//! This file tests the machine with shell scripts in the place of QEMU.

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A "QEMU" that is a shell script.
fn machine(script: &str) -> (tempfile::TempDir, Result<Machine>) {
    let folder = tempfile::tempdir().expect("a folder");
    let board = board("sh", &["-c", script]);
    let image = Image {
        kernel: "kernel".into(),
        initramfs: "initramfs".into(),
        summary: String::new(),
    };
    let log = folder.path().join("log");
    let machine = Machine::boot(&board, &image, &Options::default(), &log);
    (folder, machine)
}

/// A board as its file would describe it.
fn board(program: &str, args: &[&str]) -> Board {
    let folder = tempfile::tempdir().expect("a folder");
    let toy = folder.path().join("toy");
    std::fs::create_dir(&toy).expect("a folder of the board");
    let text = format!(
        "name = \"toy\"\ntriple = \"armv7-unknown-linux-musleabihf\"\ndebian-arch = \"armhf\"\n\
         page-size = 4096\nconsole = \"ttyS0\"\ncapabilities = []\n\
         [kernel]\npackages = [\"k\"]\nappend = \"console=ttyS0\"\n\
         [qemu]\nprogram = {program:?}\npackage = \"toys\"\nargs = {args:?}\n\
         [budget]\nfile-kib = 1\n"
    );
    std::fs::write(toy.join("board.toml"), text).expect("a board.toml");
    Board::load(&toy).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_typed_reaches_the_guest_and_its_answer_is_found() {
    let (_folder, machine) = machine("read name; echo \"hello $name\"");
    let mut machine = machine.expect("started");
    machine.type_text("world\n").expect("typed");
    let (_, line) = machine.wait_for("hello", SOON).expect("an answer");
    assert_eq!(line, "hello world");
    machine.wait_for_end(SOON).expect("ended well");
}

#[test]
fn a_wait_ends_early_when_the_kernel_panics_or_the_machine_ends() {
    let begun = Instant::now();
    let long = Duration::from_secs(3600);
    let cases = [
        (
            "echo 'Kernel panic - not syncing: x'; sleep 3600",
            "the kernel panicked",
        ),
        ("echo last words", "the machine ended"),
    ];
    for (script, cause) in cases {
        let (_folder, machine) = machine(script);
        let error = machine
            .expect("started")
            .wait_for("ready", long)
            .expect_err(script);
        assert!(error.to_string().contains(cause), "{error}");
    }
    let (_folder, machine) = machine("echo silence; sleep 3600");
    let mut machine = machine.expect("started");
    machine.wait_for("silence", SOON).expect("a line");
    let error = machine
        .wait_for("ready", Duration::from_millis(300))
        .expect_err("silent");
    assert!(
        error.to_string().contains("    silence"),
        "no tail: {error}"
    );
    assert!(begun.elapsed() < SOON, "a wait did not end early");
}

#[test]
fn a_missing_program_is_told_with_its_package() {
    let image = Image {
        kernel: PathBuf::new(),
        initramfs: PathBuf::new(),
        summary: String::new(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let board = board("no-such-qemu", &[]);
    let log = folder.path().join("log");
    let error = Machine::boot(&board, &image, &Options::default(), &log).expect_err("missing");
    assert!(format!("{error:#}").contains("package toys"), "{error:#}");
}

#[test]
fn a_guest_that_reboots_starts_again_only_where_that_is_wanted() {
    let board = board("qemu", &["-m", "256", "-no-reboot"]);
    let words = |reboots| {
        let options = Options {
            append: vec!["single".to_string()],
            reboots,
            ..Options::default()
        };
        qemu_words(&board, Path::new("k"), Path::new("i"), &options).join(" ")
    };
    let rest = "-kernel k -initrd i -append console=ttyS0 single";
    assert_eq!(words(false), format!("qemu -m 256 -no-reboot {rest}"));
    assert_eq!(words(true), format!("qemu -m 256 {rest}"));
}
