#![allow(clippy::unwrap_used, clippy::panic)]
use std::net::{Ipv4Addr, Ipv6Addr};

use super::interpreter::run;
use super::*;
use crate::model::filter::{DROP, PASS};

const OWN: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const SECOND: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x57];
const OTHER: [u8; 6] = [0x52, 0x54, 0, 0x99, 0x99, 0x99];
const ALL: [u8; 6] = [0xff; 6];
const OWN4: Ipv4Addr = Ipv4Addr::new(10, 0, 100, 7);
const OTHER4: Ipv4Addr = Ipv4Addr::new(10, 0, 100, 8);
const HOST4: Ipv4Addr = Ipv4Addr::new(10, 0, 100, 1);
const NOBODY4: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// A guest that has been told its addresses; fe80::1 is the host's.
fn strict() -> GuestFilter {
    let net = |text: &str| text.parse::<IpNet>().unwrap();
    GuestFilter {
        macs: vec![Mac(OWN), Mac(SECOND)],
        v4: Sources { within: vec![net("10.0.100.7/32")], taken: Vec::new() },
        v6: Sources {
            within: vec![net("fd00:100::7/128"), net("fe80::/10")],
            taken: vec!["fe80::1".parse().unwrap()],
        },
        tags: false,
    }
}

/// A guest of which nothing is known but its MAC.
fn loose() -> GuestFilter {
    let taken = |text: &str| vec![text.parse().unwrap()];
    GuestFilter {
        macs: vec![Mac(OWN)],
        v4: Sources { within: Vec::new(), taken: taken("10.0.100.1") },
        v6: Sources { within: Vec::new(), taken: taken("fd00:100::1") },
        tags: false,
    }
}

fn passes_tagged(filter: &GuestFilter, frame: &[u8], is_tagged: bool) -> bool {
    match run(&filter.program(), frame, is_tagged) {
        verdict if verdict == PASS.3 => true,
        verdict if verdict == DROP.3 => false,
        verdict => panic!("no verdict of the filter's: {verdict} about {frame:02x?}"),
    }
}

fn passes(filter: &GuestFilter, frame: &[u8]) -> bool {
    passes_tagged(filter, frame, false)
}

fn frame(source: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&ALL[..], &source, &kind.to_be_bytes(), payload].concat()
}

fn arp(source: [u8; 6], op: u16, mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let body =
        [&[0, 1, 8, 0, 6, 4][..], &op.to_be_bytes(), &mac, &sender.octets(), &[0; 6], &target.octets()];
    frame(source, if op > 2 { 0x8035 } else { 0x0806 }, &body.concat())
}

/// An IPv4 packet with options of so many words, at a place of a datagram.
fn ip4(protocol: u8, from: Ipv4Addr, options: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let [a, b] = fragment.to_be_bytes();
    let header = [0x45 + options, 0, 0, 0, 0, 0, a, b, 64, protocol, 0, 0];
    let parts = [&header[..], &from.octets(), &[255; 4], &vec![1; 4 * usize::from(options)], payload];
    frame(OWN, 0x0800, &parts.concat())
}

fn ip6(next: u8, from: &str, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, length[0], length[1], next, 255];
    frame(OWN, 0x86dd, &[&header[..], &v6(from).octets(), &v6("ff02::1").octets(), payload].concat())
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0, 8, 0, 0]].concat()
}

fn icmp6(kind: u8) -> Vec<u8> {
    [kind, 0, 0, 0, 0, 0, 0, 0].into()
}

/// Neighbour discovery about an address.
fn about(kind: u8, target: &str) -> Vec<u8> {
    [icmp6(kind), v6(target).octets().into()].concat()
}

fn option(kind: u8, mac: [u8; 6]) -> Vec<u8> {
    [&[kind, 1][..], &mac].concat()
}

/// Options for every hop before something.
fn hops(next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 0, 5, 2, 0, 0, 1, 0][..], payload].concat()
}

fn fragment6(next: u8, place: u16, payload: &[u8]) -> Vec<u8> {
    let [a, b] = (place << 3 | 1).to_be_bytes();
    [&[next, 0, a, b, 0, 0, 0, 7][..], payload].concat()
}

