//! What speaks against bringing a guest up, found before anything is touched.

use ipnet::IpNet;

use super::{Refusal, undo};
use crate::config::key::uplink;
use crate::desired::Desired;
use crate::model::facts::{Uncarriable, Way};
use crate::model::route::{LOCAL, PROTOCOL_KERNEL, UNICAST};
use crate::model::{IfName, Link, Mode, Network, Origin, TapRecord, Uplink};
use crate::observed::{Observed, Standing};

/// Checks everything.
pub fn check(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    desired.tap.map_or(Ok(()), |name| tap(&name, observed))?;
    let network = &desired.network;
    if !observed.has_nft && network.mode != Mode::Bridged {
        return Err(Refusal::NoNft(network.mode));
    }
    desired.tap.map_or(Ok(()), |name| of_another(&name, network, observed))?;
    desired.tap.map_or(Ok(()), |name| unused_by_the_host(&name, observed))?;
    bridge(network, observed)?;
    overrides(desired, observed)?;
    uplinks(network, observed)?;
    veth(desired, observed)?;
    addresses(desired, observed)
}

/// All that speaks against a network, whatever the tap. Addresses that the host has there already are looked at as well:
/// a route that collides may have come later.
pub fn network(desired: &Desired, observed: &Observed) -> Vec<Refusal> {
    let network = &desired.network;
    let mut refusals: Vec<Refusal> = missing_uplinks(network, observed).collect();
    if refusals.is_empty() {
        refusals.extend(nic(network, observed).err());
    }
    let others = [bridge(network, observed), overrides(desired, observed), veth(desired, observed)];
    let addresses = network.addresses.iter().map(|net| address(net, desired, observed));
    refusals.extend(others.into_iter().chain(addresses).filter_map(Result::err));
    refusals
}

/// The tap is one.
pub fn tap(name: &IfName, observed: &Observed) -> Result<(), Refusal> {
    let tap = observed.facts.link(name).ok_or(Refusal::NoTap(*name))?;
    if tap.is_tap() {
        return Ok(());
    }
    Err(Refusal::NotATap { name: *name, kind: tap.kind.clone() })
}

/// The host has no address on the tap: one that is a port has no use for it, and would lose it.
fn unused_by_the_host(tap: &IfName, observed: &Observed) -> Result<(), Refusal> {
    let link = observed.facts.link(tap).filter(|tap| TapRecord::parse(&tap.alias).is_none());
    let addresses = link.map(|link| observed.facts.addresses_of(link.index)).unwrap_or_default();
    match addresses.iter().find(|address| !is_link_local(&address.net)) {
        Some(address) => Err(Refusal::TapHasAddress { tap: *tap, address: address.net }),
        None => Ok(()),
    }
}

/// The tap is nobody else's port. From one network of kvmnet's to another it may go, and one that kvmnet attached and
/// another hand moved comes back.
fn of_another(tap: &IfName, network: &Network, observed: &Observed) -> Result<(), Refusal> {
    let link = observed.facts.link(tap).filter(|tap| TapRecord::parse(&tap.alias).is_none());
    let Some(master) = link.and_then(|tap| tap.master) else { return Ok(()) };
    let on = observed.facts.link_index(master);
    let is_ours = |on: &Link| {
        on.name == network.bridge
            || observed.network(&on.name).is_some_and(|standing| standing.ledger_of_bridge().is_some())
    };
    if on.is_some_and(is_ours) {
        return Ok(());
    }
    let on = on.map_or_else(|| "another interface".to_owned(), |on| on.name.to_string());
    Err(Refusal::TapOfAnother { tap: *tap, on })
}

