//! What kvmnet changed on the machine for a network: what its record records, beside what holds now.

use ipnet::IpNet;

use super::data::{Change, ChangeKind};
use crate::model::setting::Setting;
use crate::model::{AddrGen, Changed, IfName, Ledger, Link, TapRecord};
use crate::observed::{Instance, Observed};

/// Everything, in the order in which it was done.
pub fn changes(instance: &Instance, observed: &Observed) -> Vec<Change> {
    let tables = instance.tables.iter().map(|table| {
        let what = format!("{} {}", table.family, table.name);
        change(ChangeKind::Table, &what, None, None, Some(what.clone()))
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

fn change(
    kind: ChangeKind,
    what: impl ToString,
    interface: Option<IfName>,
    before: Option<String>,
    now: Option<String>,
) -> Change {
    Change { kind, what: what.to_string(), interface: interface.map(|name| name.to_string()), before, now }
}

fn links(ledger: &Ledger, instance: &Instance, observed: &Observed) -> Vec<Change> {
    let bridge = instance.link.as_ref().filter(|_| ledger.made).map(|bridge| bridge.name);
    let ends = ledger.veth.iter().flat_map(|veth| [veth.outer, veth.inner]);
    let ends = ends.filter(|end| observed.facts.link(end).is_some());
    let made = |name: IfName| change(ChangeKind::Link, name, None, None, Some(name.to_string()));
    bridge.into_iter().chain(ends).map(made).collect()
}

/// Addresses that the host was given, and those that moved with the NIC.
fn addresses(ledger: &Ledger, observed: &Observed, instance: &Instance) -> Vec<Change> {
    let host_if = ledger.host_if(instance.bridge);
    let present: Vec<IpNet> = observed.addresses(&host_if).iter().map(|address| address.net).collect();
    let given = ledger.addresses.iter().map(|net| {
        let now = present.contains(net).then(|| net.to_string());
        change(ChangeKind::Address, net, Some(host_if), None, now)
    });
    let moved = present.iter().filter(|net| !ledger.bridge_addresses.contains(net));
    let moved = moved.filter_map(|net| {
        let nic = ledger.nic()?.to_string();
        Some(change(ChangeKind::Moved, net, Some(host_if), Some(nic), Some(host_if.to_string())))
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
            let interface = (*setting != Setting::WideForwarding6).then_some(*link);
            let (before, now) = values(*link, *setting, *before, observed);
            change(ChangeKind::Setting, what, interface, before, now)
        })
        .collect()
}

/// Of a tap that outlives its guest: one that goes with its guest needs nothing put back.
fn tap_settings(tap: &Link, observed: &Observed) -> Vec<Change> {
    let record = TapRecord::parse(&tap.alias).filter(|_| tap.is_persistent());
    let changed = record.into_iter().flat_map(|record| record.changed);
    changed
        .map(|(setting, before)| {
            let (before, now) = values(tap.name, setting, before, observed);
            let what = format!("{setting} of {}", tap.name);
            change(ChangeKind::Setting, what, Some(tap.name), before, now)
        })
        .collect()
}

/// What a setting was before, and is now.
fn values(
    link: IfName,
    setting: Setting,
    before: u32,
    observed: &Observed,
) -> (Option<String>, Option<String>) {
    let shown = |value: u32| match setting {
        Setting::AddrGen => AddrGen(value as u8).to_string(),
        _ => value.to_string(),
    };
    (Some(shown(before)), observed.value(&link, setting).map(shown))
}

fn port(ledger: &Ledger, bridge: &Link, observed: &Observed) -> Option<Change> {
    let nic = ledger.nic()?;
    let is_port = observed.facts.link(&nic)?.master == Some(bridge.index);
    Some(change(ChangeKind::Port, nic, Some(nic), None, is_port.then(|| bridge.name.to_string())))
}

fn mac(ledger: &Ledger, bridge: &Link) -> Option<Change> {
    let (what, before) = (format!("MAC of {}", bridge.name), ledger.mac?.to_string());
    let now = bridge.mac.map(|mac| mac.to_string());
    Some(change(ChangeKind::Mac, what, Some(bridge.name), Some(before), now))
}

/// The record itself replaces the alias that a found bridge had.
fn alias(ledger: &Ledger, bridge: &Link) -> Option<Change> {
    let before = Some(ledger.alias.clone()).filter(|alias| !alias.is_empty());
    let (what, now) = (format!("alias of {}", bridge.name), Some(bridge.alias.clone()));
    (!ledger.made).then(|| change(ChangeKind::Setting, what, Some(bridge.name), before, now))
}
