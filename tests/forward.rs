//! Ports of the host that lead to guests: from each direction, in both families, over TCP and UDP, with the source that the
//! guest sees; and that nothing else gets in by them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "forward/conflicts.rs"]
mod conflicts;
#[path = "forward/ends.rs"]
mod ends;
#[path = "forward/kept_out.rs"]
mod kept_out;
mod lab;
#[path = "forward/many.rs"]
mod many;
#[path = "forward/service.rs"]
mod service;
#[path = "forward/shown.rs"]
mod shown;

use lab::{Guest, Hook, Lab, Machine, Network, each_mode};
use service::{Protocol, Service, seen_as};

/// The port of the guests' services.
const PORT: u16 = 7000;
const BOTH: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// A hook about to run for guest `number`, whose addresses are known and to which these ports lead.
fn hook<'a>(lab: &'a Lab, guest: &Guest, number: u8, forward: &str) -> Hook<'a> {
    let place = lab.network.guest(number);
    lab.hook("/etc/qemu-ifup", guest)
        .env("KVMNET_GUEST_ADDRESS", &format!("{} {}", place.v4, place.v6))
        .env("KVMNET_FORWARD", forward)
}

/// Boots guest `number`, to which these ports lead.
#[track_caller]
fn attach(lab: &Lab, number: u8, forward: &str) -> Guest {
    let guest = lab.boot(number);
    hook(lab, &guest, number, forward).run().ok();
    guest
}

/// A lab in which a first guest has these forwards, and a second one has none.
#[track_caller]
fn lab_with(network: Network, forward: &str) -> (Lab, Guest, Guest) {
    let lab = Lab::new(network);
    let (one, two) = (attach(&lab, 1, forward), lab.attach(2));
    lab.settle();
    (lab, one, two)
}

/// As whom the guest sees a machine that asks at each of these addresses, over TCP and then UDP.
#[track_caller]
fn assert_seen(from: &Machine, port: u16, expected: &[(&str, Option<&str>)]) {
    for (address, seen) in expected {
        for protocol in BOTH {
            let found = seen_as(from, protocol, address, port);
            assert_eq!(found.as_deref(), *seen, "{protocol:?} to {address} port {port}");
        }
    }
}

/// Every direction to a port of all addresses of the host.
fn every_direction(network: Network) {
    let (lab, one, two) = lab_with(network, "2222:7000,udp/2222:7000");
    let _service = Service::on(&one, PORT);
    // From outside, as itself.
    let outside = [("192.168.1.230", Some("192.168.1.25")), ("fd00:1::230", Some("fd00:1::25"))];
    assert_seen(&lab.outside, 2222, &outside);
    // From the host, by its loopback address, too: as the host's address on the network.
    let host = [
        ("127.0.0.1", Some("10.0.100.3")),
        ("::1", Some("fd00:100::3")),
        ("10.0.100.3", Some("10.0.100.3")),
        ("fd00:100::3", Some("fd00:100::3")),
        ("192.168.1.230", Some("192.168.1.230")),
        ("fd00:1::230", Some("fd00:1::230")),
    ];
    assert_seen(&lab.host, 2222, &host);
    // From another guest and from the guest itself by any address of the host: the answer comes back by the host.
    for guest in [&two, &one] {
        let guest_seen = [
            ("10.0.100.3", Some("10.0.100.3")),
            ("192.168.1.230", Some("10.0.100.3")),
            ("fd00:100::3", Some("fd00:100::3")),
            ("fd00:1::230", Some("fd00:100::3")),
        ];
        assert_seen(guest, 2222, &guest_seen);
    }
    // Other ports of the host are the host's.
    assert_seen(&lab.outside, 2223, &[("192.168.1.230", None), ("fd00:1::230", None)]);
}
each_mode!(every_direction: routed routed_veth nat nat_veth);

#[test]
fn every_direction_by_the_routes() {
    every_direction(Network::NAT_BY_ROUTES);
}

#[test]
fn every_direction_with_a_source_address_for_nat() {
    every_direction(Network::NAT_SOURCE);
}