#[test]
fn ethernet() {
    let payload = [&[0x45][..], &[0; 60]].concat();
    for filter in [strict(), loose()] {
        for source in [OTHER, ALL, [0; 6], [1, 0, 0x5e, 0, 0, 1], [0x52, 0x54, 0, 0x12, 0x34, 0x58]] {
            let mut spoofed = ip4(6, OWN4, 0, 0, &[0; 20]);
            spoofed[6..12].copy_from_slice(&source);
            assert!(!passes(&filter, &spoofed), "{source:02x?}");
        }
        // Tags that are left, LLDP, EAPOL, PAUSE, lengths (STP), PPPoE, MPLS, loopback, local experiments.
        for kind in [0x8100, 0x88a8, 0x9100, 0x88cc, 0x888e, 0x8808, 0x0026, 0x05dc, 0x8863, 0x8847, 0x9000] {
            assert!(!passes(&filter, &frame(OWN, kind, &payload)), "{kind:#x}");
        }
    }
    let mut second = ip4(6, OWN4, 0, 0, &[0; 20]);
    second[6..12].copy_from_slice(&SECOND);
    assert!(passes(&strict(), &second));
    assert!(!passes(&loose(), &second));
}

#[test]
fn tags() {
    let with_tags = GuestFilter { tags: true, ..strict() };
    let good = ip4(6, OWN4, 0, 0, &[0; 20]);
    assert!(!passes_tagged(&strict(), &good, true));
    assert!(passes_tagged(&with_tags, &good, true));
    assert!(passes_tagged(&with_tags, &good, false));
    assert!(!passes_tagged(&with_tags, &ip4(6, OTHER4, 0, 0, &[0; 20]), true));
    assert!(!passes_tagged(&with_tags, &frame(OWN, 0x8100, &[0; 60]), true), "a second tag");
}

#[test]
fn address_resolution() {
    for (good, frame) in [
        (true, arp(OWN, 1, OWN, OWN4, OTHER4)),
        (true, arp(OWN, 2, OWN, OWN4, OTHER4)),
        (true, arp(SECOND, 2, SECOND, OWN4, OWN4)),
        (true, arp(OWN, 1, OWN, NOBODY4, OWN4)),
        (true, arp(OWN, 3, OWN, NOBODY4, NOBODY4)),
        (false, arp(OWN, 1, OWN, OTHER4, HOST4)),
        (false, arp(OWN, 2, OWN, HOST4, OTHER4)),
        (false, arp(OWN, 2, OTHER, OWN4, OTHER4)),
        (false, arp(OWN, 1, SECOND, OWN4, OTHER4)),
        (false, arp(OTHER, 1, OTHER, OWN4, OTHER4)),
        // The address of another that looks whether it has it.
        (false, arp(OWN, 1, OWN, NOBODY4, OTHER4)),
        (false, arp(OWN, 4, OWN, OWN4, OTHER4)),
        (false, arp(OWN, 3, OTHER, NOBODY4, NOBODY4)),
        (false, arp(OWN, 0, OWN, OWN4, OTHER4)),
    ] {
        assert_eq!(passes(&strict(), &frame), good, "{frame:02x?}");
        assert!(!passes(&strict(), &frame[..frame.len() - 1]), "cut short");
    }
    assert!(passes(&loose(), &arp(OWN, 2, OWN, OTHER4, OTHER4)));
    for taken in [HOST4, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST] {
        assert!(!passes(&loose(), &arp(OWN, 2, OWN, taken, OTHER4)), "{taken}");
    }
    assert!(!passes(&loose(), &arp(OWN, 1, OWN, NOBODY4, HOST4)));
    let mut long = arp(OWN, 1, OWN, OWN4, OTHER4);
    long[18] = 8;
    assert!(!passes(&strict(), &long), "addresses of another length");
}

