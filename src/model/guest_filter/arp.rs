//! ARP (RFC 826), and the reverse of it.

use super::assembler::{Assembler, mac_at};
use super::{ETHERTYPE, GuestFilter, PAYLOAD, RARP, SOURCE, ipv4};

/// Ethernet and IPv4, with addresses of 6 and 4 bytes.
const KIND: u32 = 0x0001_0800;
const LENGTHS: u32 = 0x0604;
const OPERATION: u32 = PAYLOAD + 6;
const SENDER_MAC: u32 = PAYLOAD + 8;
const SENDER: u32 = PAYLOAD + 14;
const TARGET: u32 = PAYLOAD + 24;
const LENGTH: u32 = 28;

/// The sender is who sends. Who has no address yet asks for its own (RFC 5227): of two that ask for one, both do without it.
/// Nobody tells others their addresses.
pub(super) fn put(it: &mut Assembler, filter: &GuestFilter) {
    it.at_least(PAYLOAD + LENGTH);
    it.load_word(PAYLOAD).require_equal(KIND);
    it.load_half(PAYLOAD + 4).require_equal(LENGTHS);
    it.one_of(filter.macs.iter().map(|mac| mac_at(SENDER_MAC, *mac)).collect());
    it.require_same_mac(SOURCE, SENDER_MAC);
    it.load_half(ETHERTYPE);
    it.when_equal(RARP, |it| {
        it.load_half(OPERATION).require_equal(3);
        it.load_word(SENDER).require_equal(0);
        it.pass();
    });
    it.load_half(OPERATION).require_at_least(1);
    it.refuse_at_least(3);
    it.load_word(SENDER);
    it.when_equal(0, |it| {
        ipv4::source(it, TARGET, &filter.v4);
        it.pass();
    });
    ipv4::source(it, SENDER, &filter.v4);
    it.pass();
}
