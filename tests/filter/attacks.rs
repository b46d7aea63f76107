//! What one guest sends to another, and to the host, in anybody's name. From a guest without a filter each of these frames arrives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::kit::{attach, hook_of, lab_with};
use crate::lab::{Capture, Frame, Guest, Lab, Network, eventually, frame, within};

type Attacks = Vec<(&'static str, Vec<u8>)>;

struct Names {
    own: [u8; 6],
    other: [u8; 6],
    host: [u8; 6],
    own4: Ipv4Addr,
    other4: Ipv4Addr,
    host4: Ipv4Addr,
    own6: Ipv6Addr,
    other6: Ipv6Addr,
    host6: Ipv6Addr,
}

fn names(lab: &Lab, one: &Guest, two: &Guest) -> Names {
    let [first, second] = [1, 2].map(|number| lab.network.guest(number));
    let is_lan = lab.network.mode == "bridged";
    Names {
        own: one.mac("eth0"),
        other: two.mac("eth0"),
        host: lab.host.mac("br0"),
        own4: first.v4.parse().unwrap(),
        other4: second.v4.parse().unwrap(),
        host4: if is_lan { "192.168.1.230" } else { "10.0.100.3" }.parse().unwrap(),
        own6: first.v6.parse().unwrap(),
        other6: second.v6.parse().unwrap(),
        host6: if is_lan { "fd00:1::230" } else { "fd00:100::3" }.parse().unwrap(),
    }
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0, 12, 0, 0], b"spam"].concat()
}

fn arp(frame: Frame, op: u8, mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, op];
    frame.raw(frame::ARP, &[&head[..], &mac, &sender.octets(), &[0; 6], &target.octets()].concat())
}

/// Neighbour discovery about an address, with a MAC.
fn about(kind: u8, target: Ipv6Addr, option: u8, mac: [u8; 6]) -> Vec<u8> {
    [&[kind, 0, 0, 0, 0xa0, 0, 0, 0], &target.octets()[..], &[option, 1], &mac].concat()
}

fn ethernet(n: &Names) -> Attacks {
    let all = frame::BROADCAST;
    let good = |from| Frame { from, to: all }.udp4(n.own4, n.other4, "spam");
    let mut attacks = vec![
        ("another guest's MAC", good([0x52, 0x54, 0, 9, 9, 9])),
        ("the host's MAC", good([2, 9, 9, 9, 9, 9])),
        ("a second tag", frame::tagged(&frame::tagged(&good(n.own), 7), 8)),
        ("a tag", frame::tagged(&good(n.own), 7)),
    ];
    let own = Frame { from: n.own, to: all };
    for (name, kind) in
        [("LLDP", 0x88cc_u16), ("EAPOL", 0x888e), ("802.3", 46), ("PPPoE", 0x8863), ("MPLS", 0x8847)]
    {
        attacks.push((name, own.raw(kind, b"something that no filter knows, and long enough for it")));
    }
    attacks
}

fn arp_attacks(n: &Names) -> Attacks {
    let own = Frame { from: n.own, to: frame::BROADCAST };
    vec![
        ("ARP for another guest", arp(own, 2, n.own, n.other4, n.own4)),
        ("ARP for the host", arp(own, 2, n.own, n.host4, n.own4)),
        ("an ARP question in the host's name", arp(own, 1, n.own, n.host4, n.other4)),
        ("ARP with another MAC inside", arp(own, 2, n.other, n.own4, n.other4)),
        ("a probe for another's address", arp(own, 1, n.own, Ipv4Addr::UNSPECIFIED, n.other4)),
        ("RARP that tells addresses", own.raw(0x8035, &[0, 1, 8, 0, 6, 4, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0])),
    ]
}

