//! This file compiles a manifest: from the files to a checked product, with all that is to be said.
//!
//! It changes nothing on disk. The same files give the same product and the same diagnostics.

use crate::board::{Abi, Board, Capability};
use crate::composition;
use crate::diagnostic::{Diagnostic, Id, Span, did_you_mean};
use crate::fields::{Fields, Located};
use crate::graph;
use crate::healing;
use crate::images;
use crate::links::{self, Names};
use crate::model::{Image, Product, Rootfs, Unit, UnitKind};
use crate::mounts::{self, Mount};
use crate::programs;
use crate::ram_disk;
use crate::read::Reader;
use crate::recorder;
use crate::schema::Section;
use crate::sections::{Named, Sections, apply_overlays};
use crate::setup::{self, lacks};
use crate::source::Sources;
use crate::tree::Tree;
use crate::units;
use crate::users::Users;
use crate::watchdog;
use std::path::{Path, PathBuf};

/// What to compile.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The product's manifest.
    pub product: &'a Path,
    /// For which machine.
    pub board: &'a Board,
    /// The unpacked root file system that programs and users are looked up in.
    pub rootfs: Option<&'a Path>,
    /// Paths below this are shown without it.
    pub base: &'a Path,
    /// Nothing is built: users that cannot be looked up are no error.
    pub check_only: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// All files that were read.
    pub sources: Sources,
    /// Further files and folders whose change matters.
    pub inputs: Vec<PathBuf>,
    /// All that is to be said, in the order of the files.
    pub problems: Vec<Diagnostic>,
    /// The product if there is no error.
    pub product: Option<Product>,
    /// The tree after includes and overlays.
    pub tree: Tree,
}

impl Outcome {
    /// All diagnostics as the user reads them; ends with a line that counts them.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&problem.render(&self.sources, styled));
            text.push_str("\n\n");
        }
        let errors = self.problems.iter().filter(|each| each.is_error()).count();
        let warnings = self.problems.len() - errors;
        let plural = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        let product = self.sources.get(0).map_or("", |source| &source.shown);
        match (errors, warnings) {
            (0, 0) => {}
            (0, _) => text.push_str(&format!("{product}: {}\n", plural(warnings, "warning"))),
            (_, 0) => text.push_str(&format!("{product}: {}\n", plural(errors, "error"))),
            _ => text.push_str(&format!(
                "{product}: {}, {}\n",
                plural(errors, "error"),
                plural(warnings, "warning")
            )),
        }
        text
    }
}

impl Outcome {
    /// Whether the manifest's `boards` have that name. One that names no board is meant for all
    /// that have files.
    #[must_use]
    pub fn names(&self, board: &str) -> bool {
        let boards = crate::sections::written_boards(&self.tree.table);
        boards.iter().any(|each| each == board)
    }

    /// Whether the manifest's `boards` allow a board of that name.
    #[must_use]
    pub fn is_meant_for(&self, board: &str) -> bool {
        let boards = crate::sections::written_boards(&self.tree.table);
        boards.is_empty() || boards.iter().any(|each| each == board)
    }
}

/// Compiles the manifest that the request names.
#[must_use]
pub fn compile(request: &Request<'_>) -> Outcome {
    let mut sources = Sources::new(request.base);
    let mut problems = Vec::new();
    let tree = sources.load(request.product, &mut problems);
    finish(request, sources, tree, problems)
}

/// As [`compile`], with the text of the product's file given.
#[must_use]
pub fn compile_text(request: &Request<'_>, text: &str) -> Outcome {
    let mut sources = Sources::new(request.base);
    let mut problems = Vec::new();
    let tree = sources.load_text(request.product, text.to_string(), &mut problems);
    finish(request, sources, tree, problems)
}

fn finish(
    request: &Request<'_>,
    sources: Sources,
    mut tree: Tree,
    problems: Vec<Diagnostic>,
) -> Outcome {
    let hides = |problem: &Diagnostic| matches!(problem.id, Id::Unreadable | Id::Syntax);
    let whole = !problems.iter().any(hides);
    let mut reader = Reader { problems };
    apply_overlays(&mut tree, &request.board.name, &mut reader);
    let sections = Sections::read(&tree, &mut reader);
    let mut compiler = Compiler {
        request,
        sources: &sources,
        sections: &sections,
        problems: reader.problems,
        inputs: Vec::new(),
    };
    let product = compiler.product(whole);
    let Compiler {
        mut problems,
        inputs,
        ..
    } = compiler;
    problems.sort_by_key(|problem| problem.span);
    one_a_statement(&mut problems);
    let failed = problems.iter().any(Diagnostic::is_error);
    problems.retain(|problem| is_news(problem.id, whole, failed));
    Outcome {
        sources,
        inputs,
        problems,
        product: product.filter(|_| !failed),
        tree,
    }
}

