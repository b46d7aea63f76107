//! A subnet that nothing else uses.
//!
//! In: routes and addresses. Out: the host's address in a free subnet. Never: asks the kernel.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::DEFAULT_NETWORK;
use crate::feature::collides;
use crate::model::IfName;
use crate::model::facts::Way;
use crate::model::route::LOCAL;
use crate::observed::Instance;
use crate::reader::HostSnapshot;

/// The host's number in its subnet, as in the built-in address.
const HOST: u8 = 3;

/// The built-in address.
pub(super) const PREFERRED: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 100, HOST), 24);

/// The host's address in the first free one of the private subnets (RFC 1918) that are tried.
pub(super) fn free(host: &HostSnapshot) -> Option<Ipv4Net> {
    candidates().find(|net| taken(*net, host).is_none())
}

/// What has the subnet of `net` already.
pub(super) fn taken(net: Ipv4Net, host: &HostSnapshot) -> Option<String> {
    let net = IpNet::V4(net);
    let facts = &host.observed.facts;
    let way = facts.ways.iter().find(|way| is_in(way, &net) && !is_of_default_network(way, host))?;
    let device = way.devices.first().and_then(|device| facts.link_index(*device));
    let device = device.map_or("another interface", |link| link.name.as_str());
    let to = way.destination?;
    Some(match way.kind {
        LOCAL => format!("{} is an address of {device}", to.addr()),
        _ => format!("there is a route {to} over {device}"),
    })
}

/// /24 subnets: from 10.0.100 on upwards, then one in each 10.X, then from the upper ends of the other two private
/// ranges, whose lower ends are what routers, Docker and libvirt take first.
fn candidates() -> impl Iterator<Item = Ipv4Net> {
    let tens = (100..=255).map(|third| (10, 0, third)).chain((1..=255).map(|second| (10, second, 100)));
    let others = (16..=31).rev().map(|second| (172, second, 100));
    let others = others.chain((0..=255).rev().map(|third| (192, 168, third)));
    let nets = tens.chain(others).map(|(a, b, c)| Ipv4Net::new(Ipv4Addr::new(a, b, c, HOST), 24));
    nets.filter_map(Result::ok)
}

fn is_in(way: &Way, net: &IpNet) -> bool {
    way.destination.is_some_and(|to| match way.kind {
        LOCAL => net.contains(&to.addr()),
        _ => collides(&to, net, way),
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
pub(super) fn unique_local(random: [u8; 5]) -> Ipv6Net {
    let [a, b, c, d, e] = random.map(u16::from);
    let address = Ipv6Addr::new(0xfd00 | a, b << 8 | c, d << 8 | e, 0x100, 0, 0, 0, u16::from(HOST));
    Ipv6Net::new_assert(address, 64)
}
