//! This file loads kernel modules.

use super::fd;
use super::syscall::{result, syscall};
use core::ffi::CStr;
use init_core::event::Errno;
use linux_raw_sys::general as abi;

/// `EEXIST`: the module is there already.
const THERE_ALREADY: Errno = Errno(17);

/// Loads a module from its file, without parameters; one that is there already is no error.
///
/// # Errors
/// The file cannot be opened, or what finit_module answers.
pub fn load(path: &CStr) -> Result<(), Errno> {
    let file = fd::open_to_read(path)?;
    let parameters = c"".as_ptr().expose_provenance();
    let arguments = [usize::from(file.number()), parameters, 0, 0, 0];
    // SAFETY: the pointer leads to a nul-terminated string.
    match result(unsafe { syscall(abi::__NR_finit_module, arguments) }) {
        Ok(_) | Err(THERE_ALREADY) => Ok(()),
        Err(error) => Err(error),
    }
}
