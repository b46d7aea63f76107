//! The shapes of a packet: everything that an IP stack, or a firewall before it, treats in a way of its own. Each has the
//! attack's token where it stays on a way through a router, or in the words that an error quotes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::lab::frame::{self, ACK, FIN, Frame, ICMP, IPV4, IPV6, RST, SYN, TCP, UDP};

const IPIP: u8 = 4;
const SIXIN4: u8 = 41;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const ESP: u8 = 50;
const NOTHING: u8 = 59;
const OPTIONS: u8 = 60;

/// A packet in words, and its bytes.
pub type Shape = (&'static str, Vec<u8>);

/// Ports on which hosts serve whoever is on a link: DNS, DHCP, NTP, NetBIOS, DHCPv6, SSDP, mDNS, LLMNR, and tunnels.
const SERVICES: [u16; 15] = [22, 53, 67, 68, 111, 123, 137, 500, 546, 547, 1900, 4789, 5353, 5355, 6081];

fn udp(source: IpAddr, target: IpAddr, port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    let mut udp = [&port.to_be_bytes()[..], &port.to_be_bytes(), &length, &[0, 0], payload].concat();
    let sum = sum(source, target, UDP, &udp);
    udp[6..8].copy_from_slice(&sum);
    udp
}

fn sum(source: IpAddr, target: IpAddr, protocol: u8, payload: &[u8]) -> [u8; 2] {
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => frame::checksum4(source, target, protocol, payload),
        (IpAddr::V6(source), IpAddr::V6(target)) => frame::checksum6(source, target, protocol, payload),
        _ => unreachable!("of one version"),
    }
}

/// A segment with the token as its data.
fn tcp(source: IpAddr, target: IpAddr, port: u16, flags: u8, token: &[u8]) -> Vec<u8> {
    let ports = [2000_u16.to_be_bytes(), port.to_be_bytes()].concat();
    let mut tcp =
        [&ports[..], &[0, 0, 0, 9, 0, 0, 0, 9, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0], token].concat();
    let sum = sum(source, target, TCP, &tcp);
    tcp[16..18].copy_from_slice(&sum);
    tcp
}

fn icmp4(kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut icmp = [&[kind, code, 0, 0][..], &rest, payload].concat();
    let sum = frame::checksum(&icmp).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);
    icmp
}

/// Writes an IPv4 header's checksum anew.
fn resum(mut frame: Vec<u8>) -> Vec<u8> {
    frame[24..26].copy_from_slice(&[0, 0]);
    let sum = frame::checksum(&frame[14..14 + 4 * usize::from(frame[14] & 15)]).to_be_bytes();
    frame[24..26].copy_from_slice(&sum);
    frame
}

/// The IP packet of a frame.
fn packet(frame: &[u8]) -> Vec<u8> {
    frame[14..].to_vec()
}

/// An IPv4 fragment: flags and offset as in the header.
fn fragment4(frame: Vec<u8>, place: u16) -> Vec<u8> {
    let mut frame = frame;
    frame[20..22].copy_from_slice(&place.to_be_bytes());
    resum(frame)
}

/// The plainest ones, for every source, target and hardware address.
pub fn plain(frame: Frame, source: IpAddr, target: IpAddr, token: &str) -> Vec<Shape> {
    let echo = match (source, target) {
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            frame.icmp6(source, target, [&[128, 0, 0, 0, 0, 7, 0, 1], token.as_bytes()].concat())
        }
        _ => frame.ip(source, target, ICMP, &icmp4(8, 0, [0, 7, 0, 1], token.as_bytes())),
    };
    let datagram = udp(source, target, 7000, token.as_bytes());
    vec![("UDP", frame.ip(source, target, UDP, &datagram)), ("echo", echo)]
}

/// How a connection to a port begins.
pub fn to_port(frame: Frame, source: IpAddr, target: IpAddr, port: u16, token: u32) -> Vec<Shape> {
    let token = crate::attack::written(token);
    let token = token.as_bytes();
    vec![
        ("SYN", frame.ip(source, target, TCP, &tcp(source, target, port, SYN, token))),
        ("datagram", frame.ip(source, target, UDP, &udp(source, target, port, token))),
    ]
}