#[test]
fn sources_of_ipv4() {
    let tcp = |from: Ipv4Addr| ip4(6, from, 0, 0, &[0; 20]);
    assert!(passes(&strict(), &tcp(OWN4)));
    for from in [OTHER4, HOST4, NOBODY4, Ipv4Addr::LOCALHOST, Ipv4Addr::new(8, 8, 8, 8)] {
        assert!(!passes(&strict(), &tcp(from)), "{from}");
    }
    assert!(passes(&loose(), &tcp(OTHER4)) && passes(&loose(), &tcp(Ipv4Addr::new(8, 8, 8, 8))));
    for from in [HOST4, NOBODY4, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        assert!(!passes(&loose(), &tcp(from)), "{from}");
    }
    let subnet = GuestFilter {
        v4: Sources { within: vec!["10.0.100.0/25".parse().unwrap()], taken: vec![HOST4.into()] },
        ..loose()
    };
    assert!(passes(&subnet, &tcp(OWN4)) && passes(&subnet, &tcp(Ipv4Addr::new(10, 0, 100, 127))));
    assert!(!passes(&subnet, &tcp(Ipv4Addr::new(10, 0, 100, 128))) && !passes(&subnet, &tcp(HOST4)));
    let mut version = tcp(OWN4);
    version[14] = 0x65;
    assert!(!passes(&strict(), &version));
    version[14] = 0x44;
    assert!(!passes(&strict(), &version), "a header that is too short");
}

#[test]
fn services_of_ipv4() {
    for options in [0, 1, 10] {
        let of = |from, to| ip4(17, OWN4, options, 0, &udp(from, to));
        assert!(passes(&strict(), &of(5000, 53)) && passes(&strict(), &of(68, 67)));
        assert!(!passes(&strict(), &of(67, 68)) && !passes(&strict(), &of(67, 5000)));
        assert!(!passes(&strict(), &of(5000, 68)), "to a client");
        for (kind, good) in [(8, true), (0, true), (3, true), (5, false), (9, false)] {
            assert_eq!(passes(&strict(), &ip4(1, OWN4, options, 0, &icmp6(kind))), good, "ICMP {kind}");
        }
        for (kind, good) in [(0x22, true), (0x16, true), (0x17, true), (0x11, false), (0x30, false)] {
            assert_eq!(passes(&strict(), &ip4(2, OWN4, options, 0, &icmp6(kind))), good, "IGMP {kind}");
        }
    }
    assert!(!passes(&strict(), &ip4(17, OWN4, 0, 0x2000, &udp(67, 68))), "a first fragment");
    assert!(!passes(&strict(), &ip4(17, OWN4, 0, 0x2000, &[0, 67, 0])), "one too short to tell");
    assert!(passes(&strict(), &ip4(17, OWN4, 0, 0x2001, &[0, 67, 0, 68])), "a later one");
    assert!(!passes(&strict(), &ip4(17, OTHER4, 0, 0x2001, &[0; 8])));
    // Who has no address.
    assert!(passes(&strict(), &ip4(17, NOBODY4, 0, 0, &udp(68, 67))));
    for (from, to) in [(67, 68), (68, 68), (5000, 67), (68, 53)] {
        assert!(!passes(&strict(), &ip4(17, NOBODY4, 0, 0, &udp(from, to))), "{from} {to}");
    }
    assert!(!passes(&strict(), &ip4(17, NOBODY4, 0, 0x2000, &udp(68, 67))));
    assert!(!passes(&strict(), &ip4(1, NOBODY4, 0, 0, &[8, 0, 0, 0])));
}

#[test]
fn sources_of_ipv6() {
    for (from, is_own, is_anybodys) in [
        ("fd00:100::7", true, true),
        ("fe80::5054:ff:fe12:3456", true, true),
        ("fe80::1", false, true),
        ("fd00:100::8", false, true),
        ("fd00:100::1", false, false),
        ("::1", false, false),
        ("::ffff:10.0.100.7", false, false),
        ("ff02::1", false, false),
        ("2001:db8::1", false, true),
        ("fec0::1", false, true),
    ] {
        let tcp = ip6(6, from, &[0; 20]);
        assert_eq!(passes(&strict(), &tcp), is_own, "{from}");
        assert_eq!(passes(&loose(), &tcp), is_anybodys, "{from}");
    }
    let mut version = ip6(6, "fd00:100::7", &[0; 20]);
    version[14] = 0x45;
    assert!(!passes(&strict(), &version));
}

