//! What kvmnet changed on the machine for a network: what its mark records, beside what holds now.

use super::{Change, ChangeKind};
use crate::model::setting::Setting;
use crate::model::{AddrGen, IfName, Link, Mark, Saved, TapMark};
use crate::observed::{Observed, Standing};

/// Everything, in the order in which it was done.
pub fn of(standing: &Standing, observed: &Observed) -> Vec<Change> {
    let bridge = standing.bridge.to_string();
    let mut changes = Vec::new();
    if let Some(mark) = &standing.mark {
        if mark.made && standing.link.is_some() {
            changes.push(made(ChangeKind::Link, &bridge));
        }
        for end in mark.veth.iter().flat_map(|veth| [&veth.outer, &veth.inner]) {
            if observed.facts.link(end).is_some() {
                changes.push(made(ChangeKind::Link, end.as_str()));
            }
        }
    }
    changes.extend(
        standing
            .tables
            .iter()
            .map(|table| made(ChangeKind::Table, &format!("{} {}", table.family, table.name))),
    );
    if let Some(mark) = &standing.mark {
        changes.extend(addresses(mark, observed, standing));
        // An exception from what was set everywhere was not changed.
        let is_exception = |saved: &&Saved| {
            mark.saved(&IfName::DEFAULT, saved.setting).is_some() && saved.before == saved.setting.range().1
        };
        changes.extend(mark.saved.iter().filter(|saved| !is_exception(saved)).map(|saved| {
            let now = observed.value(&saved.link, saved.setting);
            let interface = (saved.setting != Setting::WideForwarding6).then(|| saved.link.to_string());
            Change {
                kind: ChangeKind::Setting,
                what: key(saved.setting, saved.link.as_str(), || saved.setting.key(&saved.link)),
                interface,
                before: Some(shown(saved.setting, saved.before)),
                now: now.map(|now| shown(saved.setting, now)),
            }
        }));
        if let Some(link) = &standing.link {
            changes.extend(port(mark, link, observed));
            changes.extend(mac(mark, link));
            changes.extend(alias(mark, link));
            changes.extend(taps(&link.name, observed));
        }
    }
    changes
}

fn made(kind: ChangeKind, what: &str) -> Change {
    let now = Some(what.to_owned());
    Change { kind, what: what.to_owned(), interface: None, before: None, now }
}

/// The value as the one who sets it writes it.
fn shown(setting: Setting, value: u32) -> String {
    match setting {
        Setting::AddrGen => AddrGen(value as u8).to_string(),
        _ => value.to_string(),
    }
}

/// As the one who sets it names it: a key of sysctl(8), or a word of ip-link(8).
fn key(setting: Setting, link: &str, sysctl: impl Fn() -> String) -> String {
    match setting {
        Setting::Up | Setting::Mtu | Setting::Group | Setting::AddrGen => format!("{setting} of {link}"),
        _ => sysctl(),
    }
}

/// Addresses that the host was given, and those that moved with the NIC.
fn addresses(mark: &Mark, observed: &Observed, standing: &Standing) -> Vec<Change> {
    let door = mark.veth.as_ref().map_or(standing.bridge, |veth| veth.inner);
    let present = observed.addresses(&door);
    let is_present = |net| present.iter().any(|address| address.net == net);
    let given = mark.addresses.iter().map(|net| Change {
        kind: ChangeKind::Address,
        what: net.to_string(),
        interface: Some(door.to_string()),
        before: None,
        now: is_present(*net).then(|| net.to_string()),
    });
    let moved = present.iter().filter(|address| mark.nic.is_some() && !mark.own.contains(&address.net));
    let moved = moved.map(|address| Change {
        kind: ChangeKind::Moved,
        what: address.net.to_string(),
        interface: Some(door.to_string()),
        before: mark.nic.as_ref().map(ToString::to_string),
        now: Some(door.to_string()),
    });
    given.chain(moved).collect()
}

fn port(mark: &Mark, bridge: &Link, observed: &Observed) -> Option<Change> {
    let nic = mark.nic?;
    let is_port = observed.facts.link(&nic)?.master == Some(bridge.index);
    Some(Change {
        kind: ChangeKind::Port,
        what: nic.to_string(),
        interface: Some(nic.to_string()),
        before: None,
        now: is_port.then(|| bridge.name.to_string()),
    })
}

fn mac(mark: &Mark, bridge: &Link) -> Option<Change> {
    let before = mark.mac?;
    Some(Change {
        kind: ChangeKind::Mac,
        what: format!("MAC of {}", bridge.name),
        interface: Some(bridge.name.to_string()),
        before: Some(before.to_string()),
        now: bridge.mac.map(|mac| mac.to_string()),
    })
}

/// The record itself stands in the place of the alias that a found bridge had.
fn alias(mark: &Mark, bridge: &Link) -> Option<Change> {
    (!mark.made).then(|| Change {
        kind: ChangeKind::Setting,
        what: format!("alias of {}", bridge.name),
        interface: Some(bridge.name.to_string()),
        before: (!mark.alias.is_empty()).then(|| mark.alias.clone()),
        now: Some(bridge.alias.clone()),
    })
}

/// What was changed of taps that outlive their guests.
fn taps(bridge: &IfName, observed: &Observed) -> Vec<Change> {
    let mut changes = Vec::new();
    for tap in observed.taps_on(bridge) {
        let Some(mark) = TapMark::parse(&tap.alias) else { continue };
        let change = |setting: Setting, before: u32, now: Option<u32>| Change {
            kind: ChangeKind::Setting,
            what: format!("{setting} of {}", tap.name),
            interface: Some(tap.name.to_string()),
            before: Some(shown(setting, before)),
            now: now.map(|now| shown(setting, now)),
        };
        // One that goes with its guest needs nothing put back.
        if tap.tun.as_ref().is_some_and(|tun| tun.persistent) {
            let changed = mark.saved.into_iter();
            changes.extend(
                changed.map(|(setting, before)| change(setting, before, observed.value(&tap.name, setting))),
            );
        }
    }
    changes
}
