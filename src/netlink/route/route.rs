//! Routes: RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE (`net/ipv4/fib_frontend.c`, `net/ipv6/route.c`).

use std::net::IpAddr;

use ipnet::IpNet;
use neli::consts::rtnl::{Rta, Rtm};

use super::address::{family, family_of};
use crate::model::facts::{Unmovable, Way};
use crate::model::route::{Hop, PROTOCOL_KERNEL};
use crate::model::{IfName, Route};
use crate::netlink::message::{
    CREATE, DUMP, HEADER, Message, attributes, find, find_ip, find_u32, others, u16_at, u32_at,
};

/// The length of `struct rtmsg`.
const BODY: usize = 12;
/// RTM_F_FIB_MATCH: a get answers with the route and not with what it comes to.
const FIB_MATCH: u32 = 0x2000;
const RTA_NH_ID: u16 = 30;
/// RTNH_F_ONLINK.
const ONLINK: u32 = 4;

fn body(family: u8, prefix: u8, kind: u8, flags: u32) -> [u8; BODY] {
    let [a, b, c, d] = flags.to_ne_bytes();
    [family, prefix, 0, 0, 0, 0, 0, kind, a, b, c, d]
}

/// Routes of all types (RTN_UNSPEC).
pub const ANY: u8 = 0;

/// Asks for all routes of a family and a type (RTN_*).
pub fn dump(v6: bool, kind: u8) -> Message {
    Message::new(Rtm::Getroute, DUMP, &body(family_of(v6), 0, kind, 0))
}

/// The same of one table.
pub fn dump_table(v6: bool, kind: u8, table: u32) -> Message {
    dump(v6, kind).with(|message| message.put_u32(Rta::Table, table))
}

/// Asks for all routes over one interface.
pub fn dump_over(v6: bool, device: u32) -> Message {
    dump(v6, 0).with(|message| message.put_u32(Rta::Oif, device))
}

/// Asks which route a packet to `address` would match.
pub fn get(address: IpAddr) -> Message {
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    Message::new(Rtm::Getroute, 0, &body(family(address), prefix, 0, FIB_MATCH))
        .with(|message| message.put_ip(Rta::Dst, address))
}

/// Adds a route over `devices`, the numbers of its hops' interfaces. Without a flag that says otherwise IPv4 puts it before
/// one of the same metric and IPv6 beside it.
pub fn add(route: &Route, devices: &[u32]) -> Message {
    request(Message::new(Rtm::Newroute, CREATE, &of(route)), route, devices)
}

/// Deletes a route.
pub fn delete(route: &Route, devices: &[u32]) -> Message {
    request(Message::new(Rtm::Delroute, 0, &of(route)), route, devices)
}

fn of(route: &Route) -> [u8; BODY] {
    let onlink = matches!(&route.hops[..], [hop] if hop.onlink && hop.weight == 1);
    let [a, b, c, d] = if onlink { ONLINK.to_ne_bytes() } else { [0; 4] };
    let length = |net: Option<IpNet>| net.map_or(0, |net| net.prefix_len());
    let (to, from) = (length(route.destination), length(route.origin));
    [route.family, to, from, route.tos, 0, route.protocol, route.scope, route.kind, a, b, c, d]
}

fn request(mut message: Message, route: &Route, devices: &[u32]) -> Message {
    message.put_ip(Rta::Dst, route.destination.map(|net| net.addr()));
    message.put_ip(Rta::Src, route.origin.map(|net| net.addr()));
    message.put_u32(Rta::Table, route.table);
    put_hops(&mut message, &route.hops, devices);
    message.put_ip(Rta::Prefsrc, route.source);
    if route.metric != 0 {
        message.put_u32(Rta::Priority, route.metric);
    }
    if let Some(seconds) = route.expires {
        message.put_u32(RTA_EXPIRES, seconds);
    }
    message.put_all(&route.rest);
    message
}

