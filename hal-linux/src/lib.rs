//! This file is a placeholder of the skeleton.
#![no_std]
