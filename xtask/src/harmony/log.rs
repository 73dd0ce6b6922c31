//! This file decodes the log that a root task writes to its console as defmt frames, with the words
//! from the program's ELF file.

use anyhow::{Context, Result, anyhow, bail};
use defmt_decoder::{DecodeError, Table};

/// What the line of a frame begins with; its bytes follow in hexadecimal digits.
const MARK: char = '~';

/// The words of a program's log.
pub struct Decoder {
    table: Table,
}

impl Decoder {
    /// The words in this ELF file.
    ///
    /// # Errors
    /// It has none, or of another version.
    pub fn new(elf: &[u8]) -> Result<Self> {
        let table = Table::parse(elf)?;
        let table = table.context("the program has no words of a log (section .defmt)")?;
        Ok(Self { table })
    }

    /// The console with each frame as the line that it stands for, in the form of all logs of the
    /// house; whatever else is there stays.
    ///
    /// # Errors
    /// A frame is damaged.
    pub fn decode(&self, console: &str) -> Result<String> {
        let mut text = String::new();
        for line in console.lines() {
            match line.strip_prefix(MARK) {
                Some(digits) => {
                    let frame = bytes(digits).with_context(|| format!("in the line {line:?}"))?;
                    text.push_str(&self.line(&frame)?);
                }
                None => text.push_str(line),
            }
            text.push('\n');
        }
        Ok(text)
    }

    fn line(&self, bytes: &[u8]) -> Result<String> {
        let mut stream = self.table.new_stream_decoder();
        stream.received(bytes);
        let frame = stream.decode().map_err(|error| match error {
            DecodeError::UnexpectedEof => anyhow!("a frame of the log is cut: {bytes:02x?}"),
            DecodeError::Malformed => anyhow!("a frame of the log is damaged: {bytes:02x?}"),
        })?;
        let time = frame.display_timestamp().map(|time| time.to_string());
        // Seconds and microseconds; lines of the house have milliseconds.
        let time = time.unwrap_or_default();
        let (seconds, rest) = time.split_once('.').unwrap_or((&time, ""));
        let ms = rest.get(..3).unwrap_or("000");
        Ok(format!(
            "init: [{seconds:>5}.{ms}] {}",
            frame.display_message()
        ))
    }
}

/// Lines of one kind that are shown.
const LIKE_SHOWN_MAX: usize = 4;

/// The console without most of the lines that a core's end makes, which are many.
pub fn shortened(console: &str) -> String {
    let kinds = ["keeper: the core ", "init: [", "stub: ended the core"];
    let kind = |line: &str| match line {
        _ if line.starts_with(kinds[0]) => Some(0),
        _ if line.starts_with(kinds[1]) && line.contains(" goes on") => Some(1),
        _ if line.starts_with(kinds[2]) => Some(2),
        _ => None,
    };
    let mut counts = [0; 3];
    let mut text = String::new();
    for line in console.lines() {
        if let Some(count) = kind(line).and_then(|kind| counts.get_mut(kind)) {
            *count += 1;
            match *count {
                0..=LIKE_SHOWN_MAX => {}
                _ => continue,
            }
        }
        text.push_str(line);
        text.push('\n');
    }
    let left: usize = counts
        .iter()
        .map(|count| count.saturating_sub(LIKE_SHOWN_MAX))
        .sum();
    if left > 0 {
        text.push_str(&format!(
            "({left} more lines of cores that ended, not shown)\n"
        ));
    }
    text
}

fn bytes(digits: &str) -> Result<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        bail!("an odd number of digits");
    }
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_from_digits_and_nothing_else() {
        assert_eq!(bytes("00ff7a").expect("three bytes"), [0, 255, 122]);
        assert_eq!(bytes("").expect("none"), Vec::<u8>::new());
        for bad in ["0", "0g", "0\u{e9}1", "+ 1"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_program_without_words_has_no_log() {
        let own = std::fs::read(std::env::current_exe().expect("a program")).expect("its file");
        assert!(Decoder::new(&own).is_err());
    }
}
