//! `host`: how much of the host itself guests reach.

use super::{ConfigError, Key, Mode, PLAIN, Problem, Section, Value, dhcp};
use crate::model::HostAccess;

pub(crate) static KEY: Key = Key {
    word: "host",
    #[cfg(test)]
    meaning: "routed, nat: what guests reach of the host itself, at any of its addresses: \"all\", \"services\" (DHCP, DNS and ping) or \"none\"",
    default: Some("all"),
    is_used: Mode::forwards,
    set: |network, entry| entry.one(parse).map(|access| network.host = access),
    get: |network| Some(Value::text(network.host)),
    digest: |network| (network.host != HostAccess::All).then(|| format!("host={}", network.host)),
    check: |section, _| Vec::from_iter(nobody_is_told(section)),
    ..PLAIN
};

fn parse(text: &str) -> Result<HostAccess, Problem> {
    let words = HostAccess::ALL.map(HostAccess::as_str);
    let known = HostAccess::ALL.into_iter().find(|access| access.as_str() == text);
    known.ok_or_else(|| {
        Problem::new(format!("{text:?} is not one of {}", words.join(", "))).did_you_mean(text, words)
    })
}

/// What tells guests their addresses is a service of the host's.
fn nobody_is_told(section: &Section) -> Option<ConfigError> {
    let network = &section.network;
    let contradicts = network.host == HostAccess::None && network.serves_dhcp();
    let problem = Problem::new("with host = \"none\" nobody could ask for an address: `dhcp` is true");
    let hint =
        "host = \"services\" lets guests reach DHCP, DNS and ping, and nothing else; or leave `dhcp` out";
    section.used(&dhcp::KEY).filter(|_| contradicts).map(|entry| entry.error(problem.hint(hint)))
}
