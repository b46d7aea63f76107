//! A bridge that was there before.

use ipnet::IpNet;

use super::address::is_link_local;
use super::{Refusal, Site};
use crate::model::route::PROTOCOL_KERNEL;
use crate::model::{IfName, Link, Mode, Network};
use crate::observed::{Instance, Observed};

/// A bridge that was there before suits the mode.
pub(super) fn check(site: &Site) -> Result<(), Refusal> {
    let Site { observed, .. } = site;
    let network = &site.desired.network;
    let Some(link) = site.bridge() else { return Ok(()) };
    if link.name != network.bridge {
        return Err(Refusal::OtherName { name: network.bridge, link: link.name });
    }
    if !link.is_bridge() {
        return Err(Refusal::NotABridge { name: link.name, kind: link.kind.clone() });
    }
    if site.found().is_none() {
        return Ok(());
    }
    let ledger = site.instance.and_then(Instance::ledger_of_bridge);
    let is_taken = ledger.is_some_and(|ledger| ledger.nic.is_some());
    let has_default = !is_taken && observed.default_devices(None).contains(&link.index);
    if has_default && network.mode != Mode::Bridged {
        return Err(Refusal::BridgeIsWayOut { bridge: link.name, mode: network.mode });
    }
    if network.mode == Mode::Bridged {
        serves(network, link, observed)
    } else {
        foreign(network, link, observed)
    }
}

/// In the other modes a bridge that was there has nobody on it but guests, and no address but the network's.
fn foreign(network: &Network, bridge: &Link, observed: &Observed) -> Result<(), Refusal> {
    let (name, mode) = (bridge.name, network.mode);
    let addresses = own_addresses(bridge, observed);
    if let (Mode::Isolated, Some(address)) = (mode, addresses.first()) {
        return Err(Refusal::BridgeHasAddress { bridge: name, address: *address });
    }
    if let Some(port) = ports(bridge, observed).find(|port| !port.is_tap() && !port.ends_here()) {
        return Err(Refusal::BridgeHasPort { bridge: name, port: port.name, mode });
    }
    let is_ours = |address: &IpNet| {
        network.veth.is_none() && network.addresses.iter().any(|net| net.trunc() == address.trunc())
    };
    match addresses.iter().all(is_ours) {
        true => Ok(()),
        false => Err(Refusal::BridgeOfAnother { bridge: name, addresses, shares: network.veth.is_none() }),
    }
}

/// A NIC is put into no bridge that another program has for guests of its own: into libvirt's, its DHCP server would come
/// to the LAN.
fn serves(network: &Network, bridge: &Link, observed: &Observed) -> Result<(), Refusal> {
    let Some(nic) = observed.nic(network).filter(|nic| nic.name != bridge.name) else { return Ok(()) };
    if nic.master == Some(bridge.index) {
        return Ok(());
    }
    let address = own_addresses(bridge, observed).first().copied();
    let port = ports(bridge, observed).find(|port| !port.ends_here());
    let has = match (&address, port, migration(&bridge.name, observed)) {
        (Some(address), ..) => address.to_string(),
        (None, Some(port), _) => format!("the port {}", port.name),
        (None, None, Some(what)) => what.to_owned(),
        (None, None, None) => return Ok(()),
    };
    Err(Refusal::BridgeServes { bridge: bridge.name, has, address, nic: nic.name })
}

/// What a bridge has itself that nobody could tell from the NIC's when that is given back.
fn migration(bridge: &IfName, observed: &Observed) -> Option<&'static str> {
    let facts = &observed.facts;
    let things = [
        ("a policy rule", facts.rules.iter().any(|rule| rule.names(bridge))),
        ("a nexthop object", facts.nexthops.iter().any(|nexthop| nexthop.device == *bridge)),
        (
            "a neighbour that somebody set",
            facts.neighbours.iter().any(|neighbour| neighbour.device == *bridge && neighbour.is_set()),
        ),
        (
            "a route",
            facts.routes.iter().any(|route| route.is_over(bridge) && route.protocol != PROTOCOL_KERNEL),
        ),
    ];
    things.into_iter().find(|(_, is_there)| *is_there).map(|(what, _)| what)
}

/// The addresses that somebody else gave a bridge.
fn own_addresses(bridge: &Link, observed: &Observed) -> Vec<IpNet> {
    let ledger = observed.network(&bridge.name).and_then(|instance| instance.ledger.as_ref());
    let is_own = |net: &IpNet| match ledger {
        Some(ledger) if ledger.nic.is_some() => ledger.bridge_addresses.contains(net),
        Some(ledger) => !ledger.addresses.contains(net),
        None => true,
    };
    let addresses = observed.facts.addresses_of(bridge.index).into_iter().map(|address| address.net);
    addresses.filter(|net| !is_link_local(net) && is_own(net)).collect()
}

/// The ports that somebody else gave a bridge.
fn ports<'a>(bridge: &'a Link, observed: &'a Observed) -> impl Iterator<Item = &'a Link> {
    let ledger = observed.network(&bridge.name).and_then(|instance| instance.ledger.as_ref());
    let is_own =
        move |port: &Link| port.is_attached() || ledger.is_some_and(|ledger| ledger.has_port(port.name));
    observed.facts.links.iter().filter(move |link| link.master == Some(bridge.index) && !is_own(link))
}
