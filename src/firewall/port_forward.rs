//! Ports of the host that lead to guests: destination NAT by maps, so that the rules are as many for two hundred guests as
//! for one.
//!
//! Packets of the host to its own loopback address get another source before their connection is tracked, and the answers their
//! destination back behind all NAT. So no packet with a loopback address is ever on a wire, and `route_localnet`, which would
//! let neighbours speak to what listens on 127.0.0.1 as soon as the rules are gone, stays off; IPv6 has no such switch anyway.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Ground;
use super::forward::ways;
use crate::model::link::GROUP;
use crate::model::ruleset::{Chain, Element, Field, Hook, Kind, Match, Rule, Set, Type, Value, Verdict};
use crate::model::{IfName, Network, Owner, PortMapping, loopback};

const TO_GUESTS: &str = "to_guests";
/// Source NAT between guests, which is no way out.
pub const HAIRPIN: &str = "hairpin";
pub(super) const CHAINS: [&str; 6] = [TO_GUESTS, "arriving", "sending", "sent", "received", HAIRPIN];

/// The sets of one family.
pub struct Sets {
    /// Ports of every address of the host.
    pub any: Kind,
    /// Ports of one address.
    pub at: Kind,
    /// What guests are reached by.
    target: Kind,
    /// The source of packets of the host to its loopback address.
    loopback: Kind,
}

pub static V4: Sets = Sets {
    any: Kind { name: "forward4", key: &[Type::Protocol, Type::Port], data: &[Type::Ipv4, Type::Port] },
    at: Kind {
        name: "forward4_at",
        key: &[Type::Protocol, Type::Ipv4, Type::Port],
        data: &[Type::Ipv4, Type::Port],
    },
    target: Kind { name: "target4", key: &[Type::Protocol, Type::Ipv4, Type::Port], data: &[] },
    loopback: Kind { name: "loopback4", key: &[Type::Protocol, Type::Port], data: &[Type::Ipv4] },
};

pub static V6: Sets = Sets {
    any: Kind { name: "forward6", key: &[Type::Protocol, Type::Port], data: &[Type::Ipv6, Type::Port] },
    at: Kind {
        name: "forward6_at",
        key: &[Type::Protocol, Type::Ipv6, Type::Port],
        data: &[Type::Ipv6, Type::Port],
    },
    target: Kind { name: "target6", key: &[Type::Protocol, Type::Ipv6, Type::Port], data: &[] },
    loopback: Kind { name: "loopback6", key: &[Type::Protocol, Type::Port], data: &[Type::Ipv6] },
};

/// All sets.
pub static LED_SETS: [&Kind; 8] =
    [&V4.any, &V4.at, &V4.target, &V4.loopback, &V6.any, &V6.at, &V6.target, &V6.loopback];

/// The map of ports of one address.
pub fn at_map(v6: bool) -> &'static Kind {
    &sets_of(v6).at
}

fn sets_of(v6: bool) -> &'static Sets {
    if v6 { &V6 } else { &V4 }
}

impl PortMapping {
    /// The element that says so, and its map.
    pub fn element(&self) -> (&'static Kind, Element) {
        let sets = sets_of(self.to.is_ipv6());
        let (protocol, port) = (Value::Protocol(self.protocol), Value::Port(self.port));
        let (map, key) = match self.listen {
            None => (&sets.any, vec![protocol, port]),
            Some(listen) => (&sets.at, vec![protocol, Value::Address(listen), port]),
        };
        let data = vec![Value::Address(self.to.ip()), Value::Port(self.to.port())];
        (map, Element { key, data, comment: self.owner.to_string() })
    }

    /// Reads an element of one of the maps.
    pub fn read(element: &Element) -> Option<Self> {
        let (protocol, listen, port) = match element.key[..] {
            [Value::Protocol(protocol), Value::Port(port)] => (protocol, None, port),
            [Value::Protocol(protocol), Value::Address(listen), Value::Port(port)] => {
                (protocol, Some(listen), port)
            }
            _ => return None,
        };
        let [Value::Address(address), Value::Port(to)] = element.data[..] else { return None };
        Some(Self { protocol, listen, port, to: (address, to).into(), owner: Owner::parse(&element.comment) })
    }

    /// What else the rules have to know of it, where the host has these addresses on the network.
    fn further(&self, host: &[IpNet]) -> Vec<(&'static Kind, Element)> {
        let v6 = self.to.is_ipv6();
        let sets = sets_of(v6);
        let (protocol, comment) = (Value::Protocol(self.protocol), self.owner.to_string());
        let key = vec![protocol, Value::Address(self.to.ip()), Value::Port(self.to.port())];
        let mut further = vec![(&sets.target, Element { key, data: Vec::new(), comment: comment.clone() })];
        let source = source(self.to.ip(), host).filter(|_| self.serves_loopback());
        further.extend(source.map(|source| {
            let key = vec![protocol, Value::Port(self.port)];
            (&sets.loopback, Element { key, data: vec![Value::Address(source)], comment })
        }));
        further
    }
}

/// The host's address on the network: always the same one, so that an element that a killed guest left is no obstacle.
fn source(guest: IpAddr, host: &[IpNet]) -> Option<IpAddr> {
    host.iter().map(IpNet::addr).find(|address| address.is_ipv6() == guest.is_ipv6())
}

/// All elements for these ports, by set; each set once, and none without elements.
pub fn elements(mappings: &[PortMapping], host: &[IpNet]) -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    let all = mappings.iter().flat_map(|one| [one.element()].into_iter().chain(one.further(host)));
    for (kind, element) in all {
        let at = sets.iter().position(|set| set.kind == kind).unwrap_or_else(|| {
            sets.push(Set { kind, elements: Vec::new() });
            sets.len() - 1
        });
        if let Some(set) = sets.get_mut(at).filter(|set| !set.has(&element)) {
            set.elements.push(element);
        }
    }
    sets
}

