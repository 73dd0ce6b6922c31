//! This file composes a root task that walks the conformance table over the kernel it runs on.
#![no_std]
#![no_main]

hal_harmony::entry!(hal_harmony::walk);
