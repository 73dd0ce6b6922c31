//! This file is where the simulated kernel is called, and where it touches the memory of the test
//! that is its root task. All that is unsafe in it is here.

use super::Sim;
use super::memory::size;
use hal_harmony::abi::Kernel;
use hal_harmony::abi::number::Number;

impl Kernel for Sim {
    unsafe fn call(&self, number: Number, arguments: [u64; 6]) -> u64 {
        let result = self.0.borrow_mut().root_call(number, arguments);
        // The kernel's handlers return an int: the upper half says nothing.
        let low = i32::try_from(result).expect("an int").cast_unsigned();
        u64::from(low) | 0xdead_0000_0000_0000
    }

    fn counter(&self) -> u64 {
        let mut state = self.0.borrow_mut();
        state.now_ns += 160;
        state.now_ns / 16
    }

    fn frequency(&self) -> u64 {
        62_500_000
    }
}

/// The root task's memory, where it has said that there is some.
pub fn read(at: u64, length: usize) -> Vec<u8> {
    let from = core::ptr::with_exposed_provenance::<u8>(size(at));
    let mut bytes = vec![0; length];
    // SAFETY: who calls the kernel vouches for its addresses, as `Kernel::call` asks.
    unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), length) };
    bytes
}

/// Writes there.
pub fn write(at: u64, bytes: &[u8]) {
    let to = core::ptr::with_exposed_provenance_mut::<u8>(size(at));
    // SAFETY: who calls the kernel vouches for its addresses, as `Kernel::call` asks.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
}
