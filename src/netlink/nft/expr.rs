//! Rules ⇄ expressions: what `nft --debug=netlink` shows for each condition.

use std::net::IpAddr;

use ipnet::IpNet;

use super::attr::*;
use crate::model::Mac;
use crate::model::link::ETHERNET;
use crate::model::ruleset::{Field, Kind, Match, Rule, Verdict};
use crate::netlink::message::Message;

const REGISTER_VERDICT: u32 = 0;
const REGISTER_1: u32 = 1;
/// NFT_REG32_00: register 1 in parts of four bytes.
const PART_0: u32 = 8;

/// NFT_PAYLOAD_LL_HEADER, NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER.
const LINK_HEADER: u32 = 0;
pub(super) const NETWORK_HEADER: u32 = 1;
pub(super) const TRANSPORT_HEADER: u32 = 2;

/// NFT_CT_STATE and NFT_CT_STATUS.
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
const CT_DIRECTION: u32 = 1;
/// IPS_SRC_NAT and IPS_DST_NAT (`nf_conntrack_common.h`).
const SOURCE_NAT: u32 = 1 << 4;
const DESTINATION_NAT: u32 = 1 << 5;
/// IP_CT_DIR_REPLY.
const REPLY: u8 = 1;
/// NFTA_FIB_F_SADDR, NFTA_FIB_F_IIF, NFTA_FIB_F_PRESENT.
const SOURCE_BY_IIF_EXISTS: u32 = 1 | 8 | 32;
/// NFTA_FIB_F_DADDR.
const DESTINATION: u32 = 2;
/// NFT_FIB_RESULT_OIF and NFT_FIB_RESULT_ADDRTYPE.
const FIB_OIF: u32 = 1;
const FIB_ADDRTYPE: u32 = 3;
/// RTN_LOCAL.
const LOCAL: u32 = 2;
/// NF_CT_STATE_BIT of established and related (`nf_conntrack_common.h`).
const ESTABLISHED_RELATED: u32 = 2 | 4;
const RELATED: u32 = 4;
const NEW: u32 = 8;
/// PACKET_BROADCAST and PACKET_MULTICAST.
const BROADCAST: u8 = 1;
const MULTICAST: u8 = 2;
/// NFT_DYNSET_OP_UPDATE, NFT_LIMIT_PKTS, NFT_LIMIT_F_INV.
const UPDATE: u32 = 1;
const PACKETS: u32 = 0;
const INVERTED: u32 = 1;
/// IPPROTO_ICMP and IPPROTO_ICMPV6, and the types of their redirects.
pub(super) const ICMP: [u8; 2] = [1, 58];
const REDIRECT: [u8; 2] = [5, 137];
/// The flags FIN, SYN, RST and ACK, their place in the header of TCP, and IPPROTO_TCP.
const OPENING_FLAGS: u8 = 0x17;
const SYN: u8 = 2;
const TCP_FLAGS: u32 = 13;
const TCP: u8 = 6;

/// Adds the rule's expressions to an NFTA_RULE_EXPRESSIONS.
pub fn put_rule<'a>(list: &'a mut Message, rule: &Rule) -> &'a mut Message {
    rule.matches.iter().for_each(|condition| put_match(list, condition));
    put_verdict(list, &rule.verdict);
    list
}

/// The same in a table of one family, as `nft` writes it there and iptables can read it.
pub fn put_rule_of_family<'a>(list: &'a mut Message, rule: &Rule) -> &'a mut Message {
    for condition in &rule.matches {
        match condition {
            Match::IcmpType(kind) => {
                let (v6, number, _) = kind.about();
                icmp_type_of_family(list, v6, number);
            }
            condition => put_match(list, condition),
        }
    }
    put_verdict(list, &rule.verdict);
    list
}

