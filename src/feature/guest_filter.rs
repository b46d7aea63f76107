//! `filter`: a guest is held to its own MACs and addresses, on its tap, and what it sends to all is bounded by the network's rules.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{Feature, PLAIN, Refusal, Site, Wanted, guest_identity, need};
use crate::desired::Teller;
use crate::model::link::filter_group;
use crate::model::{
    Filtering, GuestFilter, GuestIdentity, IfName, Link, Mac, Mode, Need, Origin, Question, Setting, Sources,
    TapRecord, Uplink,
};

pub(super) static FEATURE: Feature = Feature { needs, refuse, want, ..PLAIN };

/// The keys that are about it.
const KEYS: [&str; 2] = ["filter", "allow_vlan_tags"];

/// Whether the guest shall have one. Whoever only follows the record has no environment of the guest's.
pub(super) fn filtering(site: &Site) -> Filtering {
    let network = &site.desired.network;
    let is_own = KEYS.iter().any(|key| matches!(network.origin(key), Origin::Environment(_)));
    let wanted = Filtering { is_on: network.filter, tags: network.filter && network.allow_vlan_tags, is_own };
    let recorded = || TapRecord::parse(&tap(site)?.alias)?.filter.filter(|recorded| recorded.is_own);
    match site.desired.teller {
        Teller::Record => recorded().unwrap_or(wanted),
        _ => wanted,
    }
}

/// Whether the network's rules bound what guests with a filter send to all: from the first such guest on, as long as it stands.
pub(crate) fn bounds_guests(site: &Site) -> bool {
    site.old.is_some_and(|old| old.filters) || site.desired.tap.is_some() && filtering(site).is_on
}

fn tap<'a>(site: &Site<'a>) -> Option<&'a Link> {
    site.desired.tap.and_then(|tap| site.observed.facts.link(&tap))
}

/// The filter that is there, and whose addresses are not the guest's.
fn needs(site: &Site) -> Vec<Need> {
    let Some(tap) = tap(site).filter(|tap| tap.is_tap()) else { return Vec::new() };
    let record = TapRecord::parse(&tap.alias);
    let is_on = filtering(site).is_on;
    let stays = record.is_some() || tap.is_persistent();
    let had_one = record.is_some_and(|record| record.filter.is_some());
    let mut questions = Vec::new();
    if tap.index != 0 && (had_one || is_on && stays) {
        questions.push(Question::GuestFilter(tap.index));
    }
    if !is_on {
        return need::of(questions);
    }
    let hosts: Vec<&Link> = host_links(site).collect();
    questions.extend(hosts.iter().map(|link| Question::Addresses(link.index)));
    if site.desired.network.mode == Mode::Bridged {
        let routes = |link: &&Link| {
            let (device, name) = (link.index, link.name);
            [false, true].map(|v6| Question::Routes { v6, device, name })
        };
        questions.extend(hosts.iter().flat_map(routes));
    }
    need::of(questions)
}

/// What the host has its own addresses of that network on: not where it takes no part.
fn host_links<'a>(site: &Site<'a>) -> impl Iterator<Item = &'a Link> {
    let network = &site.desired.network;
    let host_if = site.observed.facts.link(network.host_if()).filter(|_| network.mode != Mode::Isolated);
    host_if.into_iter().chain(lan_nic(site))
}

/// The NIC of a bridged network: what it has comes to the bridge, if it is not there yet.
fn lan_nic<'a>(site: &Site<'a>) -> Option<&'a Link> {
    let Site { observed, old, .. } = site;
    let network = &site.desired.network;
    let is_known = network.uplink != Uplink::DefaultRoute
        || old.is_some_and(|old| old.nic.is_some())
        || [false, true].into_iter().all(|v6| observed.has_met(&Need::Defaults { v6 }));
    let nic = (network.mode == Mode::Bridged && is_known).then(|| observed.nic(network)).flatten();
    nic.filter(|nic| nic.name != network.bridge)
}

