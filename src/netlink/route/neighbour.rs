//! Neighbours: RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH (`net/core/neighbour.c`).

use neli::consts::rtnl::{Nda, Rtm};
use nix::libc;

use super::address::family;
use crate::model::{IfName, Mac, Neighbour};
use crate::netlink::message::{Message, find, ip, u16_at, u32_at};
use crate::netlink::socket::{CREATE, DUMP, REPLACE, REQUEST};

/// The length of `struct ndmsg`.
const BODY: usize = 12;

fn body(family: u8, index: u32, state: u16, flags: u8) -> [u8; BODY] {
    let [a, b, c, d] = index.to_ne_bytes();
    let [s, t] = state.to_ne_bytes();
    [family, 0, 0, 0, a, b, c, d, s, t, flags, 0]
}

/// Asks for the neighbours behind one interface.
pub fn dump(v6: bool, index: u32) -> Message {
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    let mut message = Message::new(Rtm::Getneigh, REQUEST | DUMP, &body(family as u8, 0, 0, 0));
    message.put_u32(Nda::Ifindex, index);
    message
}

/// Adds a neighbour, or corrects it.
pub fn add(neighbour: &Neighbour, index: u32) -> Message {
    let header = body(family(neighbour.address), index, neighbour.state, neighbour.flags);
    let mut message = Message::new(Rtm::Newneigh, REQUEST | CREATE | REPLACE, &header);
    message.put_ip(Nda::Dst, neighbour.address).put(Nda::Lladdr, &neighbour.mac.0);
    message
}

/// Deletes a neighbour.
pub fn delete(neighbour: &Neighbour, index: u32) -> Message {
    let mut message = Message::new(Rtm::Delneigh, REQUEST, &body(family(neighbour.address), index, 0, 0));
    message.put_ip(Nda::Dst, neighbour.address);
    message
}

/// Reads a neighbour behind interface `index`; None for one without an Ethernet address.
pub fn parse(reply: &[u8], index: u32, device: &IfName) -> Option<Neighbour> {
    if u32_at(reply, 4)? != index {
        return None;
    }
    let attrs = reply.get(BODY..)?;
    Some(Neighbour {
        address: find(attrs, Nda::Dst).and_then(ip)?,
        mac: Mac(find(attrs, Nda::Lladdr)?.try_into().ok()?),
        state: u16_at(reply, 8)?,
        flags: reply.get(10).copied()?,
        device: *device,
    })
}
