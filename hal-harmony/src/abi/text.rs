//! This file reads the compiled texts to which only their first byte leads.

use core::ffi::{CStr, c_char};

/// The text to whose first byte this leads, if it leads anywhere: one of
/// [`init_core::unit::Arguments`], whose texts the manifest compiler ends with a nul.
///
/// It takes the place and not the reference: that is to one byte, and whoever is handed it may
/// read no more.
pub(crate) fn text(place: &'static Option<&'static u8>) -> Option<&'static CStr> {
    let place = core::ptr::from_ref(place).cast::<*const c_char>();
    // SAFETY: such a place has the layout of a pointer, and null where it leads nowhere.
    let first = unsafe { place.read() };
    // SAFETY: what is not null leads to the first byte of a static text that ends with a nul; this
    // is the contract of `Arguments`, from whose tables alone such places come.
    (!first.is_null()).then(|| unsafe { CStr::from_ptr(first) })
}
