//! A subnet for a network that is not there yet.
//!
//! In: routes and addresses. Out: the host's address in a free subnet. Never: asks the kernel.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::DEFAULT_NETWORK;
use crate::model::IfName;
use crate::model::facts::Way;
use crate::model::route::{LOCAL, kind_name};
use crate::observed::Instance;
use crate::reader::HostSnapshot;
use crate::subnet::{Candidate, GlobalId, candidates, is_in_the_way};

/// The one that is tried first.
pub(super) fn preferred() -> Option<Candidate> {
    candidates().next()
}

/// The host's address in the first free one.
pub(super) fn free(host: &HostSnapshot) -> Option<Ipv4Net> {
    candidates().map(|one| one.v4).find(|net| taken(*net, host).is_none())
}

/// What has the subnet of `net` already.
pub(super) fn taken(net: Ipv4Net, host: &HostSnapshot) -> Option<String> {
    let net = IpNet::V4(net);
    let facts = &host.observed.facts;
    let is_taken = |way: &&Way| is_in_the_way(way, &net) && !is_of_default_network(way, host);
    let way = facts.ways.iter().find(is_taken)?;
    let device = way.devices.first().and_then(|device| facts.link_index(*device));
    let device = device.map_or("another interface", |link| link.name.as_str());
    let to = way.destination?;
    Some(match way.kind {
        LOCAL => format!("{} is an address of {device}", to.addr()),
        kind => match kind_name(kind) {
            Some(word) => format!("there is a route {word} {to}"),
            None => format!("there is a route {to} over {device}"),
        },
    })
}

/// Whether a route is there because the network that the file is for is up already.
fn is_of_default_network(way: &Way, host: &HostSnapshot) -> bool {
    let facts = &host.observed.facts;
    let is_over = |name: &IfName| facts.link(name).is_some_and(|link| way.devices.contains(&link.index));
    let is_its = |instance: &Instance| {
        let Some(ledger) = &instance.ledger else { return false };
        let is_given = |to: &IpNet| ledger.addresses.iter().any(|net| net.contains(to));
        ledger.network == DEFAULT_NETWORK
            && is_over(&ledger.host_if(instance.bridge))
            && way.destination.as_ref().is_some_and(is_given)
    };
    host.observed.networks.iter().any(is_its)
}

/// The host's address in a subnet that nobody else has: of the 2^40 local prefixes (RFC 4193, section 3.1) a random one.
pub(super) fn unique_local(random: GlobalId) -> Option<Ipv6Net> {
    preferred().map(|first| first.v6(random))
}
