//! This file runs the campaign on a board: the program that injures, the load and the witnesses
//! are in the virtual machine with process 1, and are told over its console what to do next.

mod ladder;
mod sweep;

use super::manifest::{self, Wanted};
use super::{Death, Patient, program};
use crate::{build, house, setup};
use anyhow::{Context, Result, anyhow, bail, ensure};
use heal_campaign::answer::{self, Course, END, MARK, READY};
use heal_campaign::inject::Kind;
use heal_campaign::table::Case;
use heal_campaign::trial;
use manifests::board::Board;
use qemu_tests::image::{Image, Recipe};
use qemu_tests::machine::{Machine, Options};
use qemu_tests::progress::say;
use qemu_tests::run;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Until all services have begun, on a busy machine that emulates the board.
const BOOT_WITHIN: Duration = Duration::from_secs(180);

/// Where the program is in the virtual machine, and what the witnesses write.
const PROGRAM: &str = "/usr/bin/campaign";
const JOURNAL: &str = "/run/witnesses";

/// What process 1 says when that program is no more.
const PROGRAM_ENDS: [&str; 2] = ["campaign: ended", "campaign: failed"];

/// A virtual machine whose process 1 is injured.
#[derive(Debug)]
pub struct Guest {
    /// None where another could not be booted.
    machine: Option<Machine>,
    product: Product,
    requests: u64,
    /// How many machines there were before.
    before: u32,
    /// Where the words of this boot begin, of a machine that boots anew.
    begin: usize,
}

/// What such a machine is booted from.
#[derive(Debug)]
pub struct Product {
    board: Board,
    image: Image,
    options: Options,
    /// Where the console goes, of the first machine; those of others are beside it.
    log: PathBuf,
    services: usize,
    /// Nobody else uses the folder as long as this is open.
    _lock: File,
}

impl Product {
    /// Builds process 1, the program, and the image of both.
    ///
    /// # Errors
    /// No toolchain can be had, or something does not compile.
    pub fn build(board: &Board, death: &Death) -> Result<Self> {
        setup::ensure(&[setup::qemu(board)])?;
        let kind = if death.split { "-split" } else { "" };
        let course = match death.course {
            Course::Deaths => String::new(),
            other => format!("-{}", other.word()),
        };
        let name = format!("heal-{}{kind}{course}", death.services);
        let folder = house::target().join("heal").join(&board.name);
        let lock = super::lock(&folder)?;
        let out = folder.join(&name);
        let programs = out.join("rootfs").join("usr/bin");
        std::fs::create_dir_all(&programs)
            .with_context(|| format!("cannot make {}", programs.display()))?;
        program::build(board, &program::CAMPAIGN, &programs.join("campaign"))?;
        let product = out.join(format!("{name}.toml"));
        let text = manifest::of(&Wanted {
            services: death.services,
            board: &board.name,
            program: Path::new(PROGRAM),
            seed: death.seed,
            journal: Path::new(JOURNAL),
            split: death.split,
            is_whole: true,
            course: death.course,
        })?;
        std::fs::write(&product, text)
            .with_context(|| format!("cannot write {}", product.display()))?;
        let recipe: Recipe = crate::product::recipe(&product, board)?;
        let init = |rootfs: &Path| {
            let request = build::Request {
                board,
                product: &product,
                rootfs: Some(rootfs),
                features: &[],
                heals: death.heals,
            };
            build::firmware(&request).map(|built| built.file)
        };
        let request = run::Request {
            board,
            product: &product,
            recipe,
            cache: &house::target().join("cache"),
            out: &out.join("image"),
            build: &init,
            beside: &|_| Ok(Vec::new()),
            early: &|| build::early(board),
        };
        let (image, options) = image(&request, death.course)?;
        Ok(Self {
            board: board.clone(),
            image,
            options,
            log: out.join("console"),
            services: death.services,
            _lock: lock,
        })
    }
}