fn put_match(list: &mut Message, condition: &Match) {
    match condition {
        Match::Iif(name) => name_is(list, META_IIFNAME, EQUAL, name.as_bytes()),
        Match::IifIndex(_, index) => meta_is(list, META_IIF, EQUAL, &index.to_ne_bytes()),
        Match::IifKind(kind) => name_is(list, META_IIFKIND, EQUAL, kind.as_bytes()),
        Match::OifKind(kind) => name_is(list, META_OIFKIND, EQUAL, kind.as_bytes()),
        Match::Oif(name) => name_is(list, META_OIFNAME, EQUAL, name.as_bytes()),
        Match::OifNot(name) => name_is(list, META_OIFNAME, NOT_EQUAL, name.as_bytes()),
        Match::IifGroup(group) => meta_is(list, META_IIFGROUP, EQUAL, &group.to_ne_bytes()),
        Match::OifGroup(group) => meta_is(list, META_OIFGROUP, EQUAL, &group.to_ne_bytes()),
        Match::IifGroupNot(group) => meta_is(list, META_IIFGROUP, NOT_EQUAL, &group.to_ne_bytes()),
        Match::OifGroupNot(group) => meta_is(list, META_OIFGROUP, NOT_EQUAL, &group.to_ne_bytes()),
        Match::ToAll => meta_is(list, META_PKTTYPE, EQUAL, &[BROADCAST]),
        Match::ToGroup => meta_is(list, META_PKTTYPE, EQUAL, &[MULTICAST]),
        Match::Over { set, rate, burst } => over(list, set, *rate, *burst),
        Match::Ipv4 => meta_is(list, META_NFPROTO, EQUAL, &[NFPROTO_IPV4]),
        Match::Ipv6 => meta_is(list, META_NFPROTO, EQUAL, &[NFPROTO_IPV6]),
        Match::Source(net) => address_is(list, net, source_at(net.addr().is_ipv6()), EQUAL),
        Match::Destination(net) => address_is(list, net, destination_at(net.addr().is_ipv6()), EQUAL),
        Match::DestinationNot(net) => {
            address_is(list, net, destination_at(net.addr().is_ipv6()), NOT_EQUAL);
        }
        Match::HopByHop => hop_by_hop(list),
        Match::ToMac(mac) => to_mac(list, *mac, EQUAL),
        Match::ToMacNot(mac) => to_mac(list, *mac, NOT_EQUAL),
        Match::Established => ct_has(list, CT_STATE, ESTABLISHED_RELATED),
        Match::Translated => ct_has(list, CT_STATUS, SOURCE_NAT),
        Match::Related => ct_has(list, CT_STATE, RELATED),
        Match::Led => ct_has(list, CT_STATUS, DESTINATION_NAT),
        Match::New => ct_has(list, CT_STATE, NEW),
        Match::Reply => {
            load_ct(list, CT_DIRECTION);
            compare(list, EQUAL, &[REPLY]);
        }
        Match::ForHost => {
            fib(list, FIB_ADDRTYPE, DESTINATION);
            compare(list, EQUAL, &LOCAL.to_ne_bytes());
        }
        Match::Icmp { v6 } => meta_is(list, META_L4PROTO, EQUAL, &[ICMP[usize::from(*v6)]]),
        Match::Redirect { v6 } => icmp_type(list, *v6, REDIRECT[usize::from(*v6)]),
        Match::IcmpType(kind) => {
            let (v6, number, _) = kind.about();
            icmp_type(list, v6, number);
        }
        Match::TcpNotSyn => {
            meta_is(list, META_L4PROTO, EQUAL, &[TCP]);
            load(list, REGISTER_1, TRANSPORT_HEADER, TCP_FLAGS, 1);
            mask(list, &[OPENING_FLAGS]);
            compare(list, NOT_EQUAL, &[SYN]);
        }
        Match::Port(protocol, port) => {
            meta_is(list, META_L4PROTO, EQUAL, &[*protocol as u8]);
            load(list, REGISTER_1, TRANSPORT_HEADER, 2, 2);
            compare(list, EQUAL, &port.to_be_bytes());
        }
        Match::In(fields, set) => look_up(list, fields, set, None),
        Match::ReversePath => reverse_path(list, true),
        Match::NoReversePath => reverse_path(list, false),
    }
}