#[test]
fn neighbours() {
    let own = "fd00:100::7";
    let na = |target, mac| [about(136, target), option(2, mac)].concat();
    let ns = |mac| [about(135, "fd00:100::8"), option(1, mac)].concat();
    for (good, from, payload) in [
        (true, own, na(own, OWN)),
        (true, own, na("fe80::7", SECOND)),
        (true, own, about(136, own)),
        (true, own, ns(OWN)),
        (true, own, [ns(OWN), option(14, ALL)].concat()),
        (true, own, [icmp6(133), option(1, OWN)].concat()),
        (true, own, icmp6(128)),
        (false, own, na("fd00:100::8", OWN)),
        (false, own, na("fe80::1", OWN)),
        (false, own, na(own, OTHER)),
        (false, "fd00:100::8", na(own, OWN)),
        (false, own, ns(OTHER)),
        (false, own, [about(135, own), option(14, ALL), option(1, OTHER)].concat()),
        (false, own, [about(136, own), option(1, OTHER)].concat()),
        (false, own, [about(136, own), vec![14, 2, 0, 0, 0, 0, 0, 0], vec![0; 8], option(2, OTHER)].concat()),
        (false, own, [about(136, own), option(14, ALL).repeat(4), option(2, OTHER)].concat()),
        (false, own, [icmp6(133), option(1, OTHER)].concat()),
        (false, own, about(136, own)[..20].into()),
        (false, own, icmp6(134)),
        (false, own, icmp6(137)),
        (false, own, icmp6(130)),
        (false, own, icmp6(151)),
        // Who has no address.
        (true, "::", about(135, own)),
        (true, "::", [about(135, "fe80::7"), option(14, ALL)].concat()),
        (true, "::", icmp6(133)),
        (false, "::", about(135, "fd00:100::8")),
        (false, "::", about(135, "fe80::1")),
        (false, "::", about(136, own)),
        (false, "::", icmp6(134)),
        (false, "::", icmp6(128)),
    ] {
        assert_eq!(passes(&strict(), &ip6(58, from, &payload)), good, "{from} {payload:02x?}");
    }
}

#[test]
fn services_of_ipv6() {
    let own = "fe80::7";
    for (good, next, payload) in [
        (true, 17, udp(546, 547)),
        (true, 17, udp(5353, 5353)),
        (true, 50, vec![0; 16]),
        (true, 59, Vec::new()),
        (false, 17, udp(547, 546)),
        (false, 17, udp(547, 5000)),
        (false, 17, udp(5000, 546)),
        (false, 17, vec![2, 35]),
        (true, 0, hops(58, &icmp6(143))),
        (true, 0, hops(58, &icmp6(131))),
        (false, 0, hops(58, &icmp6(134))),
        (false, 0, hops(58, &icmp6(130))),
        (false, 0, hops(58, &about(136, own))),
        (false, 0, hops(17, &udp(1, 2))),
        (false, 0, hops(60, &icmp6(143))),
        (false, 0, [58, 1].into_iter().chain([0; 14]).chain(icmp6(134)).collect()),
        (false, 43, hops(58, &icmp6(134))),
        (false, 60, hops(58, &icmp6(134))),
        (true, 44, fragment6(17, 0, &udp(5000, 53))),
        (true, 44, fragment6(58, 0, &icmp6(128))),
        (true, 44, fragment6(58, 1, &icmp6(134))),
        (true, 44, fragment6(17, 1, &[])),
        (false, 44, fragment6(58, 0, &icmp6(134))),
        (false, 44, fragment6(58, 0, &about(136, own))),
        (false, 44, fragment6(58, 0, &[134])),
        (false, 44, fragment6(17, 0, &udp(547, 546))),
        (false, 44, fragment6(60, 0, &hops(58, &icmp6(134)))),
        (false, 44, fragment6(0, 0, &hops(58, &icmp6(134)))),
        (false, 44, fragment6(44, 0, &fragment6(58, 0, &icmp6(134)))),
        (false, 44, vec![17, 0]),
    ] {
        assert_eq!(passes(&strict(), &ip6(next, own, &payload)), good, "{next} {payload:02x?}");
    }
    assert!(passes(&strict(), &ip6(0, "::", &hops(58, &icmp6(143)))));
    assert!(!passes(&strict(), &ip6(17, "::", &udp(546, 547))));
    assert!(!passes(&strict(), &ip6(44, "::", &fragment6(58, 1, &[0; 8]))));
}

