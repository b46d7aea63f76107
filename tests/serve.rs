//! Guests that are told their addresses and names: `kvmnet serve`, started by the hooks, with a real DHCP client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "serve/clones.rs"]
mod clones;
#[path = "serve/confined.rs"]
mod confined;
#[path = "serve/dns.rs"]
mod dns;
#[path = "serve/kit.rs"]
mod kit;
mod lab;
#[path = "serve/life.rs"]
mod life;
#[path = "serve/limited.rs"]
mod limited;
#[path = "serve/names.rs"]
mod names;
#[path = "serve/router.rs"]
mod router;
#[path = "serve/seen.rs"]
mod seen;
#[path = "serve/told.rs"]
mod told;
