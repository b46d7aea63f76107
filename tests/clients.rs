//! The first minute of a newcomer: no configuration file, QEMU typed as people type it, and an unmodified guest with one of the usual
//! DHCP clients. It has an address, a route, DNS and IPv6, and finds the outside, the host and another guest by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "clients/desk.rs"]
mod desk;
mod lab;

use desk::{Desk, Typed};
use lab::{Image, Machine, eventually};

/// Busybox's client, with the script of Debian's package.
const UDHCPC: &str = "udhcpc -i eth0 -n -q -t 20 -T 1";

/// ISC's client. A Debian without systemd-resolved has a plain resolv.conf.
const DHCLIENT: &str = "rm /etc/resolv.conf; touch /etc/resolv.conf; ip link set eth0 up; dhclient eth0";

/// What a Debian with networkd has for its NIC.
const NETWORKD: &str = "[Match]\nName=en*\n\n[Network]\nDHCP=yes\n";

/// A ping by name. An emulated guest on a busy machine can be slow to see an answer.
fn pings(name: &str) -> String {
    [format!("ping -c 1 -W 5 {name}").as_str(); 3].join(" || ")
}

/// The guest finds everybody, at a desk where the guest `db` is on already.
#[track_caller]
fn finds_everybody(image: fn(&Machine) -> Image, nic: &str, client: &str) {
    let mut desk = Desk::new();
    let mut db = desk.start(Typed::named("db", 0), Image::busybox());
    db.must(UDHCPC);
    let image = image(&desk.lab.host);
    let mut web = desk.start(Typed::named("web", 1), image);
    web.must(client);
    desk.assert_configured(&mut web, nic);
    for name in ["outside.example", "db.kvm", "host.kvm"] {
        web.must(&pings(name));
    }
    for address in ["198.51.100.7", "fd00:51::7"] {
        assert!(web.pings(address), "{address} answers");
    }
    db.must(&pings("web.kvm"));
    desk.assert_ends_clean([db, web]);
}

/// What QEMU's hostfwd is for user networking, in front of the same line.
#[test]
fn a_port_of_the_host_leads_to_a_guest() {
    let desk = Desk::new();
    let typed = Typed::named("web", 0).with("KVMNET_FORWARD=2222:22");
    let mut web = desk.start(typed, Image::busybox());
    web.must(UDHCPC);
    web.must("(while true; do echo hello from web | nc -l -p 22; done) >/dev/null 2>&1 </dev/null &");
    eventually("the port leads in, by IPv4", || {
        desk.hears_outside("192.168.1.230:2222") == "hello from web\n"
    });
    desk.assert_ends_clean([web]);
}

#[test]
fn busybox() {
    finds_everybody(|_| Image::busybox(), "eth0", UDHCPC);
}

#[test]
fn dhclient() {
    finds_everybody(|_| Image::debian(), "eth0", DHCLIENT);
}

#[test]
fn networkd() {
    let image = |host: &Machine| {
        Image::systemd().with(host, "networkd", |initramfs| {
            initramfs.add_text("/etc/systemd/network/80-dhcp.network", NETWORKD);
        })
    };
    finds_everybody(image, "ens2", "true");
}
