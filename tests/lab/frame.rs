//! Ethernet frames, made and read by hand: what an attacker sends, and what a capture shows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every station of the link.
pub const BROADCAST: [u8; 6] = [0xff; 6];

pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;
pub const IPV6: u16 = 0x86dd;
pub const VLAN: u16 = 0x8100;
/// A type for experiments (IEEE 802): no stack speaks it.
pub const FOREIGN: u16 = 0x88b5;
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;
/// Flags of TCP (RFC 9293).
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// Makes frames from one hardware address to another.
#[derive(Clone, Copy)]
pub struct Frame {
    pub from: [u8; 6],
    pub to: [u8; 6],
}

impl Frame {
    /// A frame of any type with any content.
    pub fn raw(self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = [&self.to[..], &self.from, &ethertype.to_be_bytes(), payload].concat();
        frame.resize(frame.len().max(60), 0);
        frame
    }

    /// "Who has `target`? Tell `sender`."
    pub fn arp_request(self, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let head = [0, 1, 8, 0, 6, 4, 0, 1];
        let body = [&head[..], &self.from, &sender.octets(), &[0; 6], &target.octets()].concat();
        self.raw(ARP, &body)
    }

    /// A UDP datagram over IPv4 (its checksum left out, as IPv4 allows), port 7000 to port 7000.
    pub fn udp4(self, source: Ipv4Addr, target: Ipv4Addr, text: &str) -> Vec<u8> {
        self.ipv4(source, target, UDP, &datagram(text))
    }

    /// A TCP segment without content, from this port to port 7000, over the IP version of the addresses.
    pub fn tcp(self, source: IpAddr, target: IpAddr, port: u16, flags: u8) -> Vec<u8> {
        let [ports, there] = [port, super::probe::PORT].map(u16::to_be_bytes);
        let mut tcp =
            [&ports[..], &there, &[0, 0, 0, 9, 0, 0, 0, 9, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat();
        let sum = match (source, target) {
            (IpAddr::V4(source), IpAddr::V4(target)) => checksum4(source, target, TCP, &tcp),
            (IpAddr::V6(source), IpAddr::V6(target)) => checksum6(source, target, TCP, &tcp),
            _ => panic!("{source} and {target} are of different versions"),
        };
        tcp[16..18].copy_from_slice(&sum);
        self.ip(source, target, TCP, &tcp)
    }

    /// "Your packet did not arrive": an ICMP error about a datagram, port 7000 to port 7000, that `target` sent to `lost`.
    pub fn unreachable(self, source: IpAddr, target: IpAddr, lost: IpAddr) -> Vec<u8> {
        let datagram = match (target, lost) {
            (IpAddr::V4(from), IpAddr::V4(to)) => self.udp4(from, to, "lost"),
            (IpAddr::V6(from), IpAddr::V6(to)) => self.udp6(from, to, "lost"),
            _ => panic!("{target} and {lost} are of different versions"),
        };
        let (kind, code) = if source.is_ipv4() { (3, 3) } else { (1, 4) };
        let mut icmp = [&[kind, code, 0, 0, 0, 0, 0, 0], &datagram[14..]].concat();
        let (sum, protocol) = match (source, target) {
            (IpAddr::V6(source), IpAddr::V6(target)) => (checksum6(source, target, ICMPV6, &icmp), ICMPV6),
            _ => (checksum(&icmp).to_be_bytes(), ICMP),
        };
        icmp[2..4].copy_from_slice(&sum);
        self.ip(source, target, protocol, &icmp)
    }

    /// A packet of either version.
    pub fn ip(self, source: IpAddr, target: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
        match (source, target) {
            (IpAddr::V4(source), IpAddr::V4(target)) => self.ipv4(source, target, protocol, payload),
            (IpAddr::V6(source), IpAddr::V6(target)) => self.ipv6(source, target, protocol, payload),
            _ => panic!("{source} and {target} are of different versions"),
        }
    }

    /// The same behind an IP option that no stack understands: an error is its only answer.
    pub fn udp4_with_bad_option(self, source: Ipv4Addr, target: Ipv4Addr, text: &str) -> Vec<u8> {
        self.ipv4_with(source, target, UDP, &[0x83, 1, 0, 0], &datagram(text))
    }

    /// A ping over IPv4.
    pub fn echo4(self, source: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let mut icmp = vec![8, 0, 0, 0, 0, 7, 0, 1];
        let sum = checksum(&icmp).to_be_bytes();
        icmp[2..4].copy_from_slice(&sum);
        self.ipv4(source, target, ICMP, &icmp)
    }

    fn ipv4(self, source: Ipv4Addr, target: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
        self.ipv4_with(source, target, protocol, &[], payload)
    }

    /// IPv4 with options, a multiple of four bytes.
    pub fn ipv4_with(
        self,
        source: Ipv4Addr,
        target: Ipv4Addr,
        protocol: u8,
        options: &[u8],
        payload: &[u8],
    ) -> Vec<u8> {
        let words = 5 + u8::try_from(options.len() / 4).unwrap();
        let length = u16::try_from(20 + options.len() + payload.len()).unwrap().to_be_bytes();
        let head = [&[0x40 | words, 0], &length[..], &[0, 1, 0, 0, 64, protocol, 0, 0]].concat();
        let mut ip = [&head[..], &source.octets(), &target.octets(), options].concat();
        let sum = checksum(&ip).to_be_bytes();
        ip[10..12].copy_from_slice(&sum);
        self.raw(IPV4, &[&ip[..], payload].concat())
    }

    /// A UDP datagram over IPv6, port 7000 to port 7000.
    pub fn udp6(self, source: Ipv6Addr, target: Ipv6Addr, text: &str) -> Vec<u8> {
        let mut udp = datagram(text);
        let sum = checksum6(source, target, UDP, &udp);
        udp[6..8].copy_from_slice(&sum);
        self.ipv6(source, target, UDP, &udp)
    }

    /// "Who has `target`?" in IPv6, asked of all nodes.
    pub fn neighbour_solicitation(self, source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
        let icmp = [&[135, 0, 0, 0, 0, 0, 0, 0], &target.octets()[..], &[1, 1], &self.from].concat();
        self.icmp6(source, solicited_node(target), icmp)
    }

    /// "I am `source`, and behind `self.from`", said to all nodes without having been asked.
    pub fn neighbour_advertisement(self, source: Ipv6Addr) -> Vec<u8> {
        let icmp = [&[136, 0, 0, 0, 0xa0, 0, 0, 0], &source.octets()[..], &[2, 1], &self.from].concat();
        self.icmp6(source, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), icmp)
    }

    /// "I am your router, and `prefix`/64 is your network", said to all nodes (RFC 4861).
    pub fn router_advertisement(self, source: Ipv6Addr, prefix: Ipv6Addr) -> Vec<u8> {
        let head = [134, 0, 0, 0, 64, 0x08, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
        let option = [3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0];
        let icmp = [&head[..], &option, &prefix.octets(), &[1, 1], &self.from].concat();
        self.icmp6(source, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), icmp)
    }

    /// A ping over IPv6.
    pub fn echo6(self, source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
        self.icmp6(source, target, vec![128, 0, 0, 0, 0, 7, 0, 1])
    }

    /// ICMPv6; its checksum is worked out.
    pub fn icmp6(self, source: Ipv6Addr, target: Ipv6Addr, mut icmp: Vec<u8>) -> Vec<u8> {
        let sum = checksum6(source, target, ICMPV6, &icmp);
        icmp[2..4].copy_from_slice(&sum);
        self.ipv6(source, target, ICMPV6, &icmp)
    }

    fn ipv6(self, source: Ipv6Addr, target: Ipv6Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let ip =
            [&[0x60, 0, 0, 0], &length[..], &[protocol, 255], &source.octets(), &target.octets(), payload];
        self.raw(IPV6, &ip.concat())
    }
}

/// A frame with a tag of a VLAN (IEEE 802.1Q); VLAN 0 is a priority and nothing more.
pub fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    [&frame[..12], &VLAN.to_be_bytes(), &(0xa000 | vlan).to_be_bytes(), &frame[12..]].concat()
}

