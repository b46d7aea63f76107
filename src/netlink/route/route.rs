//! Routes: RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE (`net/ipv4/fib_frontend.c`, `net/ipv6/route.c`).

use std::net::IpAddr;

use ipnet::IpNet;
use neli::consts::rtnl::{Rta, Rtm};
use nix::libc;

use super::address::family;
use crate::model::facts::{Uncarriable, Way};
use crate::model::route::{ONLINK, UNICAST};
use crate::model::{IfName, Route};
use crate::netlink::message::{Message, attributes, find, ip, u16_at, u32_at};
use crate::netlink::socket::{CREATE, DUMP, REQUEST};

/// The length of `struct rtmsg`.
const BODY: usize = 12;
/// RTM_F_FIB_MATCH: a get answers with the route and not with what it comes to.
const FIB_MATCH: u32 = 0x2000;
const RTA_NH_ID: u16 = 30;

fn body(family: u8, prefix: u8, kind: u8, flags: u32) -> [u8; BODY] {
    let [a, b, c, d] = flags.to_ne_bytes();
    [family, prefix, 0, 0, 0, 0, 0, kind, a, b, c, d]
}

/// Asks for all unicast routes of a family.
pub fn dump(v6: bool) -> Message {
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    Message::new(Rtm::Getroute, REQUEST | DUMP, &body(family as u8, 0, UNICAST, 0))
}

/// Asks for all routes over one interface.
pub fn dump_over(v6: bool, device: u32) -> Message {
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    let mut message = Message::new(Rtm::Getroute, REQUEST | DUMP, &body(family as u8, 0, 0, 0));
    message.put_u32(Rta::Oif, device);
    message
}

/// Asks which route a packet to `address` would match.
pub fn get(address: IpAddr) -> Message {
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    let mut message = Message::new(Rtm::Getroute, REQUEST, &body(family(address), prefix, 0, FIB_MATCH));
    message.put_ip(Rta::Dst, address);
    message
}

/// Adds a route. Without a flag that says otherwise IPv4 puts it before one of the same metric and IPv6 beside it.
pub fn add(route: &Route, device: u32) -> Message {
    request(Message::new(Rtm::Newroute, REQUEST | CREATE, &of(route)), route, device)
}

/// Deletes a route.
pub fn delete(route: &Route, device: u32) -> Message {
    request(Message::new(Rtm::Delroute, REQUEST, &of(route)), route, device)
}

fn of(route: &Route) -> [u8; BODY] {
    let [a, b, c, d] = route.flags.to_ne_bytes();
    let prefix = route.destination.map_or(0, |net| net.prefix_len());
    [route.family, prefix, 0, route.tos, 0, route.protocol, route.scope, route.kind, a, b, c, d]
}

fn request(mut message: Message, route: &Route, device: u32) -> Message {
    if let Some(net) = route.destination {
        message.put_ip(Rta::Dst, net.addr());
    }
    message.put_u32(Rta::Table, route.table);
    put_hop(&mut message, route, device);
    if let Some(source) = route.source {
        message.put_ip(Rta::Prefsrc, source);
    }
    if route.metric != 0 {
        message.put_u32(Rta::Priority, route.metric);
    }
    if let Some(seconds) = route.expires {
        message.put_u32(RTA_EXPIRES, seconds);
    }
    for (kind, value) in &route.rest {
        message.put(*kind, value);
    }
    message
}

/// One next hop: plain, or as a list of one where it has a weight.
fn put_hop(message: &mut Message, route: &Route, device: u32) {
    if route.weight == 1 {
        message.put_u32(Rta::Oif, device);
        if let Some(gateway) = route.gateway {
            message.put_ip(Rta::Gateway, gateway);
        }
        return;
    }
    let gateway: Vec<u8> = match route.gateway {
        Some(IpAddr::V4(v4)) => v4.octets().to_vec(),
        Some(IpAddr::V6(v6)) => v6.octets().to_vec(),
        None => Vec::new(),
    };
    let attribute = if gateway.is_empty() { 0 } else { 4 + gateway.len() };
    let mut hop = ((HOP + attribute) as u16).to_ne_bytes().to_vec();
    hop.extend_from_slice(&[route.flags as u8, (route.weight - 1) as u8]);
    hop.extend_from_slice(&device.to_ne_bytes());
    if attribute != 0 {
        hop.extend_from_slice(&(attribute as u16).to_ne_bytes());
        hop.extend_from_slice(&u16::from(Rta::Gateway).to_ne_bytes());
        hop.extend_from_slice(&gateway);
    }
    message.put(Rta::Multipath, &hop);
}