/// A bridge that was there before suits the mode.
fn bridge(network: &Network, observed: &Observed) -> Result<(), Refusal> {
    let Some(link) = observed.facts.link(&network.bridge) else { return Ok(()) };
    if link.name != network.bridge {
        return Err(Refusal::OtherName { name: network.bridge, link: link.name });
    }
    if !link.is_bridge() {
        return Err(Refusal::NotABridge { name: link.name, kind: link.kind.clone() });
    }
    let ledger = observed.network(&network.bridge).and_then(Standing::ledger_of_bridge);
    if ledger.is_some_and(|ledger| ledger.made || ledger.digest == network.digest) {
        return Ok(());
    }
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
    let has = match (&address, port, baggage(&bridge.name, observed)) {
        (Some(address), ..) => address.to_string(),
        (None, Some(port), _) => format!("the port {}", port.name),
        (None, None, Some(what)) => what.to_owned(),
        (None, None, None) => return Ok(()),
    };
    Err(Refusal::BridgeServes { bridge: bridge.name, has, address, nic: nic.name })
}

/// What a bridge has itself that nobody could tell from the NIC's when that is given back.
fn baggage(bridge: &IfName, observed: &Observed) -> Option<&'static str> {
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
    let ledger = observed.network(&bridge.name).and_then(|standing| standing.ledger.as_ref());
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
    let ledger = observed.network(&bridge.name).and_then(|standing| standing.ledger.as_ref());
    let is_own = move |port: &Link| {
        TapRecord::parse(&port.alias).is_some()
            || ledger.is_some_and(|ledger| {
                let outer = ledger.veth.as_ref().map(|veth| veth.outer);
                ledger.nic() == Some(port.name) || outer == Some(port.name)
            })
    };
    observed.facts.links.iter().filter(move |link| link.master == Some(bridge.index) && !is_own(link))
}

/// The environment changes nothing for guests that run already, nor does a start without it change what the environment
/// of another guest has made.
fn overrides(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    let network = &desired.network;
    let Some(standing) = observed.network(&network.bridge) else { return Ok(()) };
    let Some(ledger) = standing.ledger.as_ref().filter(|ledger| ledger.digest != network.digest) else {
        return Ok(());
    };
    let variable = network.origins.iter().find_map(|(_, origin)| match origin {
        Origin::Environment(name) => Some(name.clone()),
        _ => None,
    });
    match variable {
        Some(variable) if standing.occupied => {
            Err(Refusal::OverrideInUse { variable, network: ledger.network.clone() })
        }
        None if ledger.overridden && !standing.is_dead() && !desired.agreed => Err(Refusal::Overridden {
            network: ledger.network.clone(),
            bridge: network.bridge,
            mode: ledger.mode,
        }),
        _ => Ok(()),
    }
}

/// The uplinks are there and can be what the mode makes of them.
fn uplinks(network: &Network, observed: &Observed) -> Result<(), Refusal> {
    missing_uplinks(network, observed).next().map_or(Ok(()), Err)?;
    nic(network, observed)
}

fn missing_uplinks(network: &Network, observed: &Observed) -> impl Iterator<Item = Refusal> {
    let names = match &network.uplink {
        Uplink::Named(names) if network.mode.forwards() || network.mode == Mode::Bridged => names.as_slice(),
        _ => &[],
    };
    let missing = names.iter().filter(|name| observed.facts.link(name).is_none());
    missing.map(|name| Refusal::NoUplink {
        name: *name,
        network: network.name.clone(),
        origin: network.origin(uplink::KEY.word).to_string(),
    })
}

/// In bridged mode, the NIC can be taken.
fn nic(network: &Network, observed: &Observed) -> Result<(), Refusal> {
    if network.mode != Mode::Bridged {
        return Ok(());
    }
    let nic = observed.nic(network).ok_or(Refusal::NoDefaultRoute)?;
    bridgeable(nic, &network.bridge, observed)?;
    match observed.owner {
        Some(owner) if !network.take_managed => Err(Refusal::Managed { name: nic.name, owner }),
        _ => Ok(()),
    }
}

