//! This file holds the scenario of a process 1 that becomes one of another manifest, on processors
//! where the tests in namespaces cannot run: what both know goes on, and a bad image leads back.

use super::hostile::INJURE;
use super::{Boards, DOWN_WITHIN, Guest, Scenario};
use crate::session::Session;
use anyhow::{Context, Result, bail, ensure};
use manifests::board::Board;
use object::{Object, ObjectSegment, ObjectSymbol};
use std::path::Path;

/// What is shown of such an exchange.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "process 1 becomes one with other units, or stays where that one dies, and goes back",
    product: "exchanging",
    boards: Boards::Arm,
    append: &["proc_mem.force_override=always"],
    image: Some("exchanged"),
    body: exchanged,
    ..Scenario::PLAIN
}];

/// Who both know, and runs as which process.
const KEPT: &str = "sctl list | while read name kind state pid rest; do \
     case $name in console-shell|stays) echo $name $state $pid;; esac; done";

/// Nobody that both know has noticed anything.
fn all_go_on(shell: &mut Session<'_>) -> Result<()> {
    let compare = format!("{KEPT} > /run/after; cmp /run/before /run/after");
    shell.success(&compare).map(|_| ())
}

fn all_run(shell: &mut Session<'_>, units: &[&str]) -> Result<()> {
    for unit in units {
        shell.until(&format!("sctl status {unit} > /run/status"), DOWN_WITHIN)?;
    }
    Ok(())
}

fn exchanged(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    all_run(&mut shell, &["stays", "leaves", "leans"])?;
    shell.success(&format!("{KEPT} > /run/before; cat /run/before"))?;
    shell.success("[ $(wc -l < /run/before) = 2 ]")?;

    shell.success("said=$(sctl upgrade /images/spoilt 2>&1); [ $? = 1 ]")?;
    shell.success("echo $said | grep -q 'the image died of SIGILL before it had taken over'")?;
    all_go_on(&mut shell)?;
    // They had been stopped for the image.
    all_run(&mut shell, &["leaves", "leans"])?;

    shell.success("sctl upgrade /images/image")?;
    all_go_on(&mut shell)?;
    all_run(&mut shell, &["arrives", "has-left"])?;
    for unit in ["leaves", "leans"] {
        shell.success(&format!("sctl status {unit} 2> /run/status; [ $? = 4 ]"))?;
    }
    shell.success("[ $(grep -al '100000[23]' /proc/[0-9]*/cmdline | wc -l) = 1 ]")?;
    // It is any process 1 from then on.
    shell.success(INJURE)?;
    all_go_on(&mut shell)?;

    shell.success("sctl upgrade /init")?;
    all_go_on(&mut shell)?;
    shell.success("sctl status arrives 2> /run/status; [ $? = 4 ]")?;
    shell.success("[ $(grep -al '100000[23]' /proc/[0-9]*/cmdline | wc -l) = 2 ]")?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    for what in ["was rolled back", "was upgraded", "died"] {
        let told = format!("process 1 {what} and goes on where it was");
        ensure!(
            lines.iter().any(|(_, line)| line.contains(&told)),
            "{told:?} was not said"
        );
    }
    Ok(())
}

/// What process 1 does first with what another left, once it has a platform; an image on trial has
/// none.
const PLACE: &str = "5Linux5enter";

/// A process 1 that stands its trial, and dies before it has taken over. Beside its file is the one
/// with symbols.
///
/// # Errors
/// That cannot be read, or has no such place.
pub(super) fn spoilt(board: &Board, init: &Path) -> Result<Vec<u8>> {
    let symbols = init.with_extension("symbols");
    let data = std::fs::read(&symbols).with_context(|| format!("{}", symbols.display()))?;
    let elf = object::File::parse(&*data).context("the linker wrote no ELF file")?;
    let mut all = elf.symbols();
    let place = all.find(|symbol| symbol.name().is_ok_and(|name| name.contains(PLACE)));
    let place = place.context("it has no such function")?;
    // The lowest bit of an address says in which of its two languages an ARM is to go on.
    let code: &[u8] = match board.debian_arch.as_str() {
        "arm64" => &[0; 4],
        "armhf" if place.address() & 1 == 1 => &[0x00, 0xde],
        other => bail!("what is no instruction of {other}?"),
    };
    let address = place.address() & !1;
    let mut segments = elf.segments();
    let holds = |it: &object::Segment<'_, '_>| {
        (it.address()..it.address() + it.file_range().1).contains(&address)
    };
    let found = segments.find(holds).context("it is nowhere in the file")?;
    let at = usize::try_from(found.file_range().0 + address - found.address())?;
    let mut bytes = std::fs::read(init)?;
    let room = bytes.get_mut(at..at + code.len());
    room.context("it is not in the file")?.copy_from_slice(code);
    Ok(bytes)
}
