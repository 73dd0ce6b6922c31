//! This file stands where the flight recorder is left out: nothing is recorded, and it takes no
//! byte.

use super::entry::Happening;
use super::records::Records;
use super::words::Words;
use crate::time::Instant;
use core::marker::PhantomData;

/// Records nothing; the methods are those of `Recorder`.
#[derive(Clone, Copy, Debug)]
pub struct NoRecorder<'r>(PhantomData<Words<'r>>);

impl<'r> NoRecorder<'r> {
    pub(crate) const fn new(_: Words<'r>, _: usize) -> Self {
        Self(PhantomData)
    }

    pub(super) const fn begin(&mut self, _: &Records<'_>) {}

    pub(super) const fn go_on(&mut self, _: &Records<'_>, _: Option<Happening>) {}

    pub(super) const fn put(&mut self, _: Happening, _: Instant) {}

    pub(crate) const fn gap(&mut self) {}

    pub(crate) const fn count_open(&mut self) {}

    pub(super) const fn changed(&mut self, _: usize, _: u32, _: u32) {}

    pub(super) const fn rest(&mut self, _: &Records<'_>, _: u32, _: Instant) {}
}