/// One next hop is put as it is; several, or one with a weight, as a list.
fn put_hops(message: &mut Message, hops: &[Hop], devices: &[u32]) {
    match (hops, devices) {
        ([hop], [device]) if hop.weight == 1 => {
            message.put_u32(Rta::Oif, *device).put_ip(Rta::Gateway, hop.gateway)
        }
        _ => {
            let list = hops.iter().zip(devices).flat_map(|(hop, device)| rtnexthop(hop, *device));
            message.put(Rta::Multipath, &list.collect::<Vec<u8>>())
        }
    };
}

/// `struct rtnexthop`: length, flags, weight less one, interface; then the gateway as an attribute.
fn rtnexthop(hop: &Hop, device: u32) -> Vec<u8> {
    let message = Message::new(0u16, 0, &[]).with(|message| message.put_ip(Rta::Gateway, hop.gateway));
    let gateway = message.bytes().get(HEADER..).unwrap_or_default();
    let [low, high] = ((HOP + gateway.len()) as u16).to_ne_bytes();
    let flags = if hop.onlink { ONLINK as u8 } else { 0 };
    let head = [low, high, flags, (hop.weight.max(1) - 1) as u8];
    [&head, &device.to_ne_bytes(), gateway].concat()
}

/// RTA_EXPIRES; neli has it for glibc only.
const RTA_EXPIRES: u16 = 23;

/// Reads a route for a [`Way`]; None for a default route that is for some sources only.
pub fn parse_way(reply: &[u8]) -> Option<Way> {
    let attrs = reply.get(BODY..)?;
    let [family, prefix, source_prefix, ..] = *reply else { return None };
    if find(attrs, Rta::Dst).is_none() && source_prefix != 0 {
        return None;
    }
    let mut devices: Vec<u32> = find_u32(attrs, Rta::Oif).into_iter().collect();
    devices.extend(find(attrs, Rta::Multipath).into_iter().flat_map(|hops| Hops(hops).map(|hop| hop.device)));
    Some(Way {
        // The kernel has a default one as 0.0.0.0/0 where it was asked for by an address.
        destination: net(attrs, Rta::Dst, prefix).filter(|net| net.prefix_len() != 0),
        v6: family == family_of(true),
        table: table(reply, attrs),
        kind: reply.get(7).copied()?,
        protocol: reply.get(5).copied()?,
        metric: find_u32(attrs, Rta::Priority).unwrap_or_default(),
        devices,
        nexthop: find_u32(attrs, RTA_NH_ID),
    })
}

fn net(attrs: &[u8], kind: Rta, length: u8) -> Option<IpNet> {
    IpNet::new(find_ip(attrs, kind)?, length).ok()
}

fn table(reply: &[u8], attrs: &[u8]) -> u32 {
    find_u32(attrs, Rta::Table).unwrap_or_else(|| reply.get(4).copied().unwrap_or_default().into())
}