/// Each form of an entry leads where it says, and nowhere else.
#[test]
fn every_form() {
    let forms = "udp/5353:7000 127.0.0.1:8080:7000 192.168.1.230:8081:7000 [::]:443:7000 [fd00:1::230]:444:7000 0.0.0.0:445:7000 6999-7001:6999";
    let (lab, one, _two) = lab_with(Network::NAT, forms);
    let _service = Service::on(&one, PORT);
    let is_led = |from: &Machine, address, port| seen_as(from, Protocol::Tcp, address, port).is_some();
    let (host, outside) = (&lab.host, &lab.outside);
    assert!(seen_as(outside, Protocol::Udp, "192.168.1.230", 5353).is_some());
    assert!(!is_led(outside, "192.168.1.230", 5353));
    assert!(is_led(host, "127.0.0.1", 8080) && !is_led(outside, "192.168.1.230", 8080));
    assert!(!is_led(host, "192.168.1.230", 8080) && !is_led(host, "::1", 8080));
    assert!(is_led(outside, "192.168.1.230", 8081) && !is_led(host, "127.0.0.1", 8081));
    assert!(!is_led(host, "10.0.100.3", 8081));
    assert!(is_led(outside, "fd00:1::230", 443) && !is_led(outside, "192.168.1.230", 443));
    assert!(is_led(host, "::1", 443));
    assert!(is_led(outside, "fd00:1::230", 444) && !is_led(host, "fd00:100::3", 444));
    assert!(is_led(outside, "192.168.1.230", 445) && !is_led(outside, "fd00:1::230", 445));
    let [below, there, above] = [6999, 7000, 7001].map(|port| is_led(outside, "192.168.1.230", port));
    assert_eq!([below, there, above], [false, true, false], "each port of a range leads to one of its own");
}

/// With br_netfilter, frames to the host pass its rules before they come in: a guest that would reach itself alone is left out,
/// as its frame would have to go out by the port that it came in by.
#[test]
fn where_bridged_frames_pass_the_firewall() {
    let (lab, one, two) = lab_with(Network::NAT, "2222:7000,udp/2222:7000");
    lab.bridged_frames_pass_firewall(true);
    let _service = Service::on(&one, PORT);
    assert_seen(
        &lab.outside,
        2222,
        &[("192.168.1.230", Some("192.168.1.25")), ("fd00:1::230", Some("fd00:1::25"))],
    );
    assert_seen(&lab.host, 2222, &[("127.0.0.1", Some("10.0.100.3")), ("::1", Some("fd00:100::3"))]);
    assert_seen(&two, 2222, &[("192.168.1.230", Some("10.0.100.3")), ("fd00:1::230", Some("fd00:100::3"))]);
}

/// A policy of drop in iptables' FORWARD chain, as Docker sets it.
#[test]
fn where_another_firewall_drops_what_is_forwarded() {
    let lab = Lab::new(Network::NAT);
    for iptables in ["iptables", "ip6tables"] {
        lab.host.run(&format!("{iptables} -P FORWARD DROP"));
    }
    let one = attach(&lab, 1, "2222:7000,udp/2222:7000");
    lab.settle();
    let _service = Service::on(&one, PORT);
    assert_seen(
        &lab.outside,
        2222,
        &[("192.168.1.230", Some("192.168.1.25")), ("fd00:1::230", Some("fd00:1::25"))],
    );
    assert_seen(&lab.host, 2222, &[("127.0.0.1", Some("10.0.100.3")), ("::1", Some("fd00:100::3"))]);
}

/// A guest is told of no shorter way to another one: it would go past the translation from then on.
#[test]
fn a_guest_that_believes_redirects_goes_on_by_the_host() {
    let (lab, one, two) = lab_with(Network::NAT_BY_ROUTES, "2222:7000,udp/2222:7000");
    for guest in [&one, &two] {
        guest.sysctl("ipv4/conf/all/accept_redirects", "1");
        guest.sysctl("ipv4/conf/eth0/accept_redirects", "1");
        guest.sysctl("ipv6/conf/eth0/accept_redirects", "1");
    }
    let _service = Service::on(&one, PORT);
    for _ in 0..5 {
        assert_seen(
            &two,
            2222,
            &[("192.168.1.230", Some("10.0.100.3")), ("fd00:1::230", Some("fd00:100::3"))],
        );
    }
    assert!(!two.ip("route get 192.168.1.230").contains("10.0.100.1 "));
    drop(lab);
}
