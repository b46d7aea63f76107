//! kvmnet's rules in chains of iptables: NFT_MSG_NEWRULE, NFT_MSG_DELRULE.

use super::attr::*;
use super::decode::parse_rule;
use super::expr;
use super::table::{about_chain, about_rules, family, family_number, parse_comment, userdata};
use crate::model::IfName;
use crate::model::foreign::{Condition, Fate, NamePattern};
use crate::model::forward_chain::{AcceptRule, AcceptRules, TABLE, bridge_in, comment};
use crate::model::ruleset::{Family, Match, Rule, Verdict};
use crate::netlink::message::{CREATE, DUMP, Message, find, find_text};

/// The family of a table of iptables; None for any other.
pub fn parse_table(reply: &[u8]) -> Option<Family> {
    let name = find_text(reply.get(4..)?, NFTA_TABLE_NAME)?;
    family(reply).filter(|family| name == TABLE && matches!(family, Family::Ip | Family::Ip6))
}

/// Asks for one of its chains.
pub fn get_chain(protocol: Family, chain: &str) -> Message {
    about_chain(GETCHAIN, 0, family_number(protocol), TABLE, chain)
}

/// Asks for the rules of one of its chains.
pub fn dump_chain(protocol: Family, chain: &str) -> Message {
    about_rules(GETRULE, DUMP, family_number(protocol), TABLE, chain)
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
    let matches: Vec<Match> = matches.collect();
    // All of kvmnet's let something through, and ask for nothing else.
    if rule.fate != Fate::Accept || matches.len() != rule.conditions.len() {
        return None;
    }
    Some(AcceptRule {
        handle: u64::from_be_bytes(handle.try_into().ok()?),
        bridge,
        rule: Rule::new(matches, Verdict::Accept),
        chain: rule.chain,
    })
}

/// Adds the messages that put the rules at the head of their chain, in order.
pub fn insert(messages: &mut Vec<Message>, AcceptRules { protocol, chain, bridge, rules }: &AcceptRules) {
    messages.extend(rules.iter().rev().map(|rule| {
        about_rules(NEWRULE, CREATE, family_number(*protocol), TABLE, chain).with(|message| {
            message.nest(NFTA_RULE_EXPRESSIONS, |list| expr::put_rule(list, rule));
            message.put(NFTA_RULE_USERDATA, &userdata(&comment(bridge)))
        })
    }));
}

/// Deletes one rule.
pub fn delete(protocol: Family, chain: &str, handle: u64) -> Message {
    about_rules(DELRULE, 0, family_number(protocol), TABLE, chain)
        .with(|message| message.put(NFTA_RULE_HANDLE, &handle.to_be_bytes()))
}
