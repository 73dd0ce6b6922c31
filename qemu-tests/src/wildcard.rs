//! This file matches texts against patterns in which `*` stands for any characters.

/// Whether all of `text` is what `pattern` says.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

/// Whether a part of `text` is what `pattern` says.
#[must_use]
pub fn occurs(pattern: &str, text: &str) -> bool {
    matches(&format!("*{pattern}*"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let cases = [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
            ("ab*bc", "abc", false),
            ("*", "", true),
        ];
        for (pattern, text, wanted) in cases {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
        assert!(occurs("b*d", "abcde"));
        assert!(!occurs("d*b", "abcde"));
    }
}
