//! Networks: one that is up, from its record, its rules and its links; one that is only configured, from the file.

use std::collections::HashSet;
use std::net::IpAddr;

use super::data::{AddressesBy, Configuration, Forwarding, Guest, Nat, NatKind, Network, State, UplinksBy};
use super::guest::Guests;
use super::{change, dhcp};
use crate::desired::Desired;
use crate::feature;
use crate::firewall::HAIRPIN;
use crate::foreign;
use crate::guests::other_ports;
use crate::model::foreign::ForeignRule;
use crate::model::link::GROUP;
use crate::model::ruleset::{Found, Verdict, table_name};
use crate::model::{self, IfName, Ledger, Link, Mode, Uplink};
use crate::observed::{Instance, Tables};
use crate::reader::StatusSnapshot;
use crate::service;

/// A network that is up, or what is left of one. `file` is what the configuration says, if it could be read.
pub fn up(
    instance: &Instance,
    snapshot: &StatusSnapshot,
    guests: &Guests,
    file: Option<&[model::Network]>,
) -> Network {
    let ledger = instance.ledger.as_ref();
    let host_if = ledger.map_or(instance.bridge, |ledger| ledger.host_if(instance.bridge));
    let host_if_index = snapshot.observed.facts.link(&host_if).map(|host_if| host_if.index);
    let others = other_ports(instance, &snapshot.observed.facts);
    let (uplinks, uplinks_by) = uplinks(instance, &host_if, snapshot).unzip();
    let bridge = instance.link.as_ref();
    let mut network = Network {
        name: ledger.map_or_else(|| instance.bridge.to_string(), |ledger| ledger.network.clone()),
        state: match bridge {
            None => State::Remains,
            Some(link) if link.up => State::Up,
            Some(_) => State::Down,
        },
        mode: ledger.map(|ledger| ledger.mode.to_string()),
        bridge: instance.bridge.to_string(),
        bridge_made: bridge.and(ledger).map(|ledger| ledger.made),
        host_if: host_if.to_string(),
        addresses: addresses(&host_if, snapshot),
        addresses_by: addresses_by(ledger, file),
        host_access: ledger.and_then(|ledger| as_written(ledger, file)).and_then(host_access),
        uplinks: uplinks.map(|names| names.iter().map(ToString::to_string).collect()),
        uplinks_by: uplinks_by.flatten(),
        dhcp: dhcp::read(instance),
        forwarding: forwarding(ledger, &host_if, snapshot),
        nat: nat(instance, snapshot),
        keep: ledger.is_some_and(|ledger| ledger.keep || ledger.held),
        configuration: configuration(ledger, file),
        changes: change::changes(instance, &snapshot.observed),
        guests: bridge.map(|bridge| guests.on_bridge(&bridge.name, host_if_index)).unwrap_or_default(),
        other_ports: others.map(|port| port.name.to_string()).collect(),
        problems: Vec::new(),
    };
    network.problems = problems(&network, instance, snapshot);
    let written = ledger.and_then(|ledger| as_written(ledger, file));
    network.problems.extend(written.into_iter().flat_map(|written| together(&network.guests, written)));
    network.problems.extend(written.into_iter().flat_map(|written| blocked(written, instance, snapshot)));
    network
}

/// Chains of others that keep guests from what the mode promises.
fn blocked(written: &model::Network, instance: &Instance, snapshot: &StatusSnapshot) -> Vec<String> {
    let mut network = written.clone();
    if let Some(ledger) = instance.ledger.as_ref().filter(|_| network.auto_address) {
        network.addresses.clone_from(&ledger.addresses);
    }
    let desired = Desired::without_guest(network);
    foreign::blocked(&snapshot.firewall, &desired, &snapshot.observed)
}

