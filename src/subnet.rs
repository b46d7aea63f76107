//! Subnets for networks that leave theirs open: `address = "auto"`, and `kvmnet config init`.
//!
//! In: the networks of a configuration, routes. Out: the host's address in each subnet, best first. Never: asks the kernel.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::DEFAULT_NETWORK;
use crate::model::facts::Way;
use crate::model::route::{LOCAL, MAIN, THROW, UNICAST};
use crate::model::{Network, fnv1a};

/// The host's number in its subnet.
const HOST: u8 = 3;

/// Where all IPv4 candidates are: private (RFC 1918), and at last the block for measurements (RFC 2544), to which nothing on the
/// Internet has a route.
pub const POOL: [Ipv4Net; 4] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
];

/// Where all IPv6 candidates are (RFC 4193).
pub const POOL6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);

/// A 40-bit global ID of local IPv6 addresses (RFC 4193, section 3.2).
pub type GlobalId = [u8; 5];

/// That of a machine without a machine ID.
const NO_MACHINE: GlobalId = *b"kvmne";

/// One of the subnets, of both families: the host's address in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub v4: Ipv4Net,
    /// Its number among all.
    number: u16,
}

impl Candidate {
    /// The first has the subnet ID 0x100, as it has 10.0.100 in IPv4.
    pub fn v6(&self, id: GlobalId) -> Ipv6Net {
        let [a, b, c, d, e] = id.map(u16::from);
        let (subnet, host) = (0x100 + self.number, u16::from(HOST));
        Ipv6Net::new_assert(Ipv6Addr::new(0xfd00 | a, b << 8 | c, d << 8 | e, subnet, 0, 0, 0, host), 64)
    }
}

/// /24 subnets: from 10.0.100 on upwards, then one in each 10.X, then from the upper ends of the other two private
/// ranges, whose lower ends are what routers, Docker and libvirt take first.
pub fn candidates() -> impl Iterator<Item = Candidate> {
    let tens =
        (SEARCHED_FROM..=255).map(|third| (10, 0, third)).chain((1..=255).map(|second| (10, second, 100)));
    let others = (16..=31).rev().map(|second| (172, second, 100));
    let others = others.chain((0..=255).rev().map(|third| (192, 168, third)));
    let all = tens.chain(others).chain((200..=255).map(|third| (198, 19, third)));
    let nets = all.map(|(a, b, c)| Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, HOST), 24));
    (0..).zip(nets).map(|(number, v4)| Candidate { v4, number })
}

const SEARCHED_FROM: u8 = 100;

/// All candidates in the order in which the network `name` tries them: `default` from the first on, others from a place in
/// 10.0 that the name gives, and round.
pub fn of_network(name: &str) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = candidates().collect();
    let others = u64::from(u8::MAX - SEARCHED_FROM);
    let first = if name == DEFAULT_NETWORK { 0 } else { 1 + (fnv1a(name.as_bytes()) >> 32) % others };
    all.rotate_left(first as usize);
    all
}

/// Tells each network that chooses what is left to the others, whether they are up or not: what they have in the
/// configuration, and where the search of those begins that choose themselves. So it does not matter who comes first.
pub fn share_out(networks: &mut [Network]) {
    if !networks.iter().any(|network| network.auto_address) {
        return;
    }
    let mut taken: Vec<(usize, IpNet)> = Vec::new();
    for (of, network) in networks.iter().enumerate() {
        taken.extend(network.addresses.iter().map(|net| (of, *net)));
    }
    for (of, network) in networks.iter().enumerate().filter(|(_, network)| network.auto_address) {
        let is_free = |net: &IpNet| !taken.iter().any(|(_, other)| overlap(net, other));
        let first = of_network(&network.name).into_iter().map(|one| IpNet::V4(one.v4)).find(is_free);
        taken.extend(first.map(|net| (of, net)));
    }
    for (at, network) in networks.iter_mut().enumerate().filter(|(_, network)| network.auto_address) {
        network.left_to_others = taken.iter().filter(|(of, _)| *of != at).map(|(_, net)| *net).collect();
    }
}

/// Where a network's subnets are, or could be.
pub fn concerning(network: &Network) -> Vec<IpNet> {
    match network.auto_address {
        true => POOL.map(IpNet::V4).into_iter().chain([POOL6.into()]).collect(),
        false => network.addresses.clone(),
    }
}

/// Whether two subnets have an address in common.
pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.addr()) || other.contains(&one.addr())
}

/// Whether a route leads where a subnet is, or nowhere from all of it. What covers half the world is a default route in all
/// but name.
pub fn collides(route: &IpNet, subnet: &IpNet, way: &Way) -> bool {
    let as_default = if route.addr().is_ipv4() { 1 } else { 3 };
    match way.kind {
        UNICAST => route.prefix_len() > as_default && overlap(route, subnet),
        _ => is_dead_end(way) && *route == subnet.trunc() && way.metric <= own_metric(route),
    }
}

/// Whether a route, or an address of the host's own, is in the way of a subnet that could be another.
pub fn is_in_the_way(way: &Way, net: &IpNet) -> bool {
    way.destination.is_some_and(|to| match way.kind {
        LOCAL => net.contains(&to.addr()),
        _ => collides(&to, net, way) || is_dead_end(way) && is_part(&to, net),
    })
}

