//! Rules in chains of iptables: NFT_MSG_NEWRULE, NFT_MSG_DELRULE.

use super::attr::*;
use super::decode::parse_rule;
use super::expr;
use super::table::{about_chain, about_rules, family, family_number, parse_comment, userdata};
use crate::firewalld;
use crate::model::foreign::Fate;
use crate::model::iptables::{
    AcceptRule, AcceptRules, ChainRule, LastWord, TABLE, TABLES, bridge_in, comment,
};
use crate::model::ruleset::{Family, IcmpType, Match, Rule, TABLE_PREFIX, Verdict};
use crate::model::{IfName, Protocol};
use crate::netlink::message::{APPEND, CREATE, DUMP, Message, attributes, find, find_be32, find_text, text};

/// The family of a table of iptables; None for any other.
pub fn parse_table(reply: &[u8]) -> Option<Family> {
    let name = find_text(reply.get(4..)?, NFTA_TABLE_NAME)?;
    family(reply).filter(|family| name == TABLE && matches!(family, Family::Ip | Family::Ip6))
}

/// Whether it is a table of others that packets may meet, and none of iptables' or firewalld's.
pub fn is_of_others(reply: &[u8]) -> bool {
    let Some(name) = reply.get(4..).and_then(|attrs| find_text(attrs, NFTA_TABLE_NAME)) else { return false };
    match family(reply) {
        Some(Family::Inet) => !name.starts_with(TABLE_PREFIX) && name != firewalld::TABLE,
        Some(Family::Bridge) => !name.starts_with(TABLE_PREFIX),
        Some(Family::Ip | Family::Ip6) => !TABLES.contains(&name.as_str()),
        _ => false,
    }
}

/// Asks for one of its chains.
pub fn get_chain(protocol: Family, chain: &str) -> Message {
    about_chain(GETCHAIN, 0, family_number(protocol), TABLE, chain)
}

/// Asks for the rules of one of its chains.
pub fn dump_chain(protocol: Family, chain: &str) -> Message {
    about_rules(GETRULE, DUMP, family_number(protocol), TABLE, chain)
}

/// Reads a rule.
pub fn parse(reply: &[u8]) -> Option<ChainRule> {
    let handle = find(reply.get(4..)?, NFTA_RULE_HANDLE)?;
    let handle = u64::from_be_bytes(handle.try_into().ok()?);
    let rule = parse_rule(reply)?;
    let is_for_all = rule.conditions.is_empty();
    Some(ChainRule {
        handle,
        jump: match &rule.fate {
            Fate::Go(chain, true) if is_for_all => Some(chain.clone()),
            _ => None,
        },
        is_decision: !is_for_all && rule.fate != Fate::None,
        last_word: if is_for_all { last_word(&rule.fate) } else { None },
        own: (rule.fate == Fate::Accept).then(|| own(reply, handle, rule.chain)).flatten(),
    })
}

fn last_word(fate: &Fate) -> Option<LastWord> {
    match fate {
        Fate::Accept => Some(LastWord::Accept),
        Fate::Drop => Some(LastWord::Drop),
        Fate::Return | Fate::Go(_, false) => Some(LastWord::Other),
        Fate::None | Fate::Go(_, true) | Fate::Nat(_) => None,
    }
}

/// All of kvmnet's let something through, and ask for nothing else than it would ask for.
fn own(reply: &[u8], handle: u64, chain: String) -> Option<AcceptRule> {
    let expressions = find(reply.get(4..)?, NFTA_RULE_EXPRESSIONS)?;
    let said = parse_comment(reply);
    let is_restored = said.is_none();
    let bridge = bridge_in(&said.or_else(|| restored_comment(expressions))?)?;
    let matches = matches(expressions, family(reply)?)?;
    // Anybody may type such a comment: theirs is about other interfaces.
    let is_of_network = |name: &IfName| *name == bridge || name.as_str().ends_with(".1");
    let mut names = matches.iter().filter_map(Match::name).peekable();
    if is_restored && (names.peek().is_none() || !names.all(is_of_network)) {
        return None;
    }
    Some(AcceptRule { handle, bridge, is_early: false, rule: Rule::new(matches, Verdict::Accept), chain })
}

/// What iptables-save and iptables-restore make of the comment (`struct xt_comment_info`).
fn restored_comment(expressions: &[u8]) -> Option<String> {
    attributes(expressions).find_map(|(_, element)| {
        let data = find(element, NFTA_EXPR_DATA)?;
        let is_comment = find_text(data, NFTA_MATCH_NAME).as_deref() == Some("comment");
        is_comment.then(|| find_text(data, NFTA_MATCH_INFO))?
    })
}

/// What is loaded, to be compared.
#[derive(Clone, Copy)]
enum Loaded {
    Iif,
    Oif,
    Protocol,
    Port,
    IcmpType,
}

