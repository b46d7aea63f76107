//! `kvmnet status`: what is connected to what, and what kvmnet changed on the machine, on a live lab.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

#[path = "status/guests.rs"]
mod guests;
#[path = "status/kit.rs"]
mod kit;
#[path = "status/modes.rs"]
mod modes;
#[path = "qemu/kit.rs"]
#[allow(dead_code, reason = "made for the tests with QEMU")]
mod qemu;
#[path = "status/refusals.rs"]
mod refusals;
#[path = "status/schema.rs"]
mod schema;
#[path = "status/states.rs"]
mod states;
#[path = "status/syscalls.rs"]
mod syscalls;