/// The NIC can be a port of `bridge`, and all that it has can be carried there.
pub fn bridgeable(nic: &Link, bridge: &IfName, observed: &Observed) -> Result<(), Refusal> {
    if nic.name == *bridge {
        return Ok(());
    }
    let bridge = observed.facts.link(bridge).map(|bridge| bridge.index);
    if let Some(master) = nic.master {
        if bridge == Some(master) {
            return Ok(());
        }
        let master = observed.facts.link_index(master);
        let kind = master.and_then(|master| master.kind.clone());
        let master = master.map_or("another interface".to_owned(), |master| master.name.to_string());
        return Err(Refusal::PortOfAnother { name: nic.name, master, kind });
    }
    let station = "it is a Wi-Fi station, which sends frames with no MAC but its own";
    let why = Some(station).filter(|_| observed.is_station && !nic.loopback).or(nic.unbridgeable());
    if let Some(why) = why {
        return Err(Refusal::Unbridgeable { name: nic.name, why });
    }
    let uncarriable = observed.facts.uncarriable.iter().find(|(name, _)| *name == nic.name);
    uncarriable.map_or(Ok(()), |(name, why)| {
        let what = match why {
            Uncarriable::SpecialHop => "with a special next hop among several",
            Uncarriable::NamelessHop => "with a next hop by an interface that cannot be named",
        };
        Err(Refusal::Uncarriable { name: *name, what })
    })
}

/// The pair's names are free, or the pair is this network's own.
fn veth(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    let Some(veth) = &desired.network.veth else { return Ok(()) };
    let ledger = observed.network(&desired.network.bridge).and_then(|standing| standing.ledger.as_ref());
    if ledger.is_some_and(|ledger| ledger.veth.as_ref() == Some(veth)) && undo::is_pair(veth, observed) {
        return Ok(());
    }
    let taken = [&veth.outer, &veth.inner].into_iter().find(|name| observed.facts.link(name).is_some());
    taken.map_or(Ok(()), |name| Err(Refusal::NameTaken(*name)))
}

/// The host's new addresses and their subnets are nobody else's.
fn addresses(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    let present = observed.addresses(desired.door());
    let mut missing =
        desired.network.addresses.iter().filter(|net| !present.iter().any(|has| has.net == **net));
    missing.try_for_each(|net| address(net, desired, observed))
}

/// One address of the host and its subnet are nobody else's.
fn address(net: &IpNet, desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    let own = own_devices(desired, observed);
    let is_foreign = |way: &&Way| !way.devices.iter().any(|device| own.contains(device));
    let local = observed
        .facts
        .matched
        .iter()
        .filter(is_foreign)
        .find(|way| way.kind == LOCAL && way.destination.is_some_and(|to| to.addr() == net.addr()));
    if let Some(way) = local {
        return Err(Refusal::AddressTaken { address: net.addr(), owner: device_name(way, observed) });
    }
    for way in observed.facts.ways.iter().filter(is_foreign) {
        if let Some(route) = way.destination.filter(|route| collides(route, net, way)) {
            return Err(Refusal::SubnetTaken {
                subnet: net.trunc(),
                route,
                device: device_name(way, observed),
            });
        }
    }
    Ok(())
}

/// Whether a route leads where a subnet is. What covers half the world is a default route in all but name.
pub fn collides(route: &IpNet, subnet: &IpNet, way: &Way) -> bool {
    let as_default = if route.addr().is_ipv4() { 1 } else { 3 };
    way.kind == UNICAST
        && route.prefix_len() > as_default
        && (route.contains(&subnet.addr()) || subnet.contains(&route.addr()))
}

/// The interfaces whose routes are the network's own, or go with a network that is about to go.
fn own_devices(desired: &Desired, observed: &Observed) -> Vec<u32> {
    let mut names = vec![desired.network.bridge, *desired.door()];
    for standing in &observed.networks {
        if standing.is_dead() || standing.bridge == desired.network.bridge {
            names.push(standing.bridge);
            let veth = standing.ledger.as_ref().and_then(|ledger| ledger.veth.as_ref());
            names.extend(veth.map(|veth| veth.inner));
        }
    }
    names.iter().filter_map(|name| observed.facts.link(name)).map(|link| link.index).collect()
}

fn device_name(way: &Way, observed: &Observed) -> String {
    let link = way.devices.first().and_then(|device| observed.facts.link_index(*device));
    link.map_or_else(|| "another interface".to_owned(), |link| link.name.to_string())
}

fn is_link_local(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(v6) if v6.addr().segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80))
}
