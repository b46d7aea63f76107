//! A host as people have it: Debian's kernel, systemd, udev, networkd and resolved, with kvmnet installed. QEMU boots it.
//!
//! ```text
//!    web ── vif0.0 ┐                  the booted host
//!                  ├── br0 ── host ── ens2 192.168.1.230 ══════ the world 192.168.1.25, DNS for outside.example
//!     db ── vif1.0 ┘
//! ```
//!
//! What holds the taps there, and runs the hooks, is tests/guest/qemu.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "booted/host.rs"]
mod host;
mod lab;

use host::Host;

#[test]
fn a_guest_and_all_its_processes_are_killed_and_udev_has_its_network_swept() {
    let mut host = Host::boot("");
    host.start_guest("web", 0);
    host.start_guest("db", 1);
    for guest in ["web", "db"] {
        assert_eq!(host.processes_of_hook(guest), [] as [&str; 0], "the hook of {guest} starts no process");
    }
    host.kill_guest("web");
    host.must("udevadm settle");
    assert!(host.run("ip link show br0").0 == 0, "the other guest still has its network");
    host.kill_guest("db");
    host.eventually("the network is swept", "! ip link show br0 && ! nft list tables | grep kvmnet");
}
