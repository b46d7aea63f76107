//! Guests of people who are not root: QEMU run by `kvmnet run`, and the helper that QEMU runs (`-netdev bridge,helper=`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

#[path = "unprivileged/asking.rs"]
mod asking;
#[path = "unprivileged/at_secure.rs"]
mod at_secure;
#[path = "unprivileged/attacks.rs"]
mod attacks;
#[path = "unprivileged/helper.rs"]
mod helper;
#[path = "unprivileged/kit.rs"]
mod kit;
#[path = "unprivileged/launch.rs"]
mod launch;
#[path = "unprivileged/lock.rs"]
mod lock;
