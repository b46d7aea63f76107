//! Source NAT, masquerade where no address is named, and nothing that leaves without it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Ground;
use super::bridge_frames::within;
use super::forward::{ways, ways_out};
use super::port_forward;
use crate::model::Network;
use crate::model::link::GROUP;
use crate::model::ruleset::{Chain, Hook, Match, Rule, Verdict};

pub(super) const OUT: &str = "out";
pub(super) const TRANSLATE: &str = "translate";
pub(super) const POSTROUTING: &str = "postrouting";
pub(super) const LEAVING: &str = "leaving";

/// Out from the network's own addresses only, so that nothing leaves without NAT; in only as an answer, by the way that
/// the question went.
pub(super) fn forwarded(network: &Network, ground: &Ground) -> Vec<Rule> {
    let host_if = network.host_if();
    let mut rules =
        vec![within(network), Rule::new([Match::Iif(*host_if), Match::OifGroup(GROUP)], Verdict::Drop)];
    rules.extend(multicast(network));
    for way_out in ways_out(network, ground) {
        rules.push(Rule::new([vec![Match::Iif(*host_if)], way_out].concat(), Verdict::Jump(OUT)));
    }
    rules.push(Rule::new([Match::Iif(*host_if)], Verdict::Drop));
    let backs = match ways(network, ground) {
        Some(ways) => ways.iter().map(|way| vec![way.back()]).collect(),
        None if ground.knows_sources => vec![vec![Match::IifGroupNot(GROUP), Match::ReversePath]],
        None => vec![vec![Match::IifGroupNot(GROUP)]],
    };
    for back in backs {
        let answer = vec![Match::Established, Match::Translated];
        rules.push(Rule::new([vec![Match::Oif(*host_if)], back, answer].concat(), Verdict::Accept));
    }
    if ground.leads_to_guests {
        rules.extend(port_forward::let_in(network, ground));
    }
    rules.push(Rule::new([Match::Oif(*host_if)], Verdict::Drop));
    rules
}

/// What a multicast router on the host sends on passes postrouting without the interface that it came in by (`ip_mc_output`):
/// nothing there would translate it, or stop it for not being translated.
fn multicast(network: &Network) -> Vec<Rule> {
    let all =
        [IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0))];
    let nets = all.into_iter().zip([4, 8]).filter_map(|(first, length)| IpNet::new(first, length).ok());
    let has = |net: &IpNet| subnets(network).any(|subnet| subnet.addr().is_ipv4() == net.addr().is_ipv4());
    let drop = |net| Rule::new([Match::Iif(*network.host_if()), Match::Destination(net)], Verdict::Drop);
    nets.filter(has).map(drop).collect()
}

/// Never for what br_netfilter shows: a frame that passes from port to port has no interface that it came in by here.
pub(super) fn source_nat(network: &Network, ground: &Ground) -> Chain {
    let mut rules = Vec::new();
    for mut way_out in ways_out(network, ground) {
        if way_out.is_empty() {
            way_out.push(Match::OifNot(*network.host_if()));
        }
        let matches = [vec![Match::Iif(*network.host_if())], way_out].concat();
        rules.push(Rule::new(matches, Verdict::Jump(TRANSLATE)));
    }
    Chain { name: POSTROUTING, hook: Hook::Postrouting, drops: false, rules }
}

/// What becomes of packets on a way out, by their source: chains of their own, so that there is a rule for each way and
/// one for each subnet, and not one for each pair.
pub(super) fn by_source(network: &Network) -> [Chain; 2] {
    let chain = |name, verdict: &dyn Fn(IpNet) -> Verdict| {
        let rules =
            subnets(network).map(|subnet| Rule::new([Match::Source(subnet)], verdict(subnet))).collect();
        Chain { name, hook: Hook::Nowhere, drops: false, rules }
    };
    let translate = |subnet: IpNet| {
        let is_family = |source: &IpAddr| source.is_ipv4() == subnet.addr().is_ipv4();
        network.nat_source.filter(is_family).map_or(Verdict::Masquerade, Verdict::Snat)
    };
    [chain(OUT, &|_| Verdict::Accept), chain(TRANSLATE, &translate)]
}

/// What was not translated, for whatever reason, does not leave: a packet of no connection, of one that began before NAT
/// did, or that somebody's rules do not track.
pub(super) fn leaving(network: &Network) -> Chain {
    let host_if = *network.host_if();
    let drop = |subnet| {
        Rule::new([Match::Iif(host_if), Match::OifNot(host_if), Match::Source(subnet)], Verdict::Drop)
    };
    Chain { name: LEAVING, hook: Hook::Leaving, drops: false, rules: subnets(network).map(drop).collect() }
}

fn subnets(network: &Network) -> impl Iterator<Item = IpNet> + '_ {
    network.addresses.iter().map(IpNet::trunc)
}
