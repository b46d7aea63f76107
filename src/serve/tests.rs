#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::conf::Conf;
use super::names::{self, Port};
use super::subject::Subject;
use crate::model::facts::FdbEntry;
use crate::model::lease::{self, Lease};
use crate::model::{GuestIdentity, Mac, Mode};
use crate::plan::tests::world::{link, name};

const WEB: &str = "kvmnet:tap on=br0 gen=0 vm=web nic=52:54:00:12:34:57 at=10.0.100.7 was=vm=other";

fn mac(last: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0x12, 0x34, last])
}

fn port(index: u32, alias: &str) -> Port {
    let mut tap = link(index, &format!("vif{index}.0"), Some("tun"));
    tap.alias = alias.to_owned();
    Port::of(&tap)
}

fn subject(mode: Mode, addresses: &[&str]) -> Subject {
    Subject {
        bridge: name("br0"),
        index: 7,
        mode,
        domain: "kvm".to_owned(),
        host_if: name("br0"),
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        servers: Vec::new(),
        mtu: 1500,
        ports: Vec::new(),
        stations: Vec::new(),
    }
}

fn text(subject: &Subject, is_port_taken: bool) -> String {
    let (folder, leases) = (Path::new("/tmp"), Path::new("/l"));
    let resolvers = ["9.9.9.9".parse().unwrap(), "2620:fe::fe".parse().unwrap()];
    Conf { subject, folder, leases, is_port_taken, resolvers: &resolvers, taken: &["host".to_owned()] }.text()
}

#[track_caller]
fn has(text: &str, line: &str) -> bool {
    text.lines().any(|one| one == line)
}

#[test]
fn the_range_is_the_subnet_without_the_host() {
    let all = text(
        &subject(Mode::Nat, &["10.0.100.3/24", "10.0.100.9/24", "10.1.0.1/30", "10.2.0.0/31", "10.3.0.1/32"]),
        false,
    );
    let ranges: Vec<&str> = all.lines().filter_map(|line| line.strip_prefix("dhcp-range=")).collect();
    assert_eq!(
        ranges,
        [
            "10.0.100.1,10.0.100.2,255.255.255.0,1h",
            "10.0.100.4,10.0.100.8,255.255.255.0,1h",
            "10.0.100.10,10.0.100.254,255.255.255.0,1h",
            "10.1.0.2,10.1.0.2,255.255.255.252,1h",
            "10.2.0.1,10.2.0.1,255.255.255.254,1h",
        ]
    );
}

#[test]
fn what_a_guest_is_told_is_what_its_mode_has() {
    let nat = text(&subject(Mode::Nat, &["10.0.100.3/24", "fd00::3/64"]), false);
    assert!(has(&nat, "resolv-file=/tmp/resolv.conf") && has(&nat, "enable-ra"), "{nat}");
    assert!(has(&nat, "dhcp-range=fd00::,ra-stateless,ra-names,64,1h"), "{nat}");
    assert!(!nat.contains("mtu") && !nat.contains("option:router") && !nat.contains("port=0"), "{nat}");
    let host_only = text(&subject(Mode::HostOnly, &["10.0.100.3/24", "fd00::3/64"]), false);
    assert!(has(&host_only, "no-resolv") && has(&host_only, "dhcp-option=option:router"), "{host_only}");
    assert!(has(&host_only, "ra-param=br0,0,0"), "{host_only}");
    // No address can be made of an announcement of another length.
    assert!(!text(&subject(Mode::Nat, &["fd00::3/112"]), false).contains("fd00"));
}

#[test]
fn a_smaller_packet_is_told_of() {
    let told = text(&Subject { mtu: 1400, ..subject(Mode::Nat, &["10.0.100.3/24", "fd00::3/64"]) }, false);
    assert!(
        has(&told, "dhcp-option=option:mtu,1400") && has(&told, "ra-param=br0,mtu:1400,0,1800"),
        "{told}"
    );
}

#[test]
fn without_the_port_guests_are_told_the_hosts_resolvers() {
    let told = text(&subject(Mode::Nat, &["10.0.100.3/24"]), true);
    assert!(has(&told, "port=0") && has(&told, "dhcp-option=option:dns-server,9.9.9.9"), "{told}");
    assert!(has(&told, "dhcp-option=option6:dns-server,[2620:fe::fe]"), "{told}");
    assert!(!text(&subject(Mode::HostOnly, &["10.0.100.3/24"]), true).contains("9.9.9.9"));
}

/// The host's name is nobody's; of two VMs with one name the first has it, and the other has its address all the same.
#[test]
fn a_name_is_one_guests() {
    let ports = [
        port(3, "kvmnet:tap vm=web nic=52:54:00:12:34:59 at=10.0.100.9 at=fd00::9"),
        port(2, WEB),
        port(1, "kvmnet:tap vm=host nic=52:54:00:12:34:56"),
    ];
    let known = names::known(&ports);
    assert_eq!(
        names::reservations(&known),
        "52:54:00:12:34:57,10.0.100.7,web\n52:54:00:12:34:59,10.0.100.9,[fd00::9]\n"
    );
    assert_eq!(names::taken(&known), ["host", "isatap", "localhost", "web", "wpad"]);
}

fn lease_of(last: u8, name: &str) -> String {
    format!("1700000000 52:54:00:12:34:{last:02x} 10.0.100.{last} {name} *\n")
}

#[test]
fn a_client_without_a_name_has_its_taps() {
    let leases: Vec<Lease> = lease::parse(&(lease_of(0x10, "*") + &lease_of(0x11, "own") + "duid 00:01\n"));
    assert_eq!((leases.len(), leases[1].name.as_deref()), (2, Some("own")));
    let stations = [FdbEntry { port: 5, mac: mac(0x10) }];
    let hosts = names::hosts(
        "kvm",
        &["10.0.100.3".parse().unwrap()],
        &[],
        &[port(5, "kvmnet:tap")],
        &leases,
        &stations,
    );
    assert_eq!(hosts, "10.0.100.16 vif5-0.tap.kvm vif5-0\n10.0.100.3 host\n");
}

#[test]
fn a_lease_loses_a_name_that_is_anothers() {
    let known =
        [GuestIdentity { name: Some("web".to_owned()), macs: vec![mac(0x57)], addresses: Vec::new() }];
    let text =
        lease_of(0x57, "web") + &lease_of(0x10, "WEB") + &lease_of(0x11, "host") + &lease_of(0x12, "own");
    let after = names::without_taken(&text, &names::taken(&known), &known);
    let wanted = lease_of(0x57, "web") + &lease_of(0x10, "*") + &lease_of(0x11, "*") + &lease_of(0x12, "own");
    assert_eq!(after, wanted);
    let duid = "duid 00:01:00:01\n";
    assert_eq!(names::without_taken(duid, &["host"], &known), duid);
}

#[test]
fn a_lease_makes_way_for_the_guest_that_its_address_is_kept_for() {
    let known = [GuestIdentity {
        name: None,
        macs: vec![mac(0x57)],
        addresses: vec!["10.0.100.16".parse().unwrap()],
    }];
    let text = lease_of(0x10, "web") + &lease_of(0x11, "own") + "duid 00:01\n";
    assert_eq!(names::without_taken(&text, &[], &known), lease_of(0x11, "own") + "duid 00:01\n");
    assert_eq!(names::in_the_way(&lease::parse(&text), &known).len(), 1);
    let own = [GuestIdentity { macs: vec![mac(0x57), mac(0x10)], ..known[0].clone() }];
    assert_eq!(names::without_taken(&text, &[], &own), text);
    assert_eq!(names::in_the_way(&lease::parse(&text), &own), []);
}
