//! This file composes the program that goes over to the disk and executes process 1 from there.
#![no_std]
#![no_main]

hal_linux::entry!(hal_linux::early);
