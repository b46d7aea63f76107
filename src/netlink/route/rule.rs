//! Routing policy rules: RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE (`net/core/fib_rules.c`).

use neli::consts::rtnl::{Frattr, Rtm};
use nix::libc;

use crate::model::{IfName, PolicyRule};
use crate::netlink::message::{Message, attributes, find, u32_at};
use crate::netlink::socket::{CREATE, DUMP, EXCL, REQUEST};

/// The length of `struct fib_rule_hdr`.
const BODY: usize = 12;
/// FIB_RULE_INVERT and FIB_RULE_FIND_SADDR; the other flags are the kernel's own.
const FLAGS: u32 = 2 | 0x1_0000;

/// Asks for all rules of a family.
pub fn dump(v6: bool) -> Message {
    let mut body = [0; BODY];
    body[0] = if v6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    Message::new(Rtm::Getrule, REQUEST | DUMP, &body)
}

/// Adds a rule.
pub fn add(rule: &PolicyRule) -> Message {
    request(Message::new(Rtm::Newrule, REQUEST | CREATE | EXCL, &rule.header), rule)
}

/// Deletes a rule.
pub fn delete(rule: &PolicyRule) -> Message {
    request(Message::new(Rtm::Delrule, REQUEST, &rule.header), rule)
}

fn request(mut message: Message, rule: &PolicyRule) -> Message {
    message.put_u32(Frattr::Priority, rule.priority).put_u32(Frattr::Table, rule.table);
    if let Some(iif) = &rule.iif {
        message.put_str(Frattr::Iifname, iif.as_bytes());
    }
    if let Some(oif) = &rule.oif {
        message.put_str(Frattr::Oifname, oif.as_bytes());
    }
    for (kind, value) in &rule.rest {
        message.put(*kind, value);
    }
    message
}

/// Reads a rule that names `link`; None for any other.
pub fn parse(reply: &[u8], link: &IfName) -> Option<PolicyRule> {
    let mut header: [u8; BODY] = reply.get(..BODY)?.try_into().ok()?;
    header[8..].copy_from_slice(&(u32_at(reply, 8)? & FLAGS).to_ne_bytes());
    let attrs = reply.get(BODY..)?;
    let name = |kind: Frattr| find(attrs, kind).and_then(IfName::of_kernel);
    let number = |kind: Frattr| find(attrs, kind).and_then(|value| u32_at(value, 0));
    let known =
        [Frattr::Iifname, Frattr::Oifname, Frattr::Priority, Frattr::Table, Frattr::Pad].map(u16::from);
    let rule = PolicyRule {
        header,
        priority: number(Frattr::Priority).unwrap_or_default(),
        table: number(Frattr::Table).unwrap_or_default(),
        iif: name(Frattr::Iifname),
        oif: name(Frattr::Oifname),
        rest: attributes(attrs).filter(|(k, _)| !known.contains(k)).map(|(k, v)| (k, v.to_vec())).collect(),
    };
    rule.names(link).then_some(rule)
}
