//! What kvmnet changed on the machine for a network: what its record records, beside what holds now.

use super::data::{Change, ChangeKind};
use crate::model::setting::Setting;
use crate::model::{AddrGen, Changed, IfName, Ledger, Link, TapRecord};
use crate::observed::{Instance, Observed};

/// Everything, in the order in which it was done.
pub fn changes(instance: &Instance, observed: &Observed) -> Vec<Change> {
    let tables = instance.tables.iter().map(|table| {
        let what = format!("{} {}", table.family, table.name);
        Change { kind: ChangeKind::Table, interface: None, before: None, now: Some(what.clone()), what }
    });
    let Some(ledger) = &instance.ledger else { return tables.collect() };
    let mut changes = links(ledger, instance, observed);
    changes.extend(tables);
    changes.extend(addresses(ledger, observed, instance));
    changes.extend(settings(ledger, observed));
    if let Some(bridge) = &instance.link {
        changes.extend(port(ledger, bridge, observed));
        changes.extend(mac(ledger, bridge));
        changes.extend(alias(ledger, bridge));
        changes.extend(observed.taps_on(&bridge.name).flat_map(|tap| tap_settings(tap, observed)));
    }
    changes
}

fn links(ledger: &Ledger, instance: &Instance, observed: &Observed) -> Vec<Change> {
    let bridge = instance.link.as_ref().filter(|_| ledger.made).map(|bridge| bridge.name);
    let ends = ledger.veth.iter().flat_map(|veth| [veth.outer, veth.inner]);
    let ends = ends.filter(|end| observed.facts.link(end).is_some());
    let made = |name: IfName| {
        let (what, now) = (name.to_string(), Some(name.to_string()));
        Change { kind: ChangeKind::Link, what, interface: None, before: None, now }
    };
    bridge.into_iter().chain(ends).map(made).collect()
}

/// Addresses that the host was given, and those that moved with the NIC.
fn addresses(ledger: &Ledger, observed: &Observed, instance: &Instance) -> Vec<Change> {
    let host_if = ledger.veth.as_ref().map_or(instance.bridge, |veth| veth.inner);
    let interface = || Some(host_if.to_string());
    let present = observed.addresses(&host_if);
    let given = ledger.addresses.iter().map(|net| Change {
        kind: ChangeKind::Address,
        what: net.to_string(),
        interface: interface(),
        before: None,
        now: present.iter().any(|address| address.net == *net).then(|| net.to_string()),
    });
    let moved = present.iter().filter(|address| !ledger.bridge_addresses.contains(&address.net));
    let moved = ledger.nic().into_iter().flat_map(|nic| moved.clone().map(move |address| (nic, address)));
    let moved = moved.map(|(nic, address)| Change {
        kind: ChangeKind::Moved,
        what: address.net.to_string(),
        interface: interface(),
        before: Some(nic.to_string()),
        now: interface(),
    });
    given.chain(moved).collect()
}

fn settings(ledger: &Ledger, observed: &Observed) -> Vec<Change> {
    // An exception from what was set everywhere was not changed.
    let is_exception = |changed: &&Changed| {
        ledger.changed(&IfName::DEFAULT, changed.setting).is_some()
            && changed.before == changed.setting.range().1
    };
    let changed = ledger.changed.iter().filter(|changed| !is_exception(changed));
    changed
        .map(|Changed { link, setting, before, .. }| {
            let what = match setting {
                Setting::Up | Setting::Mtu | Setting::Group | Setting::AddrGen => {
                    format!("{setting} of {link}")
                }
                _ => setting.key(link),
            };
            let change = changed_setting(what, *link, *setting, *before, observed);
            let is_wide = *setting == Setting::WideForwarding6;
            Change { interface: change.interface.filter(|_| !is_wide), ..change }
        })
        .collect()
}

/// Of a tap that outlives its guest: one that goes with its guest needs nothing put back.
fn tap_settings(tap: &Link, observed: &Observed) -> Vec<Change> {
    let is_persistent = tap.tun.as_ref().is_some_and(|tun| tun.persistent);
    let record = TapRecord::parse(&tap.alias).filter(|_| is_persistent);
    let changed = record.into_iter().flat_map(|record| record.changed);
    changed
        .map(|(setting, before)| {
            changed_setting(format!("{setting} of {}", tap.name), tap.name, setting, before, observed)
        })
        .collect()
}

fn changed_setting(what: String, link: IfName, setting: Setting, before: u32, observed: &Observed) -> Change {
    let shown = |value: u32| match setting {
        Setting::AddrGen => AddrGen(value as u8).to_string(),
        _ => value.to_string(),
    };
    Change {
        kind: ChangeKind::Setting,
        what,
        interface: Some(link.to_string()),
        before: Some(shown(before)),
        now: observed.value(&link, setting).map(shown),
    }
}

fn port(ledger: &Ledger, bridge: &Link, observed: &Observed) -> Option<Change> {
    let nic = ledger.nic()?;
    let is_port = observed.facts.link(&nic)?.master == Some(bridge.index);
    Some(Change {
        kind: ChangeKind::Port,
        what: nic.to_string(),
        interface: Some(nic.to_string()),
        before: None,
        now: is_port.then(|| bridge.name.to_string()),
    })
}

fn mac(ledger: &Ledger, bridge: &Link) -> Option<Change> {
    Some(Change {
        kind: ChangeKind::Mac,
        what: format!("MAC of {}", bridge.name),
        interface: Some(bridge.name.to_string()),
        before: Some(ledger.mac?.to_string()),
        now: bridge.mac.map(|mac| mac.to_string()),
    })
}

/// The record itself replaces the alias that a found bridge had.
fn alias(ledger: &Ledger, bridge: &Link) -> Option<Change> {
    (!ledger.made).then(|| Change {
        kind: ChangeKind::Setting,
        what: format!("alias of {}", bridge.name),
        interface: Some(bridge.name.to_string()),
        before: (!ledger.alias.is_empty()).then(|| ledger.alias.clone()),
        now: Some(bridge.alias.clone()),
    })
}
