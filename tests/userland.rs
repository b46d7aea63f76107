//! Hosts that have next to nothing: the two hooks, the file, /proc and an empty /run. No shell, no `ip`, no `nft`, no systemd, nobody
//! who takes a log, no /dev and no /sys, and an /etc that cannot be written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Guest, Hook, Lab, Network, Ran, Snapshot};

const ROOT: &str = "/run/lab/bare";

/// Makes such a root beside the lab's own.
fn make_root(lab: &Lab) {
    let host = &lab.host;
    host.run(&format!("mkdir -p {ROOT}/etc {ROOT}/proc {ROOT}/run"));
    host.run(&format!("cp /etc/qemu-ifup /etc/qemu-ifdown /etc/kvmnet.conf {ROOT}/etc/"));
    host.run(&format!("mount --rbind /proc {ROOT}/proc"));
    host.run(&format!("mount --bind {ROOT}/etc {ROOT}/etc"));
    host.run(&format!("mount -o remount,ro,bind {ROOT}/etc"));
}

/// Runs a hook there, for a guest.
fn hook(lab: &Lab, program: &str, guest: &Guest) -> Ran {
    Hook::new(&lab.host, "/usr/sbin/chroot", &[ROOT, program, guest.tap()]).tap(guest.tap_fd()).run()
}

/// What its mode gives a guest beyond its neighbour: the host, and the world.
fn gives(mode: &str) -> (bool, bool) {
    (mode != "isolated", matches!(mode, "routed" | "nat" | "bridged"))
}

#[track_caller]
fn comes_and_goes(network: Network) {
    let lab =
        Lab::new(Network { keys: if network.mode == "nat" { "dhcp = false\n" } else { "" }, ..network });
    lab.outside_knows_the_way();
    make_root(&lab);
    let before = Snapshot::of(&lab.host);
    let (one, two) = (lab.boot(1), lab.boot(2));
    for guest in [&one, &two, &two] {
        hook(&lab, "/etc/qemu-ifup", guest).ok();
    }
    lab.settle();
    let (host, world) = gives(network.mode);
    assert!(one.pings(&lab.network.guest(2).v4) && one.pings(&lab.network.guest(2).v6), "{network:?}");
    let gate = if network.mode == "bridged" { "192.168.1.230" } else { "10.0.100.3" };
    assert_eq!(one.pings(gate), host, "{network:?}: the host");
    assert_eq!(one.pings("192.168.1.25") && one.pings("fd00:1::25"), world, "{network:?}: the world");
    for guest in [&one, &two] {
        hook(&lab, "/etc/qemu-ifdown", guest).ok();
    }
    drop((one, two));
    lab.assert_as_before(&format!("{network:?}: the guests came and went"), &before);
}

#[test]
fn isolated() {
    comes_and_goes(Network::ISOLATED);
}

#[test]
fn host_only() {
    comes_and_goes(Network::HOST_ONLY);
}

#[test]
fn routed() {
    comes_and_goes(Network::ROUTED);
}

#[test]
fn nat() {
    comes_and_goes(Network::NAT);
}

#[test]
fn bridged() {
    comes_and_goes(Network::BRIDGED);
}

/// Nobody is there who could tell guests their addresses: the network works, and one line says what is missing.
#[test]
fn nobody_to_serve() {
    let lab = Lab::new(Network::NAT);
    make_root(&lab);
    let before = Snapshot::of(&lab.host);
    let one = lab.boot(1);
    let ran = hook(&lab, "/etc/qemu-ifup", &one);
    let line = ran.says(0);
    assert!(line.contains("dnsmasq is missing"), "{line}");
    lab.settle();
    assert!(one.pings("192.168.1.25"), "the world is reached all the same");
    hook(&lab, "/etc/qemu-ifdown", &one).ok();
    drop(one);
    lab.assert_as_before("the guest came and went", &before);
}
