//! This room is what differs: on Linux two descriptors that are written to, on the Harmony
//! microkernel how a program begins and ends. All that is unsafe in this crate is here.

#[cfg(target_os = "linux")]
mod descriptor;
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
mod start;

#[cfg(target_os = "linux")]
pub use descriptor::Descriptor;
