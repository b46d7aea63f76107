//! Addresses: RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR (`net/ipv4/devinet.c`, `net/ipv6/addrconf.c`).

use std::net::IpAddr;

use ipnet::IpNet;
use neli::consts::rtnl::{Ifa, Rtm};
use nix::libc;

use crate::model::Address;
use crate::model::address::{FOREVER, flag};
use crate::netlink::message::{
    CREATE, DUMP, EXCL, Message, REPLACE, find, find_ip, find_text, find_u32, u32_at,
};

/// The length of `struct ifaddrmsg`.
const BODY: usize = 8;
const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;

/// AF_INET or AF_INET6.
pub fn family(address: IpAddr) -> u8 {
    family_of(address.is_ipv6())
}

/// AF_INET6 or AF_INET.
pub fn family_of(v6: bool) -> u8 {
    if v6 { libc::AF_INET6 as u8 } else { libc::AF_INET as u8 }
}

fn body(family: u8, prefix: u8, scope: u8, index: u32) -> [u8; BODY] {
    let [a, b, c, d] = index.to_ne_bytes();
    [family, prefix, 0, scope, a, b, c, d]
}

/// Asks for the addresses of one interface; of all with 0.
pub fn dump(index: u32) -> Message {
    Message::new(Rtm::Getaddr, DUMP, &body(0, 0, 0, index))
}

/// Adds an address that is not there yet.
pub fn add(address: &Address, index: u32) -> Message {
    with_attributes(Message::new(Rtm::Newaddr, CREATE | EXCL, &of(address, index)), address)
}

/// Writes an address that is there again, which takes off a flag such as `nodad`.
pub fn replace(address: &Address, index: u32) -> Message {
    with_attributes(Message::new(Rtm::Newaddr, REPLACE, &of(address, index)), address)
}

/// Deletes an address.
pub fn delete(address: &Address, index: u32) -> Message {
    Message::new(Rtm::Deladdr, 0, &of(address, index)).with(|message| put_ends(message, address))
}

fn of(address: &Address, index: u32) -> [u8; BODY] {
    body(family(address.net.addr()), address.net.prefix_len(), address.scope, index)
}

fn put_ends<'a>(message: &'a mut Message, address: &Address) -> &'a mut Message {
    let local = address.net.addr();
    message.put_ip(Ifa::Local, local).put_ip(Ifa::Address, address.peer.unwrap_or(local))
}

fn with_attributes(mut message: Message, address: &Address) -> Message {
    put_ends(&mut message, address);
    message.put_ip(Ifa::Broadcast, address.broadcast.map(IpAddr::from));
    if let Some(label) = &address.label {
        message.put_str(Ifa::Label, label);
    }
    let flags = address.flags & settable(address.net.addr());
    if flags != 0 {
        message.put_u32(Ifa::Flags, flags);
    }
    if address.metric != 0 {
        message.put_u32(IFA_RT_PRIORITY, address.metric);
    }
    if address.protocol != 0 {
        message.put(IFA_PROTO, &[address.protocol]);
    }
    if address.valid != FOREVER || address.preferred != FOREVER {
        message.put(Ifa::Cacheinfo, &cacheinfo(address));
    }
    message
}

fn settable(address: IpAddr) -> u32 {
    if address.is_ipv6() { flag::SETTABLE6 } else { flag::SETTABLE4 }
}

/// `struct ifa_cacheinfo`: preferred, valid, and two times of no meaning in a request.
fn cacheinfo(address: &Address) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address.preferred.to_ne_bytes());
    bytes[4..8].copy_from_slice(&address.valid.to_ne_bytes());
    bytes
}

/// Reads an address, with the number of its interface.
pub fn parse_any(reply: &[u8]) -> Option<(u32, Address)> {
    let index = u32_at(reply, 4)?;
    parse(reply, index).map(|address| (index, address))
}

/// Reads an address of interface `index`; None for one of another interface.
pub fn parse(reply: &[u8], index: u32) -> Option<Address> {
    let [_, prefix, old_flags, scope] = reply.get(..4)?.try_into().ok()?;
    if u32_at(reply, 4)? != index {
        return None;
    }
    let attrs = reply.get(BODY..)?;
    let remote = find_ip(attrs, Ifa::Address)?;
    // IPv6 gives IFA_LOCAL only where it differs from the other end.
    let local = find_ip(attrs, Ifa::Local).unwrap_or(remote);
    let flags = find_u32(attrs, Ifa::Flags).unwrap_or(u32::from(old_flags));
    let kept = settable(local) | flag::TENTATIVE | flag::DADFAILED;
    let is_deprecated = flags & flag::DEPRECATED != 0;
    let times = find(attrs, Ifa::Cacheinfo).unwrap_or_default();
    let broadcast = find_ip(attrs, Ifa::Broadcast);
    Some(Address {
        net: IpNet::new(local, prefix).ok()?,
        peer: (remote != local).then_some(remote),
        broadcast: broadcast.and_then(|b| if let IpAddr::V4(v4) = b { Some(v4) } else { None }),
        label: find_text(attrs, Ifa::Label),
        scope,
        flags: flags & kept,
        // Of an address without an end the kernel tells no times, and whether it is preferred by the flag alone.
        preferred: if is_deprecated { 0 } else { u32_at(times, 0).unwrap_or(FOREVER) },
        valid: u32_at(times, 4).unwrap_or(FOREVER),
        metric: find_u32(attrs, IFA_RT_PRIORITY).unwrap_or_default(),
        protocol: find(attrs, IFA_PROTO).and_then(|value| value.first().copied()).unwrap_or_default(),
    })
}