/// A bridge of somebody else's that guests are ports of.
pub fn of_ports(
    bridge: &Link,
    snapshot: &StatusSnapshot,
    guests: &Guests,
    file: Option<&[model::Network]>,
) -> Network {
    let is_it = |network: &&model::Network| network.is_port_only() && network.bridge == bridge.name;
    let network = file.and_then(|file| file.iter().find(is_it));
    let ports = snapshot.observed.facts.links.iter().filter(|link| link.master == Some(bridge.index));
    let guests = guests.on_bridge(&bridge.name, Some(bridge.index));
    let mut problems =
        Vec::from_iter((!bridge.up).then(|| format!("bridge {} is switched off", bridge.name)));
    problems.extend(network.into_iter().flat_map(|network| together(&guests, network)));
    Network {
        name: network.map_or_else(|| bridge.name.to_string(), |network| network.name.clone()),
        state: if bridge.up { State::Up } else { State::Down },
        mode: Some(Mode::Bridged.to_string()),
        bridge: bridge.name.to_string(),
        bridge_made: Some(false),
        host_if: bridge.name.to_string(),
        addresses: addresses(&bridge.name, snapshot),
        uplinks: Some(Vec::new()),
        nat: Some(Vec::new()),
        configuration: if network.is_some() { Configuration::Same } else { Configuration::Unknown },
        guests,
        other_ports: ports.filter(|port| !port.is_tap()).map(|port| port.name.to_string()).collect(),
        problems,
        ..Network::default()
    }
}

/// A network that is only configured.
pub fn not_up(network: &model::Network) -> Network {
    let (uplinks, uplinks_by) = match (&network.uplink, network.mode) {
        (Uplink::None, _) | (_, Mode::Isolated | Mode::HostOnly) => (Vec::new(), None),
        (Uplink::Named(names), _) => (names.iter().map(ToString::to_string).collect(), Some(UplinksBy::Name)),
        (Uplink::DefaultRoute, _) => (Vec::new(), Some(UplinksBy::DefaultRoute)),
    };
    let to = network.nat_source.map(|to| to.to_string());
    let kind = if to.is_some() { NatKind::Snat } else { NatKind::Masquerade };
    let nat = (network.mode == Mode::Nat).then_some(Nat { kind, to });
    Network {
        name: network.name.clone(),
        state: State::NotUp,
        mode: Some(network.mode.to_string()),
        bridge: network.bridge.to_string(),
        host_if: network.host_if().to_string(),
        addresses: network.addresses.iter().map(ToString::to_string).collect(),
        addresses_by: by(network),
        host_access: host_access(network),
        uplinks: Some(uplinks),
        uplinks_by,
        nat: Some(nat.into_iter().collect()),
        keep: network.keep,
        ..Network::default()
    }
}

fn addresses(host_if: &IfName, snapshot: &StatusSnapshot) -> Vec<String> {
    let is_link_local = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let addresses = snapshot.observed.addresses(host_if).into_iter().map(|address| address.net);
    addresses.filter(|net| !is_link_local(net.addr())).map(|net| net.to_string()).collect()
}

/// As the configuration says, if that is what the network was made by.
fn addresses_by(ledger: Option<&Ledger>, file: Option<&[model::Network]>) -> Option<AddressesBy> {
    by(as_written(ledger?, file)?)
}

/// The network of the configuration, if this one was made by it.
fn as_written<'a>(ledger: &Ledger, file: Option<&'a [model::Network]>) -> Option<&'a model::Network> {
    let network = file?.iter().find(|network| network.name == ledger.network)?;
    Some(network).filter(|network| network.digest == ledger.digest)
}

fn host_access(network: &model::Network) -> Option<String> {
    network.mode.forwards().then(|| network.host.to_string())
}

/// Guests that are not kept from each other, although they shall be.
fn together(guests: &[Guest], network: &model::Network) -> Vec<String> {
    let together = guests.iter().filter(|guest| guest.attached && !guest.isolated && network.port_isolation);
    let told =
        |guest: &Guest| format!("{} is not kept from the other guests; `kvmnet apply` does so", guest.tap);
    together.map(told).collect()
}

fn by(network: &model::Network) -> Option<AddressesBy> {
    let by = if network.auto_address { AddressesBy::Choice } else { AddressesBy::Configuration };
    network.mode.has_host_address().then_some(by)
}

/// By the NIC in the record, by the names in the rules, or by the default routes.
fn uplinks(
    instance: &Instance,
    host_if: &IfName,
    snapshot: &StatusSnapshot,
) -> Option<(Vec<IfName>, Option<UplinksBy>)> {
    let ledger = instance.ledger.as_ref()?;
    if !ledger.mode.forwards() {
        return Some((ledger.nic().into_iter().collect(), ledger.nic.map(|_| UplinksBy::Port)));
    }
    let exits = snapshot.exits.get(&instance.bridge)?;
    let mut names: Vec<IfName> =
        exits.iter().filter_map(ForeignRule::oif).filter(|name| name != host_if).collect();
    let mut by = UplinksBy::Name;
    if names.is_empty() {
        by = UplinksBy::DefaultRoute;
        let devices = snapshot.observed.default_devices(None).into_iter();
        let links = devices.filter_map(|index| snapshot.observed.facts.link_index(index));
        // A network of kvmnet's is nobody's way out.
        names.extend(links.filter(|link| link.group != GROUP && !link.loopback).map(|link| link.name));
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(*name));
    Some((names, Some(by)))
}