/// The largest one: as many MACs and addresses as there may be.
fn largest() -> GuestFilter {
    let taken4 = (0..200).map(|last| Ipv4Addr::new(10, 0, 0, last).into()).collect();
    let taken6 = (0..200).map(|last| Ipv6Addr::new(0xfd00, 1, 2, 3, 4, 5, 6, last).into()).collect();
    let within4 = (0..8).map(|last| IpNet::new(Ipv4Addr::new(10, 1, last, 0).into(), 25).unwrap()).collect();
    let net = |last| IpNet::new(Ipv6Addr::new(0xfd00, 2, 3, 4, 5, 6, 7, last).into(), 121).unwrap();
    GuestFilter {
        macs: (0..8).map(|last| Mac([2, 0, 0, 0, 0, last])).collect(),
        v4: Sources { within: within4, taken: taken4 },
        v6: Sources { within: (0..8).map(net).collect(), taken: taken6 },
        tags: true,
    }
}

/// What the kernel asks of a program (`bpf_check_classic`).
#[test]
fn the_kernel_takes_it() {
    for filter in [strict(), loose(), largest()] {
        let program = filter.program();
        assert!(program.len() <= 4096, "{}", program.len());
        println!("{} instructions", program.len());
        assert_eq!(program.last().unwrap().0, 6);
        for (at, (code, jt, jf, k)) in program.iter().enumerate() {
            let longest = match code {
                0x05 => *k as usize,
                0x15 | 0x1d | 0x35 | 0x3d | 0x45 => usize::from(*jt.max(jf)),
                _ => 0,
            };
            assert!(at + 1 + longest < program.len() || *code == 6, "{at} jumps beyond the end");
        }
    }
}

/// A frame of any bytes and length, and each good one cut short anywhere, is passed or dropped, and never let through because the
/// program looked behind its end.
#[test]
fn any_bytes_have_a_verdict() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % below
    };
    let good = [
        arp(OWN, 1, OWN, OWN4, OTHER4),
        ip4(17, OWN4, 10, 0, &udp(5000, 53)),
        ip4(1, OWN4, 0, 0, &icmp6(8)),
        ip6(58, "fe80::7", &[about(136, "fe80::7"), option(2, OWN), option(14, ALL)].concat()),
        ip6(0, "fe80::7", &hops(58, &icmp6(143))),
        ip6(44, "fe80::7", &fragment6(17, 0, &udp(5000, 53))),
        ip6(58, "::", &about(135, "fe80::7")),
    ];
    let programs = [strict().program(), loose().program()];
    let is_verdict =
        |frame: &[u8]| programs.iter().all(|program| [DROP.3, PASS.3].contains(&run(program, frame, false)));
    for frame in &good {
        assert!(passes(&strict(), frame), "{frame:02x?}");
        assert!((14..frame.len()).all(|end| is_verdict(&frame[..end])), "{frame:02x?}");
    }
    for _ in 0..20_000 {
        let mut frame = good[random(good.len())].clone();
        for _ in 0..random(4) {
            let at = 12 + random(frame.len() - 12);
            frame[at] = [0, 1, 2, 17, 43, 44, 58, 60, 134, 0x4f, 0xff, random(256) as u8][random(12)];
        }
        frame.truncate(14 + random(frame.len() - 13));
        assert!(is_verdict(&frame), "{frame:02x?}");
    }
}
