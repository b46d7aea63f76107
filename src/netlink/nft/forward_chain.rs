//! kvmnet's rules in chains of iptables: NFT_MSG_NEWRULE, NFT_MSG_DELRULE.

use super::attr::*;
use super::decode::{number, parse_rule};
use super::expr;
use super::table::{body, parse_comment, userdata};
use crate::model::IfName;
use crate::model::foreign::{Condition, Fate, NamePattern, Protocol};
use crate::model::forward_chain::{AcceptRule, AcceptRules, TABLE, bridge_in, comment};
use crate::model::ruleset::{Match, Rule, Verdict};
use crate::netlink::message::{Message, find, text};
use crate::netlink::socket::{CREATE, DUMP, REQUEST};

/// The family of a table of iptables; None for any other.
pub fn parse_table(reply: &[u8]) -> Option<Protocol> {
    let name = find(reply.get(4..)?, NFTA_TABLE_NAME).map(text)?;
    let protocol = match *reply.first()? {
        NFPROTO_IPV4 => Protocol::Ip,
        NFPROTO_IPV6 => Protocol::Ip6,
        _ => return None,
    };
    (name == TABLE).then_some(protocol)
}

/// Asks for one of its chains.
pub fn get_chain(protocol: Protocol, chain: &str) -> Message {
    let mut message = Message::new(GETCHAIN, REQUEST, &body(number(protocol), 0));
    message.put_str(NFTA_CHAIN_TABLE, TABLE).put_str(NFTA_CHAIN_NAME, chain);
    message
}

/// Asks for the rules of one of its chains.
pub fn dump_chain(protocol: Protocol, chain: &str) -> Message {
    let mut message = Message::new(GETRULE, REQUEST | DUMP, &body(number(protocol), 0));
    message.put_str(NFTA_RULE_TABLE, TABLE).put_str(NFTA_RULE_CHAIN, chain);
    message
}

/// Reads a rule of kvmnet's; None for one of others.
pub fn parse(reply: &[u8]) -> Option<AcceptRule> {
    let handle = find(reply.get(4..)?, NFTA_RULE_HANDLE)?;
    let bridge = bridge_in(&parse_comment(reply)?)?;
    let rule = parse_rule(reply)?;
    let name = |pattern: &NamePattern| IfName::new(&pattern.text).ok();
    let matches = rule.conditions.iter().filter_map(|condition| match condition {
        Condition::Iif(iif, true) => name(iif).map(Match::Iif),
        Condition::Oif(oif, true) => name(oif).map(Match::Oif),
        _ => None,
    });
    let verdict = if rule.fate == Fate::Accept { Verdict::Accept } else { Verdict::Drop };
    Some(AcceptRule {
        handle: u64::from_be_bytes(handle.try_into().ok()?),
        bridge,
        rule: Rule::new(matches.collect::<Vec<_>>(), verdict),
        chain: rule.chain,
    })
}

/// Adds the messages that put the rules at the head of their chain, in order.
pub fn insert(messages: &mut Vec<Message>, accept_rules: &AcceptRules) {
    for rule in accept_rules.rules.iter().rev() {
        let mut message = Message::new(NEWRULE, REQUEST | CREATE, &body(number(accept_rules.protocol), 0));
        message.put_str(NFTA_RULE_TABLE, TABLE).put_str(NFTA_RULE_CHAIN, &accept_rules.chain);
        message.nest(NFTA_RULE_EXPRESSIONS, |list| expr::put_rule(list, rule));
        message.put(NFTA_RULE_USERDATA, &userdata(&comment(&accept_rules.bridge)));
        messages.push(message);
    }
}

/// Deletes one rule.
pub fn delete(protocol: Protocol, chain: &str, handle: u64) -> Message {
    let mut message = Message::new(DELRULE, REQUEST, &body(number(protocol), 0));
    message.put_str(NFTA_RULE_TABLE, TABLE).put_str(NFTA_RULE_CHAIN, chain);
    message.put(NFTA_RULE_HANDLE, &handle.to_be_bytes());
    message
}
