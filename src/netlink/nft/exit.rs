//! Rules, read as far as they say by what interface and as whom packets leave: NFT_MSG_GETRULE.

use std::net::IpAddr;

use super::attr::*;
use super::chain::pattern;
use crate::model::IfName;
use crate::model::ruleset::Verdict;
use crate::netlink::message::{attributes, be32, find, ip, text};

/// What one rule says of a way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// `oifname "eth3"`
    pub by: Option<IfName>,
    /// `masquerade` or `snat`.
    pub nat: Option<Verdict>,
}

/// Reads a rule; None for one that says nothing of a way out.
pub fn parse(reply: &[u8]) -> Option<Exit> {
    let mut exit = Exit::default();
    let mut is_name = false;
    let mut address = None;
    for (_, expression) in attributes(find(reply.get(4..)?, NFTA_RULE_EXPRESSIONS)?) {
        let data = find(expression, NFTA_EXPR_DATA).unwrap_or_default();
        let kind = find(expression, NFTA_EXPR_NAME).map(text);
        match kind.as_deref() {
            Some("cmp") if is_name => exit.by = exit.by.or_else(|| name(data)),
            Some("immediate") => address = address_in(data),
            Some("masq") => exit.nat = Some(Verdict::Masquerade),
            Some("nat") => exit.nat = address.map(Verdict::Snat),
            _ => {}
        }
        is_name =
            kind.as_deref() == Some("meta") && find(data, NFTA_META_KEY).and_then(be32) == Some(META_OIFNAME);
    }
    (exit != Exit::default()).then_some(exit)
}

/// The name that the outgoing interface is compared with, where it must be equal.
fn name(comparison: &[u8]) -> Option<IfName> {
    IfName::new(&pattern(comparison)?.text).ok()
}

fn address_in(immediate: &[u8]) -> Option<IpAddr> {
    find(find(immediate, NFTA_IMMEDIATE_DATA)?, NFTA_DATA_VALUE).and_then(ip)
}
