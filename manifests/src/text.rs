//! This file says which names, paths and texts a manifest may have.
//!
//! Pure functions; an error is the sentence that the user reads, and advice where we can guess.

use crate::diagnostic::closest;
use crate::fields::Located;
use init_core::limits::NAME_BYTES_MAX;

/// Bytes that Linux keeps of a path, the nul included.
const PATH_BYTES_MAX: usize = 4096;

/// A problem and what to do about it.
pub type Problem = (String, Option<String>);

/// Names of units, products, hosts, users: letters, digits, `-`, `_`, `.`, a letter or digit first.
///
/// # Errors
/// What is wrong.
pub fn check_name(name: &str) -> Result<(), Problem> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let help = "names have letters, digits, `-`, `_` and `.`, and begin with a letter or digit";
    if name.is_empty() {
        return Err((String::from("a name is empty"), Some(help.into())));
    }
    if let Some(bad) = name.chars().find(|c| !good(*c)) {
        let message = format!("a name cannot have {bad:?}");
        return Err((message, Some(help.into())));
    }
    // System users may be called `_apt`.
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err((format!("`{name}` begins badly"), Some(help.into())));
    }
    check_length(name)
}

/// Names fit a line of a table on the console.
///
/// # Errors
/// The name is too long.
pub fn check_length(name: &str) -> Result<(), Problem> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "a name has at most {NAME_BYTES_MAX} bytes, and this has {}",
        name.len()
    );
    Err((message, None))
}

/// Absolute paths in their shortest form.
///
/// # Errors
/// What is wrong.
pub fn check_path(path: &str) -> Result<(), Problem> {
    check_text(path).map_err(|message| (message, None))?;
    if path.len() >= PATH_BYTES_MAX {
        let message = format!("a path has less than {PATH_BYTES_MAX} bytes");
        return Err((message, None));
    }
    if !path.starts_with('/') {
        let message = format!("`{path}` is not an absolute path");
        let help = match path.contains(' ') {
            true => "a program and its arguments are an array: there is no shell",
            false => "paths begin with `/`; nothing is searched",
        };
        return Err((message, Some(help.into())));
    }
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        let message = format!("`{path}` has `.` or `..` in it");
        return Err((message, Some("write the path that it leads to".into())));
    }
    let shortest = format!("/{}", parts.join("/"));
    if shortest != path {
        let message = format!("`{path}` has a slash too many");
        return Err((message, Some(format!("write `{shortest}`"))));
    }
    Ok(())
}

/// Texts go to the kernel as nul-terminated strings.
///
/// # Errors
/// What is wrong.
pub fn check_text(text: &str) -> Result<(), String> {
    match text.contains('\0') {
        true => Err(String::from("a text cannot hold the character nul")),
        false => Ok(()),
    }
}

/// Whether `path` is `above` or lies below it.
#[must_use]
pub fn is_below(path: &str, above: &str) -> bool {
    let rest = path.strip_prefix(above.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The only thing that stands for another.
const PLACEHOLDER: &str = "{instance}";

/// The text with `{instance}` replaced. All other braces are what they are: scripts have many.
///
/// # Errors
/// There is no instance, or the word in braces is probably misspelt.
pub fn fill(text: &str, instance: Option<&Located<String>>) -> Result<String, Problem> {
    for word in text.split('{').skip(1) {
        let Some((word, _)) = word.split_once('}') else {
            continue;
        };
        if word != "instance" && closest(word, ["instance"]).is_some() {
            let message = format!("`{{{word}}}` stands for nothing");
            return Err((message, Some(format!("did you mean `{PLACEHOLDER}`?"))));
        }
    }
    match instance {
        Some(instance) => Ok(text.replace(PLACEHOLDER, &instance.value)),
        None if text.contains(PLACEHOLDER) => {
            let message = format!("`{PLACEHOLDER}` in a unit that has no instances");
            Err((message, Some("add instances = [..]".into())))
        }
        None => Ok(text.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        for good in ["/", "/a", "/a/b.c", "/a b"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "/a/", "//a", "/a/../b", "/./a", "/a\0"] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn below_is_by_whole_names() {
        assert!(is_below("/a/b", "/a") && is_below("/a", "/a") && is_below("/a", "/"));
        assert!(!is_below("/ab", "/a") && !is_below("/a", "/a/b"));
    }

    #[test]
    fn placeholders_are_filled() {
        let instance = Located::new(String::from("tty1"), crate::diagnostic::Span::default());
        let filled = fill("/dev/{instance} {print $1}}", Some(&instance));
        assert_eq!(filled.as_deref(), Ok("/dev/tty1 {print $1}}"));
        assert!(fill("{instence}", Some(&instance)).is_err());
        assert!(fill("{instance}", None).is_err());
        assert!(fill("{ print; }", None).is_ok());
    }
}
