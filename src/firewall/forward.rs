//! Who is forwarded where, by mode: the chain `forward`.

use super::Ground;
use super::bridge_frames::within;
use super::forward_guard::{self, ForwardGuard};
use crate::model::link::{GROUP, lan_group};
use crate::model::ruleset::{Chain, Hook, Match, Rule, Verdict};
use crate::model::{IfName, Network, Uplink};

pub(super) const FORWARD: &str = "forward";

pub(super) fn chain(mut rules: Vec<Rule>, guards: &[ForwardGuard]) -> Chain {
    rules.extend(guards.iter().flat_map(forward_guard::rules));
    Chain { name: FORWARD, hook: Hook::Forward, drops: false, rules }
}

pub(super) fn host_only(network: &Network) -> Vec<Rule> {
    let host_if = network.host_if();
    vec![
        within(network),
        Rule::new([Match::Iif(*host_if)], Verdict::Drop),
        Rule::new([Match::Oif(*host_if)], Verdict::Drop),
    ]
}

/// In and out between the network and its uplinks or other routed networks; a nat network refuses for itself.
pub(super) fn routed(network: &Network, ground: &Ground) -> Vec<Rule> {
    let host_if = network.host_if();
    let mut rules = vec![within(network)];
    if ground.knows_sources {
        rules.push(Rule::new([Match::Iif(*host_if), Match::NoReversePath], Verdict::Drop));
    }
    let Some(ways) = ways(network, ground) else { return rules };
    let ways = [vec![Way::Group(GROUP)], ways].concat();
    rules.extend(ways.iter().map(|way| Rule::new([Match::Iif(*host_if), way.out()], Verdict::Accept)));
    rules.extend(ways.iter().map(|way| Rule::new([Match::Oif(*host_if), way.back()], Verdict::Accept)));
    rules.push(Rule::new([Match::Iif(*host_if)], Verdict::Drop));
    rules.push(Rule::new([Match::Oif(*host_if)], Verdict::Drop));
    rules
}

/// A way out of a network, and back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Link(IfName),
    Group(u32),
}

impl Way {
    pub(super) fn out(self) -> Match {
        match self {
            Way::Link(name) => Match::Oif(name),
            Way::Group(group) => Match::OifGroup(group),
        }
    }

    pub(super) fn back(self) -> Match {
        match self {
            Way::Link(name) => Match::Iif(name),
            Way::Group(group) => Match::IifGroup(group),
        }
    }
}

/// Each uplink that is named, and the bridge that it is a port of or may become one of; None where the routes say.
pub(super) fn ways(network: &Network, ground: &Ground) -> Option<Vec<Way>> {
    let Uplink::Named(uplinks) = &network.uplink else { return None };
    let mut ways = Vec::new();
    for uplink in uplinks {
        ways.extend([Way::Link(*uplink), Way::Group(lan_group(uplink))]);
        let masters = ground.masters.iter().filter(|(port, _)| port == uplink);
        ways.extend(masters.map(|(_, master)| Way::Link(*master)));
    }
    Some(ways)
}

/// One list of conditions for each way out.
pub(super) fn ways_out(network: &Network, ground: &Ground) -> Vec<Vec<Match>> {
    match ways(network, ground) {
        None => vec![Vec::new()],
        Some(ways) => ways.iter().map(|way| vec![way.out()]).collect(),
    }
}
