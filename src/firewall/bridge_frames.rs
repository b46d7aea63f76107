//! Frames from port to port, which br_netfilter shows to the host's rules as if they came in by the bridge and went out by
//! it.

use super::host;
use crate::desired::Desired;
use crate::model::ruleset::{Chain, Hook, Match, Rule, Verdict};
use crate::model::{IfName, Mac};

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

/// Frames between two guests that br_netfilter shows here.
pub(super) fn within(host_if: &IfName) -> Rule {
    Rule::new([Match::Iif(*host_if), Match::Oif(*host_if)], Verdict::Accept)
}

/// What a chain that drops everything else has to let through: frames from port to port, which br_netfilter shows there,
/// and what the network's own table, which decides, lets out and in.
pub fn accept_rules(desired: &Desired, v6: bool) -> Vec<Rule> {
    let (bridge, host_if) = (desired.network.bridge, *desired.host_if());
    let mut rules = vec![within(&bridge)];
    if desired.forwards(v6) {
        rules.push(Rule::new([Match::Iif(host_if)], Verdict::Accept));
        rules.push(Rule::new([Match::Oif(host_if)], Verdict::Accept));
    }
    rules
}
