//! Who has which name and which address: from the taps' records, from what clients call themselves, or from the tap.
//!
//! In: ports, leases, who is behind which port. Out: the files that dnsmasq reads. Never: does I/O.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::facts::FdbEntry;
use crate::model::lease::{self, Lease};
use crate::model::{GuestIdentity, IfName, Link, Mac, TapRecord, label};

/// Names that no guest gets: the host's own, and those that programs trust (a web proxy's, RFC 6761).
pub const RESERVED: [&str; 4] = ["host", "localhost", "wpad", "isatap"];

/// A guest's tap, and who is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub tap: IfName,
    pub index: u32,
    pub guest: GuestIdentity,
}

impl Port {
    /// What the record of a tap says.
    pub fn of(tap: &Link) -> Self {
        let guest = TapRecord::parse(&tap.alias).unwrap_or_default().guest;
        Self { tap: tap.name, index: tap.index, guest }
    }
}

/// The guests that have something of their own. Of two VMs with one name, the first that came has it.
pub fn known(ports: &[Port]) -> Vec<GuestIdentity> {
    let mut in_order: Vec<&Port> = ports.iter().filter(|port| !port.guest.macs.is_empty()).collect();
    in_order.sort_by_key(|port| port.index);
    let mut known: Vec<GuestIdentity> = Vec::new();
    for Port { guest, .. } in in_order {
        let is_free = |name: &String| {
            let is_taken = |one: &GuestIdentity| one.name.as_ref() == Some(name) && one.macs != guest.macs;
            !RESERVED.contains(&name.as_str()) && !known.iter().any(is_taken)
        };
        let name = guest.name.clone().filter(is_free);
        if name.is_some() || !guest.addresses.is_empty() {
            known.push(GuestIdentity { name, ..guest.clone() });
        }
    }
    known
}

/// The names that a client may not call itself, as they are others'.
pub fn taken(known: &[GuestIdentity]) -> Vec<&str> {
    let mut taken: Vec<&str> = known.iter().filter_map(|one| one.name.as_deref()).chain(RESERVED).collect();
    taken.sort_unstable();
    taken.dedup();
    taken
}

/// dnsmasq's `dhcp-hostsfile`.
pub fn reservations(known: &[GuestIdentity]) -> String {
    known.iter().flat_map(reservations_of).collect()
}

fn reservations_of(one: &GuestIdentity) -> Vec<String> {
    let address = |address: &IpAddr| match address {
        IpAddr::V4(v4) => format!(",{v4}"),
        IpAddr::V6(v6) => format!(",[{v6}]"),
    };
    // A client gets one of each family; a guest with a filter may have more.
    let first = |v6| one.addresses.iter().find(|address| address.is_ipv6() == v6);
    let given = [false, true].into_iter().filter_map(first);
    let rest: String = given.map(address).chain(one.name.iter().map(|name| format!(",{name}"))).collect();
    let macs: Vec<String> = one.macs.iter().map(ToString::to_string).collect();
    // With an address in it, a line says that all these MACs are one machine's, which has one lease.
    match one.addresses.is_empty() {
        true => macs.iter().map(|mac| format!("{mac}{rest}\n")).collect(),
        false => vec![format!("{}{rest}\n", macs.join(","))],
    }
}

/// The names that are not told by a lease, as in /etc/hosts: the host's, that of a guest with an address of its own, and the
/// tap's for a client that calls itself nothing. The first one on that line is not of the domain itself: dnsmasq would make it
/// the client's own, and not hear of another.
pub fn hosts(
    domain: &str,
    host: &[IpAddr],
    known: &[GuestIdentity],
    ports: &[Port],
    leases: &[Lease],
    stations: &[FdbEntry],
) -> String {
    let mut lines: Vec<String> = host.iter().map(|address| format!("{address} host\n")).collect();
    for one in known {
        let name = one.name.iter().flat_map(|name| one.addresses.iter().map(move |address| (address, name)));
        lines.extend(name.map(|(address, name)| format!("{address} {name}\n")));
    }
    let is_nameless = |lease: &&Lease| lease.name.is_none() && !known.iter().any(|one| has_name(one, lease));
    // By their MACs, as a guest can have thousands of leases.
    let taps: BTreeMap<u32, &Port> = ports.iter().map(|port| (port.index, port)).collect();
    let behind = stations.iter().rev().filter_map(|station| Some((station.mac, *taps.get(&station.port)?)));
    let behind: BTreeMap<Mac, &Port> = behind.collect();
    for lease in leases.iter().filter(is_nameless) {
        let port = lease.mac.and_then(|mac| behind.get(&mac));
        let name = port.and_then(|port| label(port.tap.as_str()));
        lines.extend(name.map(|name| format!("{} {name}.tap.{domain} {name}\n", lease.address)));
    }
    lines.sort_unstable();
    lines.dedup();
    lines.concat()
}

fn has_name(one: &GuestIdentity, lease: &Lease) -> bool {
    one.name.is_some() && lease.mac.is_some_and(|mac| one.macs.contains(&mac))
}

/// The leases of addresses that are kept for another guest, which would not get them as long as these last.
pub fn in_the_way(leases: &[Lease], known: &[GuestIdentity]) -> Vec<Lease> {
    leases.iter().filter(|lease| is_in_the_way(lease, known)).cloned().collect()
}

fn is_in_the_way(lease: &Lease, known: &[GuestIdentity]) -> bool {
    let is_kept =
        |mac: &Mac| known.iter().any(|one| one.addresses.contains(&lease.address) && !one.macs.contains(mac));
    lease.mac.as_ref().is_some_and(is_kept)
}

/// A file of leases without addresses that are kept for another guest, and without names that are: a client that had them before
/// that guest came would keep them.
pub fn without_taken(text: &str, taken: &[&str], known: &[GuestIdentity]) -> String {
    let clean = |text: &str| {
        let is_anothers = |lease: &Lease| {
            let is_taken = |name: &String| taken.iter().any(|one| one.eq_ignore_ascii_case(name));
            let owns = |one: &GuestIdentity| {
                let has_mac = lease.mac.is_some_and(|mac| one.macs.contains(&mac));
                one.name == lease.name && (has_mac || one.addresses.contains(&lease.address))
            };
            lease.name.as_ref().is_some_and(is_taken) && !known.iter().any(owns)
        };
        let mut fields: Vec<&str> = text.split(' ').collect();
        if let (Some(name), true) =
            (fields.get_mut(3), lease::line(text).is_some_and(|lease| is_anothers(&lease)))
        {
            *name = "*";
        }
        fields.join(" ") + "\n"
    };
    let stays = |text: &&str| !lease::line(text).is_some_and(|lease| is_in_the_way(&lease, known));
    text.split_terminator('\n').filter(stays).map(clean).collect()
}
