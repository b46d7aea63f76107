//! Rules, read as far as they say by what interface and as whom packets leave: NFT_MSG_GETRULE.

use super::attr::*;
use super::table::body;
use crate::model::IfName;
use crate::model::ruleset::Verdict;
use crate::netlink::message::{Message, attributes, be32, find, ip, text};
use crate::netlink::socket::{DUMP, REQUEST};

const NFTA_META_KEY: u16 = 2;
const NFT_META_OIFNAME: u32 = 7;
const NFTA_CMP_OP: u16 = 2;
const NFT_CMP_EQ: u32 = 0;
const NFTA_CMP_DATA: u16 = 3;
const NFTA_IMMEDIATE_DATA: u16 = 2;

/// What one rule says of a way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// `oifname "eth3"`
    pub by: Option<IfName>,
    /// `masquerade` or `snat`.
    pub nat: Option<Verdict>,
}

/// Asks for the rules of one table.
pub fn dump(family: u8, table: &str) -> Message {
    let mut message = Message::new(GETRULE, REQUEST | DUMP, &body(family, 0));
    message.put_str(NFTA_RULE_TABLE, table);
    message
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
            Some("immediate") => address = value(data, NFTA_IMMEDIATE_DATA).and_then(ip),
            Some("masq") => exit.nat = Some(Verdict::Masquerade),
            Some("nat") => exit.nat = address.map(Verdict::Snat),
            _ => {}
        }
        is_name = kind.as_deref() == Some("meta")
            && find(data, NFTA_META_KEY).and_then(be32) == Some(NFT_META_OIFNAME);
    }
    (exit != Exit::default()).then_some(exit)
}

/// The name that the outgoing interface is compared with, where it must be equal.
fn name(comparison: &[u8]) -> Option<IfName> {
    let is_equal = find(comparison, NFTA_CMP_OP).and_then(be32) == Some(NFT_CMP_EQ);
    is_equal
        .then(|| value(comparison, NFTA_CMP_DATA))
        .flatten()
        .and_then(|name| IfName::new(&text(name)).ok())
}

fn value(data: &[u8], kind: u16) -> Option<&[u8]> {
    find(data, kind).and_then(|holder| find(holder, NFTA_DATA_VALUE))
}