fn forwarding(ledger: Option<&Ledger>, host_if: &IfName, snapshot: &StatusSnapshot) -> Forwarding {
    let facts = &snapshot.observed.facts;
    match (ledger, facts.link(host_if)) {
        (Some(ledger), Some(link)) if ledger.mode.forwards() => Forwarding {
            ipv4: link.ipv4.forwarding != 0,
            ipv6: facts.wide(true) || link.ipv6.and_then(|ipv6| ipv6.force_forwarding) == Some(1),
        },
        _ => Forwarding::default(),
    }
}

fn nat(instance: &Instance, snapshot: &StatusSnapshot) -> Option<Vec<Nat>> {
    let ledger = instance.ledger.as_ref()?;
    if ledger.mode != Mode::Nat {
        return Some(Vec::new());
    }
    let is_way_out = |rule: &&ForeignRule| rule.chain != HAIRPIN;
    let mut found = Vec::new();
    for verdict in
        snapshot.exits.get(&instance.bridge)?.iter().filter(is_way_out).filter_map(ForeignRule::nat)
    {
        let nat = match verdict {
            Verdict::Snat(to) => Nat { kind: NatKind::Snat, to: Some(to.to_string()) },
            _ => Nat { kind: NatKind::Masquerade, to: None },
        };
        if !found.contains(&nat) {
            found.push(nat);
        }
    }
    Some(found)
}

fn configuration(ledger: Option<&Ledger>, file: Option<&[model::Network]>) -> Configuration {
    let (Some(ledger), Some(file)) = (ledger, file) else { return Configuration::Unknown };
    match file.iter().find(|network| network.name == ledger.network) {
        None => Configuration::Absent,
        Some(network) if network.digest == ledger.digest => Configuration::Same,
        Some(_) if ledger.overridden => Configuration::Overridden,
        Some(_) => Configuration::Differs,
    }
}

fn problems(network: &Network, instance: &Instance, snapshot: &StatusSnapshot) -> Vec<String> {
    let name = table_name(&instance.bridge);
    let Some(ledger) = &instance.ledger else {
        return vec![format!("{name} has no record of what it is for; the next hook removes it")];
    };
    let mut problems = Vec::new();
    if let Some(left) = ledger.beyond() {
        let entries = left.unknown.join(" ");
        problems.push(format!("a later version of kvmnet has recorded {entries}, and can undo it"));
    }
    let bridge = &instance.bridge;
    match network.state {
        State::Remains if problems.is_empty() => {
            return vec![format!("bridge {bridge} is gone; the next hook cleans up")];
        }
        State::Remains => return problems,
        State::Down => problems.push(format!("bridge {bridge} is switched off")),
        State::Up | State::NotUp => {}
    }
    if snapshot.observed.nft == Tables::Readable {
        for family in instance.missing_tables() {
            problems.push(format!("table {family} {name} is gone; the next guest puts it back"));
        }
        for Found { family, .. } in instance.tables.iter().filter(|table| table.dormant) {
            problems.push(format!("table {family} {name} is dormant; the next guest puts it right"));
        }
    }
    let addresses = ledger.addresses.iter().map(ToString::to_string);
    for net in addresses.filter(|net| !network.addresses.contains(net)) {
        problems.push(format!("{net} is gone from {}; the next guest puts it back", network.host_if));
    }
    if let Some(dhcp) = network.dhcp.as_ref().filter(|dhcp| dhcp.process.is_none()) {
        let why = "nobody tells guests their addresses; the next guest or `kvmnet gc` starts it";
        problems.push(if dhcp.has_dnsmasq { why } else { service::NO_DNSMASQ }.to_owned());
    }
    problems.extend(feature::intruders(instance, &snapshot.observed).iter().map(ToString::to_string));
    if instance.is_unused() {
        problems.push("no guest is on it; `kvmnet gc` or the next hook removes it".to_owned());
    }
    problems
}