/// Whether a frame is the ARP answer "`address` is at …".
pub fn is_arp_reply_for(frame: &[u8], address: Ipv4Addr) -> bool {
    ethertype(frame) == Some(ARP)
        && frame.get(20..22) == Some(&[0, 2])
        && frame.get(28..32) == Some(&address.octets())
}

/// Whether a frame is a neighbour advertisement for `address`.
pub fn is_advertisement_of(frame: &[u8], address: Ipv6Addr) -> bool {
    ethertype(frame) == Some(IPV6)
        && frame.get(54) == Some(&136)
        && frame.get(62..78) == Some(&address.octets())
}

/// The hardware address that a frame comes from.
pub fn sender(frame: &[u8]) -> Option<[u8; 6]> {
    frame.get(6..12)?.try_into().ok()
}

/// Source and target of an IPv4 or IPv6 frame.
pub fn addresses(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match ethertype(frame)? {
        IPV4 => Some((v4(frame.get(26..30)?)?, v4(frame.get(30..34)?)?)),
        IPV6 => Some((v6(frame.get(22..38)?)?, v6(frame.get(38..54)?)?)),
        _ => None,
    }
}

pub fn ethertype(frame: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?))
}

fn v4(bytes: &[u8]) -> Option<IpAddr> {
    Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?))
}

fn v6(bytes: &[u8]) -> Option<IpAddr> {
    Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?))
}

/// A UDP header for the lab's port, without a checksum, and the text.
fn datagram(text: &str) -> Vec<u8> {
    let port = super::probe::PORT.to_be_bytes();
    let length = u16::try_from(8 + text.len()).unwrap().to_be_bytes();
    [&port[..], &port, &length, &[0, 0], text.as_bytes()].concat()
}

/// The group that an IPv6 address listens on for questions about it (RFC 4291).
pub fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

pub fn checksum4(source: Ipv4Addr, target: Ipv4Addr, protocol: u8, payload: &[u8]) -> [u8; 2] {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let pseudo = [&source.octets()[..], &target.octets(), &[0, protocol], &length, payload].concat();
    checksum(&pseudo).to_be_bytes()
}

pub fn checksum6(source: Ipv6Addr, target: Ipv6Addr, protocol: u8, payload: &[u8]) -> [u8; 2] {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let pseudo = [&source.octets()[..], &target.octets(), &length, &[0, 0, 0, protocol], payload].concat();
    checksum(&pseudo).to_be_bytes()
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| (u32::from(pair[0]) << 8) | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