/// TCP of every state that a firewall knows, and datagrams to services.
fn transport(frame: Frame, source: IpAddr, target: IpAddr, token: &str) -> Vec<Shape> {
    let token = token.as_bytes();
    let mut shapes = Vec::new();
    for (name, flags) in [
        ("SYN", SYN),
        ("late RST", RST),
        ("late FIN", FIN | ACK),
        ("SYN and ACK", SYN | ACK),
        ("no flags", 0),
        ("all flags", 0xff),
    ] {
        shapes.push((name, frame.ip(source, target, TCP, &tcp(source, target, 7000, flags, token))));
    }
    for port in SERVICES {
        shapes.push(("to a service", frame.ip(source, target, UDP, &udp(source, target, port, token))));
        shapes.push((
            "SYN to a service",
            frame.ip(source, target, TCP, &tcp(source, target, port, SYN, token)),
        ));
    }
    for protocol in [2, ESP, 51, 88, 89, 103, 112, 132, 136, 255] {
        shapes.push(("an unusual protocol", frame.ip(source, target, protocol, token)));
    }
    shapes
}

/// What carries another packet inside: to the outside in IPv4 and IPv6, in the name of the host.
fn tunnels(frame: Frame, source: IpAddr, target: IpAddr, inner: [&[u8]; 2], token: &str) -> Vec<Shape> {
    let [four, six] = inner;
    let vxlan = |port: u16, ethernet: &[u8]| {
        let payload = [&[8, 0, 0, 0, 0, 0, 1, 0], ethernet, token.as_bytes()].concat();
        frame.ip(source, target, UDP, &udp(source, target, port, &payload))
    };
    let to = |protocol: u8, head: &[u8], inner: &[u8]| {
        frame.ip(source, target, protocol, &[head, inner, token.as_bytes()].concat())
    };
    vec![
        ("IPv4 in IP", to(IPIP, &[], &four[14..])),
        ("IPv6 in IP", to(SIXIN4, &[], &six[14..])),
        ("GRE of IPv4", to(GRE, &[0, 0, 8, 0], &four[14..])),
        ("GRE of IPv6", to(GRE, &[0, 0, 0x86, 0xdd], &six[14..])),
        ("GRE of Ethernet", to(GRE, &[0, 0, 0x65, 0x58], four)),
        ("VXLAN", vxlan(4789, four)),
        ("GENEVE", vxlan(6081, six)),
    ]
}

/// Every shape of IPv4.
pub fn ipv4(frame: Frame, source: Ipv4Addr, target: Ipv4Addr, inner: [&[u8]; 2], token: &str) -> Vec<Shape> {
    let (from, to, word) = (IpAddr::from(source), IpAddr::from(target), token.as_bytes());
    let datagram = udp(from, to, 7000, word);
    let with = |options: &[u8]| frame.ipv4_with(source, target, UDP, options, &datagram);
    let route = |kind: u8| [&[kind, 7, 4][..], &target.octets(), &[0]].concat();
    let whole = frame.ip(from, to, UDP, &datagram);
    let icmp = |kind, code, rest| {
        let quoted = [&packet(&frame.ip(to, from, UDP, &datagram))[..28], word].concat();
        frame.ip(from, to, ICMP, &icmp4(kind, code, rest, &quoted))
    };
    let changed = |at: usize, value: u8| {
        let mut frame = whole.clone();
        frame[at] = value;
        resum(frame)
    };
    let mut shapes = transport(frame, from, to, token);
    shapes.extend(tunnels(frame, from, to, inner, token));
    shapes.extend([
        ("an unknown option", with(&[0x83, 1, 0, 0])),
        ("loose source route", with(&route(0x83))),
        ("strict source route", with(&route(0x89))),
        ("record route", with(&[7, 7, 4, 0, 0, 0, 0, 0])),
        ("time stamps", with(&[0x44, 8, 5, 0, 0, 0, 0, 0])),
        ("router alert", with(&[0x94, 4, 0, 0])),
        ("a cut option", with(&[0x44, 40, 5, 0])),
        ("redirect", icmp(5, 1, source.octets())),
        ("unreachable", icmp(3, 3, [0; 4])),
        ("too big", icmp(3, 4, [0, 0, 2, 0])),
        ("time exceeded", icmp(11, 0, [0; 4])),
        ("parameter problem", icmp(12, 0, [20, 0, 0, 0])),
        ("router advertisement", icmp(9, 0, [1, 2, 7, 8])),
        ("router solicitation", icmp(10, 0, [0; 4])),
        ("time stamp question", icmp(13, 0, [0; 4])),
        ("mask question", icmp(17, 0, [0; 4])),
        ("first fragment", fragment4(whole.clone(), 0x2000)),
        ("tiny fragment", fragment4(frame.ip(from, to, TCP, &tcp(from, to, 7000, SYN, word)[..8]), 0x2000)),
        ("a fragment over the header", fragment4(frame.ip(from, to, TCP, word), 0x2001)),
        ("last fragment", fragment4(frame.ip(from, to, UDP, word), 0x0010)),
        ("a fragment beyond the end", fragment4(frame.ip(from, to, UDP, word), 0x1fff)),
        ("hop limit 1", changed(22, 1)),
        ("hop limit 0", changed(22, 0)),
        ("a length beyond the end", changed(16, 0x40)),
        ("a header of 16 bytes", changed(14, 0x44)),
        ("IPv6's type", [&whole[..12], &IPV6.to_be_bytes(), &whole[14..]].concat()),
    ]);
    shapes
}

