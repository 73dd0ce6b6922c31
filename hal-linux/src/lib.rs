//! This file is the door of the HAL that does on Linux what init-core asks for.
#![no_std]

mod sys;
