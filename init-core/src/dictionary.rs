//! This file is which letters of the firmware's texts stand together most often.
//!
//! Written by `cargo xtask dictionary`.

/// One byte each in a [`Packed`](crate::packed::Packed) text.
#[rustfmt::skip]
pub(crate) const DICTIONARY: [&str; 158] = [
    "  ", "   ", "    ", "        ", "  sctl ", ", ", ": ", "; ", "a ", "ac", "ad", "al", "am",
    "an", "an ", "and ", "ar", "as", "as ", "at", "at ", "be", "be ", "bo", "boot", "by ", "ch",
    "ch ", "co", "con", "cor", "ct", "d ", "de", "di", "do", "e ", "e is ", "ed", "ed ", "ed: ",
    "em", "en", "en ", "er", "er ", "es", "es ", "et", "ex", "exe", "exec", "fa", "fail", "for ",
    "gr", "ic", "il", "imag", "in", "in ", "ing", "ing ", "ion", "ion ", "is ", "it", "it ", "its ",
    "k ", "l ", "li", "lo", "ma", "mach", "machin", "mag", "man", "me", "ne", "no", "no ", "not ",
    "o ", "of", "of ", "on", "op", "or", "or ", "ot", "ot ", "ou", "pl", "pro", "proc", "proces",
    "process", "process ", "process 1", "process 1 ", "qu", "re", "rea", "read", "ref", "refus",
    "res", "resc", "rescu", "ro", "s ", "sct", "sctl ", "so", "st", "star", "start", "stop",
    "such ", "sy", "sys", "sysM", "sysMa", "sysMast", "t ", "tar", "targ", "target", "ter ", "th",
    "the ", "the imag", "the image ", "the man", "the mani", "the manif", "the manifes", "ther ",
    "this ", "to", "to ", "too", "too ", "tr", "uch ", "un", "unit", "up", "us", "ut", "ver", "vic",
    "wer", "wh", "wn", "wn ", "y ",
];
