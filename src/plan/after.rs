//! What there will be once other networks are taken away, as far as a plan depends on it.

use std::borrow::Cow;

use super::Transaction;
use crate::item::{LinkChange, PortChange, SettingChange, Step};
use crate::model::{Facts, IfName, Question, Setting};
use crate::observed::Observed;

/// What there is when the networks that nothing keeps are gone: what they opened is shut, and NICs are nobody's ports.
pub(super) fn sweep<'a>(observed: &'a Observed, swept: &[Transaction]) -> Cow<'a, Observed> {
    let mut after = Cow::Borrowed(observed);
    for one in swept.iter().filter(|one| one.cleans.is_some()) {
        let after = after.to_mut();
        for step in &one.steps {
            match step {
                Step::Setting(SettingChange { link, setting, to, .. }) => {
                    set(&mut after.facts, link, *setting, *to)
                }
                Step::Port(PortChange { port, to: None, .. }) => set_free(&mut after.facts, port),
                Step::Link(LinkChange::Delete { name }) => delete(&mut after.facts, name),
                _ => {}
            }
        }
        after.port_mappings.retain(|(bridge, _)| Some(*bridge) != one.cleans);
        let instance = after.networks.iter_mut().filter(|instance| Some(instance.bridge) == one.cleans);
        instance.filter_map(|instance| instance.ledger.as_mut()).for_each(|ledger| ledger.changed.clear());
    }
    after
}

/// A setting of those that a network leaves behind.
fn set(facts: &mut Facts, link: &IfName, setting: Setting, value: u32) {
    if setting == Setting::WideForwarding6 {
        facts.wide6 = value != 0;
    }
    let Some(link) = facts.links.iter_mut().find(|known| known.name == *link) else { return };
    match (setting, &mut link.ipv6) {
        (Setting::Forwarding, _) => link.ipv4.forwarding = value,
        (Setting::RpFilter, _) => link.ipv4.rp_filter = value,
        (Setting::AcceptRa, Some(ipv6)) => ipv6.accept_ra = value,
        (Setting::Router, Some(ipv6)) => ipv6.copied[0] = value,
        (Setting::ForceForwarding, Some(ipv6)) => ipv6.force_forwarding = Some(value),
        _ => {}
    }
}

/// A NIC is given back: the routes over its bridge are over it.
fn set_free(facts: &mut Facts, port: &IfName) {
    let Some(nic) = facts.links.iter_mut().find(|link| link.name == *port) else { return };
    let (index, Some(bridge)) = (nic.index, nic.master.take()) else { return };
    let ways = facts.ways.iter_mut().chain(&mut facts.matched);
    let devices = ways.flat_map(|way| &mut way.devices);
    devices.filter(|device| **device == bridge).for_each(|device| *device = index);
    facts.addresses.iter_mut().filter(|(of, _)| *of == bridge).for_each(|(of, _)| *of = index);
    facts.asked.push(Question::Addresses(index));
}

/// An interface is gone, and its routes with it.
fn delete(facts: &mut Facts, name: &IfName) {
    let Some(gone) = facts.link(name).map(|link| link.index) else { return };
    facts.links.retain(|link| link.index != gone);
    facts.links.iter_mut().filter(|link| link.master == Some(gone)).for_each(|link| link.master = None);
    facts.ways.retain(|way| way.devices != [gone]);
    facts.matched.retain(|way| way.devices != [gone]);
    facts.addresses.retain(|(of, _)| *of != gone);
}