/// What is booted, and how.
fn image(request: &run::Request<'_>, course: Course) -> Result<(Image, Options)> {
    let mut options = Options::default();
    if course == Course::Ladder {
        // What it dies of has to be there in the next boot.
        let disk = run::build_disk(request, 0)?;
        options.append = disk.append;
        options.arguments = disk.arguments;
        options.reboots = true;
        return Ok((disk.image, options));
    }
    if course == Course::OldCalls {
        options.append.push(format!("rdinit={PROGRAM}"));
    }
    Ok((run::build_image(request)?, options))
}

impl Guest {
    /// Nothing runs yet.
    pub fn new(product: Product) -> Self {
        Self {
            machine: None,
            product,
            requests: 0,
            before: 0,
            begin: 0,
        }
    }

    /// Boots, and waits until orders are taken.
    ///
    /// # Errors
    /// It does not come so far.
    pub fn boot(product: Product) -> Result<Self> {
        let mut guest = Self::new(product);
        guest.start()?;
        Ok(guest)
    }

    fn start(&mut self) -> Result<()> {
        let Product {
            board,
            image,
            options,
            ..
        } = &self.product;
        self.machine = None;
        let machine = Machine::boot(board, image, options, &self.console())?;
        self.machine = Some(machine);
        self.is_ready()
    }

    fn machine(&mut self) -> Result<&mut Machine> {
        self.machine.as_mut().context("no machine runs")
    }

    /// Waits until orders are taken.
    fn is_ready(&mut self) -> Result<()> {
        let said = said(self.machine()?, BOOT_WITHIN)?.unwrap_or_else(|line| line);
        let name = &self.product.board.name;
        ensure!(said == READY, "the program in {name}: {said}");
        Ok(())
    }

    /// Gives an order; the answer to it.
    fn ask(&mut self, order: &str, within: Duration) -> Result<String> {
        let machine = self.machine()?;
        machine.type_text(&format!("{order}\n"))?;
        let said = said(machine, within)?;
        let name = &self.product.board.name;
        let said = said.map_err(|line| anyhow!("the program in {name} is no more: {line}"))?;
        let answer = said.strip_prefix(&format!("{order}: "));
        let answer = answer.with_context(|| format!("asked for {order:?}, {name} says {said:?}"));
        answer.map(str::to_string)
    }
}

/// What the program says next; or with which line it ended instead.
fn said(machine: &mut Machine, within: Duration) -> Result<Result<String, String>> {
    let [ends, fails] = PROGRAM_ENDS;
    let (which, _, line) = machine.wait_for_any(&[MARK, ends, fails], within)?;
    if which > 0 {
        return Ok(Err(line));
    }
    let begin = machine.cursor();
    machine.wait_for(&END.to_string(), within)?;
    let text = machine.text(begin);
    Ok(Ok(text.split(END).next().unwrap_or_default().to_string()))
}

impl Patient for Guest {
    fn injure(&mut self, kind: Kind, seed: u64) -> Result<Case> {
        let order = format!("{} {seed}", kind.name);
        let within = trial::limit(self.product.services);
        self.machine()?.type_text(&format!("{order}\n"))?;
        let said = match said(self.machine()?, within) {
            Ok(Ok(said)) => said,
            Ok(Err(line)) => bail!(
                "the program in {} is no more: {line}",
                self.product.board.name
            ),
            // The kernel panics without process 1, or nobody is there to answer.
            Err(error) => {
                say(&format!("{error:#}"));
                return Ok(Case::default());
            }
        };
        ensure!(
            said.starts_with(&format!("{order}: ")),
            "asked for {order:?}, {} answers {said:?}",
            self.product.board.name
        );
        let (case, requests) = answer::read(&said)?;
        self.requests = requests;
        Ok(case)
    }

    fn again(&mut self) -> Result<()> {
        self.requests = 0;
        self.before += 1;
        self.start()
    }

    fn requests(&self) -> u64 {
        self.requests
    }

    fn console(&self) -> PathBuf {
        match self.before {
            0 => self.product.log.clone(),
            number => self.product.log.with_extension(number.to_string()),
        }
    }
}
