//! Guests of people who are not root: QEMU run by `kvmnet run`, and the helper that QEMU runs (`-netdev bridge,helper=`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

#[path = "unprivileged/kit.rs"]
mod kit;
#[path = "unprivileged/launch.rs"]
mod launch;
