//! Any frame that a guest sends, against what its filter promises, read here in another way: header by header, as who receives it does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::guest_filter::interpreter;
use crate::model::{GuestFilter, Mac, Sources};

const OWN: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x57];
const OWN4: Ipv4Addr = Ipv4Addr::new(10, 0, 100, 7);
/// fd00:100::7, and the link-local address that is the host's.
const OWN6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0, 7);
const HOST6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// What is behind the header of Ethernet.
const PAYLOAD: usize = 14;
const PASS: u32 = u32::MAX;

/// A frame; whether its last byte is odd says whether a tag was taken off it.
pub(super) fn guest_filter(data: &[u8]) {
    let filter = GuestFilter {
        macs: vec![Mac(OWN)],
        v4: Sources { within: vec![IpAddr::V4(OWN4).into()], taken: Vec::new() },
        v6: Sources {
            within: vec![IpAddr::V6(OWN6).into(), "fe80::/10".parse().unwrap()],
            taken: vec![HOST6.into()],
        },
        tags: false,
    };
    let is_tagged = data.last().is_some_and(|byte| byte & 1 == 1);
    for tagged in [false, is_tagged] {
        let verdict = interpreter::run(&filter.program(), data, tagged);
        // A verdict that is neither is that of a load behind the end, and would let it through.
        assert!(verdict == PASS || verdict == 2, "{verdict}: {data:02x?}");
        if verdict == PASS {
            assert!(!tagged, "a tag: {data:02x?}");
            assert_eq!(wrong(data), None, "{data:02x?}");
        }
    }
}

/// What the guest must not have sent.
fn wrong(frame: &[u8]) -> Option<&'static str> {
    if frame[6..12] != OWN {
        return Some("another's MAC");
    }
    let packet = &frame[PAYLOAD..];
    match u16::from_be_bytes([frame[12], frame[13]]) {
        0x0800 => ipv4(packet),
        0x86dd => ipv6(packet),
        kind @ (0x0806 | 0x8035) => arp(packet, kind == 0x8035),
        _ => Some("another type"),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn arp(packet: &[u8], is_reverse: bool) -> Option<&'static str> {
    let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
    let operation = word(packet, 6)?;
    if packet[8..14] != OWN {
        return Some("an ARP sender with another's MAC");
    }
    match (is_reverse, operation, address(14), address(24)) {
        (true, 3, Ipv4Addr::UNSPECIFIED, _) | (false, 1 | 2, OWN4, _) => None,
        (false, 1 | 2, Ipv4Addr::UNSPECIFIED, OWN4) => None,
        _ => Some("an ARP sender with another's address"),
    }
}

fn ipv4(packet: &[u8]) -> Option<&'static str> {
    let source = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).unwrap());
    let place = word(packet, 6)?;
    let inner = packet.get(4 * usize::from(packet[0] & 15)..)?;
    let (from, to) = (word(inner, 0), word(inner, 2));
    let is_dhcp = packet[9] == 17 && place & 0x3fff == 0 && from == Some(68) && to == Some(67);
    if source != OWN4 && !(source.is_unspecified() && is_dhcp) {
        return Some("another's IPv4 address");
    }
    if place & 0x1fff != 0 {
        return None;
    }
    match packet[9] {
        17 if from == Some(67) || to == Some(68) => Some("a DHCP server"),
        1 if matches!(inner.first(), Some(5 | 9)) => Some("a redirect, or a router's advertisement"),
        2 if matches!(inner.first(), Some(0x11 | 0x30)) => Some("a router of groups"),
        _ => None,
    }
}

fn ipv6(packet: &[u8]) -> Option<&'static str> {
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).unwrap()));
    let (source, length) = (address(8)?, usize::from(word(packet, 4)?));
    let is_own = |address: Ipv6Addr| address == OWN6 || address.is_unicast_link_local() && address != HOST6;
    if !is_own(source) && !source.is_unspecified() {
        return Some("another's IPv6 address");
    }
    // Who receives it looks no further than it says that it goes.
    let packet = packet.get(..40 + length).unwrap_or(packet);
    let (mut next, mut at, mut is_fragment) = (packet[6], 40, false);
    while let 0 | 43 | 44 | 60 = next {
        is_fragment |= next == 44;
        if next == 44 && word(packet, at + 2)? & 0xfff8 != 0 {
            return source.is_unspecified().then_some("nobody's fragment");
        }
        let size = if next == 44 { 8 } else { 8 * (usize::from(*packet.get(at + 1)?) + 1) };
        (next, at) = (*packet.get(at)?, at + size);
    }
    let kind = if next == 58 { *packet.get(at)? } else { 0 };
    if source.is_unspecified() && !matches!((next, kind), (58, 131 | 132 | 133 | 135 | 143)) {
        return Some("nobody says that");
    }
    match (next, kind) {
        (17, _) if word(packet, at)? == 547 || word(packet, at + 2)? == 546 => Some("a DHCPv6 server"),
        (58, 130 | 134 | 137 | 151) => Some("a router"),
        (58, 133 | 135 | 136) if is_fragment => Some("neighbour discovery in fragments"),
        (58, 136) if !address(at + 8).is_none_or(is_own) => Some("another's address is told"),
        (58, 135) if source.is_unspecified() && !address(at + 8).is_none_or(is_own) => {
            Some("another's address is asked for")
        }
        (58, 133) => macs(packet.get(at + 8..)?),
        (58, 135 | 136) => macs(packet.get(at + 24..)?),
        _ => None,
    }
}

/// The options of neighbour discovery that say a MAC.
fn macs(mut options: &[u8]) -> Option<&'static str> {
    while let [kind, length, ..] = *options {
        let size = 8 * usize::from(length);
        // One of no length, or that is cut, ends it all: nobody heeds the message.
        if size == 0 {
            return None;
        }
        let option = options.get(..size)?;
        if matches!(kind, 1 | 2) && option[2..8] != OWN {
            return Some("another's MAC is told");
        }
        options = &options[size..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The judge itself: of what no filter may let through it says so.
    #[test]
    fn what_is_wrong_is_known() {
        let folder = format!("{}/tests/corpus/guest_filter", env!("CARGO_MANIFEST_DIR"));
        let frames =
            std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let mut known: Vec<&str> = frames.filter_map(|frame| wrong(&frame)).collect();
        known.sort_unstable();
        known.dedup();
        let expected = [
            "a DHCP server",
            "a DHCPv6 server",
            "a redirect, or a router's advertisement",
            "a router",
            "another's IPv4 address",
            "another's IPv6 address",
        ];
        assert_eq!(known, expected);
    }
}
