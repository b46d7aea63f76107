//! Nexthop objects: RTM_NEWNEXTHOP, RTM_GETNEXTHOP (`net/ipv4/nexthop.c`, Linux 5.3).

use crate::model::{IfName, Nexthop};
use crate::netlink::message::{CREATE, DUMP, Message, REPLACE, find, find_ip, find_u32, others, u32_at};

const RTM_NEWNEXTHOP: u16 = 104;
const RTM_GETNEXTHOP: u16 = 106;
/// The length of `struct nhmsg`.
const BODY: usize = 8;
/// RTNH_F_ONLINK.
const ONLINK: u32 = 4;
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;

/// Asks for the nexthop objects over one interface.
pub fn dump(device: u32) -> Message {
    Message::new(RTM_GETNEXTHOP, DUMP, &[0; BODY]).with(|message| message.put_u32(NHA_OIF, device))
}

/// Asks for one nexthop object.
pub fn get(id: u32) -> Message {
    Message::new(RTM_GETNEXTHOP, 0, &[0; BODY]).with(|message| message.put_u32(NHA_ID, id))
}

/// The interface of a nexthop object; a group has none of its own.
pub fn device(reply: &[u8]) -> Option<u32> {
    find_u32(reply.get(BODY..)?, NHA_OIF)
}

/// The numbers of a group's members: the first word of each `struct nexthop_grp`.
pub fn members(reply: &[u8]) -> Vec<u32> {
    let group = find(reply.get(BODY..).unwrap_or_default(), NHA_GROUP).unwrap_or_default();
    group.chunks_exact(8).filter_map(|member| u32_at(member, 0)).collect()
}

/// Puts a nexthop object over another interface; every route that uses it follows at once.
pub fn replace(nexthop: &Nexthop, device: u32) -> Message {
    Message::new(RTM_NEWNEXTHOP, CREATE | REPLACE, &nexthop.header).with(|message| {
        message.put_u32(NHA_ID, nexthop.id).put_u32(NHA_OIF, device);
        message.put_ip(NHA_GATEWAY, nexthop.gateway).put_all(&nexthop.rest)
    })
}

/// Reads a nexthop object over `device`.
pub fn parse(reply: &[u8], device: &IfName) -> Option<Nexthop> {
    let attrs = reply.get(BODY..)?;
    let [family, _, protocol, ..] = *reply else { return None };
    let [a, b, c, d] = (u32_at(reply, 4)? & ONLINK).to_ne_bytes();
    Some(Nexthop {
        id: find_u32(attrs, NHA_ID)?,
        // Scope and the flags but ONLINK are the kernel's own to say.
        header: [family, 0, protocol, 0, a, b, c, d],
        device: *device,
        gateway: find_ip(attrs, NHA_GATEWAY),
        rest: others(attrs, &[NHA_ID, NHA_OIF, NHA_GATEWAY]),
    })
}
