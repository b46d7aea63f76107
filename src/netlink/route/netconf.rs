//! The machine-wide forwarding switches: RTM_GETNETCONF (`include/uapi/linux/netconf.h`).

use neli::consts::rtnl::Rtm;
use nix::libc;

use crate::netlink::message::{Message, find, u32_at};
use crate::netlink::socket::REQUEST;

const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
const NETCONFA_RP_FILTER: u16 = 3;
/// NETCONFA_IFINDEX_ALL, -1.
const ALL: u32 = u32::MAX;

/// NETCONFA_IFINDEX_DEFAULT, -2.
const DEFAULT: u32 = u32::MAX - 1;

/// Asks for the switches of a family: `net.ipv4.ip_forward` or `net.ipv6.conf.all.forwarding`.
pub fn get_all(v6: bool) -> Message {
    get(if v6 { libc::AF_INET6 } else { libc::AF_INET }, ALL)
}

/// Asks for what IPv4 interfaces to come will have.
pub fn get_default() -> Message {
    get(libc::AF_INET, DEFAULT)
}

fn get(family: i32, index: u32) -> Message {
    let mut message = Message::new(Rtm::Getnetconf, REQUEST, &[family as u8, 0, 0, 0]);
    message.put_u32(NETCONFA_IFINDEX, index);
    message
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
    let attrs = reply.get(4..).unwrap_or_default();
    find(attrs, kind).and_then(|value| u32_at(value, 0)).unwrap_or_default()
}
