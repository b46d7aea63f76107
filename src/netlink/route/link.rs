//! Interfaces: RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK, RTM_GETLINK (`net/core/rtnetlink.c`).

use std::net::{IpAddr, Ipv6Addr};

use neli::consts::rtnl::{Ifla, IflaInfo, Rtm};
use nix::libc;

use super::altname;
use crate::model::link::{ETHERNET, Ipv4Conf, Ipv6Conf, OUTER_GROUP, Tun};
use crate::model::setting::{Home, IPV4, IPV6};
use crate::model::{AddrGen, IfName, Link, Mac, Setting};
use crate::netlink::message::{
    CREATE, DUMP, EXCL, Message, find, find_ip, find_text, find_u32, text, u16_at, u32_at,
};

/// The length of `struct ifinfomsg`.
pub(super) const BODY: usize = 16;
/// RTEXT_FILTER_SKIP_STATS: counters make up half of a reply.
pub(super) const SKIP_STATS: u32 = 1 << 3;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BR_VLAN_DEFAULT_PVID: u16 = 39;
const IFLA_BR_FDB_MAX_LEARNED: u16 = 49;
const IFLA_BRPORT_GROUP_FWD_MASK: u16 = 31;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const VETH_INFO_PEER: u16 = 1;
const IFLA_TUN_OWNER: u16 = 1;
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_TUN_PERSIST: u16 = 6;
const IFLA_TUN_MULTI_QUEUE: u16 = 7;
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_CONF: u16 = 2;
const IFLA_INET6_TOKEN: u16 = 7;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
/// IF_OPER_UP.
const OPER_UP: u8 = 6;
/// Places in the array IFLA_INET_CONF: IPV4_DEVCONF_* less one (`include/uapi/linux/ip.h`).
const FORWARDING: u16 = 1;
const RP_FILTER: u16 = 8;
const ARP_IGNORE: u16 = 19;
const ACCEPT_LOCAL: u16 = 23;
const ROUTE_LOCALNET: u16 = 26;
/// Places in the array IFLA_INET6_CONF: DEVCONF_* (`include/uapi/linux/ipv6.h`).
const ACCEPT_RA: usize = 3;
const DISABLE_IPV6: usize = 26;
const ACCEPT_UNTRACKED_NA: usize = 57;
const FORCE_FORWARDING: usize = 59;

/// `struct ifinfomsg`.
fn body(index: u32, flags: u32, change: u32) -> [u8; BODY] {
    let mut body = [0; BODY];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&change.to_ne_bytes());
    body
}

/// A message about the interface of this name.
fn of(name: &IfName, kind: Rtm, flags: u16) -> Message {
    Message::new(kind, flags, &body(0, 0, 0)).with(|link| link.put_str(Ifla::Ifname, name.as_bytes()))
}

/// The same with what belongs to a kind of interface, or to a port of one.
fn with_info(
    message: Message,
    [kind, data]: [IflaInfo; 2],
    name: &str,
    fill: impl FnOnce(&mut Message) -> &mut Message,
) -> Message {
    message.with(|link| link.nest(Ifla::Linkinfo, |info| info.put_str(kind, name).nest(data, fill)))
}

const KIND: [IflaInfo; 2] = [IflaInfo::Kind, IflaInfo::Data];
const PORT: [IflaInfo; 2] = [IflaInfo::SlaveKind, IflaInfo::SlaveData];

/// The same with what belongs to IPv4 or IPv6.
fn with_family(
    message: Message,
    family: libc::c_int,
    fill: impl FnOnce(&mut Message) -> &mut Message,
) -> Message {
    message.with(|link| link.nest(Ifla::AfSpec, |families| families.nest(family as u16, fill)))
}

/// Asks for one interface by its name.
pub fn get(name: &IfName) -> Message {
    of(name, Rtm::Getlink, 0).with(|link| link.put_u32(Ifla::ExtMask, SKIP_STATS))
}

/// Asks for one interface by its number.
pub fn get_index(index: u32) -> Message {
    Message::new(Rtm::Getlink, 0, &body(index, 0, 0)).with(|link| link.put_u32(Ifla::ExtMask, SKIP_STATS))
}

/// Asks for all interfaces, with what they have counted.
pub fn dump_all() -> Message {
    Message::new(Rtm::Getlink, DUMP, &body(0, 0, 0))
}

/// Asks for all interfaces.
pub fn dump_lean() -> Message {
    dump_all().with(|links| links.put_u32(Ifla::ExtMask, SKIP_STATS))
}

/// Asks for the ports of a bridge. The kernel passes over all interfaces, but tells only these.
pub fn dump_ports(bridge: u32) -> Message {
    dump_lean().with(|links| links.put_u32(Ifla::Master, bridge))
}

/// Asks for all interfaces of a kind.
pub fn dump_kind(kind: &str) -> Message {
    dump_lean().with(|links| links.nest(Ifla::Linkinfo, |info| info.put_str(IflaInfo::Kind, kind)))
}

/// Makes an interface; `group` is its own, not its peer's.
fn add(name: &IfName, mac: Mac, group: u32) -> Message {
    of(name, Rtm::Newlink, CREATE | EXCL)
        .with(|link| link.put(Ifla::Address, &mac.0).put_u32(Ifla::Group, group))
}

