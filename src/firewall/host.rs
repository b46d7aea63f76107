//! What a guest may say to the host itself: the chain `input`, and what comes before it, as the host answers some packets before
//! any chain for it is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::host_access;
use crate::model::ruleset::{Chain, Hook, Match, Rule, Verdict};
use crate::model::{IfName, Mac, Network};

pub(super) const INPUT: &str = "input";
const OPTIONS: &str = "options";

/// A guest speaks to the host as itself: what the host answers to a source that is elsewhere would go there, with the guest's
/// own words in it (an echo, an error), past all that keeps the guest in.
pub(super) fn chain(network: &Network, knows_sources: bool) -> Chain {
    let host_if = network.host_if();
    let nobody = |source: IpAddr| vec![Match::Iif(*host_if), Match::Source(source.into())];
    // Who has no address yet: in IPv6 it speaks to groups only, and what the host answers to `::` would go by its default route.
    let to_groups = net(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8).map(Match::Destination);
    let v6 = [nobody(Ipv6Addr::UNSPECIFIED.into()), to_groups.into_iter().collect()].concat();
    let itself = || host_access::verdict(network);
    let mut rules = vec![
        Rule::new(nobody(Ipv4Addr::UNSPECIFIED.into()), itself()),
        Rule::new(v6, itself()),
        Rule::new([Match::Iif(*host_if), Match::ReversePath], itself()),
        Rule::new([Match::Iif(*host_if)], Verdict::Drop),
    ];
    if !knows_sources {
        rules = Vec::from_iter(
            host_access::is_limited(network).then(|| Rule::new([Match::Iif(*host_if)], itself())),
        );
    }
    Chain { name: INPUT, hook: Hook::Input, drops: false, rules }
}

/// The same before anything of the host looks at a packet: a bad option, a hop limit that is used up and a fragment without the rest
/// are answered by errors before any chain for the host or beyond it. Frames that only pass inside the bridge are not meant.
pub(super) fn is_itself(host_if: &IfName, mac: Mac) -> Rule {
    Rule::new([Match::Iif(*host_if), Match::ToMac(mac), Match::NoReversePath], Verdict::Drop)
}

/// Nobody else speaks as a guest: the host's answers and errors would go to the guest, with that one's words.
pub(super) fn is_no_guest(network: &Network) -> impl Iterator<Item = Rule> {
    let own = network.addresses.iter().map(IpNet::trunc);
    own.map(|own| Rule::new([Match::Source(own), Match::NoReversePath], Verdict::Drop))
}

/// The options for every hop of IPv6 are answered even before that, so who sends them is told by its address: one of the network, or
/// of the link, as reports of groups have.
pub(super) fn options(network: &Network) -> Chain {
    let link = net(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
    let own = network.addresses.iter().map(IpNet::trunc).filter(|own| own.addr().is_ipv6());
    let known = own.chain(link).chain([IpAddr::V6(Ipv6Addr::UNSPECIFIED).into()]);
    let mut rules: Vec<Rule> =
        known.map(|source| Rule::new([Match::Source(source)], Verdict::Accept)).collect();
    rules.push(Rule::new([Match::HopByHop], Verdict::Drop));
    Chain { name: OPTIONS, hook: Hook::Device(*network.host_if()), drops: false, rules }
}

fn net(first: Ipv6Addr, length: u8) -> Option<IpNet> {
    IpNet::new(first.into(), length).ok()
}