/// The sets of a network, with these elements.
pub(super) fn sets(network: &Network, mappings: &[PortMapping]) -> Vec<Set> {
    let mut filled = elements(mappings, &network.addresses);
    let of_family = families(network).flat_map(|v6| {
        let sets = sets_of(v6);
        [&sets.any, &sets.at, &sets.target, &sets.loopback]
    });
    let mut take = |kind| {
        let at = filled.iter().position(|set| set.kind == kind);
        at.map_or(Set { kind, elements: Vec::new() }, |at| filled.swap_remove(at))
    };
    of_family.map(&mut take).collect()
}

fn families(network: &Network) -> impl Iterator<Item = bool> + '_ {
    let has = |v6: &bool| network.addresses.iter().any(|net| net.addr().is_ipv6() == *v6);
    [false, true].into_iter().filter(has)
}

const ANY: &[Field] = &[Field::Protocol, Field::Port];
const AT4: &[Field] = &[Field::Protocol, Field::Destination { v6: false }, Field::Port];
const AT6: &[Field] = &[Field::Protocol, Field::Destination { v6: true }, Field::Port];

fn at(v6: bool) -> &'static [Field] {
    if v6 { AT6 } else { AT4 }
}

/// All chains but `forward`.
pub(super) fn chains(network: &Network) -> Vec<Chain> {
    let [to_guests, arriving, sending, sent, received, hairpin] = CHAINS;
    let chain = |name, hook, rules| Chain { name, hook, drops: false, rules };
    let host_if = network.host_if();
    vec![
        chain(to_guests, Hook::Nowhere, families(network).flat_map(translated).collect()),
        chain(arriving, Hook::Arriving, families(network).map(from_elsewhere).collect()),
        chain(sending, Hook::Sending, families(network).flat_map(|v6| from_loopback(host_if, v6)).collect()),
        chain(sent, Hook::Sent, vec![Rule::new([Match::ForHost], Verdict::Jump(TO_GUESTS))]),
        chain(received, Hook::Received, families(network).map(|v6| to_loopback(host_if, v6)).collect()),
        chain(
            hairpin,
            Hook::Postrouting,
            network.addresses.iter().map(|net| between(host_if, net)).collect(),
        ),
    ]
}

/// A port of one address goes before the same of all.
fn translated(v6: bool) -> [Rule; 2] {
    let sets = sets_of(v6);
    [
        Rule::new([], Verdict::Dnat(at(v6), &sets.at)),
        Rule::new([if v6 { Match::Ipv6 } else { Match::Ipv4 }], Verdict::Dnat(ANY, &sets.any)),
    ]
}

/// What a neighbour sends to the host's loopback address is none of it: before a route is looked for, nothing has stopped it yet.
fn from_elsewhere(v6: bool) -> Rule {
    let inside = if v6 { net(loopback(true), 128) } else { net(loopback(false), 8) };
    Rule::new([Match::ForHost, Match::DestinationNot(inside)], Verdict::Jump(TO_GUESTS))
}

fn net(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap_or_else(|_| address.into()).trunc()
}

/// From the host by its loopback address. And a guest that reaches another one by the host's address is told of no shorter way:
/// it would go past the translation.
fn from_loopback(host_if: &IfName, v6: bool) -> [Rule; 2] {
    let own: IpNet = loopback(v6).into();
    [
        Rule::new(
            [Match::Source(own), Match::Destination(own)],
            Verdict::SourceBy(ANY, &sets_of(v6).loopback),
        ),
        Rule::new([Match::Oif(*host_if), Match::Redirect { v6 }], Verdict::Drop),
    ]
}

/// The answers: only what is translated back has a loopback address by then, as none comes in with one.
fn to_loopback(host_if: &IfName, v6: bool) -> Rule {
    let own = loopback(v6);
    let matches = [Match::Iif(*host_if), Match::Source(own.into()), Match::Reply, Match::Led];
    Rule::new(matches, Verdict::Destination(own))
}

/// From guest to guest by the host's address: the answer has to come back by the host.
fn between(host_if: &IfName, net: &IpNet) -> Rule {
    Rule::new([Match::Oif(*host_if), Match::Led, Match::Source(net.trunc())], Verdict::Snat(net.addr()))
}

/// What is let in to a nat network: to what ports lead to, and only after that translation; errors on the way of such a
/// connection. From the uplinks, where they are named; else from wherever the source is, but no guest of another network.
pub(super) fn let_in(network: &Network, ground: &Ground) -> Vec<Rule> {
    let host_if = network.host_if();
    let backs: Vec<Vec<Match>> = match ways(network, ground) {
        Some(ways) => ways.iter().map(|way| vec![way.back()]).collect(),
        None => vec![vec![Match::IifGroupNot(GROUP)]],
    };
    let mut rules = Vec::new();
    for mut back in backs {
        back.insert(0, Match::Oif(*host_if));
        back.extend(ground.knows_sources.then_some(Match::ReversePath));
        back.push(Match::Led);
        for v6 in families(network) {
            let to = Match::In(at(v6), &sets_of(v6).target);
            let error = [Match::Related, Match::Icmp { v6 }];
            rules.push(Rule::new([back.clone(), vec![to]].concat(), Verdict::Accept));
            rules.push(Rule::new([back.clone(), error.into()].concat(), Verdict::Accept));
        }
    }
    rules
}
