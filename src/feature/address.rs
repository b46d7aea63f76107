//! The host's addresses on the network, and their subnets.

use ipnet::IpNet;

use super::{Feature, Object, Phase, Refusal, Site, Wanted};
use super::{auto_address, need};
use crate::desired::Desired;
use crate::model::facts::Way;
use crate::model::route::{LOCAL, kind_name};
use crate::model::{Need, Question};
use crate::observed::{Instance, Observed};
use crate::subnet::collides;

pub(super) static FEATURE: Feature = Feature { first, needs, refuse, want };

fn first(desired: &Desired) -> Vec<Question> {
    desired.network.addresses.iter().map(|net| Question::RouteTo(net.addr())).collect()
}

/// The addresses of the host's interface; where one is missing, what it could collide with.
fn needs(site: &Site) -> Vec<Need> {
    let Site { desired, observed, .. } = site;
    if let Some(host_if) = observed.facts.link(desired.host_if()).map(|link| link.index) {
        // Of those that were chosen it could not be asked before.
        let routes = need::of(first(desired));
        if desired.network.auto_address && !routes.iter().all(|route| observed.has_met(route)) {
            return routes;
        }
        if !observed.has_met(&Need::HostAddresses(host_if)) {
            return vec![Need::HostAddresses(host_if)];
        }
    }
    let present = observed.addresses(desired.host_if());
    let is_missing = |net: &&IpNet| !present.iter().any(|has| has.net == **net);
    let missing: Vec<IpNet> = desired.network.addresses.iter().filter(is_missing).copied().collect();
    let of_family = |v6| missing.iter().filter(move |net| net.addr().is_ipv6() == v6).copied().collect();
    // Whoever has just chosen them has asked.
    let is_open = |v6: &bool| !observed.facts.knows(&auto_address::ways(*v6));
    let ways = [false, true].into_iter().filter(is_open).map(|v6| Question::Ways { v6, nets: of_family(v6) });
    let ways = ways.filter(|ways| !matches!(ways, Question::Ways { nets, .. } if nets.is_empty()));
    // Who has what they collide with.
    let facts = &observed.facts;
    let touches = |way: &&Way| way.destination.is_some() && way.concerns(&desired.network.addresses);
    let devices = facts.ways.iter().chain(&facts.matched).filter(touches).flat_map(|way| way.devices.clone());
    need::of(ways.chain(devices.map(Question::LinkIndex)))
}

fn want(site: &Site, wanted: &mut Wanted) {
    for net in &site.desired.network.addresses {
        wanted.add(Phase::Serve, Object::Address(*net));
    }
}

/// The host's new addresses and their subnets are nobody else's.
fn refuse(site: &Site) -> Vec<Refusal> {
    of_those(site, false)
}

/// What those that the host has there already collide with.
pub(super) fn collisions(site: &Site) -> Vec<Refusal> {
    of_those(site, true)
}

fn of_those(site: &Site, are_there: bool) -> Vec<Refusal> {
    // Then nobody has asked what the host has there.
    if site.desired.network.addresses.is_empty() {
        return Vec::new();
    }
    let present = site.observed.addresses(site.desired.host_if());
    let is_there = |net: &IpNet| present.iter().any(|has| has.net == *net);
    let nets = site.desired.network.addresses.iter().filter(|net| is_there(net) == are_there);
    nets.filter_map(|net| check(net, site).err()).collect()
}

/// One address of the host and its subnet are nobody else's.
fn check(net: &IpNet, site: &Site) -> Result<(), Refusal> {
    let observed = site.observed;
    let own = own_devices(site);
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
    subnet_taken(net, &own, observed).map_or(Ok(()), Err)
}

/// A route that leads where the subnet of `net` is, but over none of the interfaces `own`.
fn subnet_taken(net: &IpNet, own: &[u32], observed: &Observed) -> Option<Refusal> {
    let ways =
        observed.facts.ways.iter().filter(|way| !way.devices.iter().any(|device| own.contains(device)));
    let mut found =
        ways.filter_map(|way| Some((way, way.destination.filter(|route| collides(route, net, way))?)));
    let (way, route) = found.next()?;
    let route = match kind_name(way.kind) {
        Some(word) => format!("{word} {route}"),
        None => format!("{route} over {}", device_name(way, observed)),
    };
    Some(Refusal::SubnetTaken { subnet: net.trunc(), route })
}

/// What the subnets of a network that stands collide with by now.
pub(crate) fn intruders(instance: &Instance, observed: &Observed) -> Vec<Refusal> {
    let Some(ledger) = &instance.ledger else { return Vec::new() };
    let names = [instance.bridge, ledger.host_if(instance.bridge)];
    let own: Vec<u32> =
        names.iter().filter_map(|name| observed.facts.link(name)).map(|link| link.index).collect();
    ledger.addresses.iter().filter_map(|net| subnet_taken(net, &own, observed)).collect()
}

/// The interfaces whose routes are the network's own, or go with a network that is about to go.
fn own_devices(site: &Site) -> Vec<u32> {
    let Site { desired, observed, .. } = site;
    let mut names = vec![desired.network.bridge, *desired.host_if()];
    for instance in &observed.networks {
        if instance.is_unused() || instance.bridge == desired.network.bridge {
            names.push(instance.bridge);
            let veth = instance.ledger.as_ref().and_then(|ledger| ledger.veth.as_ref());
            names.extend(veth.map(|veth| veth.inner));
        }
    }
    names.iter().filter_map(|name| observed.facts.link(name)).map(|link| link.index).collect()
}

fn device_name(way: &Way, observed: &Observed) -> String {
    let link = way.devices.first().and_then(|device| observed.facts.link_index(*device));
    link.map_or_else(|| "another interface".to_owned(), |link| link.name.to_string())
}

pub(super) fn is_link_local(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(v6) if v6.addr().segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80))
}
