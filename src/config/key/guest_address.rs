//! `guest_address`: the addresses that the guest shall have.

use std::net::IpAddr;

use super::address::plain;
use super::{ConfigError, Form, Key, Network, PLAIN, Problem, Section, Value};

pub(crate) static KEY: Key = Key {
    word: "guest_address",
    #[cfg(test)]
    meaning: "the address that this guest gets, or one of each family; with `filter`, all that it can use",
    is_of_guest: true,
    form: Form::List,
    set: |network, entry| entry.list(parse).map(|addresses| network.guest_addresses = addresses),
    get: |network| (!network.guest_addresses.is_empty()).then(|| Value::list(&network.guest_addresses)),
    check: |section, _| outside(section).into_iter().chain(second(section)).collect(),
    ..PLAIN
};

fn parse(text: &str) -> Result<IpAddr, Problem> {
    plain(text, "an address of the network, like \"10.0.100.7\"")
}

/// Whether the host gives out addresses, and it is known from where.
fn has_subnets(network: &Network) -> bool {
    network.mode.has_host_address() && !network.auto_address
}

/// It is in a subnet of the network, and not the host's own.
fn outside(section: &Section) -> Vec<ConfigError> {
    let network = &section.network;
    let Some(entry) = section.used(&KEY).filter(|_| has_subnets(network)) else { return Vec::new() };
    let errors = network.guest_addresses.iter().zip(entry.items()).filter_map(|(address, item)| {
        let subnet = network.addresses.iter().find(|net| net.contains(address));
        let problem = match subnet {
            None => Problem::new(format!("{address} is in no subnet of this network")),
            Some(net) if net.addr() == *address => Problem::new(format!("{address} is the host's own")),
            Some(net) if net.network() == *address => {
                Problem::new(format!("{address} is the address of the subnet itself"))
            }
            Some(net) if address.is_ipv4() && net.broadcast() == *address => {
                Problem::new(format!("{address} is the broadcast address of the subnet"))
            }
            Some(_) => return None,
        };
        Some(item.error(problem))
    });
    errors.collect()
}

/// A guest is told one address of each family, and ports of the host lead to that; one with a filter may use others, too.
fn second(section: &Section) -> Vec<ConfigError> {
    let addresses = &section.network.guest_addresses;
    let Some(entry) = section.used(&KEY).filter(|_| !section.network.filter) else { return Vec::new() };
    let errors = addresses.iter().zip(entry.items()).enumerate().filter_map(|(at, (address, item))| {
        let is_second = addresses.iter().take(at).any(|one| one.is_ipv4() == address.is_ipv4());
        let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        let problem = Problem::new(format!("{address} is a second {family} address"));
        is_second.then(|| {
            item.error(problem.hint("a guest gets one of each family; with `filter` it may have more"))
        })
    });
    errors.collect()
}