/// Makes a bridge without spanning tree and without a forward delay: a port passes frames at once.
pub fn add_bridge(name: &IfName, mac: Mac, group: u32) -> Message {
    with_info(add(name, mac, group), KIND, "bridge", |bridge| {
        bridge.put_u32(IFLA_BR_FORWARD_DELAY, 0).put_u32(IFLA_BR_STP_STATE, 0)
    })
}

/// Makes a veth pair with the MACs of the outer and the inner end; `group` is the inner end's.
pub fn add_veth(outer: &IfName, inner: &IfName, [outer_mac, inner_mac]: [Mac; 2], group: u32) -> Message {
    with_info(add(inner, inner_mac, group), KIND, "veth", |pair| {
        pair.nest(VETH_INFO_PEER, |peer| {
            peer.put_body(&body(0, 0, 0)).put_str(Ifla::Ifname, outer.as_bytes());
            peer.put(Ifla::Address, &outer_mac.0).put_u32(Ifla::Group, OUTER_GROUP)
        })
    })
}

/// Deletes an interface.
pub fn delete(name: &IfName) -> Message {
    of(name, Rtm::Dellink, 0)
}

/// A change of one interface.
fn change(name: &IfName) -> Message {
    of(name, Rtm::Setlink, 0)
}

/// Sets the text that people and kvmnet read (`ip link set NAME alias TEXT`).
pub fn set_alias(name: &IfName, alias: &str) -> Message {
    change(name).with(|link| link.put(Ifla::Ifalias, alias.as_bytes()))
}

/// Sets the MAC.
pub fn set_mac(name: &IfName, mac: Mac) -> Message {
    change(name).with(|link| link.put(Ifla::Address, &mac.0))
}

/// Makes an interface a port of the bridge with this number; 0 for of none.
pub fn set_master(name: &IfName, master: u32) -> Message {
    change(name).with(|link| link.put_u32(Ifla::Master, master))
}

/// Sets how the addresses end that IPv6 makes of announced prefixes.
pub fn set_token(name: &IfName, token: Ipv6Addr) -> Message {
    with_family(change(name), libc::AF_INET6, |inet6| inet6.put(IFLA_INET6_TOKEN, &token.octets()))
}

/// Sets a number; None for a setting that netlink does not set.
pub fn set(name: &IfName, setting: Setting, value: u32) -> Option<Message> {
    Some(match setting {
        Setting::Up => {
            let up = libc::IFF_UP as u32;
            Message::new(Rtm::Setlink, 0, &body(0, if value == 0 { 0 } else { up }, up))
                .with(|link| link.put_str(Ifla::Ifname, name.as_bytes()))
        }
        Setting::Mtu => change(name).with(|link| link.put_u32(Ifla::Mtu, value)),
        Setting::Group => change(name).with(|link| link.put_u32(Ifla::Group, value)),
        Setting::AddrGen => with_family(change(name), libc::AF_INET6, |inet6| {
            inet6.put(IFLA_INET6_ADDR_GEN_MODE, &[value as u8])
        }),
        // A kernel that does not know it passes over it.
        Setting::FdbMaxLearned => with_info(of(name, Rtm::Newlink, 0), KIND, "bridge", |bridge| {
            bridge.put_u32(IFLA_BR_FDB_MAX_LEARNED, value)
        }),
        // What belongs to a port of a bridge is only taken by RTM_NEWLINK.
        Setting::GroupFwdMask => with_info(of(name, Rtm::Newlink, 0), PORT, "bridge", |port| {
            port.put(IFLA_BRPORT_GROUP_FWD_MASK, &(value as u16).to_ne_bytes())
        }),
        Setting::Isolated => with_info(of(name, Rtm::Newlink, 0), PORT, "bridge", |port| {
            port.put(IFLA_BRPORT_ISOLATED, &[value as u8])
        }),
        _ => match setting.home() {
            Home::Ipv4(key) => with_family(change(name), libc::AF_INET, |inet| {
                inet.nest(IFLA_INET_CONF, |conf| conf.put_u32(key, value))
            }),
            // Files, and what is no attribute of an interface's.
            Home::Ipv6 | Home::Filter | Home::Link => return None,
        },
    })
}

