//! `nat_source`: the address that the outside sees.

use std::net::IpAddr;

use super::address::plain;
use super::{ConfigError, Key, Mode, PLAIN, Problem, Section, Value};

pub(crate) static KEY: Key = Key {
    word: "nat_source",
    #[cfg(test)]
    meaning: "nat: SNAT to this address instead of masquerade",
    is_used: |mode| mode == Mode::Nat,
    set: |network, entry| entry.one(parse).map(|address| network.nat_source = Some(address)),
    get: |network| network.nat_source.map(Value::text),
    digest: |network| Some(format!("{:?}", network.nat_source)),
    check: |section, _| Vec::from_iter(of_another_family(section)),
    ..PLAIN
};

/// `192.168.1.230`
fn parse(text: &str) -> Result<IpAddr, Problem> {
    plain(text, "one of the uplink's addresses, like \"192.168.1.230\"")
}

fn of_another_family(section: &Section) -> Option<ConfigError> {
    let addresses = &section.network.addresses;
    let source = section.network.nat_source.filter(|_| !addresses.is_empty())?;
    let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
    let has_family = addresses.iter().any(|net| net.addr().is_ipv4() == source.is_ipv4());
    let problem = Problem::new(format!("{source} is {family}, and no address of this network is"));
    section.used(&KEY).filter(|_| !has_family).map(|entry| entry.error(problem))
}
