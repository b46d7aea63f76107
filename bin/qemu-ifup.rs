//! `/etc/qemu-ifup`: see [`kvmnet::hook`].
//!
//! `main` is C's and not Rust's: the standard library's own start-up (a handler for stack overflows, which reads
//! /proc/self/maps) would be a quarter of a hook's system calls and a tenth of its size.
#![no_main]

use std::ffi::{c_char, c_int};

use kvmnet::hook::{self, Hook};
use kvmnet::inherited;

// SAFETY: nothing else in the program is called `main`, and this is the signature that C's start-up calls.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: C's start-up hands main so many texts, which stay for as long as the program runs.
    let arguments = unsafe { inherited::arguments(argc, argv) };
    hook::main(Hook::Up, &arguments).into()
}
