//! This file says how far an image is whose trial began, as a word that only a keeper writes. 0: no
//! further.

/// It stood its trial.
pub(crate) const PASSED: u32 = 1;
/// It is its core alone that is on trial.
pub(crate) const CORE_TRIAL: u32 = 2;
/// That stood its trial.
pub(crate) const CORE_PASSED: u32 = 3;
/// That is in the place of the core, and has not taken over: nothing is done for it, and what it
/// does to the state is undone.
#[cfg(feature = "exchange")]
pub(crate) const CORE_BEGINS: u32 = 4;
/// It has taken over, and deals with what it found.
#[cfg(feature = "exchange")]
pub(crate) const CORE_TAKES_OVER: u32 = 5;
/// It is given up, and is to be forgotten.
#[cfg(feature = "exchange")]
pub(crate) const CORE_GIVEN_UP: u32 = 6;
