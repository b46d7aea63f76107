//! What a guest may say to the host itself: the chain `input`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::IfName;
use crate::model::ruleset::{Chain, Hook, Match, Rule, Verdict};

pub(super) const INPUT: &str = "input";

/// A guest speaks to the host as itself: what the host answers to a source that is elsewhere would go there, with the guest's
/// own words in it (an echo, an error), past all that keeps the guest in.
pub(super) fn chain(host_if: &IfName, knows_sources: bool) -> Chain {
    let unspecified = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let mut rules: Vec<Rule> = unspecified
        .map(|source| Rule::new([Match::Iif(*host_if), Match::Source(source.into())], Verdict::Accept))
        .into();
    rules.push(Rule::new([Match::Iif(*host_if), Match::ReversePath], Verdict::Accept));
    rules.push(Rule::new([Match::Iif(*host_if)], Verdict::Drop));
    rules.retain(|_| knows_sources);
    Chain { name: INPUT, hook: Hook::Input, drops: false, rules }
}