fn ipv4(n: &Names) -> Attacks {
    let own = Frame { from: n.own, to: frame::BROADCAST };
    let (all, nobody) = (IpAddr::V4(Ipv4Addr::BROADCAST), Ipv4Addr::UNSPECIFIED);
    let from = |source: Ipv4Addr| own.udp4(source, n.other4, "spam");
    let fragment = |place: u16, payload: &[u8]| {
        let mut frame = own.ip(n.own4.into(), all, frame::UDP, payload);
        frame[20..22].copy_from_slice(&place.to_be_bytes());
        frame
    };
    vec![
        ("another guest's address", from(n.other4)),
        ("the host's address", from(n.host4)),
        ("the outside's address", from(Ipv4Addr::new(198, 51, 100, 7))),
        ("a loopback address", from(Ipv4Addr::LOCALHOST)),
        ("a group as source", from(Ipv4Addr::new(224, 0, 0, 1))),
        ("no address", from(nobody)),
        ("a DHCP offer", own.ip(n.own4.into(), all, frame::UDP, &udp(67, 68))),
        ("a DHCP offer from an odd port", own.ip(n.own4.into(), all, frame::UDP, &udp(4000, 68))),
        (
            "a DHCP offer behind options",
            own.ipv4_with(n.own4, Ipv4Addr::BROADCAST, frame::UDP, &[1; 8], &udp(67, 68)),
        ),
        ("a DHCP offer in a fragment", fragment(0x2000, &udp(67, 68))),
        ("a later fragment of another", {
            let mut frame = own.ip(n.other4.into(), all, frame::UDP, &udp(1, 2));
            frame[20..22].copy_from_slice(&[0x20, 2]);
            frame
        }),
        ("an ICMP redirect", own.ip(n.own4.into(), n.other4.into(), frame::ICMP, &[5, 1, 0, 0, 0, 0, 0, 0])),
        ("IRDP", own.ip(n.own4.into(), all, frame::ICMP, &[9, 0, 0, 0, 0, 0, 0, 0])),
        ("an IGMP question", own.ip(n.own4.into(), all, 2, &[0x11, 0, 0, 0, 0, 0, 0, 0])),
    ]
}

fn ipv6(n: &Names) -> Attacks {
    let own = Frame { from: n.own, to: frame::BROADCAST };
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let ra = own.router_advertisement(n.own6, "2001:db8::".parse().unwrap());
    // The packet of the same behind another header.
    let behind = |next: u8, header: &[u8]| {
        let payload = [header, &ra[54..]].concat();
        own.ip(n.own6.into(), all.into(), next, &payload)
    };
    let from = |source: &str| own.udp6(source.parse().unwrap(), n.other6, "spam");
    let nd = |source: Ipv6Addr, icmp| own.icmp6(source, all, icmp);
    vec![
        ("another guest's IPv6 address", own.udp6(n.other6, n.own6, "spam")),
        ("the host's IPv6 address", own.udp6(n.host6, n.other6, "spam")),
        ("an IPv6 address of the outside", from("2001:db8::7")),
        ("::1", from("::1")),
        ("a mapped address", from("::ffff:10.0.100.2")),
        ("no IPv6 address", from("::")),
        ("NA for another guest", nd(n.own6, about(136, n.other6, 2, n.own))),
        ("NA for the host", nd(n.own6, about(136, n.host6, 2, n.own))),
        ("NA with another MAC", nd(n.own6, about(136, n.own6, 2, n.other))),
        ("NS with another MAC", nd(n.own6, about(135, n.other6, 1, n.other))),
        ("another's address tried", nd(Ipv6Addr::UNSPECIFIED, about(135, n.other6, 14, n.own))),
        ("RA", ra.clone()),
        ("RA behind hop-by-hop options", behind(0, &[58, 0, 1, 4, 0, 0, 0, 0])),
        ("RA behind destination options", behind(60, &[58, 0, 1, 4, 0, 0, 0, 0])),
        ("RA behind a routing header", behind(43, &[58, 0, 0, 0, 0, 0, 0, 0])),
        ("RA in a fragment", behind(44, &[58, 0, 0, 0, 0, 0, 0, 1])),
        ("a redirect", nd(n.own6, about(137, n.other6, 2, n.own))),
        ("a MLD question", nd(n.own6, vec![130, 0, 0, 0, 0, 0, 0, 0])),
        ("DHCPv6 of a server", own.ip(n.own6.into(), all.into(), frame::UDP, &udp(547, 546))),
        (
            "DHCPv6 of a server from an odd port",
            own.ip(n.own6.into(), all.into(), frame::UDP, &udp(4000, 546)),
        ),
    ]
}

