//! Tables and chains: NFT_MSG_NEWTABLE, NEWCHAIN, NEWRULE, DELTABLE, GETTABLE, GETCHAIN, GETRULE
//! (`net/netfilter/nf_tables_api.c`).

use super::attr::*;
use super::expr;
use super::set;
use crate::firewalld;
use crate::model::IfName;
use crate::model::ruleset::{COMMENT_MAX, Chain, Family, Found, FoundChain, Hook, TABLE_PREFIX, Table};
use crate::netlink::message::{
    APPEND, CREATE, DUMP, EXCL, Message, attributes, be32, find, find_be32, find_text, text,
};

/// Before fragments are put together (NF_IP_PRI_CONNTRACK_DEFRAG, -400), which takes memory that all share.
const EARLY: u32 = -450i32 as u32;
/// NFT_TABLE_F_DORMANT.
const DORMANT: u32 = 1;
/// NFTNL_UDATA_TABLE_COMMENT: what `nft` shows as the table's comment.
const COMMENT: u8 = 0;
/// A type that `nft` passes over, for a comment longer than the comments that it takes (NFTNL_UDATA_COMMENT_MAXLEN).
const LONG_NOTE: u8 = b'k';

/// `struct nfgenmsg`: family, version 0, resource.
pub(super) fn body(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// Each family by its number.
const FAMILIES: [(u8, Family); 5] = [
    (NFPROTO_INET, Family::Inet),
    (NFPROTO_NETDEV, Family::Netdev),
    (NFPROTO_IPV4, Family::Ip),
    (NFPROTO_IPV6, Family::Ip6),
    (NFPROTO_BRIDGE, Family::Bridge),
];

pub(super) fn family_number(family: Family) -> u8 {
    FAMILIES.iter().find(|(_, known)| *known == family).map_or(NFPROTO_UNSPEC, |(number, _)| *number)
}

/// The family of what a reply tells of; None for one that is of no interest.
pub(super) fn family(reply: &[u8]) -> Option<Family> {
    FAMILIES.iter().find(|(number, _)| reply.first() == Some(number)).map(|(_, family)| *family)
}

/// Opens (`BATCH_BEGIN`) or commits (`BATCH_END`) a batch for nf_tables; without the latter nothing happens.
pub fn batch(kind: u16) -> Message {
    Message::new(kind, 0, &body(NFPROTO_UNSPEC, 10))
}

/// A message about one chain.
pub(super) fn about_chain(kind: u16, flags: u16, family: u8, table: &str, chain: &str) -> Message {
    Message::new(kind, flags, &body(family, 0))
        .with(|message| message.put_str(NFTA_CHAIN_TABLE, table).put_str(NFTA_CHAIN_NAME, chain))
}

/// A message about rules of one chain.
pub(super) fn about_rules(kind: u16, flags: u16, family: u8, table: &str, chain: &str) -> Message {
    Message::new(kind, flags, &body(family, 0))
        .with(|message| message.put_str(NFTA_RULE_TABLE, table).put_str(NFTA_RULE_CHAIN, chain))
}

/// Adds the messages that make `table`.
pub fn put(messages: &mut Vec<Message>, table: &Table) {
    let family = family_number(table.family);
    messages.push(Message::new(NEWTABLE, CREATE | EXCL, &body(family, 0)).with(|message| {
        message.put_str(NFTA_TABLE_NAME, &table.name).put(NFTA_TABLE_USERDATA, &userdata(&table.comment))
    }));
    for (number, set) in (1..).zip(&table.sets) {
        set::put(messages, table.family, &table.name, set, number);
    }
    messages.extend(table.chains.iter().map(|chain| add_chain(family, &table.name, chain)));
    for chain in &table.chains {
        let added = chain.rules.iter().map(|rule| {
            about_rules(NEWRULE, CREATE | APPEND, family, &table.name, chain.name)
                .with(|message| message.nest(NFTA_RULE_EXPRESSIONS, |list| expr::put_rule(list, rule)))
        });
        messages.extend(added);
    }
}

/// The number of a hook (NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_INET_INGRESS,
/// NF_NETDEV_INGRESS, NF_NETDEV_EGRESS),
/// the priority as `nft` names it, and the type of the chain.
fn place(hook: &Hook) -> Option<(u32, u32, &'static str)> {
    Some(match hook {
        Hook::Nowhere => return None,
        Hook::Prerouting => (0, EARLY, "filter"),
        Hook::Bridging => (0, -300i32 as u32, "filter"),
        Hook::Input => (1, 0, "filter"),
        Hook::Forward => (2, 0, "filter"),
        Hook::Arriving => (0, -100i32 as u32, "nat"),
        Hook::Output => (3, 0, "filter"),
        Hook::Sending => (3, -300i32 as u32, "filter"),
        Hook::Sent => (3, -100i32 as u32, "nat"),
        Hook::Received => (1, 150, "filter"),
        Hook::Leaving => (4, 300, "filter"),
        Hook::Postrouting => (4, 100, "nat"),
        Hook::Device(_) => (5, 0, "filter"),
        Hook::Ingress(_) => (0, 0, "filter"),
        Hook::Egress(_) => (1, 0, "filter"),
    })
}

fn add_chain(family: u8, table: &str, chain: &Chain) -> Message {
    let message = about_chain(NEWCHAIN, CREATE | EXCL, family, table, chain.name);
    let Some((number, priority, kind)) = place(&chain.hook) else { return message };
    message.with(|message| {
        message.nest(NFTA_CHAIN_HOOK, |hook| {
            hook.put_be32(NFTA_HOOK_HOOKNUM, number).put_be32(NFTA_HOOK_PRIORITY, priority);
            match &chain.hook {
                Hook::Device(device) | Hook::Ingress(device) | Hook::Egress(device) => {
                    hook.put_str(NFTA_HOOK_DEV, device.as_bytes())
                }
                _ => hook,
            }
        });
        message.put_be32(NFTA_CHAIN_POLICY, if chain.drops { NF_DROP } else { NF_ACCEPT });
        message.put_str(NFTA_CHAIN_TYPE, kind)
    })
}

/// Deletes a table with all that is in it.
pub fn delete(family: Family, name: &str) -> Message {
    Message::new(DELTABLE, 0, &body(family_number(family), 0))
        .with(|message| message.put_str(NFTA_TABLE_NAME, name))
}

/// Asks for all tables of all families.
pub fn dump() -> Message {
    Message::new(GETTABLE, DUMP, &body(NFPROTO_UNSPEC, 0))
}

/// Asks for one chain.
pub fn get_chain(family: Family, table: &str, chain: &str) -> Message {
    about_chain(GETCHAIN, 0, family_number(family), table, chain)
}

/// Asks for the rules of one table.
pub fn dump_rules(family: u8, table: &str) -> Message {
    Message::new(GETRULE, DUMP, &body(family, 0)).with(|message| message.put_str(NFTA_RULE_TABLE, table))
}

/// Asks for the rules of one chain.
pub fn dump_chain(family: Family, table: &str, chain: &str) -> Message {
    about_rules(GETRULE, DUMP, family_number(family), table, chain)
}

/// The comment of a rule.
pub fn parse_comment(reply: &[u8]) -> Option<String> {
    find(reply.get(4..)?, NFTA_RULE_USERDATA).map(comment)
}

/// Reads a chain; None for a reply that is not one.
pub fn parse_chain(reply: &[u8]) -> Option<FoundChain> {
    let attrs = reply.get(4..)?;
    let kind = find_text(attrs, NFTA_CHAIN_TYPE).unwrap_or_default();
    Some(FoundChain {
        name: find_text(attrs, NFTA_CHAIN_NAME)?,
        hook: match find(attrs, NFTA_CHAIN_HOOK) {
            Some(hook) => parse_hook(*reply.first()?, hook, &kind),
            None => Some(Hook::Nowhere),
        },
        drops: find_be32(attrs, NFTA_CHAIN_POLICY) == Some(NF_DROP),
        uses: find_be32(attrs, NFTA_CHAIN_USE)?,
    })
}

/// Where a chain is called from, if that is a place of kvmnet's; for one of a device, that device and no other.
fn parse_hook(family: u8, hook: &[u8], kind: &str) -> Option<Hook> {
    let known = match device_of(hook) {
        Some(device) if family == NFPROTO_NETDEV => vec![Hook::Ingress(device), Hook::Egress(device)],
        Some(device) => vec![Hook::Device(device)],
        None if family == NFPROTO_NETDEV => return None,
        None if family == NFPROTO_BRIDGE => vec![Hook::Bridging],
        None => [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Leaving, Hook::Postrouting]
            .into_iter()
            .chain([Hook::Arriving, Hook::Output, Hook::Sending, Hook::Sent, Hook::Received])
            .collect(),
    };
    let here = (find_be32(hook, NFTA_HOOK_HOOKNUM)?, find_be32(hook, NFTA_HOOK_PRIORITY)?, kind);
    known.into_iter().find(|hook| place(hook) == Some(here))
}

/// The one device of a hook.
fn device_of(hook: &[u8]) -> Option<IfName> {
    let all = find(hook, NFTA_HOOK_DEVS).map(|devices| attributes(devices).count());
    IfName::new(&find_text(hook, NFTA_HOOK_DEV)?).ok().filter(|_| all.is_none_or(|all| all == 1))
}

/// Whether a table is firewalld's.
pub fn is_firewalld(reply: &[u8]) -> bool {
    let name = reply.get(4..).and_then(|attributes| find_text(attributes, NFTA_TABLE_NAME));
    family(reply) == Some(Family::Inet) && name.is_some_and(|name| name == firewalld::TABLE)
}

/// Reads a table; None for one that is not kvmnet's.
pub fn parse(reply: &[u8]) -> Option<Found> {
    let mut found = Found {
        family: family(reply)
            .filter(|family| matches!(family, Family::Inet | Family::Netdev | Family::Bridge))?,
        name: String::new(),
        comment: String::new(),
        objects: 0,
        record: None,
        dormant: false,
        chains: Vec::new(),
    };
    for (kind, value) in attributes(reply.get(4..)?) {
        match kind {
            NFTA_TABLE_NAME => found.name = text(value),
            NFTA_TABLE_FLAGS => found.dormant = be32(value)? & DORMANT != 0,
            NFTA_TABLE_USE => found.objects = be32(value)?,
            NFTA_TABLE_USERDATA => found.comment = comment(value),
            _ => {}
        }
    }
    found.name.starts_with(TABLE_PREFIX).then_some(found)
}

/// Userdata is type, length, value in turn, a byte each for the first two (libnftnl, `udata.c`).
pub(super) fn userdata(comment: &str) -> Vec<u8> {
    let kind = if comment.len() <= COMMENT_MAX { COMMENT } else { LONG_NOTE };
    let mut bytes = vec![kind, (comment.len() + 1) as u8];
    bytes.extend_from_slice(comment.as_bytes());
    bytes.push(0);
    bytes
}

pub(super) fn comment(mut userdata: &[u8]) -> String {
    while let [kind, length, rest @ ..] = userdata {
        let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        if matches!(*kind, COMMENT | LONG_NOTE) {
            return text(value);
        }
        userdata = rest;
    }
    String::new()
}
