//! Who has which name and which address: from the taps' records, from what clients call themselves, or from the tap.
//!
//! In: ports, leases, who is behind which port. Out: the files that dnsmasq reads. Never: does I/O.

use std::net::IpAddr;

use crate::model::facts::FdbEntry;
use crate::model::lease::{self, Lease};
use crate::model::{IfName, Link, Mac};

/// Names that no guest gets: the host's own, and those that programs trust (a web proxy's, RFC 6761).
pub const RESERVED: [&str; 4] = ["host", "localhost", "wpad", "isatap"];

/// The longest label of a name (RFC 1035).
const LONGEST: usize = 63;

/// A guest's tap, and what its record says of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub tap: IfName,
    pub index: u32,
    /// The name of its VM.
    pub vm: Option<String>,
    pub macs: Vec<Mac>,
    /// The addresses that are kept for it.
    pub addresses: Vec<IpAddr>,
}

/// A guest that has a name or an address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub name: Option<String>,
    pub macs: Vec<Mac>,
    pub addresses: Vec<IpAddr>,
}

impl Port {
    /// What the alias of a tap says.
    pub fn of(tap: &Link) -> Self {
        let words = tap.alias.split(" was=").next().filter(|text| text.starts_with("kvmnet:tap"));
        let words =
            || words.into_iter().flat_map(str::split_whitespace).filter_map(|word| word.split_once('='));
        let values =
            |wanted: &'static str| words().filter(move |(word, _)| *word == wanted).map(|(_, value)| value);
        Self {
            tap: tap.name,
            index: tap.index,
            vm: values("vm").next().and_then(label),
            macs: values("nic").filter_map(|value| value.parse().ok()).collect(),
            addresses: values("at").filter_map(|value| value.parse().ok()).collect(),
        }
    }
}

/// A text as a label of a name, if anything of it can be in one.
pub fn label(text: &str) -> Option<String> {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let label: String = text.chars().map(safe).collect();
    let label: String = label.trim_matches('-').chars().take(LONGEST).collect();
    Some(label.trim_end_matches('-').to_owned()).filter(|label| !label.is_empty())
}

/// The guests that have something of their own. Of two VMs with one name, the first that came has it.
pub fn known(ports: &[Port]) -> Vec<Known> {
    let mut in_order: Vec<&Port> = ports.iter().collect();
    in_order.sort_by_key(|port| port.index);
    let mut known: Vec<Known> = Vec::new();
    for port in in_order {
        let is_free = |name: &&String| {
            let is_taken = |one: &Known| one.name.as_ref() == Some(*name) && one.macs != port.macs;
            !RESERVED.contains(&name.as_str()) && !known.iter().any(is_taken)
        };
        let name = port.vm.as_ref().filter(is_free).cloned();
        if !port.macs.is_empty() && (name.is_some() || !port.addresses.is_empty()) {
            known.push(Known { name, macs: port.macs.clone(), addresses: port.addresses.clone() });
        }
    }
    known
}

/// The names that a client may not call itself, as they are others'.
pub fn taken(known: &[Known]) -> Vec<&str> {
    let mut taken: Vec<&str> = known.iter().filter_map(|one| one.name.as_deref()).chain(RESERVED).collect();
    taken.sort_unstable();
    taken.dedup();
    taken
}

/// dnsmasq's `dhcp-hostsfile`.
pub fn reservations(known: &[Known]) -> String {
    known.iter().flat_map(reservations_of).collect()
}

fn reservations_of(one: &Known) -> Vec<String> {
    let address = |address: &IpAddr| match address {
        IpAddr::V4(v4) => format!(",{v4}"),
        IpAddr::V6(v6) => format!(",[{v6}]"),
    };
    let rest: String =
        one.addresses.iter().map(address).chain(one.name.iter().map(|name| format!(",{name}"))).collect();
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
    known: &[Known],
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
    for lease in leases.iter().filter(is_nameless) {
        let station = stations.iter().find(|station| {
            Some(station.mac) == lease.mac && ports.iter().any(|port| port.index == station.port)
        });
        let port = station.and_then(|station| ports.iter().find(|port| port.index == station.port));
        let name = port.and_then(|port| label(port.tap.as_str()));
        lines.extend(name.map(|name| format!("{} {name}.tap.{domain} {name}\n", lease.address)));
    }
    lines.sort_unstable();
    lines.dedup();
    lines.concat()
}

fn has_name(one: &Known, lease: &Lease) -> bool {
    one.name.is_some() && lease.mac.is_some_and(|mac| one.macs.contains(&mac))
}

/// A file of leases without names that are another guest's: a client that called itself so before that guest came would keep
/// it.
pub fn without_taken(text: &str, taken: &[&str], known: &[Known]) -> String {
    let clean = |text: &str| {
        let is_anothers = |lease: &Lease| {
            let is_taken = |name: &String| taken.iter().any(|one| one.eq_ignore_ascii_case(name));
            let owns = |one: &Known| {
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
    text.lines().map(clean).collect()
}