/// The host's own MACs there.
fn host_macs(site: &Site) -> Vec<Mac> {
    let of_pair = site.desired.network.veth.as_ref().map(|veth| Mac::of_bridge(&veth.inner));
    let network = &site.desired.network;
    // That of a bridge that becomes one, also where a NIC's takes its place later.
    let new = (site.made && network.mode != Mode::Isolated && of_pair.is_none())
        .then(|| Mac::of_bridge(&network.bridge));
    host_links(site).filter_map(|link| link.mac).chain(of_pair).chain(new).collect()
}

fn refuse(site: &Site) -> Vec<Refusal> {
    let Some(tap) = tap(site).filter(|_| filtering(site).is_on) else { return Vec::new() };
    let identity = guest_identity::identity(site);
    if identity.macs.is_empty() {
        return vec![Refusal::NoGuestMac(tap.name)];
    }
    let hosts = host_macs(site);
    let of_host = identity.macs.iter().filter(|mac| hosts.contains(mac));
    let macs = of_host.map(|mac| Refusal::HostsMac { mac: *mac, bridge: site.desired.network.bridge });
    let taken = taken(site);
    let of_host = identity.addresses.iter().filter(|address| taken.contains(address));
    let network = &site.desired.network;
    let addresses = of_host.map(|address| Refusal::GuestAddress {
        address: *address,
        network: network.name.clone(),
        why: "is the host's own",
    });
    macs.chain(addresses).collect()
}

fn want(site: &Site, wanted: &mut Wanted) {
    let Some(guest) = &mut wanted.guest else { return };
    guest.filtering = filtering(site);
    if !guest.filtering.is_on {
        return;
    }
    guest.filter = Some(description(site, &guest_identity::identity(site), guest.filtering.tags));
    if !site.desired.network.is_port_only() {
        let bridge: &IfName = &site.desired.network.bridge;
        guest.values.push((Setting::Group, filter_group(bridge)));
    }
}

fn description(site: &Site, identity: &GuestIdentity, tags: bool) -> GuestFilter {
    let taken = taken(site);
    let sources = |v6| sources(site, identity, &taken, v6);
    GuestFilter { macs: identity.macs.clone(), v4: sources(false), v6: sources(true), tags }
}

/// What the guest has of one family; where that is not known, any address of the network but the host's.
fn sources(site: &Site, identity: &GuestIdentity, taken: &[IpAddr], v6: bool) -> Sources {
    let is_family = |address: &IpAddr| address.is_ipv6() == v6;
    let taken = taken.iter().copied().filter(is_family);
    let own: Vec<IpNet> = identity.addresses.iter().copied().filter(is_family).map(IpNet::from).collect();
    let has_link_local = own.iter().any(|net| is_link_local(&net.addr()));
    let is_known = !own.is_empty();
    let subnets = site.desired.network.addresses.iter().map(IpNet::trunc);
    let mut within: Vec<IpNet> =
        if is_known { own } else { subnets.filter(|net| is_family(&net.addr())).collect() };
    if v6 && !within.is_empty() && !has_link_local {
        within.extend(IpNet::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(), 10));
    }
    // What is its own is nobody else's.
    let matters = |address: &IpAddr| !is_known || is_link_local(address) && !has_link_local;
    Sources { within, taken: taken.filter(matters).collect() }
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The host's addresses on the network, and in bridged mode those of its routers.
fn taken(site: &Site) -> Vec<IpAddr> {
    let facts = &site.observed.facts;
    let configured = site.desired.network.addresses.iter().map(IpNet::addr);
    let given = host_links(site).flat_map(|link| facts.addresses_of(link.index));
    // What the host's interface makes itself when it comes up.
    let made = host_macs(site).into_iter().map(|mac| mac.link_local().addr());
    let routers = host_links(site).filter(|_| site.desired.network.mode == Mode::Bridged).flat_map(|link| {
        let over =
            facts.routes.iter().filter(|route| route.destination.is_none() && route.is_over(&link.name));
        over.flat_map(|route| route.hops.iter().filter_map(|hop| hop.gateway)).collect::<Vec<_>>()
    });
    let mut taken: Vec<IpAddr> = Vec::new();
    for address in configured.chain(made).chain(given.map(|address| address.net.addr())).chain(routers) {
        if !taken.contains(&address) {
            taken.push(address);
        }
    }
    taken.sort_unstable();
    taken
}
