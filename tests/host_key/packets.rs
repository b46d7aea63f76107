//! What a guest sends to its host, each with a number in its last bytes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::lab::frame::{self, ACK, BROADCAST, ICMP, ICMPV6, SYN, TCP, UDP};
use crate::lab::{Frame, Guest, Lab};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Udp(u16),
    /// A port, and flags.
    Tcp(u16, u8),
    /// A type.
    Icmp(u8),
    Protocol(u8),
    /// A datagram in two pieces, for this port.
    Pieces(u16),
}

pub struct Sent {
    pub number: usize,
    pub kind: Kind,
    source: IpAddr,
    target: IpAddr,
    pub frame: Vec<u8>,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} from {} to {}", self.kind, self.source, self.target)
    }
}

impl Sent {
    pub fn is_v6(&self) -> bool {
        self.target.is_ipv6()
    }

    /// Whether any host hears it that lets it in: from a guest's own address, whole, to an address of the host's.
    pub fn is_plain(&self) -> bool {
        let is_own = self.source.to_string().ends_with("1") && !self.source.is_multicast();
        let is_group = self.target.is_multicast() || self.target == IpAddr::V4(Ipv4Addr::BROADCAST);
        is_own && !is_group && !self.target.to_string().ends_with("255")
    }
}

/// How a number is found again.
pub fn mark(number: usize) -> [u8; 8] {
    let [a, b, c, d] = u32::try_from(number).unwrap().to_be_bytes();
    [b'k', b'v', a, b, c, d, b'm', b'n']
}

pub fn number(packet: &[u8]) -> Option<usize> {
    packet.windows(8).rev().find_map(|part| match part {
        [b'k', b'v', a, b, c, d, b'm', b'n'] => usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok(),
        _ => None,
    })
}

fn segment(
    source: IpAddr,
    target: IpAddr,
    protocol: u8,
    mut head: Vec<u8>,
    sum_at: usize,
    number: usize,
) -> Vec<u8> {
    head.extend(mark(number));
    let sum = match (source, target, protocol) {
        (IpAddr::V6(source), IpAddr::V6(target), _) => frame::checksum6(source, target, protocol, &head),
        (_, _, ICMP) => frame::checksum(&head).to_be_bytes(),
        (IpAddr::V4(source), IpAddr::V4(target), _) => frame::checksum4(source, target, protocol, &head),
        _ => unreachable!("of one family"),
    };
    head[sum_at..sum_at + 2].copy_from_slice(&sum);
    head
}

fn payload(kind: Kind, source: IpAddr, target: IpAddr, number: usize) -> (u8, Vec<u8>) {
    let port = |port: u16| port.to_be_bytes();
    let of = |protocol, head, sum_at| (protocol, segment(source, target, protocol, head, sum_at, number));
    match kind {
        Kind::Udp(to) => of(UDP, [port(40000), port(to), port(16), [0, 0]].concat(), 6),
        Kind::Tcp(to, flags) => {
            let rest = [0, 0, 0, 9, 0, 0, 0, 9, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0];
            of(TCP, [&port(40000)[..], &port(to), &rest].concat(), 16)
        }
        Kind::Icmp(number) => {
            let protocol = if source.is_ipv4() { ICMP } else { ICMPV6 };
            of(protocol, [&[number, 0, 0, 0, 0, 0, 0, 0][..], &[0; 24]].concat(), 2)
        }
        Kind::Protocol(protocol) => (protocol, [&[0; 24][..], &mark(number)].concat()),
        Kind::Pieces(_) => unreachable!("made by hand"),
    }
}

/// Two pieces of a datagram over IPv4: the second one has the number.
fn pieces(way: Frame, source: Ipv4Addr, target: Ipv4Addr, port: u16, number: usize) -> [Vec<u8>; 2] {
    let (_, datagram) = payload(Kind::Udp(port), source.into(), target.into(), number);
    let (first, second) = datagram.split_at(8);
    let piece = |payload: &[u8], flags: u16| {
        let mut frame = way.ip(source.into(), target.into(), UDP, payload);
        frame[18..20].copy_from_slice(&u16::try_from(number % 65536).unwrap().to_be_bytes());
        frame[20..22].copy_from_slice(&flags.to_be_bytes());
        frame[24..26].copy_from_slice(&[0, 0]);
        let sum = frame::checksum(&frame[14..34]).to_be_bytes();
        frame[24..26].copy_from_slice(&sum);
        frame
    };
    [piece(first, 0x2000), piece(second, 1)]
}

