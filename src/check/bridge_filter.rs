//! br_netfilter: frames between two guests of one bridge pass the IP firewall, as if they were forwarded.

use super::finding::{Finding, Place};
use super::seen::Seen;
use super::walk::{self, Packet};
use crate::model::IfName;
use crate::model::foreign::{ForeignChain, Point, Protocol};

/// A problem for each family whose frames are dropped so; else one note.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let on: Vec<bool> =
        [false, true].into_iter().zip(seen.bridge_filter).filter(|(_, on)| *on).map(|(v6, _)| v6).collect();
    let problems: Vec<Finding> = on.iter().filter_map(|v6| eaten(seen, *v6)).collect();
    if !problems.is_empty() || on.is_empty() || seen.configured.is_empty() {
        return problems;
    }
    let words: Vec<&str> = on.iter().map(|v6| family(*v6)).collect();
    let text = format!(
        "frames between the guests of one bridge pass the forward chains of the firewall ({})",
        words.join(" and ")
    );
    let commands = on.iter().map(|v6| format!("sysctl -w {}=0", key(*v6)));
    vec![Finding::note("br-netfilter", text).at(place(on.iter().all(|v6| *v6))).run(commands)]
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

/// The first chain that drops such frames.
fn eaten(seen: &Seen, v6: bool) -> Option<Finding> {
    let bridges: Vec<&IfName> = seen.configured.iter().map(|one| &one.desired.network.bridge).collect();
    // What kvmnet opens by itself when a network comes up.
    let will_open = |chain: &ForeignChain, bridge: &IfName| {
        let is_up = seen.observed.network(bridge).is_some_and(|standing| standing.mark.is_some());
        !is_up && seen.observed.gates.iter().any(|gate| gate.is(chain))
    };
    let (chain, bridges) = seen.firewall.deciding().filter(|chain| is_met(chain, v6)).find_map(|chain| {
        let is_dropped = |bridge: &&&IfName| {
            if will_open(chain, bridge) {
                return false;
            }
            let names = vec![bridge.to_string()];
            let packet = Packet { iif: names.clone(), oif: names, answers: false, v6, by_name: false };
            let by_policy = chain.drops && !seen.firewall.lets_through(chain, bridge).0;
            by_policy || walk::drops(chain, seen.firewall.rules_beside(chain), &packet)
        };
        let bridges: Vec<String> = bridges.iter().filter(is_dropped).map(ToString::to_string).collect();
        (!bridges.is_empty()).then(|| (chain, bridges.join(", ")))
    })?;
    let ForeignChain { protocol, table, name, .. } = chain;
    let text = format!(
        "frames between the guests of one bridge ({bridges}) pass the chain {protocol} {table} {name}, which drops them ({})",
        family(v6)
    );
    let finding = Finding::problem("br-netfilter", text).at(place(v6));
    Some(finding.run([format!("sysctl -w {}=0", key(v6))]))
}

fn is_met(chain: &ForeignChain, v6: bool) -> bool {
    chain.point == Some(Point::Forward) && chain.protocol != Protocol::Bridge && chain.protocol.sees(v6)
}
