//! This file makes the command that executes a program on a kernel that lacks what newer ones have:
//! a filter of system calls answers for them.

use linux_raw_sys::general as abi;

/// What a filter says to a call.
pub const NOT_THERE: u32 = 0x0005_0000 | 38;
pub const FORBIDDEN: u32 = 0x0005_0000 | 1;
pub const RAISES_SIGSYS: u32 = 0x0003_0000;

/// Installs a filter and executes what follows.
pub const FILTER: &str = include_str!("filter.pl");

/// What every kernel from 4.14 on has; all younger calls have higher numbers.
pub const ALL: u32 = u32::MAX;
pub const OF_4_14: u32 = abi::__NR_statx;

/// The command that executes what follows it: with calls younger than the first number, and with
/// each of the others, is done what stands beside it.
pub fn words(younger: (u32, u32), calls: &[(u32, u32)]) -> Vec<String> {
    let mut words = Vec::from(["perl", "-e", FILTER].map(String::from));
    let numbers = [abi::__NR_prctl, younger.1, younger.0];
    let calls = calls.iter().flat_map(|(call, act)| [call, act]);
    words.extend(numbers.iter().chain(calls).map(ToString::to_string));
    words.push("--".to_string());
    words
}
