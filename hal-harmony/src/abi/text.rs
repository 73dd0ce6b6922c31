//! This file reads the compiled texts to which only their first byte leads.

use core::ffi::CStr;

/// The text of which this is the first byte: one of [`init_core::unit::Arguments`], whose texts the
/// manifest compiler ends with a nul.
pub(crate) fn text(first: &'static u8) -> &'static CStr {
    let at = core::ptr::from_ref(first).expose_provenance();
    let at = core::ptr::with_exposed_provenance::<core::ffi::c_char>(at);
    // SAFETY: the reference is to the first byte of a static text that ends with a nul; this is the
    // contract of `Arguments`, from whose tables alone such references come.
    unsafe { CStr::from_ptr(at) }
}
