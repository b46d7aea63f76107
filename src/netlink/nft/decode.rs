//! Chains and rules of others: NFT_MSG_GETCHAIN, NFT_MSG_GETRULE (`net/netfilter/nf_tables_api.c`).

use super::attr::*;
use super::ports;
use super::table::{body, family};
use crate::model::foreign::{Condition, Fate, ForeignChain, ForeignRule, HookPoint, NamePattern};
use crate::model::ruleset::{Family, Verdict};
use crate::netlink::message::{
    DUMP, Message, attributes, find, find_be32, find_ip, find_text, find_u32, text, u32_at,
};

/// Asks for all chains of all families.
pub fn dump() -> Message {
    Message::new(GETCHAIN, DUMP, &body(NFPROTO_UNSPEC, 0))
}

/// Reads a chain; None for one of a family that no guest's packet meets as a packet.
pub fn parse(reply: &[u8]) -> Option<ForeignChain> {
    let attrs = reply.get(4..)?;
    let hook = find(attrs, NFTA_CHAIN_HOOK).and_then(|hook| find_be32(hook, NFTA_HOOK_HOOKNUM));
    Some(ForeignChain {
        protocol: family(reply).filter(|family| *family != Family::Netdev)?,
        table: find_text(attrs, NFTA_CHAIN_TABLE)?,
        name: find_text(attrs, NFTA_CHAIN_NAME)?,
        // NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT; NF_BR_* have the same numbers.
        point: hook.map(|number| match number {
            1 => HookPoint::Input,
            2 => HookPoint::Forward,
            3 => HookPoint::Output,
            _ => HookPoint::Other,
        }),
        drops: find_be32(attrs, NFTA_CHAIN_POLICY) == Some(NF_DROP),
    })
}

/// What was loaded last, to be compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loaded {
    Iif,
    Oif,
    Family,
    State,
    /// Those of these bits.
    States(u32),
    Protocol,
    Port,
    Source4,
    Service,
    Other,
}

impl Loaded {
    fn is_of_service(self) -> bool {
        matches!(self, Loaded::Protocol | Loaded::Port | Loaded::Service)
    }
}

/// Reads a rule.
pub fn parse_rule(reply: &[u8]) -> Option<ForeignRule> {
    let attrs = reply.get(4..)?;
    let mut rule = ForeignRule {
        protocol: family(reply)?,
        table: find_text(attrs, NFTA_RULE_TABLE)?,
        chain: find_text(attrs, NFTA_RULE_CHAIN)?,
        conditions: Vec::new(),
        fate: Fate::None,
    };
    let mut loaded = Loaded::Other;
    let mut address = None;
    // A rule without expressions does nothing.
    for (_, element) in attributes(find(attrs, NFTA_RULE_EXPRESSIONS).unwrap_or_default()) {
        let data = find(element, NFTA_EXPR_DATA).unwrap_or_default();
        let kind = find_text(element, NFTA_EXPR_NAME)?;
        match kind.as_str() {
            "meta" => loaded = meta(data),
            "ct" => loaded = connection(data),
            "payload" => loaded = payload(data),
            "bitwise" if loaded == Loaded::State => loaded = masked(data),
            "bitwise" | "byteorder" => {}
            "counter" | "log" | "objref" | "last" => {}
            "cmp" => rule.conditions.push(compared(loaded, data)),
            "lookup" => look_up(&mut rule, loaded, data),
            "range" if loaded.is_of_service() => rule.conditions.push(Condition::Service),
            "immediate" => match verdict(data) {
                Some(fate) => rule.fate = fate,
                None => {
                    address = find(data, NFTA_IMMEDIATE_DATA).and_then(|data| find_ip(data, NFTA_DATA_VALUE))
                }
            },
            "masq" => rule.fate = Fate::Nat(Verdict::Masquerade),
            "nat" => rule.fate = address.map_or(rule.fate, |to| Fate::Nat(Verdict::Snat(to))),
            "reject" => rule.fate = Fate::Drop,
            "target" if find_text(data, NFTA_TARGET_NAME).as_deref() == Some("REJECT") => {
                rule.fate = Fate::Drop;
            }
            "target" => {}
            "match" => rule.conditions.extend(extension(data)),
            _ => rule.conditions.push(Condition::Other),
        }
    }
    Some(rule)
}

fn meta(data: &[u8]) -> Loaded {
    match find_be32(data, NFTA_META_KEY) {
        Some(META_IIFNAME) => Loaded::Iif,
        Some(META_OIFNAME) => Loaded::Oif,
        Some(META_NFPROTO) => Loaded::Family,
        Some(META_L4PROTO) => Loaded::Protocol,
        _ => Loaded::Other,
    }
}

/// NFTA_CT_KEY: NFT_CT_STATE is 0, NFT_CT_STATUS 2, by which what is led to a service is let in (`ct status dnat`).
fn connection(data: &[u8]) -> Loaded {
    match find_be32(data, NFTA_CT_KEY) {
        Some(0) => Loaded::State,
        Some(2) => Loaded::Service,
        _ => Loaded::Other,
    }
}