fn put_verdict(list: &mut Message, verdict: &Verdict) {
    match verdict {
        Verdict::Accept => put_code(list, NF_ACCEPT, None),
        Verdict::Drop => put_code(list, NF_DROP, None),
        Verdict::NoTrack => expression(list, "notrack", |data| data),
        Verdict::Masquerade => expression(list, "masq", |data| data),
        Verdict::Snat(to) => put_snat(list, *to),
        Verdict::Dnat(fields, map) => {
            look_up(list, fields, map, Some(REGISTER_1));
            put_dnat(list, map.is_of_ipv6());
        }
        Verdict::SourceBy(fields, map) => {
            look_up(list, fields, map, Some(REGISTER_1));
            write_address(list, map.is_of_ipv6(), source_at(map.is_of_ipv6()));
        }
        Verdict::Destination(to) => {
            put_immediate(list, &parts(*to).1);
            write_address(list, to.is_ipv6(), destination_at(to.is_ipv6()));
        }
        Verdict::Jump(chain) => put_code(list, NFT_JUMP, Some(chain)),
    }
}

/// One NFTA_LIST_ELEM: a name and its data.
fn expression(list: &mut Message, name: &str, data: impl FnOnce(&mut Message) -> &mut Message) {
    list.nest(NFTA_LIST_ELEM, |element| element.put_str(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data));
}

/// A value to compare with, to load, or to mask.
fn put_value<'a>(data: &'a mut Message, kind: u16, value: &[u8]) -> &'a mut Message {
    data.nest(kind, |holder| holder.put(NFTA_DATA_VALUE, value))
}

/// NFTA_CMP_SREG, NFTA_CMP_OP, NFTA_CMP_DATA.
fn compare(list: &mut Message, operator: u32, value: &[u8]) {
    expression(list, "cmp", |data| {
        put_value(data.put_be32(1u16, REGISTER_1).put_be32(2u16, operator), 3, value)
    });
}

/// NFTA_META_DREG, NFTA_META_KEY, and a comparison.
fn meta_is(list: &mut Message, key: u32, operator: u32, value: &[u8]) {
    expression(list, "meta", |data| data.put_be32(1u16, REGISTER_1).put_be32(2u16, key));
    compare(list, operator, value);
}

/// Names are compared in all their 16 bytes.
fn name_is(list: &mut Message, key: u32, operator: u32, name: &[u8]) {
    let mut padded = [0; 16];
    padded.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    meta_is(list, key, operator, &padded);
}

/// NFTA_BITWISE_SREG, DREG, LEN, MASK, XOR.
fn mask(list: &mut Message, mask: &[u8]) {
    expression(list, "bitwise", |data| {
        data.put_be32(1u16, REGISTER_1).put_be32(2u16, REGISTER_1).put_be32(3u16, mask.len() as u32);
        put_value(put_value(data, 4, mask), 5, &vec![0; mask.len()])
    });
}

/// NFTA_PAYLOAD_DREG, BASE, OFFSET, LEN.
fn load(list: &mut Message, register: u32, base: u32, offset: u32, length: usize) {
    expression(list, "payload", |data| {
        data.put_be32(1u16, register).put_be32(2u16, base).put_be32(3u16, offset);
        data.put_be32(4u16, length as u32)
    });
}

/// NFPROTO_* of an address, and its bytes.
fn parts(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (NFPROTO_IPV4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (NFPROTO_IPV6, v6.octets().to_vec()),
    }
}

/// `ip saddr NET`: the family first, then as many bytes of the header from `offset` on as the prefix covers, or, where it
/// ends inside a byte, the whole address under a mask.
fn address_is(list: &mut Message, net: &IpNet, offset: u32, operator: u32) {
    let (family, address) = parts(net.network());
    meta_is(list, META_NFPROTO, EQUAL, &[family]);
    let whole = net.prefix_len() % 8 != 0;
    let length = if whole { address.len() } else { usize::from(net.prefix_len() / 8) };
    load(list, REGISTER_1, NETWORK_HEADER, offset, length);
    if whole {
        mask(list, &parts(net.netmask()).1);
    }
    compare(list, operator, address.get(..length).unwrap_or(&address));
}

