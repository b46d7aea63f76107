//! What guests need of the host itself where another firewall lets nothing in: an answer to a ping, neighbour discovery, and what
//! tells them their addresses and names.

use ipnet::IpNet;

use crate::model::port::{DHCP4, DHCP4_CLIENT, DHCP6, DHCP6_CLIENT, DNS};
use crate::model::ruleset::{IcmpType, Match, Rule, Verdict};
use crate::model::{HostAccess, Network, Protocol};

/// What an input chain that drops everything else has to let in, of one family. What the host then answers is for the network's
/// own table to say.
pub fn service_rules(network: &Network, v6: bool) -> Vec<Rule> {
    let is_family = |net: &IpNet| net.addr().is_ipv6() == v6;
    if !network.addresses.iter().any(is_family) {
        return Vec::new();
    }
    let is_asked = network.host != HostAccess::None || !network.mode.forwards();
    let rule = |service| Rule::new([Match::Iif(*network.host_if()), service], Verdict::Accept);
    let icmp = icmp(v6, is_asked).iter().map(|kind| Match::IcmpType(*kind));
    icmp.chain(ports(network, v6)).map(rule).collect()
}

/// What an output chain that drops everything else has to let out, of one family: what tells guests their addresses is no answer to
/// a connection that the kernel knows, nor is neighbour discovery. All other answers are.
pub fn telling_rules(network: &Network, v6: bool) -> Vec<Rule> {
    if !network.addresses.iter().any(|net| net.addr().is_ipv6() == v6) {
        return Vec::new();
    }
    let neighbours = [IcmpType::Solicitation, IcmpType::Advertisement].map(Match::IcmpType);
    let mut told: Vec<Match> = if v6 { neighbours.into() } else { Vec::new() };
    if network.serves_dhcp() {
        let client = if v6 { DHCP6_CLIENT } else { DHCP4_CLIENT };
        told.push(Match::Port(Protocol::Udp, client));
        told.extend(v6.then_some(Match::IcmpType(IcmpType::RouterAdvertisement)));
    }
    told.into_iter().map(|what| Rule::new([Match::Oif(*network.host_if()), what], Verdict::Accept)).collect()
}

/// Nobody finds an IPv6 gateway that does not answer for its address.
fn icmp(v6: bool, is_asked: bool) -> &'static [IcmpType] {
    use IcmpType::{Advertisement, Echo, Echo6, RouterSolicitation, Solicitation};
    match (v6, is_asked) {
        (false, true) => &[Echo],
        (false, false) => &[],
        (true, true) => &[Solicitation, Advertisement, RouterSolicitation, Echo6],
        (true, false) => &[Solicitation, Advertisement],
    }
}

fn ports(network: &Network, v6: bool) -> Vec<Match> {
    if !network.serves_dhcp() {
        return Vec::new();
    }
    let dhcp = if v6 { DHCP6 } else { DHCP4 };
    let udp = [dhcp, DNS].map(|port| Match::Port(Protocol::Udp, port));
    udp.into_iter().chain([Match::Port(Protocol::Tcp, DNS)]).collect()
}
