//! br_netfilter: frames between two guests of one bridge pass the IP firewall, as if they were forwarded.

use super::finding::{Finding, Place};
use super::seen::Seen;
use crate::model::IfName;
use crate::model::foreign::{ForeignChain, Point, Protocol};

/// For IPv4 and for IPv6.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let families = [false, true].into_iter().zip(seen.bridge_filter);
    families.filter(|(_, on)| *on).flat_map(|(v6, _)| family(seen, v6)).collect()
}

fn family(seen: &Seen, v6: bool) -> Option<Finding> {
    let bridges: Vec<&IfName> = seen.configured.iter().map(|one| &one.desired.network.bridge).collect();
    if bridges.is_empty() {
        return None;
    }
    let key = format!("net.bridge.bridge-nf-call-{}", if v6 { "ip6tables" } else { "iptables" });
    let place = Place::Sysctl { sysctl: key.clone() };
    let word = if v6 { "IPv6" } else { "IPv4" };
    let eaten = seen.firewall.dropping().find_map(|chain| {
        let eats = |bridge: &&&IfName| !seen.firewall.lets_through(chain, bridge).0;
        let bridges: Vec<String> = bridges.iter().filter(eats).map(ToString::to_string).collect();
        (is_met(chain, v6) && !bridges.is_empty()).then(|| (chain, bridges.join(", ")))
    });
    let finding = match eaten {
        Some((chain, bridges)) => {
            let ForeignChain { protocol, table, name, .. } = chain;
            let text = format!(
                "{word} between the guests of one bridge ({bridges}) passes the chain {protocol} {table} {name}, whose policy drops it"
            );
            Finding::problem("br-netfilter", text)
        }
        None => {
            let text =
                format!("{word} between the guests of one bridge passes the firewall's forward chains");
            Finding::note("br-netfilter", text)
        }
    };
    Some(finding.at(place).run([format!("sysctl -w {key}=0")]))
}

fn is_met(chain: &ForeignChain, v6: bool) -> bool {
    chain.point == Some(Point::Forward) && chain.protocol != Protocol::Bridge && chain.protocol.sees(v6)
}