/// `ip6 nexthdr hopopt`.
fn hop_by_hop(list: &mut Message) {
    meta_is(list, META_NFPROTO, EQUAL, &[NFPROTO_IPV6]);
    load(list, REGISTER_1, NETWORK_HEADER, 6, 1);
    compare(list, EQUAL, &[0]);
}

/// `ether daddr`, for frames of Ethernet alone.
fn to_mac(list: &mut Message, mac: Mac, operator: u32) {
    meta_is(list, META_IIFTYPE, EQUAL, &ETHERNET.to_ne_bytes());
    load(list, REGISTER_1, LINK_HEADER, 0, mac.0.len());
    compare(list, operator, &mac.0);
}

/// `icmp type`, `icmpv6 type`
fn icmp_type(list: &mut Message, v6: bool, number: u8) {
    meta_is(list, META_NFPROTO, EQUAL, &[if v6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 }]);
    icmp_type_of_family(list, v6, number);
}

fn icmp_type_of_family(list: &mut Message, v6: bool, number: u8) {
    meta_is(list, META_L4PROTO, EQUAL, &[ICMP[usize::from(v6)]]);
    load(list, REGISTER_1, TRANSPORT_HEADER, 0, 1);
    compare(list, EQUAL, &[number]);
}

/// NFTA_CT_DREG, NFTA_CT_KEY.
fn load_ct(list: &mut Message, key: u32) {
    expression(list, "ct", |data| data.put_be32(1u16, REGISTER_1).put_be32(2u16, key));
}

/// `ct state established,related` and the like: not zero under a mask.
fn ct_has(list: &mut Message, key: u32, bits: u32) {
    load_ct(list, key);
    mask(list, &bits.to_ne_bytes());
    compare(list, NOT_EQUAL, &[0; 4]);
}

/// NFTA_FIB_DREG, RESULT, FLAGS.
fn fib(list: &mut Message, result: u32, flags: u32) {
    expression(list, "fib", |data| {
        data.put_be32(1u16, REGISTER_1).put_be32(2u16, result).put_be32(3u16, flags)
    });
}

/// `fib saddr . iif oif exists`
fn reverse_path(list: &mut Message, exists: bool) {
    fib(list, FIB_OIF, SOURCE_BY_IIF_EXISTS);
    compare(list, EQUAL, &u32::from(exists).to_ne_bytes());
}

/// NFTA_DYNSET_SET_NAME, OP, SREG_KEY, EXPR, which is NFTA_LIMIT_RATE, UNIT (seconds), BURST, TYPE, FLAGS.
fn over(list: &mut Message, set: &Kind, rate: u32, burst: u32) {
    expression(list, "meta", |data| data.put_be32(1u16, REGISTER_1).put_be32(2u16, META_IIF));
    expression(list, "dynset", |data| {
        data.put_str(1u16, set.name).put_be32(3u16, UPDATE).put_be32(4u16, REGISTER_1);
        data.nest(7u16, |limit| {
            limit.put_str(NFTA_EXPR_NAME, "limit").nest(NFTA_EXPR_DATA, |limit| {
                limit.put(1u16, &u64::from(rate).to_be_bytes()).put(2u16, &1u64.to_be_bytes());
                limit.put_be32(3u16, burst).put_be32(4u16, PACKETS).put_be32(5u16, INVERTED)
            })
        })
    });
}

/// NFTA_IMMEDIATE_DREG, NFTA_IMMEDIATE_DATA.
fn put_code(list: &mut Message, code: u32, chain: Option<&str>) {
    expression(list, "immediate", |data| {
        data.put_be32(1u16, REGISTER_VERDICT).nest(NFTA_IMMEDIATE_DATA, |holder| {
            holder.nest(NFTA_DATA_VERDICT, |verdict| {
                verdict.put_be32(NFTA_VERDICT_CODE, code);
                chain.into_iter().fold(verdict, |verdict, chain| verdict.put_str(NFTA_VERDICT_CHAIN, chain))
            })
        })
    });
}

