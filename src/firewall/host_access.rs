//! How much of the host itself guests reach, where it is not everything: at any of its addresses, by any protocol.

use crate::model::port::{DHCP4, DHCP6, DNS};
use crate::model::ruleset::{Chain, Hook, IcmpType, Match, Rule, Verdict};
use crate::model::{HostAccess, Network, Protocol};

/// What a guest that speaks as itself goes through instead of being let in.
const SERVICES: &str = "services";
const OUTPUT: &str = "output";

/// Without these nobody finds the gateway: a bridge that a guest asks for listeners forgets who does not answer.
const TO_BE_FOUND: [IcmpType; 3] = [IcmpType::Solicitation, IcmpType::Advertisement, IcmpType::ListenerQuery];

pub(super) fn is_limited(network: &Network) -> bool {
    network.host != HostAccess::All && network.mode.forwards()
}

/// What becomes of a packet for the host whose source is the guest's own.
pub(super) fn verdict(network: &Network) -> Verdict {
    if is_limited(network) { Verdict::Jump(SERVICES) } else { Verdict::Accept }
}

pub(super) fn names(network: &Network) -> &'static [&'static str] {
    if is_limited(network) { &[SERVICES, OUTPUT] } else { &[] }
}

pub(super) fn chains(network: &Network) -> Vec<Chain> {
    if !is_limited(network) {
        return Vec::new();
    }
    // What a guest has open with the host from before is no answer, though the host may be the next one to speak: with an entry
    // that is gone, or where nothing was tracked until now, that would count as opening it.
    let unopened = [Match::Oif(*network.host_if()), Match::New, Match::TcpNotSyn];
    vec![
        Chain { name: SERVICES, hook: Hook::Nowhere, drops: false, rules: services(network.host) },
        Chain {
            name: OUTPUT,
            hook: Hook::Output,
            drops: false,
            rules: vec![Rule::new(unopened, Verdict::Drop)],
        },
    ]
}

/// Answers to what the host has opened, errors about it, and what is asked for by its kind; the rest is dropped.
fn services(access: HostAccess) -> Vec<Rule> {
    let mut accepted = vec![vec![Match::Reply]];
    accepted.extend(TO_BE_FOUND.map(|kind| vec![Match::IcmpType(kind)]));
    if access == HostAccess::Services {
        let asked = [IcmpType::RouterSolicitation, IcmpType::Echo6, IcmpType::Echo];
        accepted.extend(asked.map(|kind| vec![Match::IcmpType(kind)]));
        accepted.extend([
            vec![Match::Port(Protocol::Udp, DNS)],
            vec![Match::Port(Protocol::Tcp, DNS)],
            vec![Match::Ipv4, Match::Port(Protocol::Udp, DHCP4)],
            vec![Match::Ipv6, Match::Port(Protocol::Udp, DHCP6)],
        ]);
    }
    let rules = accepted.into_iter().map(|matches| Rule::new(matches, Verdict::Accept));
    rules.chain([Rule::new([], Verdict::Drop)]).collect()
}
