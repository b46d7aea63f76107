//! What others write, and the programs read as root: for each kind a function that takes any bytes for it, and what must hold
//! of all.
//!
//! In: bytes. Out: nothing. A property that does not hold, and any panic, ends it. `mutate` makes bytes of those that a real
//! kernel and people wrote (tests/corpus); fuzz/ hands the same functions to `cargo fuzz`, which sees where they lead.

#![allow(clippy::unwrap_used, reason = "a panic is how a case is found")]

mod guest_filter;
mod marks;
#[cfg(test)]
mod mutate;
mod terminal;

/// Takes any bytes for what it is named after.
pub type Target = fn(&[u8]);

/// All of them. Each has a folder in tests/corpus.
pub const TARGETS: [(&str, Target); 14] = [
    ("configuration", crate::config::fuzz::configuration),
    ("marks", marks::marks),
    ("command_line", crate::vmm::fuzz::command_line),
    ("route", crate::netlink::fuzz::route),
    ("nft", crate::netlink::fuzz::nft),
    ("dumps", crate::netlink::fuzz::dumps),
    ("legacy", crate::xtables::fuzz::read),
    ("leases", crate::serve::fuzz::leases),
    ("resolvers", crate::serve::fuzz::resolvers),
    ("accounts", crate::account::fuzz),
    ("helper", crate::bridge_helper::fuzz::arguments),
    ("qemu_bridges", crate::config::fuzz::qemu_bridges),
    ("terminal", terminal::terminal),
    ("guest_filter", guest_filter::guest_filter),
];

/// Hands bytes to one of them.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    target(data);
}
