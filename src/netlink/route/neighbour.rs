//! Neighbours: RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH (`net/core/neighbour.c`).

use neli::consts::rtnl::{Nda, Rtm};
use nix::libc;

use super::address::{family, family_of};
use crate::model::facts::{FdbEntry, NeighbourEntry};
use crate::model::route::{NOARP, PERMANENT, PROXY};
use crate::model::{IfName, Mac, Neighbour};
use crate::netlink::message::{CREATE, DUMP, Message, REPLACE, attributes, find, find_ip, u16_at, u32_at};

/// The length of `struct ndmsg`.
const BODY: usize = 12;
/// The bridge of a forwarding database; neli has it for glibc only.
const NDA_MASTER: u16 = 9;
/// NUD_INCOMPLETE, NUD_FAILED.
const INCOMPLETE: u16 = 0x01;
const FAILED: u16 = 0x20;
const NDA_PROTOCOL: u16 = 12;
const NDA_FLAGS_EXT: u16 = 15;

fn body(family: u8, index: u32, state: u16, flags: u8) -> [u8; BODY] {
    let [a, b, c, d] = index.to_ne_bytes();
    let [s, t] = state.to_ne_bytes();
    [family, 0, 0, 0, a, b, c, d, s, t, flags, 0]
}

fn dump_of(family: u8, flags: u8) -> Message {
    Message::new(Rtm::Getneigh, DUMP, &body(family, 0, 0, flags))
}

/// Asks for the neighbours behind one interface.
pub fn dump(v6: bool, index: u32) -> Message {
    dump_of(family_of(v6), 0).with(|message| message.put_u32(Nda::Ifindex, index))
}

/// Asks for what the host answers for on one interface (proxy ARP, proxy neighbour discovery).
pub fn dump_proxies(v6: bool, index: u32) -> Message {
    dump_of(family_of(v6), PROXY).with(|message| message.put_u32(Nda::Ifindex, index))
}

/// Asks for all neighbours of both families.
pub fn dump_all() -> Message {
    dump_of(libc::AF_UNSPEC as u8, 0)
}

/// Asks for the forwarding databases of all bridges (`net/bridge/br_fdb.c`).
pub fn dump_fdb() -> Message {
    dump_of(libc::AF_BRIDGE as u8, 0)
}

/// Adds a neighbour, or corrects it.
pub fn add(neighbour: &Neighbour, index: u32) -> Message {
    let header = body(family(neighbour.address), index, neighbour.state, neighbour.flags);
    let mut message = Message::new(Rtm::Newneigh, CREATE | REPLACE, &header);
    message.put_ip(Nda::Dst, neighbour.address);
    if let Some(mac) = neighbour.mac {
        message.put(Nda::Lladdr, &mac.0);
    }
    message.put_all(&neighbour.rest);
    message
}

/// Deletes a neighbour.
pub fn delete(neighbour: &Neighbour, index: u32) -> Message {
    let header = body(family(neighbour.address), index, 0, neighbour.flags & PROXY);
    Message::new(Rtm::Delneigh, 0, &header).with(|message| message.put_ip(Nda::Dst, neighbour.address))
}

/// Reads a neighbour behind interface `index`; None for one without an Ethernet address that is no proxy's, and for a
/// group of machines.
pub fn parse(reply: &[u8], index: u32, device: &IfName) -> Option<Neighbour> {
    if u32_at(reply, 4)? != index {
        return None;
    }
    let attrs = reply.get(BODY..)?;
    let flags = reply.get(10).copied()?;
    let is_proxy = flags & PROXY != 0;
    let mac = mac(attrs).filter(|_| !is_proxy);
    if !is_proxy && mac?.is_group() {
        return None;
    }
    let rest = attributes(attrs).filter(|(kind, _)| [NDA_PROTOCOL, NDA_FLAGS_EXT].contains(kind));
    Some(Neighbour {
        address: find_ip(attrs, Nda::Dst)?,
        mac,
        // As `ip neigh add proxy` has it: it outlives the loss of the carrier.
        state: if is_proxy { PERMANENT } else { u16_at(reply, 8)? },
        flags,
        device: *device,
        rest: rest.map(|(kind, value)| (kind, value.to_vec())).collect(),
    })
}

/// Reads an entry of a forwarding database; None for a port's own address and for what an interface filters.
pub fn parse_fdb_entry(reply: &[u8]) -> Option<FdbEntry> {
    let attrs = reply.get(BODY..)?;
    find(attrs, NDA_MASTER)?;
    if u16_at(reply, 8)? & PERMANENT != 0 {
        return None;
    }
    Some(FdbEntry { port: u32_at(reply, 4)?, mac: mac(attrs)? })
}

/// Reads a neighbour of any interface; None for one that never answered, and for a group of machines.
pub fn parse_neighbour_entry(reply: &[u8]) -> Option<NeighbourEntry> {
    let attrs = reply.get(BODY..)?;
    if u16_at(reply, 8)? & (INCOMPLETE | FAILED | NOARP) != 0 {
        return None;
    }
    Some(NeighbourEntry { device: u32_at(reply, 4)?, address: find_ip(attrs, Nda::Dst)?, mac: mac(attrs)? })
}

fn mac(attrs: &[u8]) -> Option<Mac> {
    find(attrs, Nda::Lladdr)?.try_into().ok().map(Mac)
}