/// Reads an interface; None for a reply that is not one, or a name that no IfName can have.
pub fn parse(reply: &[u8]) -> Option<Link> {
    let hardware = u16_at(reply, 2)?;
    let index = u32_at(reply, 4)?;
    let flags = u32_at(reply, 8)?;
    let attrs = reply.get(BODY..)?;
    let info = find(attrs, Ifla::Linkinfo).unwrap_or_default();
    let kind = find_text(info, IflaInfo::Kind);
    let data_of = |wanted| {
        let data = find(info, IflaInfo::Data).unwrap_or_default();
        (kind.as_deref() == Some(wanted)).then_some(data)
    };
    let bridge = data_of("bridge");
    let port = find(info, IflaInfo::SlaveData)
        .filter(|_| find(info, IflaInfo::SlaveKind).is_some_and(|kind| text(kind) == "bridge"));
    let families = find(attrs, Ifla::AfSpec).unwrap_or_default();
    let inet6 = find(families, libc::AF_INET6 as u16);
    let tun = data_of("tun").map(parse_tun);
    Some(Link {
        index,
        name: IfName::of_kernel(find(attrs, Ifla::Ifname)?)?,
        altnames: altname::parse(attrs),
        hardware,
        up: flags & libc::IFF_UP as u32 != 0,
        loopback: flags & libc::IFF_LOOPBACK as u32 != 0,
        carrier: find(attrs, Ifla::Carrier).is_some_and(|value| value == [1]),
        operational: find(attrs, Ifla::Operstate) == Some(&[OPER_UP]),
        mtu: find_u32(attrs, Ifla::Mtu)?,
        mac: find(attrs, Ifla::Address)
            .filter(|_| hardware == ETHERNET)
            .and_then(|m| m.try_into().ok())
            .map(Mac),
        peer: find_u32(attrs, Ifla::Link),
        master: find_u32(attrs, Ifla::Master),
        fdb_max_learned: bridge.and_then(|bridge| find_u32(bridge, IFLA_BR_FDB_MAX_LEARNED)),
        stp_delay: bridge.map(stp_delay).unwrap_or_default(),
        default_vlan: bridge.and_then(default_vlan),
        group_fwd_mask: port.and_then(|port| u16_at(find(port, IFLA_BRPORT_GROUP_FWD_MASK)?, 0)),
        isolated: port.and_then(|port| find(port, IFLA_BRPORT_ISOLATED)).map(|value| value == [1]),
        group: find_u32(attrs, Ifla::Group).unwrap_or_default(),
        alias: find_text(attrs, Ifla::Ifalias).unwrap_or_default(),
        token: inet6
            .and_then(|inet6| find_ip(inet6, IFLA_INET6_TOKEN))
            .and_then(|token| if let IpAddr::V6(v6) = token { Some(v6) } else { None })
            .filter(|token| !token.is_unspecified()),
        addr_gen: inet6
            .and_then(|inet6| find(inet6, IFLA_INET6_ADDR_GEN_MODE)?.first().copied())
            .map(AddrGen),
        ipv4: parse_ipv4(find(families, libc::AF_INET as u16).unwrap_or_default()),
        ipv6: inet6.map(parse_ipv6),
        leads_abroad: find(attrs, Ifla::LinkNetnsid).is_some(),
        tun,
        kind,
    })
}

/// A port listens first, then learns, for as long as the forward delay each (IEEE 802.1D).
fn stp_delay(bridge: &[u8]) -> u32 {
    let number = |kind: u16| find_u32(bridge, kind).unwrap_or_default();
    if number(IFLA_BR_STP_STATE) == 0 { 0 } else { number(IFLA_BR_FORWARD_DELAY).saturating_mul(2) }
}

fn default_vlan(bridge: &[u8]) -> Option<u16> {
    let filters = find(bridge, IFLA_BR_VLAN_FILTERING) == Some(&[1]);
    find(bridge, IFLA_BR_VLAN_DEFAULT_PVID).and_then(|vlan| u16_at(vlan, 0)).filter(|_| filters)
}

fn parse_tun(data: &[u8]) -> Tun {
    let flag = |kind: u16, wanted: u8| find(data, kind).is_some_and(|value| value == [wanted]);
    // IFF_TAP is 2, IFF_TUN is 1 (`include/uapi/linux/if_tun.h`).
    Tun {
        is_tap: flag(IFLA_TUN_TYPE, 2),
        persistent: flag(IFLA_TUN_PERSIST, 1),
        owner: find_u32(data, IFLA_TUN_OWNER),
        multi_queue: flag(IFLA_TUN_MULTI_QUEUE, 1),
    }
}

fn parse_ipv4(inet: &[u8]) -> Ipv4Conf {
    let conf = find(inet, IFLA_INET_CONF).unwrap_or_default();
    let value = |key: u16| u32_at(conf, (usize::from(key) - 1) * 4).unwrap_or_default();
    Ipv4Conf {
        forwarding: value(FORWARDING),
        rp_filter: value(RP_FILTER),
        arp_ignore: value(ARP_IGNORE),
        accept_local: value(ACCEPT_LOCAL),
        route_localnet: value(ROUTE_LOCALNET),
        copied: IPV4.map(|(_, key)| value(key)),
    }
}

fn parse_ipv6(inet6: &[u8]) -> Ipv6Conf {
    let conf = find(inet6, IFLA_INET6_CONF).unwrap_or_default();
    Ipv6Conf {
        accept_ra: u32_at(conf, ACCEPT_RA * 4).unwrap_or_default(),
        disable_ipv6: u32_at(conf, DISABLE_IPV6 * 4).unwrap_or_default(),
        force_forwarding: u32_at(conf, FORCE_FORWARDING * 4),
        is_of_5_19: u32_at(conf, ACCEPT_UNTRACKED_NA * 4).is_some(),
        copied: IPV6.map(|(_, key)| u32_at(conf, usize::from(key) * 4).unwrap_or_default()),
    }
}
