//! This file is which letters of the firmware's texts stand together most often.
//!
//! Written by `cargo xtask dictionary`.

/// One byte each in a [`Packed`](crate::packed::Packed) text.
#[rustfmt::skip]
pub(crate) const DICTIONARY: [&str; 128] = [
    "  ", "   ", "    ", "        ", "  sctl ", ", ", ": ", "; ", "a ", "ad", "ail", "al", "am",
    "an", "an ", "and ", "ar", "as", "as ", "at", "bo", "ch", "ch ", "co", "cor", "ct", "d ", "de",
    "di", "do", "e ", "e is ", "ed", "ed ", "ed: ", "en", "en ", "er", "er ", "es", "es ", "et",
    "ex", "exe", "exec", "fail", "gr", "ic", "il", "imag", "in", "in ", "ing", "ing ", "ion", "is ",
    "it", "it ", "its ", "k ", "l ", "li", "lo", "ma", "mach", "machin", "mag", "man", "me", "ne",
    "no", "no ", "not ", "o ", "of", "of ", "on", "op", "or", "or ", "ot", "ou", "pro", "proc",
    "proces", "process ", "process 1", "process 1 ", "re", "ref", "res", "ro", "s ", "sct", "sctl ",
    "so", "st", "star", "start", "stop", "sy", "sys", "t ", "tar", "targ", "target", "th", "the ",
    "the imag", "the man", "the mani", "the manif", "the manifes", "ther ", "this ", "to", "to ",
    "too ", "un", "unit", "up", "us", "ut", "wer", "wh", "wn", "wn ", "y ",
];