/// The attacks that came to the second guest or to the host's stack.
fn arrived(lab: &Lab, one: &Guest, two: &Guest, n: &Names, attacks: &Attacks) -> Vec<&'static str> {
    let gate: usize = lab.host.run("cat /sys/class/net/br0/ifindex").trim().parse().unwrap();
    let mut host = Capture::of_wire(&lab.host);
    let before = two.count();
    attacks.iter().for_each(|(_, frame)| one.inject(frame));
    let last = Frame { from: n.own, to: n.other }.udp4(n.own4, n.other4, "the last one");
    eventually("the last frame arrives", || {
        one.inject(&last);
        two.heard_since(before).contains(&last)
    });
    let is_known = |heard: &[Vec<u8>], frame: &Vec<u8>| heard.contains(frame);
    let mut all = Vec::new();
    within(std::time::Duration::from_millis(200), || {
        let (heard, at_host) = (two.heard_since(before), host.frames_by(gate));
        let got = attacks.iter().filter(|(_, frame)| is_known(&heard, frame) || is_known(&at_host, frame));
        all = got.map(|(name, _)| *name).collect();
        all.len() == attacks.len()
    });
    all
}

fn nothing_in_anybodys_name(network: Network) {
    let lab = lab_with(network, "");
    let (one, two) = (lab.attach(1), attach(&lab, 2));
    lab.settle();
    let n = names(&lab, &one, &two);
    assert_ne!(n.host, n.own);
    let attacks = [ethernet(&n), arp_attacks(&n), ipv4(&n), ipv6(&n)].concat();
    let without = arrived(&lab, &one, &two, &n, &attacks);
    let lost: Vec<_> =
        attacks.iter().filter(|(name, _)| !without.contains(name)).map(|(name, _)| name).collect();
    assert!(lost.is_empty(), "without a filter each arrives, but for {lost:?}");
    hook_of(&lab, &one, 1).env("KVMNET_FILTER", "true").run().ok();
    let with = arrived(&lab, &one, &two, &n, &attacks);
    println!("{}: {} attacks, {} got through", network.mode, attacks.len(), with.len());
    assert!(with.is_empty(), "{}: {with:?}", network.mode);
    // The program stands without any rule, and under another name.
    lab.host.run("nft flush ruleset");
    lab.host.ip("link property add dev vif0.0 altname other");
    assert!(arrived(&lab, &one, &two, &n, &attacks).is_empty(), "without rules");
}

crate::lab::each_mode!(nothing_in_anybodys_name: isolated host_only nat routed bridged);

/// Of a guest on a LAN only its MAC is known: it can have any address but the host's, and the gateway's.
#[test]
fn a_guest_on_a_lan_is_not_its_gateway() {
    let lab = lab_with(Network::BRIDGED, "");
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    let n = names(&lab, &one, &two);
    let own = Frame { from: n.own, to: frame::BROADCAST };
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let as_if = |v4: Ipv4Addr, v6: Ipv6Addr| -> Attacks {
        vec![
            ("ARP", arp(own, 2, n.own, v4, n.other4)),
            ("a question of ARP", arp(own, 1, n.own, v4, n.other4)),
            ("IPv4", own.udp4(v4, n.other4, "spam")),
            ("NA", own.icmp6(n.own6, all, about(136, v6, 2, n.own))),
            ("IPv6", own.udp6(v6, n.other6, "spam")),
        ]
    };
    let gateway = as_if("192.168.1.25".parse().unwrap(), "fd00:1::25".parse().unwrap());
    let attacks = [gateway, as_if(n.host4, n.host6)].concat();
    assert_eq!(arrived(&lab, &one, &two, &n, &attacks).len(), attacks.len(), "without a filter");
    let mac = lab.network.guest(1).mac;
    let hook = lab.hook("/etc/qemu-ifup", &one).env("KVMNET_FILTER", "true").env("KVMNET_GUEST_MAC", &mac);
    hook.run().ok();
    let with = arrived(&lab, &one, &two, &n, &attacks);
    assert!(with.is_empty(), "{with:?}");
    let another = as_if("192.168.1.99".parse().unwrap(), "fd00:1::99".parse().unwrap());
    assert_eq!(arrived(&lab, &one, &two, &n, &another).len(), another.len(), "any other one is as good");
    two.ip("neigh flush all");
    assert!(two.pings("192.168.1.25") && two.pings("fd00:1::25"), "the gateway is the gateway");
}
