//! What keeps the host from routing for others by what kvmnet opened: which guards the rules need.

use crate::desired::Desired;
use crate::firewall::{ForwardGuard, Opened};
use crate::model::ledger::Place;
use crate::model::link::lan_group;
use crate::model::{Changed, IfName, Ledger, Link, Mode, Network, Setting, Uplink};
use crate::observed::Observed;

/// What forwards for kvmnet alone, as the record says.
pub fn guards(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Vec<ForwardGuard> {
    let mut guards: Vec<ForwardGuard> =
        ledger.changed.iter().flat_map(|changed| guards_of(desired, observed, ledger, changed)).collect();
    for (v6, setting, wide) in [
        (false, Setting::Forwarding, observed.facts.wide(false)),
        (true, Setting::ForceForwarding, observed.facts.wide(true)),
    ] {
        if ledger.changed(&IfName::DEFAULT, setting).is_some() && !wide {
            let is_before =
                |changed: &&Changed| changed.setting == setting && changed.before == setting.range().1;
            let but =
                ledger.changed.iter().filter(is_before).filter(|changed| changed.link != IfName::DEFAULT);
            guards.push(ForwardGuard {
                opened: Opened::All { but: but.map(|changed| changed.link).collect() },
                v6,
            });
        }
    }
    if ledger.changed(&IfName::ALL, Setting::WideForwarding6).is_some() {
        guards.push(ForwardGuard { opened: Opened::All { but: Vec::new() }, v6: true });
    }
    guards.extend(lan_guards(desired, observed, ledger));
    guards
}

/// Of a bridge over a NIC that other networks opened: they do not know of it where they came first.
fn lan_guards(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Vec<ForwardGuard> {
    let Some(nic) = ledger.nic().filter(|_| desired.network.mode == Mode::Bridged) else { return Vec::new() };
    let mac = observed.facts.link(&nic).and_then(|nic| nic.mac);
    let opened = Opened::Link { name: desired.network.bridge, index: None, bridge: mac };
    let is_wide6 = |ledger: &Ledger| ledger.changed(&IfName::ALL, Setting::WideForwarding6).is_some();
    let mut families: Vec<bool> = opened_by_others(&nic, desired, observed)
        .iter()
        .map(|setting| *setting == Setting::ForceForwarding)
        .collect();
    families.extend(others(desired, observed).any(is_wide6).then_some(true));
    families.into_iter().map(|v6| ForwardGuard { opened: opened.clone(), v6 }).collect()
}

/// The switches of a NIC that other networks have set, and nobody else.
pub fn opened_by_others(nic: &IfName, desired: &Desired, observed: &Observed) -> Vec<Setting> {
    let place = Place { name: *nic, index: observed.facts.link(nic).map_or(0, |link| link.index) };
    let is_opened = |setting: &Setting| {
        let former = others(desired, observed).find_map(|ledger| ledger.former(&place, *setting));
        former.is_some_and(|changed| changed.before == 0)
    };
    let switches = [
        (Setting::Forwarding, observed.facts.wide(false)),
        (Setting::ForceForwarding, observed.facts.wide(true)),
    ];
    let switches = switches.into_iter().filter(|(_, wide)| !wide).map(|(setting, _)| setting);
    switches.filter(is_opened).collect()
}

/// The records of other networks, which stay.
fn others<'a>(desired: &'a Desired, observed: &'a Observed) -> impl Iterator<Item = &'a Ledger> {
    let others = observed.networks.iter().filter(|other| other.bridge != desired.network.bridge);
    others.filter(|other| !other.is_unused()).filter_map(|other| other.ledger.as_ref())
}

/// Of one interface that kvmnet opened by itself.
fn guards_of(
    desired: &Desired,
    observed: &Observed,
    ledger: &Ledger,
    changed: &Changed,
) -> Vec<ForwardGuard> {
    let host_if = desired.host_if();
    let Some(link) = observed.place(changed).filter(|link| changed.before == 0 && link.index != 0) else {
        return Vec::new();
    };
    if link.name == *host_if || link.name == desired.network.bridge {
        return Vec::new();
    }
    let bridge = link.mac.filter(|_| link.is_bridge());
    // Before Linux 6.17, IPv6 has no switch of one interface: of a bridge the guard has to know all the same.
    let is_wide6 = bridge.is_some() && ledger.changed(&IfName::ALL, Setting::WideForwarding6).is_some();
    // Once somebody else switches the whole machine on, what goes where is no longer kvmnet's to say.
    let families = match changed.setting {
        Setting::Forwarding => [(false, !observed.facts.wide(false)), (true, is_wide6)],
        Setting::ForceForwarding => [(false, false), (true, !observed.facts.wide(true))],
        _ => return Vec::new(),
    };
    let opened = Opened::Link { name: link.name, index: Some(link.index), bridge };
    let families = families.into_iter().filter(|(_, guards)| *guards);
    families.map(|(v6, _)| ForwardGuard { opened: opened.clone(), v6 }).collect()
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
