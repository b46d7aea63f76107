//! What guests need of the host itself where another firewall lets nothing in: an answer to a ping, neighbour discovery, and what
//! tells them their addresses and names.

use ipnet::IpNet;

use super::host_access::{DHCP4, DHCP6, DNS};
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
