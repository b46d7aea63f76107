//! Ports of the host that lead to the guest: which, and who has them already, another guest or a program.

use std::net::IpAddr;

use super::{Feature, PLAIN, Refusal, Site, Wanted, guest_identity};
use crate::desired::Teller;
use crate::model::{Forward, IfName, Link, Need, Owner, PortMapping, Protocol, Question, TapRecord};
use crate::sorted::sorted_by_key;

/// Where guests ask for addresses and names: DNS, DHCP, DHCPv6.
const SERVED: [(Protocol, u16); 4] =
    [(Protocol::Tcp, 53), (Protocol::Udp, 53), (Protocol::Udp, 67), (Protocol::Udp, 547)];

pub(super) static FEATURE: Feature = Feature { needs, refuse, want, ..PLAIN };

fn needs(site: &Site) -> Vec<Need> {
    let wanted = mappings(site);
    if wanted.is_empty() && !has_former(site) {
        return Vec::new();
    }
    let mut needs = vec![Need::PortMappings];
    needs.extend(rivals(site, &wanted).map(|(_, rival)| Need::Of(question(&rival.owner))));
    // Who has a port keeps it, whoever listens by now.
    let bridge = &site.desired.network.bridge;
    let is_led = |mapping: &PortMapping| site.observed.mappings_on(bridge).any(|one| one == mapping);
    if site.observed.has_met(&Need::PortMappings) && !wanted.iter().all(is_led) {
        needs.push(Need::Listeners);
    }
    needs
}

/// What to ask for a tap.
pub(crate) fn question(owner: &Owner) -> Question {
    match owner.name().filter(|_| owner.index == 0) {
        Some(name) => Question::Link(name),
        None => Question::LinkIndex(owner.index),
    }
}

/// The tap, in a mode that has a use for them.
fn tap<'a>(site: &Site<'a>) -> Option<&'a Link> {
    let tap = site.desired.tap.filter(|_| site.desired.network.mode.forwards())?;
    site.observed.facts.link(&tap)
}

/// What is on the tap's record.
fn recorded(tap: &Link) -> Option<Vec<Forward>> {
    TapRecord::parse(&tap.alias).map(|record| record.forwards)
}

/// What shall lead to the guest. Whoever only follows the record has no environment of the guest's.
pub(super) fn forwards(site: &Site) -> Vec<Forward> {
    let Some(tap) = tap(site) else { return Vec::new() };
    let recorded = recorded(tap).filter(|_| site.desired.teller == Teller::Record);
    recorded.unwrap_or_else(|| site.desired.network.forwards.clone())
}

/// The same, port by port, with the address that it leads to.
pub(crate) fn mappings(site: &Site) -> Vec<PortMapping> {
    let (Some(tap), forwards) = (tap(site), forwards(site)) else { return Vec::new() };
    if forwards.is_empty() {
        return Vec::new();
    }
    let addresses: Vec<IpAddr> = [false, true].into_iter().filter_map(|v6| site.guest_address(v6)).collect();
    led_to(&forwards, &addresses, &Owner::of(tap))
}

fn led_to(forwards: &[Forward], addresses: &[IpAddr], owner: &Owner) -> Vec<PortMapping> {
    let of = |forward| addresses.iter().flat_map(move |address| PortMapping::of(forward, *address, owner));
    forwards.iter().flat_map(of).collect()
}

/// Whether the tap's record says that what led to it, or where, was something else.
pub(crate) fn has_former(site: &Site) -> bool {
    let record = tap(site).and_then(|tap| TapRecord::parse(&tap.alias));
    record.is_some_and(|record| {
        let is_led = |v6| guest_identity::address_of(&record.guest, site, v6) == site.guest_address(v6);
        !record.forwards.is_empty()
            && (record.forwards != forwards(site) || ![false, true].into_iter().all(is_led))
    })
}

/// The ports of other guests that are among these, each with the bridge of its network.
fn rivals<'a>(
    site: &Site<'a>,
    wanted: &'a [PortMapping],
) -> impl Iterator<Item = (&'a IfName, &'a PortMapping)> {
    let tap = tap(site);
    let is_own = move |mapping: &PortMapping| tap.is_some_and(|tap| mapping.owner.is(tap));
    let found = site.observed.port_mappings.iter().filter(move |(_, found)| !is_own(found));
    let found = found.filter(|(_, found)| wanted.iter().any(|mapping| mapping.overlaps(found)));
    found.map(|(bridge, found)| (bridge, found))
}

