//! A port of the network's bridge.

use super::{Refusal, Transaction, guest};
use crate::feature::{self, Object, Site};
use crate::item::Step;
use crate::model::IfName;
use crate::switch;

/// Makes `port` a port of the network's bridge, unless it is one.
pub(super) fn enslave(port: &IfName, site: &Site) -> Option<Step> {
    let facts = &site.observed.facts;
    let master = facts.link(port).and_then(|link| link.master).and_then(|index| facts.link_index(index));
    if master.is_some() && master.map(|link| link.index) == site.bridge().map(|link| link.index) {
        return None;
    }
    Some(switch::attach(*port, master.map(|link| link.name), site.desired.network.bridge))
}

/// The guest's tap as a port, and nothing of the network.
pub(super) fn alone(site: &Site) -> Result<[Transaction; 2], Refusal> {
    let wanted = feature::wanted(site);
    let ways = wanted.objects.iter().filter_map(|(_, object)| match object {
        Object::Way(steps) => Some(steps.clone()),
        _ => None,
    });
    let attach = wanted.guest.as_ref().map(|guest| guest::attach(guest, site)).transpose()?;
    // Without a guest there is nothing to do, neither now nor later.
    let steps = attach.map(|attach| ways.flatten().chain(attach).collect()).unwrap_or_default();
    let bridge = site.desired.network.bridge;
    let title = site.desired.tap.map_or_else(String::new, |tap| format!("attach {tap} to {bridge}"));
    let transaction = |title, steps| Transaction { title, steps, cleans: None };
    Ok([transaction(title, steps), transaction(String::new(), Vec::new())])
}
