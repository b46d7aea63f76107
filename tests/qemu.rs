//! QEMU's contract with its hooks, kept with the real QEMU: it makes the taps, runs the hooks, is hot-plugged, killed,
//! interrupted, refused. Mostly without a machine in it: the hooks run all the same, and nothing has to boot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

#[path = "qemu/end.rs"]
mod end;
#[path = "qemu/environment.rs"]
mod environment;
#[path = "qemu/interrupted.rs"]
mod interrupted;
#[path = "qemu/kit.rs"]
mod kit;
#[path = "qemu/shared.rs"]
mod shared;
#[path = "qemu/start.rs"]
mod start;
