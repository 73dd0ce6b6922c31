//! This room is all that is unsafe in the stub: registers, the way in and out, physical memory.

pub mod boot;
pub mod cpu;
pub mod door;
pub mod heap;
pub mod page;
