//! This file defines what the compiler says: ids, places in the sources, and their rendering.
//!
//! It guarantees that every id is listed once, in [`Id::ALL`], with what it means; the reference
//! and the corpus of bad manifests are made from that list. It never decides what is wrong.

use crate::source::Sources;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// A stretch of one source file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Index of the file in its [`Sources`].
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
}

impl Span {
    /// The stretch `range` of file number `file`.
    #[must_use]
    pub fn new(file: usize, range: Range<usize>) -> Self {
        Self {
            file,
            start: range.start,
            end: range.end.max(range.start),
        }
    }

    fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

macro_rules! ids {
    ($($name:ident = $code:literal $severity:ident $meaning:literal;)*) => {
        /// What can be said of a manifest; the codes are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Id {
            $(#[doc = $meaning] $name,)*
        }

        impl Id {
            /// All ids, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code that users see, such as `M020`.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it means, for the reference.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// Whether a product can be built in spite of it.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing can be built.
    Error,
    /// It is probably not what was meant.
    Warning,
}

ids! {
    Unreadable = "M001" Error "A file cannot be read.";
    Syntax = "M002" Error "A file is not TOML.";
    UnknownKey = "M003" Error "A key or section does not exist.";
    WrongType = "M004" Error "A value is of the wrong type.";
    MissingKey = "M005" Error "A key that must be there is missing.";
    UnknownWord = "M006" Error "A word is none of those that the key allows.";
    BadDuration = "M007" Error "A duration cannot be read.";
    BadSize = "M008" Error "A size or a resource limit cannot be read.";
    BadMode = "M009" Error "Permission bits cannot be read.";
    BadSignal = "M010" Error "A signal does not exist or cannot be used here.";
    OutOfRange = "M011" Error "A number is too small or too large.";
    BadName = "M012" Error "A name has characters that names cannot have, or is too long.";
    BadPath = "M013" Error "A path is not absolute, or not in its shortest form.";
    ReservedName = "M014" Error "A name belongs to a unit that the compiler makes.";
    IncludeCycle = "M015" Error "A file includes itself, directly or through others.";
    BadText = "M016" Error "A text holds what cannot be handed to the kernel.";
    UnknownUnit = "M020" Error "A unit that is referred to does not exist.";
    DuplicateUnit = "M021" Error "Two units have one name; all kinds share one name space.";
    ListedTwice = "M022" Error "A list names the same thing twice.";
    SelfReference = "M023" Error "A unit refers to itself.";
    OrderingCycle = "M024" Error "Units wait for each other in a circle.";
    ImpossibleTarget = "M025" Error "A target needs two units that exclude each other.";
    Unreachable = "M026" Warning "No target leads to a unit: it is never started at boot.";
    Capacity = "M027" Error "There are more units or edges than the tables can hold.";
    RemovesNothing = "M028" Error "`remove` names a unit that does not exist.";
    Contradiction = "M029" Error "Two keys contradict each other.";
    NotATarget = "M030" Error "A target is wanted, and the unit is none.";
    NoProgram = "M031" Error "A program is missing in the root file system.";
    NotExecutable = "M032" Error "A program is there but cannot be executed.";
    WrongArchitecture = "M033" Error "A program is for another processor than the board's.";
    UnknownUser = "M034" Error "A user or group is missing in the root file system.";
    NoUserTable = "M035" Error "A user is named, and there is no /etc/passwd to look it up in.";
    WrongBoard = "M036" Error "The product is not meant for this board.";
    LacksCapability = "M037" Error "The board lacks something that the manifest asks for.";
    SamePlace = "M038" Error "Two sections make the same path.";
    BadPlaceholder = "M039" Error "`{instance}` stands for nothing.";
    UnknownOverlay = "M040" Warning "An overlay is for a board that the product is not meant for.";
    GivesWay = "M041" Warning "A unit that is only wanted is excluded by another: it stays down.";
    NeverUpgraded = "M042" Error "A unit says what an upgrade does, and the product has none.";
}

/// One thing said about a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of thing.
    pub id: Id,
    /// The cause, in one line.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What is written under the underlined source; may be empty.
    pub label: String,
    /// Other places that have to do with it.
    pub related: Vec<(Span, String)>,
    /// What the user can do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// `message` about `span`.
    pub fn new(id: Id, span: Span, message: impl Into<String>) -> Self {
        Self {
            id,
            message: message.into(),
            span,
            label: String::new(),
            related: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Adds the text under the underline.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push((span, text.into()));
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Adds advice if there is any.
    #[must_use]
    pub fn help_if(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.help(text),
            None => self,
        }
    }

    /// Whether a product can be built in spite of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.id.severity() == Severity::Error
    }

    /// As the user reads it, in the style of rustc; with colours for a terminal if `styled`.
    #[must_use]
    pub fn render(&self, sources: &Sources, styled: bool) -> String {
        let level = if self.is_error() {
            Level::ERROR
        } else {
            Level::WARNING
        };
        let title = level
            .primary_title(self.message.as_str())
            .id(self.id.code());
        let mut group = Group::with_title(title);
        let mut files = vec![self.span.file];
        for (span, _) in &self.related {
            if !files.contains(&span.file) {
                files.push(span.file);
            }
        }
        for file in files {
            if let Some(snippet) = self.snippet(sources, file) {
                group = group.element(snippet);
            }
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = match styled {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(100);
        renderer.render(&[group])
    }

    fn snippet<'a>(
        &'a self,
        sources: &'a Sources,
        file: usize,
    ) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let source = sources.get(file)?;
        let mut snippet = Snippet::source(source.text.as_str()).path(source.shown.as_str());
        if self.span.file == file {
            let mut primary = AnnotationKind::Primary.span(self.span.range());
            if !self.label.is_empty() {
                primary = primary.label(self.label.as_str());
            }
            snippet = snippet.annotation(primary);
        }
        for (span, text) in self.related.iter().filter(|(span, _)| span.file == file) {
            let context = AnnotationKind::Context.span(span.range());
            snippet = snippet.annotation(context.label(text.as_str()));
        }
        Some(snippet)
    }
}

/// The candidate that `word` was probably meant to be.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or nothing.
#[must_use]
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(word, candidates).map(|meant| format!("did you mean `{meant}`?"))
}