/// Where the addresses are in the header.
fn source_at(v6: bool) -> u32 {
    if v6 { 8 } else { 12 }
}

fn destination_at(v6: bool) -> u32 {
    if v6 { 24 } else { 16 }
}

/// Loads fields into registers that follow each other, and looks them up (NFTA_LOOKUP_SET, SREG, DREG); an address only of
/// packets that have one of its family.
fn look_up(list: &mut Message, fields: &[Field], set: &Kind, to: Option<u32>) {
    let of_destination = fields.iter().find_map(|field| match field {
        Field::Destination { v6 } => Some(*v6),
        _ => None,
    });
    if let Some(v6) = of_destination {
        meta_is(list, META_NFPROTO, EQUAL, &[if v6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 }]);
    }
    let mut register = PART_0;
    for field in fields {
        match field {
            Field::Protocol => {
                expression(list, "meta", |data| data.put_be32(1u16, register).put_be32(2u16, META_L4PROTO))
            }
            Field::Destination { v6 } => {
                load(list, register, NETWORK_HEADER, destination_at(*v6), address_length(*v6));
            }
            Field::Port => load(list, register, TRANSPORT_HEADER, 2, 2),
        }
        let is_long = matches!(field, Field::Destination { v6: true });
        register += if is_long { 4 } else { 1 };
    }
    expression(list, "lookup", |data| {
        data.put_str(1u16, set.name).put_be32(2u16, PART_0);
        to.into_iter().fold(data, |data, to| data.put_be32(NFTA_LOOKUP_DREG, to))
    });
}

fn address_length(v6: bool) -> usize {
    if v6 { 16 } else { 4 }
}

/// An address from a register into the header: NFTA_PAYLOAD_SREG, BASE, OFFSET, LEN, CSUM_TYPE, CSUM_OFFSET, CSUM_FLAGS
/// (NFT_PAYLOAD_L4CSUM_PSEUDOHDR). IPv6 has no sum in its own header.
fn write_address(list: &mut Message, v6: bool, offset: u32) {
    let (kind, at) = if v6 { (0, 0) } else { (1, 10) };
    expression(list, "payload", |data| {
        data.put_be32(5u16, REGISTER_1).put_be32(2u16, NETWORK_HEADER).put_be32(3u16, offset);
        data.put_be32(4u16, address_length(v6) as u32);
        data.put_be32(6u16, kind).put_be32(7u16, at).put_be32(8u16, 1)
    });
}

fn put_immediate(list: &mut Message, value: &[u8]) {
    expression(list, "immediate", |data| {
        put_value(data.put_be32(1u16, REGISTER_1), NFTA_IMMEDIATE_DATA, value)
    });
}

/// NFTA_NAT_TYPE (1: destination), FAMILY, REG_ADDR_MIN, REG_PROTO_MIN: an address, and behind it a port.
fn put_dnat(list: &mut Message, v6: bool) {
    let (family, behind) = if v6 { (NFPROTO_IPV6, PART_0 + 4) } else { (NFPROTO_IPV4, PART_0 + 1) };
    expression(list, "nat", |data| {
        data.put_be32(1u16, 1).put_be32(2u16, u32::from(family));
        data.put_be32(3u16, REGISTER_1).put_be32(5u16, behind)
    });
}

/// The address into a register, then NFTA_NAT_TYPE (0: source), FAMILY, REG_ADDR_MIN.
fn put_snat(list: &mut Message, to: IpAddr) {
    let (family, octets) = parts(to);
    put_immediate(list, &octets);
    expression(list, "nat", |data| {
        data.put_be32(1u16, 0).put_be32(2u16, u32::from(family)).put_be32(3u16, REGISTER_1)
    });
}
