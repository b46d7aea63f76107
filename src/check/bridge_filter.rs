//! br_netfilter: frames between two guests of one bridge pass the IP firewall, as if they were forwarded.

use super::finding::{Finding, Place};
use super::input::CheckInput;
use super::walk::Packet;
use crate::model::IfName;
use crate::model::foreign::{ForeignChain, HookPoint, Protocol};

/// A problem for each family whose frames are dropped so; else one note.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let families = [false, true].into_iter().zip(input.bridge_filter);
    let on: Vec<bool> = families.filter(|(_, on)| *on).map(|(v6, _)| v6).collect();
    let problems: Vec<Finding> = on.iter().filter_map(|v6| dropped(input, *v6)).collect();
    if !problems.is_empty() || on.is_empty() || input.configured.is_empty() {
        return problems;
    }
    let names: Vec<&str> = on.iter().map(|v6| family(*v6)).collect();
    let text = format!(
        "frames between the guests of one bridge pass the forward chains of the firewall ({})",
        names.join(" and ")
    );
    let only_v6 = on.iter().all(|v6| *v6);
    vec![Finding::note("br-netfilter", text).at(place(only_v6)).run(on.into_iter().map(switch_off))]
}

fn family(v6: bool) -> &'static str {
    if v6 { "IPv6" } else { "IPv4" }
}

fn key(v6: bool) -> &'static str {
    if v6 { "net.bridge.bridge-nf-call-ip6tables" } else { "net.bridge.bridge-nf-call-iptables" }
}

fn place(v6: bool) -> Place {
    Place::Sysctl { sysctl: key(v6).to_owned() }
}

fn switch_off(v6: bool) -> String {
    format!("sysctl -w {}=0", key(v6))
}

/// The first chain that drops such frames.
fn dropped(input: &CheckInput, v6: bool) -> Option<Finding> {
    let is_dropped = |chain: &ForeignChain, bridge: &IfName| {
        // kvmnet opens the chain by itself when a network comes up.
        if !input.is_up(bridge)
            && input.observed.forward_chains.iter().any(|forward_chain| forward_chain.is(chain))
        {
            return false;
        }
        let names = vec![bridge.to_string()];
        let packet = Packet { iif: names.clone(), oif: names, answers: false, v6, by_name: false };
        let by_policy = chain.drops && !input.firewall.lets_through(chain, bridge).0;
        by_policy || input.firewall.drops(chain, &packet)
    };
    let chains = input.firewall.deciding().filter(|chain| {
        chain.point == Some(HookPoint::Forward)
            && chain.protocol != Protocol::Bridge
            && chain.protocol.sees(v6)
    });
    let (chain, bridges) = chains
        .map(|chain| {
            let bridges = input.configured.iter().map(|one| &one.desired.network.bridge);
            let dropped = bridges.filter(|bridge| is_dropped(chain, bridge));
            (chain, dropped.map(ToString::to_string).collect::<Vec<_>>())
        })
        .find(|(_, bridges)| !bridges.is_empty())?;
    let ForeignChain { protocol, table, name, .. } = chain;
    let text = format!(
        "frames between the guests of one bridge ({}) pass the chain {protocol} {table} {name}, which drops them ({})",
        bridges.join(", "),
        family(v6)
    );
    Some(Finding::problem("br-netfilter", text).at(place(v6)).run([switch_off(v6)]))
}
