//! What must not get in by a port that leads to a guest.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::lab::{Frame, Listener, Network, TwoNetworks, inject, within};
use crate::service::{Protocol, Service, seen_as};
use crate::{BOTH, PORT, attach, hook, lab_with};

/// Whom packets reach in vain: they are looked for this long.
const WHILE: Duration = Duration::from_millis(700);

/// The guest itself is as closed as before, also at the port that something leads to.
#[test]
fn the_guest_is_reached_by_the_port_alone() {
    let (lab, one, _two) = lab_with(Network::NAT, "2222:7000,udp/2222:7000");
    let (_service, _other) = (Service::on(&one, PORT), Service::on(&one, 7001));
    lab.outside_knows_the_way();
    for protocol in BOTH {
        for address in ["10.0.100.1", "fd00:100::1"] {
            for port in [2222, 7000, 7001] {
                assert_eq!(seen_as(&lab.outside, protocol, address, port), None, "{address} port {port}");
            }
        }
        assert!(seen_as(&lab.outside, protocol, "192.168.1.230", 2222).is_some());
        assert_eq!(seen_as(&lab.outside, protocol, "192.168.1.230", 7000), None);
    }
    assert!(!lab.outside.pings("10.0.100.1") && !lab.outside.pings("fd00:100::1"));
}

/// With an uplink, its LAN is the outside, and no other network.
#[test]
fn other_links_than_the_uplink_lead_nowhere() {
    let (lab, one, _two) = lab_with(Network::NAT, "2222:7000,udp/2222:7000");
    let _service = Service::on(&one, PORT);
    for protocol in BOTH {
        assert_eq!(seen_as(&lab.other, protocol, "10.77.0.1", 2222), None);
        assert_eq!(seen_as(&lab.other, protocol, "fd00:77::1", 2222), None);
    }
}

/// A neighbour writes to the host's loopback address: what is forwarded from there, and what only listens there, hears nothing.
#[test]
fn a_neighbour_does_not_reach_the_loopback_address() {
    let (lab, one, two) = lab_with(Network::NAT_BY_ROUTES, "udp/127.0.0.1:7000:7000,udp/[::1]:7000:7000");
    let mut guest = Listener::on(&one);
    let mut host = Listener::on(&lab.host);
    for machine in [&lab.host, &lab.outside, &*two] {
        machine.sysctl("ipv4/conf/all/rp_filter", "0");
    }
    let gate = lab.host.mac("br0");
    for (from, mac, source) in
        [(&lab.outside, lab.host.mac("eth3"), "192.168.1.25"), (&two, gate, "10.0.100.2")]
    {
        let frame = Frame { from: from.mac("eth0"), to: mac };
        inject(from, "eth0", &frame.udp4(source.parse().unwrap(), Ipv4Addr::LOCALHOST, "in"));
        inject(from, "eth0", &frame.udp6("fd00:1::25".parse().unwrap(), Ipv6Addr::LOCALHOST, "in"));
    }
    within(WHILE, || guest.has_heard("in") || host.has_heard("in"));
    assert!(!guest.has_heard("in"), "the guest hears what was written to 127.0.0.1");
    assert!(!host.has_heard("in"), "the host hears what was written to 127.0.0.1");
    // And the door is one.
    assert_eq!(lab.host.read_sysctl("ipv4/conf/br0/route_localnet").as_deref(), Some("0"));
    lab.host.enter(|| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"by the host", ("127.0.0.1", PORT)).unwrap();
    });
    within(Duration::from_secs(5), || guest.has_heard("by the host"));
    assert_eq!(guest.source_of("by the host").as_deref(), Some("10.0.100.3"));
}

/// Somebody outside who writes as another guest, or as the host.
#[test]
fn forged_sources_do_not_get_in() {
    let (lab, one, _two) = lab_with(Network::NAT_BY_ROUTES, "udp/7000:7000");
    let mut guest = Listener::on(&one);
    let frame = Frame { from: lab.outside.mac("eth0"), to: lab.host.mac("eth3") };
    let (v4, v6) = ("192.168.1.230".parse().unwrap(), "fd00:1::230".parse().unwrap());
    for source in ["10.0.100.2", "10.0.100.1", "10.0.100.3", "192.168.1.230", "127.0.0.1"] {
        inject(&lab.outside, "eth0", &frame.udp4(source.parse().unwrap(), v4, source));
    }
    for source in ["fd00:100::2", "fd00:100::1", "fd00:100::3", "fd00:1::230", "::1"] {
        inject(&lab.outside, "eth0", &frame.udp6(source.parse().unwrap(), v6, source));
    }
    inject(&lab.outside, "eth0", &frame.udp4("192.168.1.25".parse().unwrap(), v4, "as itself"));
    within(Duration::from_secs(5), || guest.has_heard("as itself"));
    let heard: Vec<&str> = guest.heard().iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(heard, ["as itself"]);
}

/// Guests of another network are kept out as before; of a routed one they are let in to another routed one.
#[test]
fn guests_of_another_network_are_no_outside() {
    let cases = [
        (Network::NAT, Network::NAT, false),
        (Network::NAT_BY_ROUTES, Network::ROUTED, false),
        (Network::NAT_BY_ROUTES, Network::HOST_ONLY, false),
        (Network::NAT_BY_ROUTES, Network::ISOLATED, false),
        (Network::ROUTED, Network::ROUTED, true),
    ];
    for (first, second, gets_in) in cases {
        let world = TwoNetworks::new(first, second, true);
        hook(&world.lab, &world.first, 1, "2222:7000,udp/2222:7000").run().ok();
        let _service = Service::on(&world.first, PORT);
        for protocol in BOTH {
            for address in ["192.168.1.230", "10.0.100.3", "fd00:1::230", "fd00:100::3"] {
                let seen = seen_as(&world.second, protocol, address, 2222).is_some();
                assert_eq!(seen, gets_in, "{protocol:?} from {} to {} at {address}", second.mode, first.mode);
            }
        }
    }
}

/// Where nobody has forwards, the rules are those of before.
#[test]
fn a_network_without_forwards_has_no_rules_for_them() {
    let (lab, _one, _two) = lab_with(Network::NAT, "");
    let rules = lab.host.run("nft list table inet kvmnet-br0");
    assert!(!rules.contains("dnat") && !rules.contains("map "), "{rules}");
    let _third = attach(&lab, 4, "2222:7000");
    let rules = lab.host.run("nft list table inet kvmnet-br0");
    assert!(rules.contains("dnat") && rules.contains("map forward4"), "{rules}");
    assert!(seen_as(&lab.outside, Protocol::Tcp, "192.168.1.230", 7000).is_none());
}
