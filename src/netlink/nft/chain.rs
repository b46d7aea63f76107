//! Chains and rules of others: NFT_MSG_GETCHAIN, NFT_MSG_GETRULE (`net/netfilter/nf_tables_api.c`).

use super::attr::*;
use super::table::body;
use crate::model::foreign::{ForeignChain, NamePattern, Passage, Point, Protocol};
use crate::netlink::message::{Message, attributes, be32, find, text};
use crate::netlink::socket::{DUMP, REQUEST};

/// What a comparison is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Iif,
    Oif,
}

/// Asks for all chains of all families.
pub fn dump() -> Message {
    Message::new(GETCHAIN, REQUEST | DUMP, &body(NFPROTO_UNSPEC, 0))
}

/// NFPROTO_*.
pub fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Inet => NFPROTO_INET,
        Protocol::Ip => NFPROTO_IPV4,
        Protocol::Ip6 => NFPROTO_IPV6,
        Protocol::Bridge => NFPROTO_BRIDGE,
    }
}

fn protocol(reply: &[u8]) -> Option<Protocol> {
    Some(match *reply.first()? {
        NFPROTO_INET => Protocol::Inet,
        NFPROTO_IPV4 => Protocol::Ip,
        NFPROTO_IPV6 => Protocol::Ip6,
        NFPROTO_BRIDGE => Protocol::Bridge,
        _ => return None,
    })
}

/// Reads a chain; None for one of a family that no guest's packet meets as a packet.
pub fn parse(reply: &[u8]) -> Option<ForeignChain> {
    let attrs = reply.get(4..)?;
    let name = |kind: u16| find(attrs, kind).map(text);
    let hook = find(attrs, NFTA_CHAIN_HOOK).and_then(|hook| be32(find(hook, NFTA_HOOK_HOOKNUM)?));
    Some(ForeignChain {
        protocol: protocol(reply)?,
        table: name(NFTA_CHAIN_TABLE)?,
        name: name(NFTA_CHAIN_NAME)?,
        // NF_INET_LOCAL_IN, NF_INET_FORWARD; NF_BR_* have the same numbers.
        point: hook.map(|number| match number {
            1 => Point::Input,
            2 => Point::Forward,
            _ => Point::Other,
        }),
        drops: find(attrs, NFTA_CHAIN_POLICY).and_then(be32) == Some(NF_DROP),
    })
}

/// Reads a rule; None for one that does not accept, or names no interface.
pub fn parse_passage(reply: &[u8]) -> Option<Passage> {
    let attrs = reply.get(4..)?;
    let mut passage = Passage {
        protocol: protocol(reply)?,
        table: find(attrs, NFTA_RULE_TABLE).map(text)?,
        chain: find(attrs, NFTA_RULE_CHAIN).map(text)?,
        iif: None,
        oif: None,
    };
    let mut accepts = false;
    let mut loaded = None;
    for (_, element) in attributes(find(attrs, NFTA_RULE_EXPRESSIONS)?) {
        let data = find(element, NFTA_EXPR_DATA).unwrap_or_default();
        match find(element, NFTA_EXPR_NAME).map(text)?.as_str() {
            "meta" => loaded = meta(data),
            "cmp" => match (loaded, pattern(data)) {
                (Some(Of::Iif), name) => passage.iif = name,
                (Some(Of::Oif), name) => passage.oif = name,
                (None, _) => {}
            },
            "immediate" => accepts |= is_accept(data),
            _ => loaded = None,
        }
    }
    (accepts && (passage.iif.is_some() || passage.oif.is_some())).then_some(passage)
}

/// The name of an interface.
fn meta(data: &[u8]) -> Option<Of> {
    match find(data, NFTA_META_KEY).and_then(be32)? {
        META_IIFNAME => Some(Of::Iif),
        META_OIFNAME => Some(Of::Oif),
        _ => None,
    }
}

/// What a name must be equal to: a whole one ends with a NUL, the beginning of one does not.
pub fn pattern(comparison: &[u8]) -> Option<NamePattern> {
    if find(comparison, NFTA_CMP_OP).and_then(be32)? != EQUAL {
        return None;
    }
    let value = find(find(comparison, NFTA_CMP_DATA)?, NFTA_DATA_VALUE)?;
    Some(NamePattern { text: text(value), open: !value.contains(&0) })
}

/// The verdict "accept".
fn is_accept(data: &[u8]) -> bool {
    let code = || be32(find(find(find(data, NFTA_IMMEDIATE_DATA)?, NFTA_DATA_VERDICT)?, NFTA_VERDICT_CODE)?);
    code() == Some(NF_ACCEPT)
}
