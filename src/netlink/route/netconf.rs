//! The machine-wide forwarding switches: RTM_GETNETCONF (`include/uapi/linux/netconf.h`).

use neli::consts::rtnl::Rtm;
use nix::libc;

use crate::netlink::message::{Message, find, u32_at};
use crate::netlink::socket::REQUEST;

const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
/// NETCONFA_IFINDEX_ALL, -1.
const ALL: u32 = u32::MAX;

/// Asks for the switches of a family: `net.ipv4.ip_forward` or `net.ipv6.conf.all.forwarding`.
pub fn get_all(v6: bool) -> Message {
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    let mut message = Message::new(Rtm::Getnetconf, REQUEST, &[family as u8, 0, 0, 0]);
    message.put_u32(NETCONFA_IFINDEX, ALL);
    message
}

/// Whether forwarding is on.
pub fn forwarding(reply: &[u8]) -> bool {
    let attrs = reply.get(4..).unwrap_or_default();
    find(attrs, NETCONFA_FORWARDING).and_then(|value| u32_at(value, 0)).is_some_and(|value| value != 0)
}
