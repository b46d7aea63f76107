//! A guest's tap: what is wanted of it, against what it is; with nothing wanted, it gets back what its own record says.

use super::{Refusal, port, port_mappings};
use crate::feature::{Guest, Site};
use crate::item::{ClaimChange, GuestFilterChange, LinkChange, Step};
use crate::model::ledger::Place;
use crate::model::{Claim, GuestFilter, IfName, Link, Setting, TapRecord};
use crate::observed::{Instance, Observed};
use crate::switch;

/// What is to be put back on a tap that stays is written on it first; up comes last.
pub(super) fn attach(guest: &Guest, site: &Site) -> Result<Vec<Step>, Refusal> {
    let name = guest.tap;
    let tap = site.observed.facts.link(&name).ok_or(Refusal::NoTap(name))?;
    let known = TapRecord::parse(&tap.alias);
    let is_new = known.is_none();
    let mut record = known.unwrap_or_else(|| TapRecord { alias: tap.alias.clone(), ..TapRecord::default() });
    record.bridge = Some(site.desired.network.bridge);
    record.guest = guest.identity.clone();
    record.forwards.clone_from(&guest.forwards);
    let mut changes = Vec::new();
    for (setting, to) in &guest.values {
        let from = site.observed.value(&name, *setting).unwrap_or_default();
        if from != *to {
            // The MTU of a guest that is on may be its owner's will; and what a network set everywhere, it takes back.
            if *setting != Setting::Mtu || is_new {
                let former = site.former(&Place { name, index: tap.index }, *setting);
                record.save(*setting, former.map_or(from, |changed| changed.before));
            }
            changes.push(Step::set(name, *setting, from, *to));
        }
    }
    if let (Some(from), Some(to)) = (tap.mac, guest.mac) {
        record.mac = record.mac.or(Some(from));
        changes.push(LinkChange::Mac { link: name, from, to }.into());
    }
    changes.extend(filter(guest, tap, site.observed));
    let (record, last, unneeded) = without_filter(guest, tap, record);
    let alias = |record: TapRecord| Ok(record.fitting().ok_or(Refusal::TapAliasTooLong(name))?.to_string());
    let (alias, last) = (alias(record)?, alias(last)?);
    let mut steps = Vec::new();
    if alias != tap.alias {
        steps.push(LinkChange::Alias { link: name, from: tap.alias.clone(), to: alias.clone() }.into());
    }
    steps.extend(claim(guest, tap));
    steps.extend(changes.into_iter().chain(unneeded));
    if alias != last {
        steps.push(LinkChange::Alias { link: name, from: alias, to: last }.into());
    }
    steps.extend(join(guest, tap, site));
    Ok(steps)
}

/// The guest's own filter; none where that is not wanted any more.
fn filter(guest: &Guest, tap: &Link, observed: &Observed) -> Option<Step> {
    let from = observed.facts.guest_filter(tap.index).cloned();
    let to = guest.filter.as_ref().map(GuestFilter::program);
    (from != to).then(|| GuestFilterChange { tap: tap.name, from, to }.into())
}

/// The record that stands while changes are made, the one that stays, and what puts the group back that only guests with a filter
/// have. What there is of a filter is on record until it is gone.
fn without_filter(guest: &Guest, tap: &Link, mut record: TapRecord) -> (TapRecord, TapRecord, Option<Step>) {
    let filtering = Some(guest.filtering).filter(|filtering| !filtering.is_default());
    let mut last = TapRecord { filter: filtering, ..record.clone() };
    record.filter = filtering.or(record.filter);
    let is_wanted = guest.values.iter().any(|(setting, _)| *setting == Setting::Group);
    let former = record.before(Setting::Group).filter(|_| !is_wanted);
    if former.is_some() {
        last.changed.retain(|(setting, _)| *setting != Setting::Group);
    }
    let back = former.filter(|former| *former != tap.group);
    (record, last, back.map(|former| Step::put_back(tap.name, Setting::Group, tap.group, former)))
}

