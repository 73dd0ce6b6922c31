//! This file tells what process 1 may hold: what makes nobody wait for a file system or a program
//! who uses it or closes it.

use super::fd::Fd;
use super::syscall::{result, syscall};
use init_core::event::Errno;
use linux_raw_sys::general as abi;
use rustix::fs::{Stat, fstat};

/// ESPIPE: it is driven by a file system or a program.
pub const DRIVEN: Errno = Errno(29);

/// The null device's major and minor number: `Documentation/admin-guide/devices.txt`. No other
/// driver gets them.
const NULL_NUMBER: u64 = 0x103;

/// Whether descriptor 0 leads to the null device.
pub fn is_input_null() -> bool {
    let is_null =
        |stat: Stat| stat.st_mode & abi::S_IFMT == abi::S_IFCHR && stat.st_rdev == NULL_NUMBER;
    fstat(Fd::INPUT).is_ok_and(is_null)
}

/// Whether what was opened is apart from all file systems and programs, as devices that take
/// characters are, and named pipes.
///
/// A device that a program drives (CUSE) is not. One can always seek in it, whatever the program
/// says, which is not asked for that; in a terminal or a watchdog one never can. So the null device
/// is the only one that may be sought in. To poll it, or to ask it anything else, would wait.
#[inline(never)]
pub fn is_apart(fd: &Fd) -> bool {
    let is_apart = |stat: Stat| {
        matches!(stat.st_mode & abi::S_IFMT, abi::S_IFIFO | abi::S_IFCHR)
            && (stat.st_rdev == NULL_NUMBER || !can_seek(fd))
    };
    fstat(fd).is_ok_and(is_apart)
}

/// Whether there is a place in it where its next byte is read or written.
fn can_seek(fd: &Fd) -> bool {
    const FROM_HERE: usize = 1;
    // SAFETY: there is no pointer.
    result(unsafe { syscall(abi::__NR_lseek, [fd.number().into(), 0, FROM_HERE]) }).is_ok()
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::sys::fd::{open, pipe};
    use std::ffi::CString;

    fn is_apart_at(path: &str) -> bool {
        let path = CString::new(path).expect("no nul");
        let flags = abi::O_RDWR | abi::O_NONBLOCK | abi::O_NOCTTY;
        is_apart(&open(&path, flags, 0).expect("it is there"))
    }

    #[test]
    fn terminals_pipes_and_the_null_device_are_apart_and_nothing_that_can_be_sought_in() {
        assert!(is_apart_at("/dev/ptmx"));
        assert!(is_apart_at("/dev/null"));
        let (reader, writer) = pipe(false).expect("descriptors are left");
        assert!(is_apart(&reader) && is_apart(&writer));
        let file = tempfile::NamedTempFile::new().expect("there is room");
        assert!(!is_apart_at(file.path().to_str().expect("a plain name")));
        // The kernel lets one seek in them as in a device that a program drives.
        for device in ["/dev/zero", "/dev/full"] {
            assert!(!is_apart_at(device), "{device}");
        }
    }
}
