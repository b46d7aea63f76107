//! `nat_source`: the address that the outside sees.

use std::net::IpAddr;

use super::address::unicast;
use super::{ConfigError, Draft, Key, Mode, PLAIN, Problem, Value};

pub(crate) static KEY: Key = Key {
    word: "nat_source",
    #[cfg(test)]
    meaning: "nat: SNAT to this address instead of masquerade",
    is_used: |mode| mode == Mode::Nat,
    set: |network, entry| entry.one(parse).map(|address| network.nat_source = Some(address)),
    get: |network| network.nat_source.map(Value::text),
    digest: |network| Some(format!("{:?}", network.nat_source)),
    check: |draft, _| Vec::from_iter(of_another_family(draft)),
    ..PLAIN
};

/// `192.168.1.230`
fn parse(text: &str) -> Result<IpAddr, Problem> {
    let Ok(address) = text.parse::<IpAddr>() else {
        let problem = Problem::new(format!("{text:?} is not an address"));
        let before_slash = text.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
        return Err(match before_slash {
            Some(address) => problem.hint(format!("an address without a prefix: \"{address}\"")),
            None => problem.hint("one of the uplink's addresses, like \"192.168.1.230\""),
        });
    };
    unicast(address)?;
    Ok(address)
}

fn of_another_family(draft: &Draft<'_>) -> Option<ConfigError> {
    let addresses = &draft.network.addresses;
    let source = draft.network.nat_source.filter(|_| !addresses.is_empty())?;
    let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
    let has_family = addresses.iter().any(|net| net.addr().is_ipv4() == source.is_ipv4());
    let problem = Problem::new(format!("{source} is {family}, and no address of this network is"));
    draft.entry(&KEY).filter(|_| !has_family).map(|entry| entry.error(problem))
}
