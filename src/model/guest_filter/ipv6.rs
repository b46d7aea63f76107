//! IPv6: who sends, what only servers and routers do, and whose address neighbours are told.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::assembler::{Assembler, Jumps, address_at, mac_behind};
use super::{GuestFilter, PAYLOAD, Sources};
use crate::model::Mac;

const NEXT: u32 = PAYLOAD + 6;
const FROM: u32 = PAYLOAD + 8;
/// What is behind the header, and behind options or a fragment's header of eight bytes.
const BEHIND: u32 = PAYLOAD + 40;
const FURTHER: u32 = BEHIND + 8;
const HOP_BY_HOP: u32 = 0;
const UDP: u32 = 17;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const ICMP: u32 = 58;
const OPTIONS: u32 = 60;
/// Where DHCPv6 clients and servers listen.
const CLIENT: u32 = 546;
const SERVER: u32 = 547;
const ROUTER_SOLICITATION: u32 = 133;
const NEIGHBOUR_SOLICITATION: u32 = 135;
const NEIGHBOUR_ADVERTISEMENT: u32 = 136;
/// A question about groups, router advertisements (RFC 4861, RFC 4286), and a redirect.
const OF_ROUTERS: [u32; 4] = [130, 134, 137, 151];
/// Reports of groups, and the end of one (RFC 2710, RFC 3810).
const OF_MEMBERS: [u32; 3] = [131, 132, 143];
/// So many options of neighbour discovery are looked at (a MAC, and a nonce, RFC 7527); a message with more is dropped.
const MOST_OPTIONS: u32 = 2;

pub(super) fn put(it: &mut Assembler, filter: &GuestFilter) {
    let (mut report, mut target, mut question, mut solicitation) =
        (Jumps::new(), Jumps::new(), Jumps::new(), Jumps::new());
    it.at_least(BEHIND);
    it.load_byte(PAYLOAD).mask(0xf0).require_equal(0x60);
    let nobody = address_at(FROM, IpAddr::V6(Ipv6Addr::UNSPECIFIED).into());
    // Who has no address asks whether somebody has the one that it will have, who the routers are, and says which groups it is in.
    it.when_all(&nobody, |it| {
        it.load_byte(NEXT).go_if(HOP_BY_HOP, &mut report);
        it.require_equal(ICMP);
        it.at_least(BEHIND + 8);
        it.load_byte(BEHIND).go_if(ROUTER_SOLICITATION, &mut solicitation);
        it.require_equal(NEIGHBOUR_SOLICITATION);
        it.go(&mut target);
    });
    source(it, FROM, &filter.v6);
    it.load_byte(NEXT).go_if(HOP_BY_HOP, &mut report);
    it.when_equal(UDP, |it| udp(it, BEHIND));
    it.when_equal(FRAGMENT, fragment);
    it.when_equal(ICMP, |it| {
        it.at_least(BEHIND + 8);
        it.load_byte(BEHIND).refuse_any(&OF_ROUTERS);
        it.go_if(ROUTER_SOLICITATION, &mut solicitation);
        it.go_if(NEIGHBOUR_SOLICITATION, &mut question);
        it.go_if(NEIGHBOUR_ADVERTISEMENT, &mut target);
        it.pass();
    });
    // Something that is not to be sent could stand behind them.
    it.refuse_any(&[ROUTING, OPTIONS]);
    it.pass();
    it.here(report);
    self::report(it);
    // Whose address a message of neighbour discovery is about is the guest itself.
    it.here(target);
    it.at_least(BEHIND + 24);
    source(it, BEHIND + 8, &filter.v6);
    it.here(question);
    it.at_least(BEHIND + 24);
    let mut options = Jumps::new();
    it.set_x(BEHIND + 24).go(&mut options);
    it.here(solicitation);
    it.set_x(BEHIND + 8);
    it.here(options);
    self::options(it, &filter.macs);
}

/// Options behind X, of eight bytes each, in which a MAC (1: of the sender, 2: of the target) is the guest's.
fn options(it: &mut Assembler, macs: &[Mac]) {
    for at in (0..MOST_OPTIONS).map(|number| 8 * number) {
        it.pass_if_less_behind(at + 8);
        it.load_byte_behind(at + 1).require_equal(1);
        // That of 1 and 2, less 1.
        it.load_byte_behind(at).add(u32::MAX);
        it.when_below(2, |it| it.one_of(macs.iter().map(|mac| mac_behind(at + 2, *mac)).collect()));
    }
    it.pass_if_less_behind(8 * MOST_OPTIONS + 1);
    it.drop();
}

/// Options for every hop, of eight bytes, stand before reports of groups alone.
fn report(it: &mut Assembler) {
    it.at_least(FURTHER + 4);
    it.load_byte(BEHIND).require_equal(ICMP);
    it.load_byte(BEHIND + 1).require_equal(0);
    it.load_byte(FURTHER);
    OF_MEMBERS.iter().for_each(|kind| it.when_equal(*kind, Assembler::pass));
    it.drop();
}

/// Of the first one, what is in it; neighbour discovery is never in fragments (RFC 6980).
fn fragment(it: &mut Assembler) {
    it.at_least(FURTHER);
    it.load_half(BEHIND + 2).when_bits(0xfff8, Assembler::pass);
    it.load_byte(BEHIND).refuse_any(&[HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS]);
    it.when_equal(UDP, |it| udp(it, FURTHER));
    it.when_equal(ICMP, |it| {
        it.at_least(FURTHER + 4);
        it.load_byte(FURTHER).refuse_any(&OF_ROUTERS);
        it.refuse_any(&[ROUTER_SOLICITATION, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT]);
        it.pass();
    });
    it.pass();
}

fn udp(it: &mut Assembler, at: u32) {
    it.at_least(at + 8);
    it.load_half(at).refuse_any(&[SERVER]);
    it.load_half(at + 2).refuse_any(&[CLIENT]);
    it.pass();
}

/// The address at this place is one that the guest may have.
fn source(it: &mut Assembler, at: u32, sources: &Sources) {
    sources.put(it, at, &nobodys());
}

/// `::1` and others of before addresses were given out, and groups.
fn nobodys() -> Vec<IpNet> {
    let net = |first: u16| IpNet::new(IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), 8).ok();
    [net(0), net(0xff00)].into_iter().flatten().collect()
}
