//! kvmnet's rules in the forward chains of iptables: where a policy of drop asks for them.

use crate::desired::Desired;
use crate::feature;
use crate::item::{AcceptRulesChange, Step};
use crate::model::IfName;
use crate::model::forward_chain::{AcceptRule, AcceptRules, ForwardChain};
use crate::model::ruleset::Rule;
use crate::observed::Observed;
use crate::sorted::sorted_by_key;

/// Lets through what `desired` needs, and no more; with nothing desired, the rules go.
pub(super) fn difference(bridge: &IfName, desired: Option<&Desired>, observed: &Observed) -> Vec<Step> {
    let chains = observed.forward_chains.iter();
    let chains = chains.filter(|forward_chain| forward_chain.drops || desired.is_none());
    chains.flat_map(|forward_chain| of_chain(forward_chain, bridge, desired)).collect()
}

fn of_chain(forward_chain: &ForwardChain, bridge: &IfName, desired: Option<&Desired>) -> Vec<Step> {
    let wanted = desired.map(|desired| feature::accept_rules(desired, forward_chain)).unwrap_or_default();
    let found: Vec<&Rule> = own(forward_chain, bridge).map(|accept_rule| &accept_rule.rule).collect();
    if found.len() == wanted.len() && wanted.iter().all(|rule| found.contains(&rule)) {
        return Vec::new();
    }
    let mut steps = delete(forward_chain, bridge);
    if !wanted.is_empty() {
        let (protocol, chain) = (forward_chain.protocol, forward_chain.chain.to_owned());
        let rules = AcceptRules { protocol, chain, bridge: *bridge, rules: wanted };
        steps.push(AcceptRulesChange::Add(rules).into());
    }
    steps
}

fn delete(forward_chain: &ForwardChain, bridge: &IfName) -> Vec<Step> {
    let chains = own(forward_chain, bridge).map(|accept_rule| &accept_rule.chain);
    let mut chains = sorted_by_key(chains, |chain| *chain);
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
