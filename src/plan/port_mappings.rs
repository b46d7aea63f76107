//! Ports that lead to guests: added beside the others, never by writing a table again; taken away with their guest.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Transaction;
use crate::feature::{self, Site};
use crate::firewall;
use crate::item::{CutFlows, PortMappingsChange, Step};
use crate::model::ruleset::{Element, Kind, PortMappings, Set, table_name};
use crate::model::{IfName, Link, PortMapping};
use crate::observed::{Instance, Observed};
use crate::sorted::sorted_by_key;

/// What leads ports to the guest at hand, and takes those away from guests that are gone. Where the table is `written` as a
/// whole, with all that leads to its guests, only other networks' are left to be changed.
pub(super) fn difference(site: &Site, written: bool) -> Vec<Step> {
    let bridge = &site.desired.network.bridge;
    let wanted = feature::mappings(site);
    let stale = feature::stale(site, &wanted).filter(|(on, _)| !written || *on != bridge);
    // What else there is for a killed guest is the same for this one, or goes with `kvmnet gc`.
    let mut steps: Vec<Step> = stale.map(|(on, mapping)| delete_one(on, mapping)).collect();
    if !written {
        steps.extend(no_longer(site, &wanted));
    }
    let is_led = |mapping: &PortMapping| site.observed.mappings_on(bridge).any(|one| one == mapping);
    let missing: Vec<PortMapping> = wanted.into_iter().filter(|mapping| !is_led(mapping)).collect();
    if let Some(first) = missing.first().filter(|_| !written) {
        let sets = firewall::elements(&missing, &site.desired.network.addresses);
        let (table, owner) = (table_name(bridge), first.owner.tap.clone());
        steps.push(PortMappingsChange::Add(PortMappings { table, owner, sets }).into());
    }
    steps
}

fn delete_one(bridge: &IfName, mapping: &PortMapping) -> Step {
    let (kind, element) = mapping.element();
    let (table, owner) = (table_name(bridge), mapping.owner.tap.clone());
    PortMappingsChange::Delete(PortMappings {
        table,
        owner,
        sets: vec![Set { kind, elements: vec![element] }],
    })
    .into()
}

/// What led to this very tap and no longer shall, or to another address of its guest.
fn no_longer(site: &Site, wanted: &[PortMapping]) -> Option<Step> {
    let bridge = &site.desired.network.bridge;
    let tap = site.desired.tap.and_then(|tap| site.observed.facts.link(&tap))?;
    let (gone, live): (Vec<PortMapping>, Vec<PortMapping>) = site
        .observed
        .mappings_on(bridge)
        .cloned()
        .partition(|mapping| mapping.owner.is(tap) && !wanted.contains(mapping));
    delete(bridge, &live, &gone, site.observed)
}

/// All but what leads to `live` goes from the sets of a network, of which all is known; `gone` is whose it was.
fn delete(bridge: &IfName, live: &[PortMapping], gone: &[PortMapping], observed: &Observed) -> Option<Step> {
    let owner = gone.first()?.owner.tap.clone();
    let any = [IpNet::from(IpAddr::from([0; 4])), IpNet::from(IpAddr::from([0; 16]))];
    let wanted = firewall::elements(live, &any);
    let is_wanted =
        |kind: &Kind, element: &Element| wanted.iter().any(|set| set.kind == kind && set.has(element));
    let found = observed.led_sets.iter().filter(|(on, _)| on == bridge).map(|(_, set)| set);
    let sets = found.map(|Set { kind, elements }| {
        let unwanted = elements.iter().filter(|element| !is_wanted(kind, element));
        Set { kind, elements: unwanted.cloned().collect() }
    });
    let sets: Vec<Set> = sets.filter(|set| !set.elements.is_empty()).collect();
    Some(PortMappingsChange::Delete(PortMappings { table: table_name(bridge), owner, sets }).into())
}

/// When a guest leaves: nothing leads to it any more, and who spoke to it by such a port is cut off.
pub(super) fn detach(tap: &Link, bridge: &IfName, observed: &Observed) -> Vec<Step> {
    let all = observed.mappings_on(bridge).cloned();
    let (own, others): (Vec<PortMapping>, Vec<PortMapping>) = all.partition(|mapping| mapping.owner.is(tap));
    delete(bridge, &others, &own, observed).into_iter().chain(cut(&own)).collect()
}

/// Ends the connections by these ports.
fn cut(mappings: &[PortMapping]) -> Vec<Step> {
    let mut to: Vec<IpAddr> = sorted_by_key(mappings.iter().map(|mapping| mapping.to.ip()), |to| *to);
    to.dedup();
    to.into_iter().map(|to| CutFlows { to }.into()).collect()
}

/// The same when a network goes, for guests that were killed; others leave it by themselves.
pub(super) fn cut_gone(bridge: &IfName, observed: &Observed) -> Vec<Step> {
    let is_gone = |one: &&PortMapping| observed.owner(bridge, &one.owner).is_none();
    cut(&observed.mappings_on(bridge).filter(is_gone).cloned().collect::<Vec<_>>())
}

/// What leads to guests that are gone from networks that stay, of the networks whose ports are known.
pub fn sweep(observed: &Observed) -> Vec<Transaction> {
    let staying = observed.networks.iter().filter(|instance| !instance.is_unused());
    staying.filter_map(|instance| of_gone(instance, observed)).collect()
}

fn of_gone(instance: &Instance, observed: &Observed) -> Option<Transaction> {
    let bridge = &instance.bridge;
    let all = observed.mappings_on(bridge).cloned();
    let (live, gone): (Vec<PortMapping>, Vec<PortMapping>) =
        all.partition(|one| observed.owner(bridge, &one.owner).is_some());
    let mut steps: Vec<Step> = delete(bridge, &live, &gone, observed).into_iter().collect();
    // Another guest may have the address by now.
    let is_free = |to: &IpAddr| !live.iter().any(|mapping| mapping.to.ip() == *to);
    steps.extend(cut(&gone).into_iter().filter(|step| match step {
        Step::Flows(CutFlows { to }) => is_free(to),
        _ => true,
    }));
    let title = format!("lead no ports of {bridge} to guests that are gone");
    (!steps.is_empty()).then_some(Transaction { title, steps, cleans: Some(*bridge) })
}
