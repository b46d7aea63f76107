//! The machine-wide forwarding switches: RTM_GETNETCONF (`include/uapi/linux/netconf.h`).

use neli::consts::rtnl::Rtm;

use super::address::family_of;
use crate::netlink::message::{Message, find_u32};

const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
const NETCONFA_RP_FILTER: u16 = 3;
/// NETCONFA_IFINDEX_ALL, -1.
const ALL: u32 = u32::MAX;
/// NETCONFA_IFINDEX_DEFAULT, -2.
const DEFAULT: u32 = u32::MAX - 1;

/// Asks for the switches of a family: `net.ipv4.ip_forward` or `net.ipv6.conf.all.forwarding`.
pub fn get_all(v6: bool) -> Message {
    get(v6, ALL)
}

/// Asks for what IPv4 interfaces to come will have.
pub fn get_default() -> Message {
    get(false, DEFAULT)
}

fn get(v6: bool, index: u32) -> Message {
    Message::new(Rtm::Getnetconf, 0, &[family_of(v6), 0, 0, 0])
        .with(|message| message.put_u32(NETCONFA_IFINDEX, index))
}

/// Whether forwarding is on.
pub fn forwarding(reply: &[u8]) -> bool {
    number(reply, NETCONFA_FORWARDING) != 0
}

/// How strictly the machine as a whole validates sources (`net.ipv4.conf.all.rp_filter`).
pub fn rp_filter(reply: &[u8]) -> u32 {
    number(reply, NETCONFA_RP_FILTER)
}

fn number(reply: &[u8], kind: u16) -> u32 {
    find_u32(reply.get(4..).unwrap_or_default(), kind).unwrap_or_default()
}