/// Every shape of IPv6.
pub fn ipv6(frame: Frame, source: Ipv6Addr, target: Ipv6Addr, inner: [&[u8]; 2], token: &str) -> Vec<Shape> {
    let (from, to, word) = (IpAddr::from(source), IpAddr::from(target), token.as_bytes());
    let datagram = udp(from, to, 7000, word);
    let behind = |kind: u8, head: &[u8]| {
        frame.ip(from, to, kind, &[&[UDP, (head.len() / 8) as u8][..], head, &datagram].concat())
    };
    let quoted = packet(&frame.ip(to, from, UDP, &datagram));
    let icmp = |kind: u8, code: u8, rest: &[u8]| {
        frame.icmp6(source, target, [&[kind, code, 0, 0], rest, word].concat())
    };
    let segments = |kind: u8| [&[kind, 1, 0, 0, 0, 0][..], &target.octets()].concat();
    let route = |kind: u8| {
        let head = segments(kind);
        frame.ip(from, to, ROUTING, &[&[UDP, 2][..], &head, &datagram].concat())
    };
    let fragment = |next: u8, place: u16, payload: &[u8]| {
        let head = [&[next, 0][..], &place.to_be_bytes(), &[0, 0, 0, 7]].concat();
        frame.ip(from, to, FRAGMENT, &[&head[..], payload].concat())
    };
    let limited = |limit: u8| {
        let mut frame = frame.ip(from, to, UDP, &datagram);
        frame[21] = limit;
        frame
    };
    let unknown = behind(OPTIONS, &[0xc5, 4, 0, 0, 0, 0]);
    let mut shapes = transport(frame, from, to, token);
    shapes.extend(tunnels(frame, from, to, inner, token));
    shapes.extend([
        ("an unknown hop-by-hop option", behind(0, &[0xc5, 4, 0, 0, 0, 0])),
        ("one that asks for an error", behind(0, &[0x85, 4, 0, 0, 0, 0])),
        ("router alert", behind(0, &[5, 2, 0, 0, 1, 0])),
        ("a jumbogram that is none", behind(0, &[0xc2, 4, 0, 0, 0, 40])),
        ("an unknown option for the target", unknown.clone()),
        ("routing header 0", route(0)),
        ("routing header 2", route(2)),
        ("routing header 3", route(3)),
        ("routing header 4", route(4)),
        ("an unknown routing header", route(99)),
        ("first fragment", fragment(UDP, 1, &datagram)),
        ("tiny fragment", fragment(TCP, 1, &tcp(from, to, 7000, SYN, word)[..8])),
        ("last fragment", fragment(UDP, 8, word)),
        ("a whole fragment", fragment(UDP, 0, &datagram)),
        ("a fragment with options inside", fragment(OPTIONS, 1, &unknown[54..])),
        ("nothing follows", frame.ip(from, to, NOTHING, word)),
        ("hop limit 1", limited(1)),
        ("hop limit 0", limited(0)),
        ("redirect", icmp(137, 0, &[&[0; 4], &source.octets()[..], &target.octets()].concat())),
        ("unreachable", icmp(1, 4, &[&[0; 4], &quoted[..]].concat())),
        ("too big", icmp(2, 0, &[&[0, 0, 5, 0], &quoted[..]].concat())),
        ("time exceeded", icmp(3, 0, &[&[0; 4], &quoted[..]].concat())),
        ("parameter problem", icmp(4, 1, &[&[0, 0, 0, 6], &quoted[..]].concat())),
        ("a listener's report", icmp(131, 0, &[&[0; 4], &target.octets()[..]].concat())),
        ("a listener's question", icmp(130, 0, &[0; 20])),
        ("who are you", icmp(139, 0, &[0; 12])),
        ("IPv4's type", {
            let six = frame.ip(from, to, UDP, &datagram);
            [&six[..12], &IPV4.to_be_bytes(), &six[14..]].concat()
        }),
    ]);
    shapes.extend(neighbour_discovery(frame, source, target, token));
    shapes
}

