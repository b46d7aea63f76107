//! Guests that are told no addresses, or no names: by dnsmasq, which may be missing, may not run, or may not have its port.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::finding::Finding;
use super::input::{CheckInput, Configured};
use crate::model::IfName;
use crate::observed::Instance;
use crate::service::{self, claim};

/// What is read of it.
#[derive(Debug, Default)]
pub struct DhcpFacts {
    has_dnsmasq: bool,
    /// The bridges that a process serves.
    served: Vec<IfName>,
    /// The host's IPv4 addresses at whose port 53 somebody listens.
    listening: Vec<Ipv4Addr>,
}

impl DhcpFacts {
    pub fn read(networks: &[Instance]) -> Self {
        let is_served =
            |one: &&Instance| one.link.as_ref().is_some_and(|link| claim::holder_seen(link.index).is_some());
        let sockets = fs::read_to_string("/proc/net/udp").unwrap_or_default();
        Self {
            has_dnsmasq: service::dnsmasq().is_some(),
            served: networks.iter().filter(is_served).map(|one| one.bridge).collect(),
            listening: sockets.lines().filter_map(listens).collect(),
        }
    }
}

/// The address of a socket that is at port 53 (proc_net_udp): `  12: 0364000A:0035 00000000:0000 07 …`.
fn listens(line: &str) -> Option<Ipv4Addr> {
    let (address, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok()?;
    (port == "0035").then(|| Ipv4Addr::from(address.to_ne_bytes()))
}

pub fn check(input: &CheckInput) -> Vec<Finding> {
    let served = || input.observed.networks.iter().filter(|one| one.served().is_some());
    let is_wanted = input.configured.iter().any(|one| one.desired.network.serves_dhcp());
    let mut findings = Vec::new();
    if !input.dhcp.has_dnsmasq && (is_wanted || served().next().is_some()) {
        findings.push(Finding::problem("dhcp", service::NO_DNSMASQ).run(["apt-get install dnsmasq-base"]));
    } else {
        findings.extend(served().filter_map(|one| network(one, input)));
    }
    findings.extend(input.configured.iter().flat_map(lengths));
    findings
}

/// A network that is up.
fn network(instance: &Instance, input: &CheckInput) -> Option<Finding> {
    let (facts, bridge) = (&input.dhcp, &instance.bridge);
    let name = instance.ledger.as_ref().map(|ledger| ledger.network.as_str()).unwrap_or_default();
    if !facts.served.contains(bridge) {
        let text = format!("nobody tells the guests of network {name} their addresses");
        return Some(Finding::problem("dhcp", text).at(bridge).run(["kvmnet gc"]));
    }
    let ledger = instance.ledger.as_ref()?;
    let mut own = ledger
        .addresses
        .iter()
        .filter_map(|net| if let IpAddr::V4(v4) = net.addr() { Some(v4) } else { None });
    let is_taken =
        facts.listening.contains(&Ipv4Addr::UNSPECIFIED) && own.any(|own| !facts.listening.contains(&own));
    let text = format!(
        "another program has port 53 of every address: guests of network {name} have no names for each other"
    );
    let way_out =
        "have it listen on 127.0.0.1 and on the addresses that it serves; `ss -lnup sport 53` shows it";
    is_taken.then(|| Finding::problem("dhcp", text).at(bridge).say(way_out))
}

/// Subnets in which guests can make themselves no address of what is announced (RFC 4862).
fn lengths(one: &Configured) -> Vec<Finding> {
    let network = &one.desired.network;
    let is_odd = |net: &&IpNet| net.addr().is_ipv6() && net.prefix_len() != 64 && network.serves_dhcp();
    let text = |net: &IpNet| {
        format!("network {}: guests get no address in {}, as it is not a /64", network.name, net.trunc())
    };
    let finding = |net: &IpNet| Finding::note("dhcp", text(net)).at(network.origin("address"));
    network.addresses.iter().filter(is_odd).map(finding).collect()
}