/// All conditions of a rule; None where there is one that kvmnet would not write.
fn matches(expressions: &[u8], family: Family) -> Option<Vec<Match>> {
    let (mut loaded, mut protocol, mut found) = (None, None, Vec::new());
    for (_, element) in attributes(expressions) {
        let data = find(element, NFTA_EXPR_DATA).unwrap_or_default();
        match find_text(element, NFTA_EXPR_NAME)?.as_str() {
            "meta" => loaded = Some(meta(data)?),
            "payload" => loaded = Some(payload(data, family)?),
            "cmp" => {
                let value = find(find(data, NFTA_CMP_DATA)?, NFTA_DATA_VALUE)?;
                if find_be32(data, NFTA_CMP_OP)? != EQUAL {
                    return None;
                }
                match loaded? {
                    Loaded::Protocol => protocol = value.first().copied(),
                    loaded => found.push(condition(loaded, protocol, value)?),
                }
            }
            "match" => found.extend(extension(data)?),
            "counter" | "immediate" => {}
            _ => return None,
        }
    }
    Some(found)
}

/// A condition as iptables-restore writes it: none in a comment; None for one that kvmnet's rules do not have.
/// `struct ipt_icmp`: a type, a range of codes, flags. `struct xt_udp`, `xt_tcp`: two ranges of ports, more, flags.
fn extension(data: &[u8]) -> Option<Option<Match>> {
    let name = find_text(data, NFTA_MATCH_NAME)?;
    let info = find(data, NFTA_MATCH_INFO)?;
    match (name.as_str(), info) {
        ("comment", _) => Some(None),
        ("icmp", [kind, 0, 255, 0, ..]) => {
            condition(Loaded::IcmpType, Some(expr::ICMP[0]), &[*kind]).map(Some)
        }
        ("icmp6", [kind, 0, 255, 0, ..]) => {
            condition(Loaded::IcmpType, Some(expr::ICMP[1]), &[*kind]).map(Some)
        }
        ("udp", [0, 0, 255, 255, a, b, c, d, 0, ..]) if [a, b] == [c, d] => port(Protocol::Udp, [*a, *b]),
        ("tcp", [0, 0, 255, 255, a, b, c, d, 0, 0, 0, 0, ..]) if [a, b] == [c, d] => {
            port(Protocol::Tcp, [*a, *b])
        }
        _ => None,
    }
}

/// In the byte order of the machine.
fn port(protocol: Protocol, bytes: [u8; 2]) -> Option<Option<Match>> {
    Some(Some(Match::Port(protocol, u16::from_ne_bytes(bytes))))
}

fn meta(data: &[u8]) -> Option<Loaded> {
    match find_be32(data, NFTA_META_KEY)? {
        META_IIFNAME => Some(Loaded::Iif),
        META_OIFNAME => Some(Loaded::Oif),
        META_L4PROTO => Some(Loaded::Protocol),
        _ => None,
    }
}

fn payload(data: &[u8], family: Family) -> Option<Loaded> {
    let number = |kind| find_be32(data, kind);
    let place = (number(NFTA_PAYLOAD_BASE)?, number(NFTA_PAYLOAD_OFFSET)?, number(NFTA_PAYLOAD_LEN)?);
    match place {
        (expr::TRANSPORT_HEADER, 2, 2) => Some(Loaded::Port),
        (expr::TRANSPORT_HEADER, 0, 1) => Some(Loaded::IcmpType),
        // `ip protocol`, as iptables 1.8.11 writes it; older ones ask for `meta l4proto`.
        (expr::NETWORK_HEADER, 9, 1) if family == Family::Ip => Some(Loaded::Protocol),
        _ => None,
    }
}

fn condition(loaded: Loaded, protocol: Option<u8>, value: &[u8]) -> Option<Match> {
    // A whole name ends with a NUL, the beginning of one does not.
    let name = || value.contains(&0).then(|| IfName::new(&text(value)).ok())?;
    match loaded {
        Loaded::Iif => name().map(Match::Iif),
        Loaded::Oif => name().map(Match::Oif),
        Loaded::Port => {
            let known = [Protocol::Tcp, Protocol::Udp];
            let protocol = known.into_iter().find(|known| Some(*known as u8) == protocol)?;
            Some(Match::Port(protocol, u16::from_be_bytes(value.try_into().ok()?)))
        }
        Loaded::IcmpType => {
            let v6 = expr::ICMP.iter().position(|number| Some(*number) == protocol)? == 1;
            let is_it = |kind: &IcmpType| (kind.about().0, &[kind.about().1][..]) == (v6, value);
            IcmpType::ALL.into_iter().find(is_it).map(Match::IcmpType)
        }
        Loaded::Protocol => None,
    }
}

/// Adds the messages that put the rules into their chain, in order.
pub fn insert(messages: &mut Vec<Message>, rules: &AcceptRules) {
    let AcceptRules { protocol, chain, after, bridge, rules } = rules;
    let flags = if after.is_some() { CREATE | APPEND } else { CREATE };
    messages.extend(rules.iter().rev().map(|rule| {
        about_rules(NEWRULE, flags, family_number(*protocol), TABLE, chain).with(|message| {
            message.nest(NFTA_RULE_EXPRESSIONS, |list| expr::put_rule_of_family(list, rule));
            if let Some(after) = after {
                message.put(NFTA_RULE_POSITION, &after.to_be_bytes());
            }
            message.put(NFTA_RULE_USERDATA, &userdata(&comment(bridge)))
        })
    }));
}

/// Deletes one rule.
pub fn delete(protocol: Family, chain: &str, handle: u64) -> Message {
    about_rules(DELRULE, 0, family_number(protocol), TABLE, chain)
        .with(|message| message.put(NFTA_RULE_HANDLE, &handle.to_be_bytes()))
}
