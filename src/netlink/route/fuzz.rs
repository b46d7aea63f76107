//! Any bytes as an answer to any question.

#![allow(clippy::unwrap_used, reason = "a panic is how a case is found")]

use super::{address, link, neighbour, nexthop, whole};
use crate::model::{Facts, Filter, IfName, Question};
use crate::netlink::message::u32_at;

/// All that is found in it.
pub(crate) fn read(reply: &[u8]) -> impl std::fmt::Debug {
    // The interface that it says it is about.
    let device = u32_at(reply, 4).unwrap_or_default();
    let name = IfName::new("eth3").unwrap();
    let mut questions = vec![Question::Link(name), Question::Addresses(device), Question::Own];
    questions.extend([Question::FreshForwarding, Question::Clsact(device)]);
    questions.push(Question::GuestFilter(device));
    questions.extend([Filter::Tap, Filter::Ingress].map(|filter| Question::Filter(device, filter)));
    questions.push(Question::Nexthops { device, name });
    for v6 in [false, true] {
        questions.extend([
            Question::WideForwarding { v6 },
            Question::Ways { v6, nets: Vec::new() },
            Question::Routes { v6, device, name },
            Question::Rules { v6, name },
            Question::Neighbours { v6, device, name },
        ]);
    }
    let mut facts = Facts::default();
    questions.iter().for_each(|question| question.read(&mut facts, reply));
    let entries = (neighbour::parse_fdb_entry(reply), neighbour::parse_neighbour_entry(reply));
    let nexthop = (nexthop::device(reply), nexthop::members(reply));
    let link = link::parse(reply).map(|link| (link, whole::bytes(reply)));
    let hops = facts.routes.iter().map(|route| route.hops.len()).sum::<usize>();
    assert!(hops + nexthop.1.len() <= reply.len(), "no more than it has room for");
    (facts, entries, nexthop, link, address::parse_any(reply))
}