/// Reads a route over `device`, the interface `index`; None for one that uses a nexthop object, which moves by
/// itself, and for one that has expired, and is gone but for the kernel's own sweep. Of an IPv6 route with several next
/// hops, each of which comes and goes alone, it is those over this interface; an IPv4 route is one thing.
pub fn parse(reply: &[u8], index: u32, device: &IfName) -> Option<Result<Route, Unmovable>> {
    let [family, prefix, source_prefix, tos, _, protocol, scope, kind] = reply.get(..8)?.try_into().ok()?;
    let attrs = reply.get(BODY..)?;
    let expiry = find(attrs, Rta::Cacheinfo).and_then(expiry);
    if find(attrs, RTA_NH_ID).is_some() || expiry == Some(OVER) && protocol != PROTOCOL_KERNEL {
        return None;
    }
    let hops = match find(attrs, Rta::Multipath) {
        None => {
            let onlink = u32_at(reply, 8)? & ONLINK != 0;
            vec![Hop { device: *device, gateway: find_ip(attrs, Rta::Gateway), weight: 1, onlink }]
        }
        Some(hops) if Hops(hops).any(|hop| hop.has_more) => return Some(Err(Unmovable::SpecialHop)),
        Some(hops) if family == family_of(true) => {
            Hops(hops).filter(|hop| hop.device == index).map(|hop| hop.over(*device)).collect()
        }
        Some(hops) => {
            let named = Hops(hops).map(|hop| Some(hop.over(name_of(hop.device)?)));
            let Some(hops) = named.collect::<Option<_>>() else { return Some(Err(Unmovable::NamelessHop)) };
            hops
        }
    };
    Some(Ok(Route {
        destination: net(attrs, Rta::Dst, prefix),
        origin: net(attrs, Rta::Src, source_prefix),
        family,
        tos,
        table: table(reply, attrs),
        protocol,
        scope,
        kind,
        metric: find_u32(attrs, Rta::Priority).unwrap_or_default(),
        source: find_ip(attrs, Rta::Prefsrc),
        expires: expiry.filter(|seconds| *seconds != OVER),
        hops,
        rest: others(attrs, &KNOWN.map(u16::from)),
    }))
}

/// What a [`Route`] names; RTA_CACHEINFO is read for its end.
const KNOWN: [Rta; 9] = [
    Rta::Dst,
    Rta::Src,
    Rta::Oif,
    Rta::Priority,
    Rta::Gateway,
    Rta::Prefsrc,
    Rta::Table,
    Rta::Cacheinfo,
    Rta::Multipath,
];

/// The name of an interface; a route has several hops too seldom to ask for it by netlink.
fn name_of(index: u32) -> Option<IfName> {
    let name = nix::net::if_::if_indextoname(index).ok()?;
    IfName::of_kernel(name.to_bytes())
}

/// One `struct rtnexthop` of RTA_MULTIPATH.
#[derive(Clone, Copy)]
struct RawHop {
    device: u32,
    onlink: bool,
    weight: u16,
    gateway: Option<IpAddr>,
    /// It has an attribute that a [`Hop`] has no place for.
    has_more: bool,
}

impl RawHop {
    fn over(self, device: IfName) -> Hop {
        Hop { device, gateway: self.gateway, weight: self.weight, onlink: self.onlink }
    }
}

struct Hops<'a>(&'a [u8]);

impl Iterator for Hops<'_> {
    type Item = RawHop;

    fn next(&mut self) -> Option<RawHop> {
        let length = usize::from(u16_at(self.0, 0)?);
        let [flags, weight] = *self.0.get(2..4)? else { return None };
        let device = u32_at(self.0, 4)?;
        let attrs = self.0.get(HOP..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(RawHop {
            device,
            onlink: u32::from(flags) & ONLINK != 0,
            weight: u16::from(weight) + 1,
            gateway: find_ip(attrs, Rta::Gateway),
            has_more: attributes(attrs).any(|(kind, _)| kind != u16::from(Rta::Gateway)),
        })
    }
}

/// The length of `struct rtnexthop`.
const HOP: usize = 8;

/// In the place of the seconds until a route goes, where it has expired.
const OVER: u32 = 0;

/// What INT_MAX of the kernel's clock is in 1/100 s, which kernels before 6.7 show for a route that has expired: for 100, 250,
/// 300 and 1000 ticks a second.
const AGES: [i32; 4] = [i32::MAX, 858_993_458, 715_827_811, 214_748_364];

/// The seconds until a route goes, of `struct rta_cacheinfo`: rta_expires is the third word, in 1/100 s; 0 is never.
fn expiry(cacheinfo: &[u8]) -> Option<u32> {
    match u32_at(cacheinfo, 8)? as i32 {
        0 => None,
        hundredths if hundredths < 0 || AGES.contains(&hundredths) => Some(OVER),
        hundredths => Some(hundredths.unsigned_abs().div_ceil(100)),
    }
}
