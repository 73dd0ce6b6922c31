//! This file composes the smallest init: one command is kept, everybody is reaped, nobody stays.
#![no_std]
#![no_main]

hal_linux::entry!(hal_linux::keep);
