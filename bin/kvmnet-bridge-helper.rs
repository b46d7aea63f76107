//! `kvmnet-bridge-helper`: see [`kvmnet::bridge_helper`].
//!
//! `main` is C's, as in the hooks: less happens before it.
#![no_main]

use std::ffi::{c_char, c_int};

use kvmnet::{bridge_helper, inherited};

// SAFETY: nothing else in the program is called `main`, and this is the signature that C's start-up calls.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: C's start-up hands main so many texts, which stay for as long as the program runs.
    let arguments = unsafe { inherited::arguments(argc, argv) };
    bridge_helper::main(&arguments).into()
}
