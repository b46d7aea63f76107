//! kvmnet's rules in the forward chains of iptables: where a policy of drop asks for them.

use crate::desired::Desired;
use crate::firewall;
use crate::item::{AcceptRulesChange, Step};
use crate::model::IfName;
use crate::model::foreign::Protocol;
use crate::model::gate::{FORWARD, Gate, Passage, Passages};
use crate::model::ruleset::Rule;
use crate::observed::Observed;

/// Lets through what the network needs, and no more.
pub fn open(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let bridge = desired.network.bridge;
    let mut steps = Vec::new();
    for gate in observed.gates.iter().filter(|gate| gate.drops) {
        let mut wanted = firewall::passages(desired, gate.protocol == Protocol::Ip6);
        // What a program's owner has to say yes to stays theirs to say.
        if gate.is_managed && gate.chain == FORWARD {
            wanted.truncate(1);
        }
        let found: Vec<&Rule> = own(gate, &bridge).map(|passage| &passage.rule).collect();
        let is_whole = found.len() == wanted.len() && wanted.iter().all(|rule| found.contains(&rule));
        if !is_whole {
            steps.extend(close_one(gate, &bridge));
            let (protocol, chain) = (gate.protocol, gate.chain.to_owned());
            steps.push(AcceptRulesChange::Add(Passages { protocol, chain, bridge, rules: wanted }).into());
        }
    }
    steps
}

/// Takes the network's rules out again.
pub fn close(bridge: &IfName, observed: &Observed) -> Vec<Step> {
    observed.gates.iter().flat_map(|gate| close_one(gate, bridge)).collect()
}

fn close_one(gate: &Gate, bridge: &IfName) -> Vec<Step> {
    let mut chains: Vec<&String> = own(gate, bridge).map(|passage| &passage.chain).collect();
    chains.sort_unstable();
    chains.dedup();
    let step = |chain: &String| {
        let there = || own(gate, bridge).filter(|passage| passage.chain == *chain);
        let passages = Passages {
            protocol: gate.protocol,
            chain: chain.clone(),
            bridge: *bridge,
            rules: there().map(|passage| passage.rule.clone()).collect(),
        };
        let handles = there().map(|passage| passage.handle).collect();
        AcceptRulesChange::Delete { passages, handles }.into()
    };
    chains.into_iter().map(step).collect()
}

fn own<'a>(gate: &'a Gate, bridge: &'a IfName) -> impl Iterator<Item = &'a Passage> {
    gate.rules.iter().filter(move |passage| passage.bridge == *bridge)
}