/// RTA_EXPIRES, RTA_PREF; neli has them for glibc only.
const RTA_EXPIRES: u16 = 23;

/// Reads a route for a [`Way`].
pub fn parse_way(reply: &[u8]) -> Option<Way> {
    let attrs = reply.get(BODY..)?;
    let [family, prefix, ..] = *reply else { return None };
    let v6 = i32::from(family) == libc::AF_INET6;
    let address = find(attrs, Rta::Dst).and_then(ip);
    let mut devices: Vec<u32> =
        find(attrs, Rta::Oif).and_then(|value| u32_at(value, 0)).into_iter().collect();
    devices.extend(
        find(attrs, Rta::Multipath).into_iter().flat_map(|hops| Hops(hops).map(|(device, _)| device)),
    );
    Some(Way {
        destination: address.and_then(|address| IpNet::new(address, prefix).ok()),
        v6,
        table: table(reply, attrs),
        kind: reply.get(7).copied()?,
        devices,
    })
}

fn table(reply: &[u8], attrs: &[u8]) -> u32 {
    let long = find(attrs, Rta::Table).and_then(|value| u32_at(value, 0));
    long.unwrap_or_else(|| reply.get(4).copied().unwrap_or_default().into())
}

/// Reads the route over `device`, the interface `index`. Of an IPv6 route with several next hops, each of which
/// comes and goes by itself, it is the hop over this interface.
pub fn parse(reply: &[u8], index: u32, device: &IfName) -> Option<Result<Route, Uncarriable>> {
    let [family, prefix, _, tos, _, protocol, scope, kind] = reply.get(..8)?.try_into().ok()?;
    let attrs = reply.get(BODY..)?;
    let number = |kind: Rta| find(attrs, kind).and_then(|value| u32_at(value, 0));
    if find(attrs, RTA_NH_ID).is_some() {
        return Some(Err(Uncarriable::NexthopObject));
    }
    let mut hop =
        Hop { flags: u32_at(reply, 8)?, weight: 1, gateway: find(attrs, Rta::Gateway).and_then(ip) };
    if let Some(hops) = find(attrs, Rta::Multipath) {
        if i32::from(family) == libc::AF_INET {
            return Some(Err(Uncarriable::Multipath));
        }
        hop = Hops(hops).find(|(over, _)| *over == index)?.1;
    }
    let address = find(attrs, Rta::Dst).and_then(ip);
    Some(Ok(Route {
        destination: address.and_then(|address| IpNet::new(address, prefix).ok()),
        family,
        tos,
        table: table(reply, attrs),
        protocol,
        scope,
        kind,
        flags: hop.flags & ONLINK,
        metric: number(Rta::Priority).unwrap_or_default(),
        gateway: hop.gateway,
        weight: hop.weight,
        source: find(attrs, Rta::Prefsrc).and_then(ip),
        expires: find(attrs, Rta::Cacheinfo).and_then(expiry),
        device: *device,
        rest: attributes(attrs).filter(|(kind, _)| is_other(*kind)).map(|(k, v)| (k, v.to_vec())).collect(),
    }))
}

struct Hop {
    flags: u32,
    weight: u16,
    gateway: Option<IpAddr>,
}

/// The `struct rtnexthop`s of RTA_MULTIPATH: length, flags, weight less one, interface, attributes.
struct Hops<'a>(&'a [u8]);

impl Iterator for Hops<'_> {
    type Item = (u32, Hop);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let [flags, weight] = *self.0.get(2..4)? else { return None };
        let device = u32_at(self.0, 4)?;
        let gateway = find(self.0.get(HOP..length)?, Rta::Gateway).and_then(ip);
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((device, Hop { flags: flags.into(), weight: u16::from(weight) + 1, gateway }))
    }
}

/// The length of `struct rtnexthop`.
const HOP: usize = 8;

/// `struct rta_cacheinfo`: rta_expires is the third word, in 1/100 s; 0 is never.
fn expiry(cacheinfo: &[u8]) -> Option<u32> {
    u32_at(cacheinfo, 8).filter(|hundredths| *hundredths != 0).map(|hundredths| hundredths.div_ceil(100))
}

fn is_other(kind: u16) -> bool {
    let known = [
        Rta::Dst,
        Rta::Oif,
        Rta::Priority,
        Rta::Gateway,
        Rta::Prefsrc,
        Rta::Table,
        Rta::Cacheinfo,
        Rta::Multipath,
    ];
    !known.into_iter().any(|rta| u16::from(rta) == kind)
}
