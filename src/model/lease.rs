//! The leases of a network, as dnsmasq writes them; they outlive it.

use std::net::IpAddr;

use super::{IfName, Mac};

/// The folder of all networks' leases.
pub const FOLDER: &str = "/var/lib/kvmnet";

/// The file of the network on a bridge.
pub fn path(bridge: &IfName) -> String {
    format!("{FOLDER}/{bridge}.leases")
}

/// An address that a client has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// When it ends, in seconds since 1970; 0 is never.
    pub until: u64,
    /// None where it was given by DHCPv6.
    pub mac: Option<Mac>,
    pub address: IpAddr,
    pub name: Option<String>,
}

/// Reads the file: `EXPIRY MAC ADDRESS NAME CLIENT-ID`, and behind a line `duid …` those of DHCPv6, with a number instead
/// of the MAC. Lines that are none of these are left out.
pub fn parse(text: &str) -> Vec<Lease> {
    text.split_terminator('\n').filter_map(line).collect()
}

/// Reads a line.
pub fn line(line: &str) -> Option<Lease> {
    let [until, mac, address, name, ..] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    let address: IpAddr = address.parse().ok()?;
    let name = Some(name.to_owned()).filter(|name| name != "*");
    Some(Lease { until: until.parse().ok()?, mac: mac.parse().ok(), address, name })
}