fn kinds(v6: bool) -> Vec<Kind> {
    let udp = [22, 53, 67, 68, 123, 137, 547, 1900, 5353, 7000].map(Kind::Udp);
    let tcp =
        [22, 53, 111, 2049, 7000].into_iter().flat_map(|port| [SYN, ACK].map(|flags| Kind::Tcp(port, flags)));
    // Of IPv6 those are left out that are parts of the header.
    let is_other = |protocol: &u8| {
        let is_part = v6 && matches!(protocol, 43 | 44 | 50 | 51 | 59 | 60 | 135 | 139 | 140);
        !matches!(*protocol, ICMP | TCP | UDP | ICMPV6) && !is_part
    };
    let protocols = (1..255).filter(is_other).map(Kind::Protocol);
    udp.into_iter().chain(tcp).chain((0..=255).map(Kind::Icmp)).chain(protocols).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Every kind from a guest as itself, and as nobody, to each address of the host and to groups; a few in the name of its neighbour.
pub fn sent(lab: &Lab, one: &Guest) -> Vec<Sent> {
    let (own, other) = (lab.network.guest(1), lab.network.guest(2));
    let gate = lab.network.gate;
    let host = lab.host.mac(gate);
    let link_local = lab.host.link_local(gate).expect("the host has a link-local address");
    let mac = one.mac("eth0");
    let mut sent = Vec::new();
    let mut add = |to: [u8; 6], source: IpAddr, target: IpAddr, kind: Kind| {
        let number = sent.len();
        let way = Frame { from: mac, to };
        let (protocol, payload) = payload(kind, source, target, number);
        sent.push(Sent { number, kind, source, target, frame: way.ip(source, target, protocol, &payload) });
    };
    let unicast =
        ["10.0.100.3", "192.168.1.230", "10.77.0.1", "10.99.0.1", "10.0.200.3", "fd00:100::3", "fd00:1::230"];
    let unicast = unicast.into_iter().chain(["fd00:77::1", "fd00:99::1", "fd00:200::3", &link_local]).map(ip);
    let groups = [
        "10.0.100.255",
        "255.255.255.255",
        "224.0.0.1",
        "224.0.0.251",
        "239.255.255.250",
        "ff02::1",
        "ff02::fb",
    ];
    let nobody = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let all = unicast.map(|target| (host, target)).chain(groups.map(ip).map(|target| (BROADCAST, target)));
    for (to, target) in all {
        let of = |[v4, v6]: [IpAddr; 2]| if target.is_ipv4() { v4 } else { v6 };
        for kind in kinds(target.is_ipv6()) {
            add(to, of([ip(&own.v4), ip(&own.v6)]), target, kind);
            if matches!(kind, Kind::Udp(_) | Kind::Icmp(0..20 | 128..145)) {
                add(to, of(nobody), target, kind);
                add(to, of([ip(&other.v4), ip(&other.v6)]), target, kind);
            }
        }
    }
    let (source, target) = (own.v4.parse().unwrap(), "10.0.100.3".parse().unwrap());
    for port in [7000, 22] {
        let number = sent.len();
        let way = Frame { from: mac, to: host };
        for frame in pieces(way, source, target, port, number) {
            sent.push(Sent {
                number,
                kind: Kind::Pieces(port),
                source: source.into(),
                target: target.into(),
                frame,
            });
        }
    }
    sent
}

/// Each port, at the host's address on the network.
pub fn all_ports(lab: &Lab, one: &Guest) -> Vec<Sent> {
    let own = lab.network.guest(1);
    let way = Frame { from: one.mac("eth0"), to: lab.host.mac(lab.network.gate) };
    let pairs = [(ip(&own.v4), ip("10.0.100.3")), (ip(&own.v6), ip("fd00:100::3"))];
    let kinds = (0..=u16::MAX).flat_map(|port| [Kind::Udp(port), Kind::Tcp(port, SYN)]);
    let all = kinds.flat_map(|kind| pairs.map(|pair| (kind, pair)));
    let sent = all.enumerate().map(|(number, (kind, (source, target)))| {
        let (protocol, payload) = payload(kind, source, target, number);
        Sent { number, kind, source, target, frame: way.ip(source, target, protocol, &payload) }
    });
    sent.collect()
}