/// For somebody on the way, who is told to lead it on to the target.
pub fn by_way_of(frame: Frame, source: IpAddr, via: IpAddr, target: IpAddr, token: &str) -> Vec<Shape> {
    let datagram = udp(source, target, 7000, token.as_bytes());
    match (source, via, target) {
        (IpAddr::V4(source), IpAddr::V4(via), IpAddr::V4(target)) => {
            let route = |kind: u8| [&[kind, 7, 4][..], &target.octets(), &[0]].concat();
            let with = |kind| frame.ipv4_with(source, via, UDP, &route(kind), &datagram);
            vec![
                ("loose source route by the host", with(0x83)),
                ("strict source route by the host", with(0x89)),
            ]
        }
        (_, _, IpAddr::V6(target)) => {
            let route = |kind: u8| {
                let head = [&[UDP, 2, kind, 1, 0, 0, 0, 0][..], &target.octets()].concat();
                [&head[..], &datagram].concat()
            };
            let whole = |payload: &[u8]| [&[ROUTING, 0, 0, 0, 0, 0, 0, 9][..], payload].concat();
            let behind = |payload: &[u8]| [&[ROUTING, 0, 1, 4, 0, 0, 0, 0][..], payload].concat();
            let sent = |kind, payload: &[u8]| frame.ip(source, via, kind, payload);
            vec![
                ("routing header 0 by the host", sent(ROUTING, &route(0))),
                ("routing header 3 by the host", sent(ROUTING, &route(3))),
                ("routing header 4 by the host", sent(ROUTING, &route(4))),
                ("a routing header in a fragment", sent(FRAGMENT, &whole(&route(4)))),
                ("a routing header behind options", sent(OPTIONS, &behind(&route(4)))),
            ]
        }
        _ => Vec::new(),
    }
}

/// An option that nobody knows, with the token in it.
fn option(token: &str) -> Vec<u8> {
    let mut option = [&[253, 2][..], token.as_bytes()].concat();
    option.resize(16, 0);
    option
}

/// What claims to be a neighbour or a router (RFC 4861), said to the target and to all.
fn neighbour_discovery(frame: Frame, source: Ipv6Addr, target: Ipv6Addr, token: &str) -> Vec<Shape> {
    let own = [&[2, 1][..], &frame.from].concat();
    let with = |head: &[u8], options: &[&[u8]]| [head, &options.concat(), &option(token)].concat();
    let prefix =
        [&[3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 0][..], &[0x20, 1, 0xd, 0xb8]].concat();
    let prefix = [&prefix[..], &[0; 12]].concat();
    let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets()].concat();
    let advertisement = [&[136, 0, 0, 0, 0xe0, 0, 0, 0][..], &target.octets()].concat();
    let router = [134, 0, 0, 0, 64, 8, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let resolver = [&[25, 3, 0, 0, 0, 0, 14, 16][..], &source.octets()].concat();
    vec![
        (
            "solicitation",
            frame.icmp6(source, target, with(&solicitation, &[&[&[1, 1][..], &frame.from].concat()])),
        ),
        ("advertisement", frame.icmp6(source, target, with(&advertisement, &[&own]))),
        ("router advertisement", frame.icmp6(source, target, with(&router, &[&prefix, &resolver]))),
        ("router solicitation", frame.icmp6(source, target, with(&[133, 0, 0, 0, 0, 0, 0, 0], &[]))),
    ]
}
