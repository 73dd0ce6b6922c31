//! This file reads the little languages inside values: durations, sizes, modes, signals, limits.
//!
//! Pure functions from a text to a number; an error is the sentence that the user reads.

/// The longest duration: a hundred years; a longer one is a mistake.
const DURATION_US_MAX: u64 = 100 * 365 * 24 * 3600 * 1_000_000;

/// Units of time with their microseconds, the longest word first where one begins another.
const TIME_UNITS: &[(&str, u64)] = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// Units of sizes with their bytes.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Signals by their Linux numbers, the same on all our architectures.
const SIGNALS: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// SIGRTMIN as users of glibc and musl count.
const RTMIN: u8 = 34;
/// The last signal.
const SIGNAL_MAX: u8 = 64;

/// A number and the unit behind it.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn words(units: &[(&str, u64)]) -> String {
    let words: Vec<_> = units.iter().map(|(word, _)| *word).collect();
    words.join(", ")
}

/// Microseconds of a duration such as `5s` or `1min30s`.
///
/// # Errors
/// What is wrong, in one sentence.
pub fn duration(text: &str) -> Result<u64, String> {
    let mut rest = text;
    let mut total = 0_u64;
    if text.is_empty() {
        return Err(String::from("a duration is a number with a unit"));
    }
    while !rest.is_empty() {
        let (digits, behind) = split(rest);
        let end = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, next) = behind.split_at(end);
        if digits.is_empty() {
            return Err(format!("`{text}` does not begin with a number"));
        }
        let Some((_, each)) = TIME_UNITS.iter().find(|(word, _)| *word == unit.trim()) else {
            return Err(match unit.trim() {
                "" => format!("`{text}` has no unit: which of {}?", words(TIME_UNITS)),
                unit => format!("`{unit}` is no unit of time: use {}", words(TIME_UNITS)),
            });
        };
        let part = digits.parse().ok().and_then(|n: u64| n.checked_mul(*each));
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= DURATION_US_MAX)
            .ok_or_else(|| format!("`{text}` is longer than a hundred years"))?;
        rest = next;
    }
    Ok(total)
}

/// Bytes of a size such as `64KiB`.
///
/// # Errors
/// What is wrong, in one sentence.
pub fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = split(text);
    if digits.is_empty() {
        return Err(format!("`{text}` does not begin with a number"));
    }
    let Some((_, each)) = SIZE_UNITS.iter().find(|(word, _)| *word == unit.trim()) else {
        let units = words(SIZE_UNITS);
        return Err(match unit.trim() {
            "" => format!("`{text}` has no unit: which of {units}?"),
            unit => format!("`{unit}` is no unit of size: use {units}"),
        });
    };
    let bytes = digits.parse().ok().and_then(|n: u64| n.checked_mul(*each));
    bytes.ok_or_else(|| format!("`{text}` is more than 64 bits can count"))
}

/// Permission bits such as `0755`.
///
/// # Errors
/// What is wrong, in one sentence.
pub fn mode(text: &str) -> Result<u16, String> {
    let octal = !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    match u16::from_str_radix(text, 8) {
        Ok(mode) if octal && mode <= 0o7777 => Ok(mode),
        _ => Err(format!("`{text}` is not three or four octal digits")),
    }
}

/// The number of a signal such as `TERM`, `SIGTERM` or `RTMIN+3`.
///
/// # Errors
/// What is wrong, in one sentence.
pub fn signal(text: &str) -> Result<u8, String> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let named = SIGNALS.iter().find(|(word, _)| *word == name);
    let realtime = || {
        let offset = match name.strip_prefix("RTMIN")? {
            "" => 0,
            more => more.strip_prefix('+')?.parse().ok()?,
        };
        RTMIN
            .checked_add(offset)
            .filter(|number| *number <= SIGNAL_MAX)
    };
    named
        .map(|(_, number)| *number)
        .or_else(realtime)
        .ok_or_else(|| format!("there is no signal `{text}`"))
}

/// The names of all signals but the real-time ones, for suggestions.
pub fn signal_names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(word, _)| *word)
}

/// What the values of a resource limit count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Microseconds.
    Microseconds,
    /// Things.
    Number,
}

/// Soft and hard value of a limit; `None` is unlimited.
pub type LimitPair = (Option<u64>, Option<u64>);

/// A limit such as `1024`, `64KiB`, `unlimited` or `1024:4096`.
///
/// # Errors
/// What is wrong, in one sentence.
pub fn limit(text: &str, measure: Measure) -> Result<LimitPair, String> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let pair = (one_limit(soft, measure)?, one_limit(hard, measure)?);
    match pair {
        (None, Some(_)) => Err(format!("`{text}`: the soft limit is above the hard one")),
        (Some(soft), Some(hard)) if soft > hard => {
            Err(format!("`{text}`: the soft limit is above the hard one"))
        }
        _ => Ok(pair),
    }
}

fn one_limit(text: &str, measure: Measure) -> Result<Option<u64>, String> {
    if text == "unlimited" {
        return Ok(None);
    }
    if let Ok(number) = text.parse::<u64>() {
        return Ok(Some(number));
    }
    let number = match measure {
        Measure::Bytes => size(text),
        Measure::Seconds => duration(text).map(|us| us.div_ceil(1_000_000)),
        Measure::Microseconds => duration(text),
        Measure::Number => Err(format!("`{text}` is neither a number nor `unlimited`")),
    };
    number.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let cases = [
            ("5s", 5_000_000),
            ("100ms", 100_000),
            ("1min30s", 90_000_000),
            ("2h", 7_200_000_000),
            ("1d", 86_400_000_000),
            ("0s", 0),
            ("7us", 7),
        ];
        for (text, wanted) in cases {
            assert_eq!(duration(text), Ok(wanted), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "5 parsecs",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "400000d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for text in ["", "64", "64K", "64kb", "KiB", "20000000TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("0755"), Ok(0o755));
        assert_eq!(mode("1777"), Ok(0o1777));
        for text in ["", "rwx", "0888", "077777", "+755", "10000"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_are_read() {
        for (text, wanted) in [("TERM", 15), ("SIGHUP", 1), ("RTMIN+3", 37), ("RTMIN", 34)] {
            assert_eq!(signal(text), Ok(wanted), "{text}");
        }
        for text in ["", "term", "RTMIN+31", "RTMIN+300", "RTMINx"] {
            assert!(signal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_have_one_value_or_two() {
        let cases = [
            ("1024", Measure::Number, (Some(1024), Some(1024))),
            ("1:2", Measure::Number, (Some(1), Some(2))),
            ("1KiB:unlimited", Measure::Bytes, (Some(1024), None)),
            ("1min", Measure::Seconds, (Some(60), Some(60))),
        ];
        for (text, measure, wanted) in cases {
            assert_eq!(limit(text, measure), Ok(wanted), "{text}");
        }
        for text in ["2:1", "unlimited:1", "x", "1KiB", ""] {
            assert!(limit(text, Measure::Number).is_err(), "{text}");
        }
    }
}
