//! kvmnet's rules in the chains of iptables: where these drop what no rule decides.

use super::Transaction;
use crate::desired::Desired;
use crate::feature;
use crate::item::{AcceptRulesChange, Step};
use crate::model::iptables::{AcceptRule, AcceptRules, IptablesChain};
use crate::model::ruleset::Rule;
use crate::model::{FirewallUse, IfName};
use crate::observed::Observed;
use crate::sorted::sorted_by_key;

/// Lets through what `desired` needs, and no more; with nothing desired, the rules go.
pub(super) fn difference(bridge: &IfName, desired: Option<&Desired>, observed: &Observed) -> Vec<Step> {
    let integrates = |desired: &Desired| desired.network.firewall == FirewallUse::Integrate;
    let chains = observed.iptables_chains.iter();
    let chains = chains.filter(|chain| chain.drops || !desired.is_some_and(integrates));
    chains.flat_map(|chain| of_chain(chain, bridge, desired)).collect()
}

fn of_chain(chain: &IptablesChain, bridge: &IfName, desired: Option<&Desired>) -> Vec<Step> {
    let wanted = desired.map(|desired| feature::accept_rules(desired, chain)).unwrap_or_default();
    let found: Vec<&Rule> = own(chain, bridge).map(|accept_rule| &accept_rule.rule).collect();
    let is_early = || own(chain, bridge).any(|accept_rule| accept_rule.is_early);
    if !is_early() && found.len() == wanted.len() && wanted.iter().all(|rule| found.contains(&rule)) {
        return Vec::new();
    }
    let mut steps = delete(chain, bridge);
    if !wanted.is_empty() {
        let IptablesChain { protocol, after, .. } = *chain;
        let rules =
            AcceptRules { protocol, chain: chain.chain.to_owned(), after, bridge: *bridge, rules: wanted };
        steps.push(AcceptRulesChange::Add(rules).into());
    }
    steps
}

fn delete(chain: &IptablesChain, bridge: &IfName) -> Vec<Step> {
    let names = own(chain, bridge).map(|accept_rule| &accept_rule.chain);
    let mut names = sorted_by_key(names, |name| *name);
    names.dedup();
    let step = |name: &String| {
        let there = || own(chain, bridge).filter(|accept_rule| accept_rule.chain == *name);
        let accept_rules = AcceptRules {
            protocol: chain.protocol,
            chain: name.clone(),
            after: chain.after.filter(|_| name == chain.chain),
            bridge: *bridge,
            rules: there().map(|accept_rule| accept_rule.rule.clone()).collect(),
        };
        let handles = there().map(|accept_rule| accept_rule.handle).collect();
        AcceptRulesChange::Delete { accept_rules, handles }.into()
    };
    names.into_iter().map(step).collect()
}

/// Takes out the rules of networks that do not stand: somebody has loaded what he saved while they did.
pub fn sweep(observed: &Observed) -> Vec<Transaction> {
    let rules = observed.iptables_chains.iter().flat_map(|chain| &chain.rules);
    let stray =
        rules.map(|accept_rule| accept_rule.bridge).filter(|bridge| observed.network(bridge).is_none());
    let mut bridges = sorted_by_key(stray, |bridge| *bridge);
    bridges.dedup();
    let of_bridge = |bridge: IfName| Transaction {
        title: format!("take out the rules for {bridge}, which is not a network any more"),
        steps: difference(&bridge, None, observed),
        cleans: None,
    };
    bridges.into_iter().map(of_bridge).collect()
}

fn own<'a>(chain: &'a IptablesChain, bridge: &'a IfName) -> impl Iterator<Item = &'a AcceptRule> {
    chain.rules.iter().filter(move |accept_rule| accept_rule.bridge == *bridge)
}
