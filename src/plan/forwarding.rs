//! Forwarding: switched on only where a network needs it, and nowhere for the whole machine where that can be.

use crate::desired::Desired;
use crate::firewall::{Leak, Opened};
use crate::model::link::{GROUP, lan_group};
use crate::model::{IfName, Link, Mark, Network, Setting, Uplink};
use crate::observed::Observed;

/// The interfaces by which the network's packets of one family leave and answers come in.
pub fn uplinks(desired: &Desired, observed: &Observed, v6: bool) -> Vec<IfName> {
    if !desired.forwards(v6) {
        return Vec::new();
    }
    let mut names: Vec<IfName> = match &desired.network.uplink {
        Uplink::Named(names) => names.clone(),
        Uplink::DefaultRoute => {
            let defaults = observed.facts.ways.iter().filter(|way| way.v6 == v6 && way.destination.is_none());
            let links = defaults.flat_map(|way| &way.devices).filter_map(|at| observed.facts.link_index(*at));
            // A network of kvmnet's is nobody's way out.
            links.filter(|link| link.group != GROUP && !link.loopback).map(|link| link.name).collect()
        }
    };
    names.sort_unstable();
    names.dedup();
    names
}

/// What is to be set, in order, so that packets pass between the door and the uplinks.
pub fn wanted(desired: &Desired, observed: &Observed) -> Vec<(IfName, Setting, u32)> {
    let mut wanted = Vec::new();
    let door = desired.door();
    if desired.forwards(false) {
        let links = uplinks(desired, observed, false);
        wanted.extend(links.into_iter().map(|link| (link, Setting::Forwarding, 1)));
        wanted.push((*door, Setting::Forwarding, 1));
    }
    if desired.forwards(true) {
        let links = uplinks(desired, observed, true);
        if has_force_forwarding(desired, observed) {
            wanted.extend(links.into_iter().map(|link| (link, Setting::ForceForwarding, 1)));
            wanted.push((*door, Setting::ForceForwarding, 1));
        } else if let Ok(all) = IfName::new("all") {
            // A host forgets the routes that routers announced as soon as it forwards, unless accept_ra is 2.
            let heeds =
                |link: &IfName| observed.value(link, Setting::AcceptRa).is_some_and(|value| value != 0);
            wanted.extend(links.into_iter().filter(heeds).map(|link| (link, Setting::AcceptRa, 2)));
            wanted.push((all, Setting::WideForwarding6, 1));
        }
    }
    wanted
}

/// Linux 6.17 and later forward IPv6 for single interfaces.
fn has_force_forwarding(desired: &Desired, observed: &Observed) -> bool {
    observed.value(desired.new_interface(), Setting::ForceForwarding).is_some()
}

/// What forwards for kvmnet alone, as the mark says.
pub fn leaks(desired: &Desired, observed: &Observed, mark: &Mark) -> Vec<Leak> {
    let is_uplink = |link: &IfName| link != desired.door() && *link != desired.network.bridge;
    let opened = mark.saved.iter().filter(|saved| is_uplink(&saved.link) && saved.before == 0);
    opened
        .filter_map(|saved| {
            let (v6, wide) = match saved.setting {
                Setting::Forwarding => (false, observed.facts.wide4),
                Setting::ForceForwarding => (true, observed.facts.wide6),
                Setting::WideForwarding6 => {
                    return Some(Leak { opened: Opened::All { but: Vec::new() }, v6: true });
                }
                _ => return None,
            };
            let link = observed.facts.link(&saved.link)?;
            let bridge = link.mac.filter(|_| link.is_bridge());
            let opened = Opened::Link { name: link.name, index: link.index, bridge };
            // Once somebody else switches the whole machine on, what goes where is no longer kvmnet's to say.
            (!wide).then_some(Leak { opened, v6 })
        })
        .collect()
}

/// The bridges of others that the named uplinks are ports of.
pub fn masters(network: &Network, observed: &Observed) -> Vec<(IfName, IfName)> {
    let Uplink::Named(uplinks) = &network.uplink else { return Vec::new() };
    // One of kvmnet's own is known by its group, or about to be left.
    let is_foreign = |uplink: &IfName, master: &Link| {
        master.is_bridge() && master.group != lan_group(uplink) && master.name != network.bridge
    };
    let master = |uplink: &IfName| {
        let master = observed.facts.link_index(observed.facts.link(uplink)?.master?)?;
        is_foreign(uplink, master).then_some((*uplink, master.name))
    };
    uplinks.iter().filter_map(master).collect()
}
