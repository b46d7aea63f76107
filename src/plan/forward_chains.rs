//! kvmnet's rules in the forward chains of iptables: where a policy of drop asks for them.

use crate::desired::Desired;
use crate::firewall;
use crate::item::{AcceptRulesChange, Step};
use crate::model::IfName;
use crate::model::foreign::Protocol;
use crate::model::forward_chain::{AcceptRule, AcceptRules, FORWARD, ForwardChain};
use crate::model::ruleset::Rule;
use crate::observed::Observed;

/// Lets through what the network needs, and no more.
pub fn open(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let bridge = desired.network.bridge;
    let mut steps = Vec::new();
    for forward_chain in observed.forward_chains.iter().filter(|forward_chain| forward_chain.drops) {
        let mut wanted = firewall::accept_rules(desired, forward_chain.protocol == Protocol::Ip6);
        // What a program's owner has to say yes to stays theirs to say.
        if forward_chain.is_managed && forward_chain.chain == FORWARD {
            wanted.truncate(1);
        }
        let found: Vec<&Rule> = own(forward_chain, &bridge).map(|accept_rule| &accept_rule.rule).collect();
        let is_whole = found.len() == wanted.len() && wanted.iter().all(|rule| found.contains(&rule));
        if !is_whole {
            steps.extend(close_one(forward_chain, &bridge));
            let (protocol, chain) = (forward_chain.protocol, forward_chain.chain.to_owned());
            steps.push(AcceptRulesChange::Add(AcceptRules { protocol, chain, bridge, rules: wanted }).into());
        }
    }
    steps
}

/// Takes the network's rules out again.
pub fn close(bridge: &IfName, observed: &Observed) -> Vec<Step> {
    observed.forward_chains.iter().flat_map(|forward_chain| close_one(forward_chain, bridge)).collect()
}

fn close_one(forward_chain: &ForwardChain, bridge: &IfName) -> Vec<Step> {
    let mut chains: Vec<&String> = own(forward_chain, bridge).map(|accept_rule| &accept_rule.chain).collect();
    chains.sort_unstable();
    chains.dedup();
    let step = |chain: &String| {
        let there = || own(forward_chain, bridge).filter(|accept_rule| accept_rule.chain == *chain);
        let accept_rules = AcceptRules {
            protocol: forward_chain.protocol,
            chain: chain.clone(),
            bridge: *bridge,
            rules: there().map(|accept_rule| accept_rule.rule.clone()).collect(),
        };
        let handles = there().map(|accept_rule| accept_rule.handle).collect();
        AcceptRulesChange::Delete { accept_rules, handles }.into()
    };
    chains.into_iter().map(step).collect()
}

fn own<'a>(forward_chain: &'a ForwardChain, bridge: &'a IfName) -> impl Iterator<Item = &'a AcceptRule> {
    forward_chain.rules.iter().filter(move |accept_rule| accept_rule.bridge == *bridge)
}
