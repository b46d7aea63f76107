//! Frames from port to port, which br_netfilter shows to the host's rules as if they came in by the bridge and went out by
//! it.

use super::host;
use crate::desired::Desired;
use crate::model::ruleset::{Chain, Hook, Match, Rule, Verdict};
use crate::model::{IfName, Mac, Network};

pub(super) const PREROUTING: &str = "prerouting";

/// What br_netfilter shows of frames inside the bridge is no packet of the host's: it makes no connection that the
/// host's rules then know, and fills no memory. All that comes in by a closed bridge is inside.
pub(super) fn inside(desired: &Desired, mac: Option<Mac>) -> Chain {
    let bridge = Match::Iif(desired.network.bridge);
    let mut rules = match (desired.network.is_closed(), mac) {
        (true, _) => vec![Rule::new([bridge], Verdict::NoTrack)],
        (false, Some(mac)) => vec![Rule::new([bridge, Match::ToMacNot(mac)], Verdict::NoTrack)],
        (false, None) => Vec::new(),
    };
    if desired.network.mode.has_host_address() {
        let own = desired.network.veth.as_ref().map(|veth| Mac::of_bridge(&veth.inner)).or(mac);
        rules.extend(own.map(|mac| host::is_itself(desired.host_if(), mac)));
        // What is inside a bridge, this one or a LAN's, is between its machines.
        rules.push(Rule::new([Match::IifKind("bridge")], Verdict::Accept));
        rules.extend(host::is_no_guest(&desired.network));
    }
    Chain { name: PREROUTING, hook: Hook::Prerouting, drops: false, rules }
}

/// Frames between two guests that br_netfilter shows here. Guests that are kept apart have none, and get no packet through the
/// host instead, be it by its MAC or by a port of it that leads to one of them.
pub(super) fn within(network: &Network) -> Rule {
    let verdict = if network.port_isolation { Verdict::Drop } else { Verdict::Accept };
    between(network.host_if(), verdict)
}

fn between(link: &IfName, verdict: Verdict) -> Rule {
    Rule::new([Match::Iif(*link), Match::Oif(*link)], verdict)
}

/// On a LAN, frames from port to port may be shown here as well: what the host itself would send back is for its MAC. That of a
/// bridge that was found is what it was when the rules were written.
pub(super) fn no_way_back(network: &Network, mac: Option<Mac>) -> Option<Rule> {
    let bridge = network.bridge;
    let matches = |mac| [Match::Iif(bridge), Match::Oif(bridge), Match::ToMac(mac)];
    mac.filter(|_| network.port_isolation).map(|mac| Rule::new(matches(mac), Verdict::Drop))
}

/// What a chain that drops everything else has to let through: frames from port to port, which br_netfilter shows there,
/// and what the network's own table, which decides, lets out and in.
pub fn accept_rules(desired: &Desired, v6: bool) -> Vec<Rule> {
    let (bridge, host_if) = (desired.network.bridge, *desired.host_if());
    let mut rules = vec![between(&bridge, Verdict::Accept)];
    if desired.forwards(v6) {
        rules.push(Rule::new([Match::Iif(host_if)], Verdict::Accept));
        rules.push(Rule::new([Match::Oif(host_if)], Verdict::Accept));
    }
    rules
}