/// Those of guests that are gone, which make way.
pub(crate) fn stale<'a>(
    site: &Site<'a>,
    wanted: &'a [PortMapping],
) -> impl Iterator<Item = (&'a IfName, &'a PortMapping)> {
    let observed = site.observed;
    rivals(site, wanted).filter(|(bridge, rival)| observed.owner(bridge, &rival.owner).is_none())
}

fn refuse(site: &Site) -> Vec<Refusal> {
    let Some(tap) = tap(site) else { return Vec::new() };
    let wanted = mappings(site);
    let is_led = |forward: &Forward| wanted.iter().any(|mapping| mapping.is_of(forward));
    let nowhere = forwards(site).into_iter().find(|forward| !is_led(forward));
    let mut refusals: Vec<Refusal> =
        nowhere.map(|forward| Refusal::ForwardNowhere { tap: tap.name, forward }).into_iter().collect();
    let of_server = wanted.iter().find(|mapping| site.serves_dhcp() && is_of_server(site, mapping));
    refusals.extend(
        of_server.map(|mapping| Refusal::PortOfServer { mapping: mapping.to_string(), port: mapping.port }),
    );
    for (bridge, rival) in rivals(site, &wanted) {
        let Some(owner) = site.observed.owner(bridge, &rival.owner) else { continue };
        let guest = TapRecord::parse(&owner.alias).and_then(|record| record.guest.name);
        refusals.push(Refusal::PortForwarded { port: rival.to_string(), tap: owner.name, guest });
    }
    let listeners = site.observed.listeners.iter();
    let lost = listeners.filter_map(|one| Some((one, wanted.iter().find(|mapping| one.loses_to(mapping))?)));
    refusals.extend(lost.map(|(listener, mapping)| Refusal::PortInUse {
        listener: Box::new(listener.clone()),
        port: mapping.port,
    }));
    refusals
}

/// Whether guests would no longer reach what tells them addresses and names. It may not listen yet.
fn is_of_server(site: &Site, mapping: &PortMapping) -> bool {
    let is_there = |listen| site.desired.network.addresses.iter().any(|net| net.addr() == listen);
    SERVED.contains(&(mapping.protocol, mapping.port)) && mapping.listen.is_none_or(is_there)
}

fn want(site: &Site, wanted: &mut Wanted) {
    if let Some(guest) = &mut wanted.guest {
        guest.forwards = forwards(site);
    }
}

/// Whether the network's rules lead ports to guests: from the first guest on that has any, as long as the network stands.
pub(crate) fn leads_to_guests(site: &Site) -> bool {
    let has = site.old.is_some_and(|old| old.forwards) || !forwards(site).is_empty();
    has && site.desired.network.mode.forwards()
}

/// All ports that lead to guests of the network when this one is there: those of the records of taps, and those that are in the
/// rules, of guests whose records have no room for them.
pub(super) fn all_mappings(site: &Site) -> Vec<PortMapping> {
    let Site { desired, observed, .. } = site;
    let bridge = &desired.network.bridge;
    let mut all = mappings(site);
    let is_another = |link: &&Link| Some(link.name) != desired.tap;
    let recorded = observed.taps_on(bridge).filter(is_another).flat_map(|tap| of_record(tap, site));
    let lives = |mapping: &&PortMapping| observed.owner(bridge, &mapping.owner).filter(is_another).is_some();
    for mapping in recorded.chain(observed.mappings_on(bridge).filter(lives).cloned()) {
        if !all.iter().any(|known| known.overlaps(&mapping)) {
            all.push(mapping);
        }
    }
    sorted_by_key(all, |mapping| mapping.element().1.key)
}

/// By the record of a tap.
fn of_record(tap: &Link, site: &Site) -> Vec<PortMapping> {
    let Some(record) = TapRecord::parse(&tap.alias) else { return Vec::new() };
    let address = |v6| guest_identity::address_of(&record.guest, site, v6);
    let addresses: Vec<IpAddr> = [false, true].into_iter().filter_map(address).collect();
    led_to(&record.forwards, &addresses, &Owner::of(tap))
}
