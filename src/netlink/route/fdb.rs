//! What a bridge has learned: its forwarding database, RTM_GETNEIGH of AF_BRIDGE (`net/core/rtnetlink.c`, `rtnl_fdb_dump`).

use neli::consts::rtnl::{Nda, Rtm};
use nix::libc;

use crate::model::Mac;
use crate::model::facts::Station;
use crate::netlink::message::{Message, find, u16_at, u32_at};
use crate::netlink::socket::{DUMP, REQUEST};

/// The length of `struct ndmsg`.
const BODY: usize = 12;
/// NUD_NOARP and NUD_PERMANENT: not learned, but the addresses of the ports themselves, and those set by hand.
const NOT_LEARNED: u16 = 0x40 | 0x80;

/// Asks for what all bridges have learned.
pub fn dump() -> Message {
    let mut body = [0; BODY];
    body[0] = libc::AF_BRIDGE as u8;
    Message::new(Rtm::Getneigh, REQUEST | DUMP, &body)
}

/// Reads an address that was learned; None for any other.
pub fn parse(reply: &[u8]) -> Option<Station> {
    let attrs = reply.get(BODY..)?;
    let learned = u16_at(reply, 8)? & NOT_LEARNED == 0;
    let station = Station { port: u32_at(reply, 4)?, mac: Mac(find(attrs, Nda::Lladdr)?.try_into().ok()?) };
    learned.then_some(station)
}
