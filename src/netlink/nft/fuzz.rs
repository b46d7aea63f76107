//! Any bytes as an answer to any question.

use std::net::IpAddr;

use super::{decode, iptables, set, table};
use crate::firewall::{LED_SETS, RECORD};
use crate::model::PortMapping;
use crate::netlink::flows;

/// All that is found in it.
pub(crate) fn read(reply: &[u8]) -> impl std::fmt::Debug {
    let tables = (table::parse(reply), table::parse_chain(reply), table::parse_comment(reply));
    let sets = LED_SETS.into_iter().chain([&RECORD]);
    let elements: Vec<_> = sets.filter_map(|set| set::parse(reply, set)).collect();
    assert!(elements.iter().all(|found| found.len() <= reply.len()), "no more than it has room for");
    elements.iter().flatten().for_each(|element| drop(PortMapping::read(element)));
    let delete = flows::delete(reply, IpAddr::from([10, 0, 100, 1]));
    assert!(delete.is_none_or(|delete| delete.bytes().len() <= reply.len() + 64));
    let rules = (decode::parse(reply), decode::parse_rule(reply));
    (tables, elements, rules, iptables::parse_table(reply), iptables::parse(reply))
}