/// Whether it may be something else than a consequence of other errors. `whole`: all files could
/// be read; otherwise what is missing may well be there.
fn is_news(id: Id, whole: bool, failed: bool) -> bool {
    match id {
        Id::Unreachable => !failed,
        Id::MissingKey | Id::UnknownUnit | Id::NotATarget | Id::RemovesNothing => whole,
        _ => true,
    }
}

/// Leaves the first error of each place, and no error twice. What is missing has no place of its
/// own: there, each text counts.
fn one_a_statement(problems: &mut Vec<Diagnostic>) {
    let mut seen: Vec<(Span, String)> = Vec::new();
    problems.retain(|problem| {
        let missing = problem.id == Id::MissingKey;
        let same = |(span, message): &(Span, String)| {
            *span == problem.span && (!missing || *message == problem.message)
        };
        let known = problem.is_error() && seen.iter().any(same);
        seen.push((problem.span, problem.message.clone()));
        !known
    });
}

struct Compiler<'a> {
    request: &'a Request<'a>,
    sources: &'a Sources,
    sections: &'a Sections,
    problems: Vec<Diagnostic>,
    inputs: Vec<PathBuf>,
}

impl Compiler<'_> {
    /// `whole`: all files could be read, so what is missing is not there.
    fn product(&mut self, whole: bool) -> Option<Product> {
        let board = self.request.board;
        let product = self.sections.single(Section::Product);
        let shutdown = self.sections.single(Section::Shutdown);
        self.product_keys(product);
        let rootfs = self.rootfs();
        let users = self.users(&rootfs);
        let mut names = Names::default();
        names.removed.clone_from(&self.sections.removed);
        let (units, default_target, rescue_target) = self.units(product, &users, &mut names);
        let targets: Vec<usize> = default_target.into_iter().chain(rescue_target).collect();
        images::refuse(self.sections, board, &mut self.problems);
        // A missing unit would only show up again as a missing way to others.
        if whole && !self.problems.iter().any(|each| each.id == Id::UnknownUnit) {
            graph::check(&units, &targets, &mut self.problems);
        }
        self.capabilities(product, &units);
        let images = self.images(&units);
        if let (Some(root), None) = (self.request.rootfs, &images) {
            programs::check(&units, root, board, &mut self.problems);
        }
        let recorder = recorder::read(self.sections, board, units.len(), &mut self.problems);
        let has_rescue = rescue_target.is_some();
        let healing = healing::read(
            self.sections,
            board,
            has_rescue,
            recorder,
            &mut self.problems,
        );
        Some(Product {
            name: product.word("name").to_string(),
            board: board.name.clone(),
            units,
            default_target: default_target?,
            rescue_target,
            shutdown_timeout: shutdown.duration("timeout")?,
            leftover_grace: shutdown.duration("leftover-grace")?,
            watchdog: watchdog::read(self.sections, &mut self.problems),
            healing,
            ctrl_alt_del: product.word("ctrl-alt-del").to_string(),
            console: product.word("console").to_string(),
            log_level: product.word("log-level").to_string(),
            hot_upgrade: composition::hot_upgrade(self.sections, board, &mut self.problems),
            ram_disk: ram_disk::place(product, board, &mut self.problems),
            split: composition::split(product, board, &mut self.problems),
            rootfs,
            images,
        })
    }

    /// The programs that the image carries, where that is how programs come to the board.
    fn images(&mut self, units: &[Unit]) -> Option<Vec<Image>> {
        if !self.request.board.has(Capability::Images) {
            return None;
        }
        let place = |span: Span, name: &str| {
            let file = self.sources.get(span.file);
            let own = file.and_then(|file| file.path.parent());
            let folder = self.request.rootfs.or(own).unwrap_or(Path::new(""));
            folder.join(name)
        };
        let images = images::collect(units, place);
        let checked = !self.request.check_only;
        for (image, span) in &images {
            self.inputs.push(image.file.clone());
            if let Some(problem) = images::check(image, *span).filter(|_| checked) {
                self.problems.push(problem);
            }
        }
        Some(images.into_iter().map(|(image, _)| image).collect())
    }

    fn product_keys(&mut self, product: &Fields) {
        for key in ["name", "default-target"] {
            if product.lacks(key) {
                let message = format!("[product] has no `{key}`");
                let mut span = product.span;
                if self.sources.get(span.file).is_none() {
                    span = Span::default();
                }
                let key = crate::schema::find(Section::Product, key);
                let help = key.map(|key| format!("add {} = {}", key.name, key.example));
                let problem = Diagnostic::new(Id::MissingKey, span, message).help_if(help);
                self.problems.push(problem);
            }
        }
        let boards = product.texts("boards");
        let name = self.request.board.name.as_str();
        if !boards.is_empty() && !boards.iter().any(|board| board.value == name) {
            let message = format!("the product is not meant for board `{name}`");
            let help = did_you_mean(name, boards.iter().map(|board| board.value.as_str()))
                .unwrap_or_else(|| String::from("add it to `boards`, or choose one of them"));
            let span = product.span_of("boards");
            self.problems
                .push(Diagnostic::new(Id::WrongBoard, span, message).help(help));
        }
    }

    fn rootfs(&self) -> Rootfs {
        let fields = self.sections.single(Section::Rootfs);
        let plain = |key| {
            let texts = fields.texts(key).into_iter();
            texts.map(|text| text.value).collect()
        };
        let place = |text: Located<String>| {
            let file = self.sources.get(text.span.file);
            let folder = file.and_then(|file| file.path.parent());
            folder.unwrap_or(Path::new("")).join(text.value)
        };
        Rootfs {
            packages: plain("packages"),
            folders: fields.texts("folders").into_iter().map(place).collect(),
            exclude: plain("exclude"),
            modules: plain("modules"),
        }
    }

    fn users(&mut self, rootfs: &Rootfs) -> Users {
        let roots: Vec<&Path> = match self.request.rootfs {
            Some(root) => vec![root],
            None => rootfs.folders.iter().map(PathBuf::as_path).collect(),
        };
        let users = Users::load(&roots, self.request.check_only);
        for root in roots {
            self.inputs.push(root.join("etc/passwd"));
            self.inputs.push(root.join("etc/group"));
        }
        users
    }

    fn units(
        &mut self,
        product: &Fields,
        users: &Users,
        names: &mut Names,
    ) -> (Vec<Unit>, Option<usize>, Option<usize>) {
        let mut mounts: Vec<Mount> = Vec::new();
        let mut all: Vec<Unit> = Vec::new();
        let mut linked: Vec<(&Named, Vec<usize>)> = Vec::new();
        let sections = self.sections;
        let mut known: Vec<(String, Span)> = Vec::new();
        for named in &sections.named {
            if matches!(named.fields.section, Section::Directory | Section::Symlink) {
                continue;
            }
            if !self.is_new(named, &mut known) {
                continue;
            }
            names.declare(&named.name.value);
            let mut own = Vec::new();
            for unit in units::units(named, users, &mut self.problems) {
                if unit.kind == UnitKind::Mount {
                    mounts.extend(mounts::mount(named, unit, &mut self.problems));
                    continue;
                }
                names.add(&named.name.value, all.len());
                names.add(&unit.name, all.len());
                own.push(all.len());
                all.push(unit);
            }
            linked.push((named, own));
        }
        // There are neither file systems nor kernel parameters without Linux.
        let has_linux = self.request.board.abi == Abi::Linux;
        if has_linux && product.boolean("standard-mounts") {
            mounts::standard(&mut mounts, &known, &mut self.problems);
        }
        mounts::arrange(&mut mounts, &mut self.problems);
        let board = self.request.board;
        let setup = setup::setup(sections, board, users, &mut mounts, &mut self.problems);
        let first = all.len();
        let is_early = |(at, mount): (usize, &Mount)| mount.early.then_some(first + at);
        let early: Vec<usize> = mounts.iter().enumerate().filter_map(is_early).collect();
        all.extend(mounts::finish(mounts, first));
        for (at, unit) in all.iter().enumerate().skip(first) {
            names.add(&unit.name, at);
        }
        let setup_at = has_linux.then_some(all.len());
        if let Some(at) = setup_at {
            names.add(&setup.name, at);
            all.push(setup);
        }
        for (named, own) in &mut linked {
            if named.fields.section == Section::Mount {
                *own = names.get(&named.name.value).unwrap_or_default().to_vec();
            }
            links::link(&named.fields, own, names, &mut all, &mut self.problems);
        }
        links::imply(&mut all, setup_at, &early);
        let default_target = self.target(product, "default-target", names, &all);
        let rescue_target = self.target(product, "rescue-target", names, &all);
        links::mark_awaited(&mut all, default_target.unwrap_or(usize::MAX));
        (all, default_target, rescue_target)
    }

    fn is_new(&mut self, named: &Named, known: &mut Vec<(String, Span)>) -> bool {
        let name = &named.name;
        if name.value == setup::NAME {
            let message = "`setup` is the task that the compiler makes";
            let problem = Diagnostic::new(Id::ReservedName, name.span, message);
            let help = "it sets the host name, kernel parameters, directories and links: \
                        choose another name";
            self.problems.push(problem.help(help));
            return false;
        }
        if let Some((_, first)) = known.iter().find(|(each, _)| *each == name.value) {
            let message = format!("there are two units `{}`", name.value);
            let problem = Diagnostic::new(Id::DuplicateUnit, name.span, message)
                .label("the second")
                .related(*first, "the first")
                .help("services, tasks, targets and mounts share one name space");
            self.problems.push(problem);
            return false;
        }
        known.push((name.value.clone(), name.span));
        true
    }

    fn target(
        &mut self,
        product: &Fields,
        key: &str,
        names: &Names,
        units: &[Unit],
    ) -> Option<usize> {
        let name = product.text(key)?;
        let Some(found) = names.get(&name.value) else {
            self.problems.push(names.unknown(&name.value, name.span));
            return None;
        };
        let is_target = |at: &&usize| {
            let unit = units.get(**at);
            unit.is_some_and(|unit| unit.kind == UnitKind::Target)
        };
        let target = found.iter().find(is_target).copied();
        if target.is_none() {
            let message = format!("`{}` is no target", name.value);
            let problem = Diagnostic::new(Id::NotATarget, name.span, message);
            let help = format!("make one: [target.x] with requires = [\"{}\"]", name.value);
            self.problems.push(problem.help(help));
        }
        target
    }

    /// What the board must be able to do.
    fn capabilities(&mut self, product: &Fields, units: &[Unit]) {
        let board = self.request.board;
        let mut need = |word: &str, span: Span| {
            let what = match word {
                "reboot" => Capability::Reboot,
                "power-off" => Capability::PowerOff,
                "halt" => Capability::Halt,
                "network" => Capability::Network,
                _ => return,
            };
            if !board.has(what) {
                self.problems.push(lacks(board, what, span));
            }
        };
        if product.written("ctrl-alt-del").is_some() {
            need(
                product.word("ctrl-alt-del"),
                product.span_of("ctrl-alt-del"),
            );
        }
        for named in &self.sections.named {
            if let Some(limit) = named.fields.table("start-limit")
                && limit.written("then").is_some()
            {
                need(limit.word("then"), limit.span_of("then"));
            }
            if let Some(ready) = named.fields.table("ready")
                && ready.written("tcp").is_some()
                && ready.lacks("unix")
            {
                need("network", ready.span_of("tcp"));
            }
        }
        let rescue = units.iter().any(|unit| {
            let restart = unit.restart.as_ref();
            restart.is_some_and(|restart| restart.then == "rescue")
        });
        if rescue && product.lacks("rescue-target") {
            let wanting = |named: &&Named| {
                let limit = named.fields.table("start-limit");
                limit.is_some_and(|limit| limit.word("then") == "rescue")
            };
            let span = self.sections.named.iter().find(wanting).map(|named| {
                let limit = named.fields.table("start-limit");
                limit.map_or(named.name.span, |limit| limit.span_of("then"))
            });
            let message = "a start limit leads to the rescue target, and there is none";
            let problem = Diagnostic::new(Id::MissingKey, span.unwrap_or_default(), message);
            self.problems
                .push(problem.help("add rescue-target = \"rescue\" to [product]"));
        }
    }
}