/// What the guest has for itself, and not what it had on another network.
fn claim(guest: &Guest, tap: &Link) -> Vec<Step> {
    let unwanted = tap.claims().filter(|claim| !guest.claims.contains(claim));
    let unwanted = unwanted.map(|claim| ClaimChange::Delete { tap: tap.name, claim }.into());
    let is_new = |claim: &&Claim| !tap.claims().any(|known| known == **claim);
    let new = guest.claims.iter().filter(is_new);
    unwanted.chain(new.map(|claim| ClaimChange::Add { tap: tap.name, claim: *claim }.into())).collect()
}

/// Onto the bridge, and up. On its way from one bridge to another it is nowhere for a moment, and down.
fn join(guest: &Guest, tap: &Link, site: &Site) -> Vec<Step> {
    let set = |setting, from, to| Step::set(tap.name, setting, from, to);
    let is_port = tap.master.is_some() && tap.master == site.bridge().map(|bridge| bridge.index);
    let moves = !is_port && tap.master.is_some();
    let mut steps = Vec::new();
    if tap.up && moves {
        steps.push(set(Setting::Up, 1, 0));
    }
    steps.extend(port::enslave(&tap.name, site));
    for (setting, to) in &guest.port_values {
        let from = site.observed.value(&tap.name, *setting).filter(|_| is_port).unwrap_or_default();
        steps.extend((from != *to).then(|| set(*setting, from, *to)));
    }
    if !tap.up || moves {
        steps.push(set(Setting::Up, 0, 1));
    }
    steps
}

/// Down and off the bridge; the tap gets back what it had.
pub(super) fn detach(tap: &Link, observed: &Observed) -> Vec<Step> {
    let name = tap.name;
    let record = TapRecord::parse(&tap.alias);
    let bridge = tap.master.and_then(|master| observed.facts.link_index(master)).map(|bridge| bridge.name);
    let recorded = record.as_ref().and_then(|record| record.bridge);
    let is_ours = |bridge: &IfName| observed.network(bridge).and_then(Instance::ledger_of_bridge).is_some();
    if record.is_none() && !bridge.as_ref().is_some_and(is_ours) {
        // Somebody else's port, or nobody's.
        return Vec::new();
    }
    let mut steps = Vec::new();
    // One that another hand has put on another bridge stays there.
    let moved = bridge.filter(|bridge| !is_ours(bridge) && Some(*bridge) != recorded);
    // Down first: a tap that is up and on no bridge is an interface of the host's like any other.
    if tap.up && moved.is_none() {
        steps.push(Step::put_back(name, Setting::Up, 1, 0));
    }
    if let Some(bridge) = bridge.filter(|_| moved.is_none()) {
        steps.push(switch::detach(name, bridge));
    }
    steps.extend(tap.claims().map(|claim| ClaimChange::Delete { tap: name, claim }.into()));
    steps.extend(record.into_iter().flat_map(|record| restore(tap, record, observed)));
    steps.extend(bridge.iter().flat_map(|bridge| port_mappings::detach(tap, bridge, observed)));
    steps
}

/// What its record says, last change first.
fn restore(tap: &Link, record: TapRecord, observed: &Observed) -> Vec<Step> {
    let link = tap.name;
    let own = observed.facts.guest_filter(tap.index).cloned();
    let own = own.map(|program| GuestFilterChange { tap: link, from: Some(program), to: None }.into());
    let mut steps: Vec<Step> = own.into_iter().collect();
    let changed = record.changed.into_iter().rev();
    steps.extend(
        changed.filter_map(|(setting, before)| super::values::put_back(&link, setting, before, observed)),
    );
    let mac = tap.mac.zip(record.mac).filter(|(now, before)| now != before);
    steps.extend(mac.map(|(from, to)| LinkChange::Mac { link, from, to }.into()));
    steps.push(LinkChange::Alias { link, from: tap.alias.clone(), to: record.alias }.into());
    steps
}
