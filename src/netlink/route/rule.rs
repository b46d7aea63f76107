//! Routing policy rules: RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE (`net/core/fib_rules.c`).

use neli::consts::rtnl::{Frattr, Rtm};

use super::address::family_of;
use crate::model::{IfName, PolicyRule};
use crate::netlink::message::{CREATE, DUMP, EXCL, Message, find, find_u32, others, u32_at};

/// The length of `struct fib_rule_hdr`.
const BODY: usize = 12;
/// FIB_RULE_INVERT and FIB_RULE_FIND_SADDR; the other flags are the kernel's own.
const FLAGS: u32 = 2 | 0x1_0000;

/// Asks for all rules of a family.
pub fn dump(v6: bool) -> Message {
    let mut body = [0; BODY];
    body[0] = family_of(v6);
    Message::new(Rtm::Getrule, DUMP, &body)
}

/// Adds a rule.
pub fn add(rule: &PolicyRule) -> Message {
    request(Message::new(Rtm::Newrule, CREATE | EXCL, &rule.header), rule)
}

/// Deletes a rule.
pub fn delete(rule: &PolicyRule) -> Message {
    request(Message::new(Rtm::Delrule, 0, &rule.header), rule)
}

fn request(mut message: Message, rule: &PolicyRule) -> Message {
    message.put_u32(Frattr::Priority, rule.priority).put_u32(Frattr::Table, rule.table);
    if let Some(iif) = &rule.iif {
        message.put_str(Frattr::Iifname, iif.as_bytes());
    }
    if let Some(oif) = &rule.oif {
        message.put_str(Frattr::Oifname, oif.as_bytes());
    }
    message.put_all(&rule.rest);
    message
}

/// Reads a rule that names `link`; None for any other.
pub fn parse(reply: &[u8], link: &IfName) -> Option<PolicyRule> {
    let mut header: [u8; BODY] = reply.get(..BODY)?.try_into().ok()?;
    header[8..].copy_from_slice(&(u32_at(reply, 8)? & FLAGS).to_ne_bytes());
    let attrs = reply.get(BODY..)?;
    let name = |kind: Frattr| find(attrs, kind).and_then(IfName::of_kernel);
    let known =
        [Frattr::Iifname, Frattr::Oifname, Frattr::Priority, Frattr::Table, Frattr::Pad].map(u16::from);
    let rule = PolicyRule {
        header,
        priority: find_u32(attrs, Frattr::Priority).unwrap_or_default(),
        table: find_u32(attrs, Frattr::Table).unwrap_or_default(),
        iif: name(Frattr::Iifname),
        oif: name(Frattr::Oifname),
        rest: others(attrs, &known),
    };
    rule.names(link).then_some(rule)
}
