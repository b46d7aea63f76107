//! IPv4: who sends, and what only servers and routers do.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::assembler::{Assembler, Jumps};
use super::{PAYLOAD, Sources};

const FRAGMENT: u32 = PAYLOAD + 6;
/// The place of a fragment, and whether it is one at all.
const LATER: u32 = 0x1fff;
const ANY: u32 = 0x3fff;
const PROTOCOL: u32 = PAYLOAD + 9;
const FROM: u32 = PAYLOAD + 12;
const ICMP: u32 = 1;
const IGMP: u32 = 2;
const UDP: u32 = 17;
/// Where DHCP servers and their clients listen.
const SERVER: u32 = 67;
const CLIENT: u32 = 68;
/// A redirect, and a router's advertisement (RFC 1256).
const OF_ROUTERS: [u32; 2] = [5, 9];
/// A question about groups, and a router's advertisement (RFC 4286): a bridge sends all groups to who says that.
const OF_MULTICAST_ROUTERS: [u32; 2] = [0x11, 0x30];

pub(super) fn put(it: &mut Assembler, sources: &Sources) {
    it.load_byte(PAYLOAD).mask(0xf0).require_equal(0x40);
    it.load_byte(PAYLOAD).mask(0x0f).require_at_least(5);
    it.load_word(FROM);
    it.when_equal(0, without_address);
    source(it, FROM, sources);
    // What is behind the first fragment has no ports.
    it.load_half(FRAGMENT).when_bits(LATER, Assembler::pass);
    let mut known = Jumps::new();
    it.load_byte(PROTOCOL);
    [UDP, ICMP, IGMP].iter().for_each(|protocol| it.go_if(*protocol, &mut known));
    it.pass();
    it.here(known);
    it.behind_header(PAYLOAD, 8);
    it.load_byte(PROTOCOL);
    it.when_equal(UDP, |it| {
        it.load_half_behind(PAYLOAD).refuse_any(&[SERVER]);
        it.load_half_behind(PAYLOAD + 2).refuse_any(&[CLIENT]);
        it.pass();
    });
    let types: [(u32, &[u32]); 2] = [(ICMP, &OF_ROUTERS), (IGMP, &OF_MULTICAST_ROUTERS)];
    for (protocol, types) in types {
        it.when_equal(protocol, |it| {
            it.load_byte_behind(PAYLOAD).refuse_any(types);
            it.pass();
        });
    }
    it.drop();
}

/// Who has no address asks for one, and says nothing else.
fn without_address(it: &mut Assembler) {
    it.load_byte(PROTOCOL).require_equal(UDP);
    it.load_half(FRAGMENT).refuse_bits(ANY);
    it.behind_header(PAYLOAD, 8);
    it.load_half_behind(PAYLOAD).require_equal(CLIENT);
    it.load_half_behind(PAYLOAD + 2).require_equal(SERVER);
    it.pass();
}

/// The address at this place is one that the guest may have.
pub(super) fn source(it: &mut Assembler, at: u32, sources: &Sources) {
    sources.put(it, at, &nobodys());
}

/// No machine of a network has such an address: 0.0.0.0/8, 127.0.0.0/8, groups and what is beyond them.
fn nobodys() -> Vec<IpNet> {
    let net = |first: u8, length| IpNet::new(IpAddr::V4(Ipv4Addr::new(first, 0, 0, 0)), length).ok();
    [net(0, 8), net(127, 8), net(224, 3)].into_iter().flatten().collect()
}
