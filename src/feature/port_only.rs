//! Bridged with no uplink: the tap becomes a port of a bridge that is there, and nothing else is made, changed or recorded. The
//! tap's own record is all that the way back needs.

use super::{Feature, Refusal, Site, Wanted, bridge, need};
use crate::desired::Desired;
use crate::model::{Link, Need, Question};
use crate::observed::Instance;
use crate::switch;

pub(super) static FEATURE: Feature =
    Feature { first, needs, refuse: |site| check(site).err().into_iter().collect(), want };

fn first(desired: &Desired) -> Vec<Question> {
    vec![Question::Link(desired.network.bridge)]
}

/// Whether a bridge of which no port is known to be up has any.
fn needs(site: &Site) -> Vec<Need> {
    need::of(idle_bridge(site).map(switch::members))
}

/// The bridge, if none of its ports is up, as far as it says (a new one without ports says that it has carrier): the next
/// could change its MAC.
fn idle_bridge<'a>(site: &Site<'a>) -> Option<&'a Link> {
    let tap = site.desired.tap.and_then(|tap| site.observed.facts.link(&tap));
    let is_on = |bridge: &Link| tap.is_some_and(|tap| tap.master == Some(bridge.index));
    site.bridge().filter(|bridge| bridge.is_bridge() && !bridge.operational && !is_on(bridge))
}

fn check(site: &Site) -> Result<(), Refusal> {
    let network = &site.desired.network;
    let bridge = network.bridge;
    let Some(link) = site.bridge() else {
        return Err(Refusal::NoBridge { bridge, network: network.name.clone() });
    };
    if link.name != bridge {
        return Err(Refusal::OtherName { name: bridge, link: link.name });
    }
    if link.kind.as_deref() == Some("openvswitch") {
        return Err(Refusal::OpenVswitch(bridge));
    }
    if !link.is_bridge() {
        return Err(Refusal::NotABridge { name: bridge, kind: link.kind.clone() });
    }
    // One that nothing keeps goes before.
    let stands = site.instance.filter(|instance| !instance.is_unused()).and_then(Instance::ledger_of_bridge);
    if let Some(ledger) = stands {
        return Err(Refusal::BridgeOfNetwork { bridge, owner: ledger.network.clone() });
    }
    if link.up { Ok(()) } else { Err(Refusal::BridgeDown(bridge)) }
}

fn want(site: &Site, wanted: &mut Wanted) {
    if idle_bridge(site).is_some() {
        bridge::hold_mac(site, wanted);
    }
}