/// Whether what is for there ends. One that throws has the next table asked, and behind the main one there is none. A wider one is
/// there on purpose: it keeps from the outside what is for nobody.
fn is_dead_end(way: &Way) -> bool {
    way.is_dead_end() && (way.kind != THROW || way.table == MAIN)
}

fn is_part(route: &IpNet, subnet: &IpNet) -> bool {
    subnet.contains(route) && route.prefix_len() > subnet.prefix_len()
}

/// The metric of the kernel's own route to a subnet of the host's.
fn own_metric(subnet: &IpNet) -> u32 {
    if subnet.addr().is_ipv4() { 0 } else { 256 }
}

/// The global ID of the machine with this machine ID: the same from boot to boot. 40 bits of a hash do not tell the
/// 128 that are not to be told (machine-id(5)).
pub fn global_id(machine: Option<&str>) -> GlobalId {
    let Some(machine) = machine else { return NO_MACHINE };
    let [a, b, c, d, e, ..] = fnv1a(format!("kvmnet {machine}").as_bytes()).to_be_bytes();
    [a, b, c, d, e]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::File;

    fn firsts(file: &str) -> Vec<(String, IpNet)> {
        let networks = File::parse("/f", file).unwrap().networks().unwrap();
        let networks = networks.iter().filter(|network| network.auto_address);
        let first = |network: &Network| {
            let is_free = |net: &IpNet| !network.left_to_others.iter().any(|other| overlap(net, other));
            of_network(&network.name).into_iter().map(|one| one.v4.into()).find(is_free).unwrap()
        };
        networks.map(|network| (network.name.clone(), first(network))).collect()
    }

    #[test]
    fn the_first_is_the_old_default() {
        let first = candidates().next().unwrap();
        assert_eq!(first.v4.to_string(), "10.0.100.3/24");
        assert_eq!(first.v6([1, 2, 3, 4, 5]).to_string(), "fd01:203:405:100::3/64");
        assert_eq!(of_network("default").first(), Some(&first));
        assert!(candidates().all(|one| POOL.iter().any(|pool| pool.contains(&one.v4))));
    }

    /// Names of networks are spread, and no two of one file begin at the same place, however many they are.
    #[test]
    fn networks_of_one_file_prefer_different_subnets() {
        let table = |name: usize| format!("[network.n{name}]\nbridge = \"br{name}\"\naddress = \"auto\"\n");
        let file: String = (1..200).map(table).collect();
        let firsts = firsts(&file);
        for (at, (name, net)) in firsts.iter().enumerate() {
            let same = firsts.iter().take(at).find(|(_, other)| overlap(net, other));
            assert_eq!(same, None, "{name}");
        }
        assert_eq!(firsts.first().unwrap().1.to_string(), "10.0.100.3/24");
    }

    /// What a network of the file has is not chosen by another, whichever comes first in the file or is up.
    #[test]
    fn what_the_file_says_is_left_to_those_who_say_it() {
        let firsts = firsts("[network.lab]\nbridge = \"br-lab\"\naddress = \"10.0.0.3/17\"\n");
        assert_eq!(firsts, [("default".to_owned(), "10.0.128.3/24".parse().unwrap())]);
    }

    /// What leads nowhere takes the guests' answers, unless the route to their subnet comes before it.
    #[test]
    fn dead_ends() {
        let way = |to: &str, kind, table, metric| {
            let destination: Option<IpNet> = Some(to.parse().unwrap());
            Way {
                destination,
                v6: false,
                table,
                kind,
                metric,
                protocol: 4,
                devices: Vec::new(),
                nexthop: None,
            }
        };
        let rows = [
            ("10.0.100.0/24", 6, MAIN, 0, (true, true)),
            ("10.0.100.0/24", 7, 52, 0, (true, true)),
            ("10.0.100.128/25", 8, MAIN, 9, (false, true)),
            ("10.0.100.0/24", THROW, MAIN, 0, (true, true)),
            ("10.0.100.0/24", THROW, 52, 0, (false, false)),
            ("10.0.100.0/24", 6, MAIN, 9, (false, false)),
            ("10.0.0.0/8", 6, MAIN, 0, (false, false)),
            ("10.0.101.0/24", 6, MAIN, 0, (false, false)),
        ];
        let net: IpNet = "10.0.100.3/24".parse().unwrap();
        for (to, kind, table, metric, expected) in rows {
            let way = way(to, kind, table, metric);
            let found = (collides(&way.destination.unwrap(), &net, &way), is_in_the_way(&way, &net));
            assert_eq!(found, expected, "{to} {kind} {table} {metric}");
        }
        let (net, to) = ("fd01::3/64".parse().unwrap(), "fd01::/64".parse().unwrap());
        assert!(collides(&to, &net, &way("fd01::/64", 7, MAIN, 256)));
        assert!(!collides(&to, &net, &way("fd01::/64", 7, MAIN, 1024)), "ip-route(8) sets this one");
    }

    #[test]
    fn a_global_id_tells_nothing_else() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(global_id(Some(id)), global_id(Some(id)));
        assert_ne!(global_id(Some(id)), global_id(Some("0123456789abcdef0123456789abcdee")));
        assert_eq!(candidates().next().unwrap().v6(global_id(None)).to_string(), "fd6b:766d:6e65:100::3/64");
    }
}
