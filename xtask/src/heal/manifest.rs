//! This file writes the product of a campaign: every service a witness, restarted for ever and at
//! once.

use anyhow::{Context, Result};
use heal_campaign::answer::Course;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A core that is a process of its own. A campaign has no time for the silence that is usual; it
/// is longer than a tracer takes for its steps.
const SPLIT: &str = "composition = \"split\"\ncore-timeout = \"1s\"\n";

/// The same where a core stands still for as long as it takes to trace it.
const SPLIT_SWEPT: &str = "composition = \"split\"\ncore-timeout = \"1min\"\n";

/// What is exchanged, too.
const UPGRADABLE: &str = "hot-upgrade = true\n";

/// A stop signal that was to be sent when process 1 died is not sent again: nobody is to wait for
/// that thousands of times.
const SOON: &str = "stop-timeout = \"1s\"\n";

/// How many deaths the ladder's product allows before its next step.
pub const DEATHS: u32 = 5;

/// Its steps; no time but the deaths decides.
const LADDER: &str = "rescue-target = \"rescue\"\n";
const STEPS: &str = "within = \"1h\"\nthen = [\"rescue\", \"reboot\", \"other-slot\"]\n\
                     other-slot = \"recovery\"\nreset-after = \"1000h\"\n";

/// What is added for a board: its root file system lies beside the manifest, and who injures is a
/// service that takes its orders from the console.
const WHOLE: &str = "\n[rootfs]\nfolders = [\"rootfs\"]\n";

/// A product.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub services: usize,
    pub board: &'a str,
    /// The program of the services.
    pub program: &'a Path,
    pub seed: u64,
    /// The file that they write into.
    pub journal: &'a Path,
    pub split: bool,
    /// The program is all that there is, and injures process 1 besides.
    pub is_whole: bool,
    pub course: Course,
}

/// Where the ladder's product keeps its record: beside the witnesses' file, or on a board's disk.
pub fn record(journal: &Path, is_whole: bool) -> PathBuf {
    match is_whole {
        true => PathBuf::from("/root/deaths"),
        false => journal.with_file_name("deaths"),
    }
}

/// The product's manifest.
///
/// # Errors
/// A path is no text.
pub fn of(wanted: &Wanted<'_>) -> Result<String> {
    let word = |path: &Path| {
        let text = path.to_str().context("a path is no text")?;
        anyhow::Ok(toml::Value::from(text))
    };
    let (program, journal) = (word(wanted.program)?, word(wanted.journal)?);
    let (services, seed, board) = (wanted.services, wanted.seed, wanted.board);
    let mut text = format!(
        "# Written by `cargo xtask heal`.\n\
         [product]\nname = \"heal\"\nboards = [\"{board}\"]\ndefault-target = \"all\"\n"
    );
    match (wanted.split, wanted.course) {
        (false, Course::Deaths | Course::OldCalls | Course::Ladder) => {}
        (true, Course::Deaths | Course::OldCalls | Course::Ladder) => text.push_str(SPLIT),
        (false, Course::Sweep) => text.push_str(UPGRADABLE),
        (true, Course::Sweep) => {
            text.push_str(SPLIT_SWEPT);
            text.push_str(UPGRADABLE);
        }
    }
    if wanted.course == Course::Ladder {
        let record = word(&record(wanted.journal, wanted.is_whole))?;
        // Who injures goes on there.
        let rescued = if wanted.is_whole {
            "wants = [\"campaign\"]\n"
        } else {
            ""
        };
        text.push_str(LADDER);
        write!(
            text,
            "\n[healing]\ndeaths = {DEATHS}\nrecord = {record}\n{STEPS}\n[target.rescue]\n{rescued}"
        )?;
    }
    let injures = if wanted.is_whole {
        ", \"campaign\""
    } else {
        ""
    };
    write!(
        text,
        "\n[target.all]\nwants = [\"witness\"{injures}]\n\n[service.witness]\ninstances = ["
    )?;
    for index in 0..services {
        write!(text, "\"{index}\", ")?;
    }
    write!(
        text,
        "]\nexec = [{program}, \"witness\", \"{{instance}}\", \"{seed}\", {journal}]\n\
         stdout = \"null\"\nstderr = \"null\"\nrestart = \"always\"\n\
         backoff = {{ from = \"1ms\", to = \"1ms\", reset-after = \"1h\" }}\n\
         start-limit = {{ count = 0, within = \"1min\", then = \"fail\" }}\n"
    )?;
    if wanted.course == Course::Sweep {
        text.push_str(SOON);
    }
    if wanted.is_whole {
        let form = if wanted.split { "split" } else { "solo" };
        let course = wanted.course.word();
        write!(
            text,
            "\n[service.campaign]\nexec = [{program}, \"injure\", \"{services}\", \"{seed}\", \
             {journal}, \"{form}\", \"{course}\"]\nstdin = \"console\"\nrestart = \"never\"\n\
             {WHOLE}"
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{house, product};

    #[test]
    fn the_generated_product_is_a_good_manifest_with_every_service() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        std::fs::create_dir(folder.path().join("rootfs")).expect("there is room");
        let file = folder.path().join("heal-10.toml");
        let board = house::board("virt-aarch64").expect("it is of the house");
        let kinds = [
            (false, false, Course::Sweep),
            (true, false, Course::Sweep),
            (false, true, Course::Deaths),
            (true, true, Course::Deaths),
            (false, false, Course::Ladder),
            (true, false, Course::Ladder),
            (true, true, Course::Ladder),
            (false, true, Course::OldCalls),
        ];
        for (split, is_whole, course) in kinds {
            let text = of(&Wanted {
                services: 10,
                board: &board.name,
                program: Path::new("/bin/\"a\""),
                seed: 7,
                journal: Path::new("/run/b c"),
                split,
                is_whole,
                course,
            });
            std::fs::write(&file, text.expect("both are text")).expect("there is room");
            let made = product::compiled(&file, &board, None).expect("it is good");
            let made = made.product.expect("it is good");
            assert_eq!(made.split.is_some(), split);
            let steps = made.healing.map(|healing| healing.steps.len());
            let ladder = (course == Course::Ladder).then_some(3);
            assert_eq!(steps, ladder);
            let services = made
                .units
                .iter()
                .filter(|unit| unit.name.contains("witness@"));
            assert_eq!(services.count(), 10);
            let injures = made.units.iter().any(|unit| unit.name.contains("campaign"));
            assert_eq!(injures, is_whole);
        }
    }
}
