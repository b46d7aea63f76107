//! `kvmnet check` on a live lab: each finding where there is one to find, and none where there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

#[path = "check/configuration.rs"]
mod configuration;
#[path = "check/cut_off.rs"]
mod cut_off;
#[path = "check/firewall.rs"]
mod firewall;
#[path = "check/guests.rs"]
mod guests;
#[path = "check/healthy.rs"]
mod healthy;
#[allow(dead_code, reason = "a check needs a part of it")]
#[path = "qemu/kit.rs"]
mod kit;
#[path = "check/leftovers.rs"]
mod leftovers;
#[path = "check/machine.rs"]
mod machine;
#[path = "check/report.rs"]
mod report;
#[path = "check/uplinks.rs"]
mod uplinks;