/// NFTA_PAYLOAD_BASE: NFT_PAYLOAD_TRANSPORT_HEADER is 2, where the port that a packet is for has two bytes, behind two others;
/// NFT_PAYLOAD_NETWORK_HEADER is 1, where the source of IPv4 has four behind twelve, of which a prefix is read as far as it goes.
fn payload(data: &[u8]) -> Loaded {
    let [base, offset, length] =
        [NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN].map(|kind| find_be32(data, kind));
    match (base, offset, length) {
        (Some(2), Some(2), Some(2)) => Loaded::Port,
        (Some(2), ..) => Loaded::Service,
        (Some(1), Some(12), Some(1..=4)) => Loaded::Source4,
        _ => Loaded::Other,
    }
}

fn masked(data: &[u8]) -> Loaded {
    let mask = find(data, NFTA_BITWISE_MASK).and_then(|mask| find_u32(mask, NFTA_DATA_VALUE));
    mask.map_or(Loaded::Other, Loaded::States)
}

fn compared(loaded: Loaded, data: &[u8]) -> Condition {
    let is_equal = find_be32(data, NFTA_CMP_OP) == Some(EQUAL);
    let value = find(data, NFTA_CMP_DATA).and_then(|data| find(data, NFTA_DATA_VALUE));
    // A whole name ends with a NUL, the beginning of one does not.
    let name = || value.map(|value| NamePattern { text: text(value), open: !value.contains(&0) });
    let number = || value.and_then(|value| u32_at(value, 0));
    let condition = match loaded {
        Loaded::Iif => name().map(|name| Condition::Iif(name, is_equal)),
        Loaded::Oif => name().map(|name| Condition::Oif(name, is_equal)),
        Loaded::Family => match value.and_then(|value| value.first()) {
            Some(&NFPROTO_IPV4) => Some(Condition::V6(!is_equal)),
            Some(&NFPROTO_IPV6) => Some(Condition::V6(is_equal)),
            _ => None,
        },
        // `ct state new`: the bits that are left differ from none.
        Loaded::States(mask) if !is_equal => Some(Condition::State(mask)),
        Loaded::State if is_equal => number().map(Condition::State),
        Loaded::Protocol if is_equal => {
            value.and_then(|value| value.first()).copied().map(Condition::Protocol)
        }
        Loaded::Port => {
            let port = value.and_then(|value| value.try_into().ok()).map(u16::from_be_bytes);
            port.map(|port| Condition::Ports(ports::where_in(vec![port..=port], is_equal)))
        }
        Loaded::Source4 if is_equal => Some(Condition::Source4),
        loaded if loaded.is_of_service() => Some(Condition::Service),
        _ => None,
    };
    condition.unwrap_or(Condition::Other)
}

/// A set, or a map of verdicts, whose members are not asked for. One of states that accepts, accepts answers.
fn look_up(rule: &mut ForeignRule, loaded: Loaded, data: &[u8]) {
    let is_map = find(data, NFTA_LOOKUP_DREG).is_some();
    // NFT_LOOKUP_F_INV is the one flag.
    let is_member = find_be32(data, NFTA_LOOKUP_FLAGS).unwrap_or_default() == 0;
    let set = || find_text(data, NFTA_LOOKUP_SET).map(|name| Condition::PortsOf(name, is_member));
    rule.conditions.push(match loaded {
        Loaded::State => Condition::StateIn,
        Loaded::Source4 if is_member => Condition::Source4,
        Loaded::Port if !is_map => set().unwrap_or(Condition::Service),
        loaded if loaded.is_of_service() => Condition::Service,
        _ => Condition::Other,
    });
    if is_map {
        rule.fate = Fate::Accept;
    }
}

/// A match of iptables that nf_tables has no words for. None for one that every packet fits.
fn extension(data: &[u8]) -> Option<Condition> {
    match find_text(data, NFTA_MATCH_NAME).as_deref() {
        Some("comment") => None,
        Some("conntrack" | "state") => Some(Condition::StateIn),
        Some("tcp" | "udp" | "sctp" | "icmp" | "icmp6" | "multiport") => Some(Condition::Service),
        _ => Some(Condition::Other),
    }
}

/// The verdict of an immediate; None for one that loads a value.
fn verdict(data: &[u8]) -> Option<Fate> {
    let verdict = find(find(data, NFTA_IMMEDIATE_DATA)?, NFTA_DATA_VERDICT)?;
    let chain = || find_text(verdict, NFTA_VERDICT_CHAIN);
    // NFT_CONTINUE, _BREAK, _JUMP, _GOTO, _RETURN are -1 to -5.
    match find_be32(verdict, NFTA_VERDICT_CODE)? {
        NF_ACCEPT => Some(Fate::Accept),
        NF_DROP => Some(Fate::Drop),
        NFT_JUMP => chain().map(|chain| Fate::Go(chain, true)),
        NFT_GOTO => chain().map(|chain| Fate::Go(chain, false)),
        NFT_RETURN => Some(Fate::Return),
        _ => Some(Fate::None),
    }
}
