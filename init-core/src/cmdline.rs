//! This file reads the boot's choices from the kernel command line and from process 1's arguments.
//!
//! Words are split and quoted as the kernel does it. Later words win. A word that is ours and
//! cannot be used gives one located warning and changes nothing; a word that is not ours is left
//! alone. It never allocates and accepts any bytes.

use crate::event::BootOptions;
use crate::packed::Packed;
use crate::text::{index, texts};
use crate::unit::{LogLevel, Manifest};

/// What our own words begin with.
const PREFIX: &[u8] = b"sysmaster.";

/// What may follow it, each with a value.
const KEYS: &str = "target log ";

/// Words by long custom for the rescue target.
const RESCUE: &str = "single s S 1 rescue emergency ";

/// The log's levels. `normal` is no word of its own: other programs' users mean other things.
const LEVELS: &str = "quiet normal debug ";

/// A word of ours that could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// Which word, counted from 1.
    pub word: u16,
    /// Where it begins, in bytes, counted from 1; 0 for an argument of process 1.
    pub column: u16,
    /// The word as it stands there, without outer quotes. Any bytes: escape before printing.
    pub text: &'a [u8],
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a word of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It begins with `sysmaster.` and is none that we know.
    UnknownWord,
    /// It needs `=` and a value.
    NoValue,
    /// The manifest has no unit of this name. The boot's target stays as it was.
    NoSuchTarget,
    /// It is none of `quiet`, `normal` and `debug`.
    NoSuchLogLevel,
    /// Rescue is asked for and the manifest names no rescue target.
    NoRescueTarget,
}

impl Problem {
    /// What to tell the user, with what to do about it.
    pub fn text(self) -> Packed {
        texts!(self, Self {
            UnknownWord => "unknown; known are sysmaster.target= and sysmaster.log=",
            NoValue => "needs a value, as in sysmaster.target=NAME",
            NoSuchTarget => "the manifest has no such unit; the word is not used",
            NoSuchLogLevel => "use quiet, normal or debug",
            NoRescueTarget => "the manifest names no rescue target; the word is not used",
        })
    }
}

/// Reads a whole kernel command line into `options`; `warn` is called once for each bad word.
pub fn read_line<'a>(
    line: &'a [u8],
    manifest: &Manifest,
    options: &mut BootOptions,
    warn: &mut dyn FnMut(Warning<'a>),
) {
    let (mut rest, mut index) = (line, 0_u16);
    loop {
        while let [byte, behind @ ..] = rest
            && is_space(*byte)
        {
            rest = behind;
        }
        let (text, behind) = rest
            .split_at_checked(word_length(rest))
            .unwrap_or((rest, &[]));
        if text.is_empty() {
            return;
        }
        index = index.wrapping_add(1);
        if let Err(problem) = read_word(text, manifest, options) {
            let at = line.len().wrapping_sub(rest.len());
            warn(Warning {
                word: index,
                column: u16::try_from(at.wrapping_add(1)).unwrap_or(u16::MAX),
                text: unquoted(text),
                problem,
            });
        }
        rest = behind;
    }
}

/// Reads one argument of process 1 into `options`: the kernel passes on the words that it does not
/// know, and a container passes nothing else. `index` is only used in the warning.
pub fn read_argument<'a>(
    text: &'a [u8],
    index: u16,
    manifest: &Manifest,
    options: &mut BootOptions,
) -> Result<(), Warning<'a>> {
    read_word(text, manifest, options).map_err(|problem| Warning {
        word: index,
        column: 0,
        text,
        problem,
    })
}

fn read_word(text: &[u8], manifest: &Manifest, options: &mut BootOptions) -> Result<(), Problem> {
    let (key, value) = key_and_value(text);
    if let Some(key) = key.strip_prefix(PREFIX) {
        let key = index(KEYS, key).ok_or(Problem::UnknownWord)?;
        let value = value.ok_or(Problem::NoValue)?;
        if key == 0 {
            options.target = Some(manifest.find(value).ok_or(Problem::NoSuchTarget)?);
        } else {
            options.log_level = Some(log_level(value).ok_or(Problem::NoSuchLogLevel)?);
        }
        return Ok(());
    }
    if value.is_some() {
        return Ok(());
    }
    if index(RESCUE, key).is_some() {
        let target = manifest.rescue_target.ok_or(Problem::NoRescueTarget)?;
        options.target = Some(target);
    }
    if let Some(level) = log_level(key).filter(|level| *level != LogLevel::Normal) {
        options.log_level = Some(level);
    }
    Ok(())
}

fn log_level(word: &[u8]) -> Option<LogLevel> {
    match index(LEVELS, word)? {
        0 => Some(LogLevel::Quiet),
        1 => Some(LogLevel::Normal),
        _ => Some(LogLevel::Debug),
    }
}

/// Splits at the first `=` that is not the first byte, and takes the quotes off as the kernel does:
/// around the whole word, or around the value.
fn key_and_value(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let text = unquoted(text);
    let equals = find(text.get(1..).unwrap_or_default(), b'=');
    let Some((key, rest)) = equals.and_then(|at| text.split_at_checked(at.saturating_add(1)))
    else {
        return (text, None);
    };
    (key, rest.get(1..).map(unquoted))
}

/// Without an opening quote and, if there was one, without a closing quote.
fn unquoted(text: &[u8]) -> &[u8] {
    match text {
        [b'"', rest @ .., b'"'] | [b'"', rest @ ..] => rest,
        _ => text,
    }
}

/// How long the word is that a line begins with. A line ends at its first NUL, or where the slice
/// ends.
fn word_length(line: &[u8]) -> usize {
    let (mut length, mut quoted) = (0_usize, false);
    for &byte in line {
        quoted ^= byte == b'"';
        if byte == 0 || !quoted && is_space(byte) {
            break;
        }
        length = length.wrapping_add(1);
    }
    length
}

/// Where a byte is for the first time. (`position` counts with a panic in some builds.)
fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    let mut at = 0_usize;
    for &byte in bytes {
        if byte == wanted {
            return Some(at);
        }
        at = at.wrapping_add(1);
    }
    None
}

/// White space as the kernel's parser sees it: ASCII's, and Latin-1's no-break space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0xa0)
}

#[cfg(test)]
mod tests;
