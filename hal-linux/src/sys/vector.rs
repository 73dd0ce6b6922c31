//! This file is the program's arguments and environment where the kernel put them: vectors of
//! pointers to strings, each ended by a null, that stay as they are for the program's life.

use super::syscall::{result, syscall};
use core::ffi::{CStr, c_char};
use init_core::event::Errno;
use linux_raw_sys::general as abi;

/// A vector of the kernel's making, from some element on.
#[derive(Clone, Copy, Debug)]
pub struct Vector(*const *const c_char);

impl Vector {
    /// The vector that begins there.
    ///
    /// # Safety
    /// It leads to pointers to nul-terminated strings, up to a null; none of it ever changes.
    #[cfg(any(feature = "freestanding", test))]
    pub(super) unsafe fn at(first: *const *const c_char) -> Self {
        Self(first)
    }

    /// Without its first string; an empty vector stays as it is.
    pub fn rest(self) -> Self {
        match self.first() {
            Some(_) => Self(self.0.wrapping_add(1)),
            None => self,
        }
    }

    /// Its first string.
    pub fn first(self) -> Option<&'static CStr> {
        // SAFETY: the vector has at least its null.
        let pointer = unsafe { self.0.read() };
        // SAFETY: what is not null leads to a nul-terminated string that stays.
        (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
    }

    /// The part of it from the string with that index on.
    pub fn from(self, index: usize) -> Self {
        (0..index).fold(self, |vector, _| vector.rest())
    }

    /// The value of a variable, if this is an environment.
    pub fn variable(self, name: &[u8]) -> Option<&'static [u8]> {
        let mut vector = self;
        while let Some(entry) = vector.first() {
            let value = entry.to_bytes().strip_prefix(name);
            if let Some([b'=', value @ ..]) = value {
                return Some(value);
            }
            vector = vector.rest();
        }
        None
    }
}

/// Replaces this process by a program. Returns only on failure.
pub fn execute(program: &CStr, arguments: Vector, environment: Vector) -> Errno {
    let vectors = [
        program.as_ptr().expose_provenance(),
        arguments.0.expose_provenance(),
        environment.0.expose_provenance(),
        0,
        0,
    ];
    // SAFETY: both vectors are the kernel's own, ended by a null.
    let answer = unsafe { syscall(abi::__NR_execve, vectors) };
    result(answer).err().unwrap_or(Errno(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would have put there.
    fn vector<const COUNT: usize>(texts: [&'static CStr; COUNT]) -> Vector {
        let pointers = texts.map(CStr::as_ptr).into_iter();
        let pointers: Vec<_> = pointers.chain([core::ptr::null()]).collect();
        // SAFETY: the texts are constants, and the vector ends with a null and is never freed.
        unsafe { Vector::at(pointers.leak().as_ptr()) }
    }

    #[test]
    fn a_vector_is_walked_up_to_its_null_and_not_beyond() {
        let all = vector([c"keeper", c"--", c"sleep"]);
        let firsts = [0, 1, 2, 3, 4].map(|index| all.from(index).first());
        assert_eq!(firsts[..3], [Some(c"keeper"), Some(c"--"), Some(c"sleep")]);
        assert_eq!(firsts[3..], [None, None]);
        assert_eq!(vector([]).rest().first(), None);
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let all = vector([
            c"PATH_X=/no",
            c"PATHS",
            c"PATH=/bin:/sbin",
            c"PATH=/later",
            c"E=",
        ]);
        assert_eq!(all.variable(b"PATH"), Some(&b"/bin:/sbin"[..]));
        assert_eq!(all.variable(b"E"), Some(&b""[..]));
        assert_eq!(all.variable(b"PATHS"), None);
    }
}
