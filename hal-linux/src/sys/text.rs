//! This file makes C strings of bytes. (The standard library's own search for the nul is written
//! for long texts, and takes seven times the room.)

use core::ffi::CStr;

/// The bytes up to their first nul; `None`: there is none.
pub fn c_text(bytes: &[u8]) -> Option<&CStr> {
    let length = bytes.iter().position(|byte| *byte == 0)?;
    let text = bytes.get(..=length)?;
    // SAFETY: the last byte is a nul, and it is the first one.
    Some(unsafe { CStr::from_bytes_with_nul_unchecked(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_the_first_nul_and_needs_one() {
        assert_eq!(c_text(b"/run\0x\0"), Some(c"/run"));
        assert_eq!(c_text(b"\0"), Some(c""));
        assert_eq!(c_text(b"/run"), None);
        assert_eq!(c_text(b""), None);
    }
}
