//! What the kernel says of a network that is to be served: all that the server's configuration follows from.
//!
//! In: an interface. Out: [`Subject`]. Never: decides what is told to whom.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::names::Port;
use crate::model::facts::FdbEntry;
use crate::model::{Facts, IfName, Ledger, Link, Mode, Question, Setting};
use crate::netlink::route::Rtnl;
use crate::switch;

/// Addresses that only a default route leads to: they are for documentation (RFC 5737, RFC 3849).
const FAR: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// A network that is to be served, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub bridge: IfName,
    /// The bridge's number.
    pub index: u32,
    pub mode: Mode,
    pub domain: String,
    /// The interface that the host takes part by.
    pub host_if: IfName,
    /// The host's addresses there.
    pub addresses: Vec<IpNet>,
    /// The addresses of all servers of this kind, which are nobody's resolvers here.
    pub servers: Vec<IpAddr>,
    /// The largest packet that gets as far as the guests' packets go.
    pub mtu: u32,
    pub ports: Vec<Port>,
    /// Who is behind which port.
    pub stations: Vec<FdbEntry>,
}

impl Subject {
    /// The network of an interface: of its bridge, or of the end of a pair. None where nobody is to be told anything.
    pub fn find(rtnl: &mut Rtnl, interface: &IfName) -> io::Result<Option<Self>> {
        let mut facts = Facts::default();
        rtnl.ask(&[Question::Links], &mut facts)?;
        let Some((bridge, ledger)) = network_of(&facts, interface) else { return Ok(None) };
        let (bridge, host_if) = (bridge.clone(), ledger.host_if(bridge.name));
        // An alias may be anybody's, and an interface may have an odd name.
        let domain = ledger.dhcp.clone().filter(|domain| is_plain(domain) && is_plain(host_if.as_str()));
        let (Some(domain), Some(host)) = (domain, facts.link(&host_if).cloned()) else {
            return Ok(None);
        };
        let routes = FAR.into_iter().map(Question::RouteTo);
        let questions: Vec<_> = routes.chain([Question::Addresses(host.index)]).collect();
        rtnl.ask(&questions, &mut facts)?;
        let addresses = facts.addresses_of(host.index).into_iter().map(|address| address.net);
        let is_of_network = |net: &IpNet| match net.addr() {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        };
        let mut addresses: Vec<IpNet> = addresses.filter(is_of_network).collect();
        addresses.sort_unstable();
        let ports = facts.links.iter().filter(|link| link.master == Some(bridge.index) && link.is_tap());
        let servers = addresses.iter().map(IpNet::addr).chain(servers(&facts)).collect();
        Ok(Some(Self {
            servers,
            bridge: bridge.name,
            index: bridge.index,
            mode: ledger.mode,
            domain,
            host_if,
            addresses,
            mtu: mtu(&ledger, &host, &facts),
            ports: ports.map(Port::of).collect(),
            stations: rtnl.all_fdb_entries()?,
        }))
    }
}

/// Whether a text can stand in dnsmasq's configuration, where some characters have a meaning.
fn is_plain(text: &str) -> bool {
    text.len() <= 253 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._@+".contains(&byte))
}

/// The bridge that an interface is, or that it is the host's way to, with its record.
fn network_of<'a>(facts: &'a Facts, interface: &IfName) -> Option<(&'a Link, Ledger)> {
    let bridges = facts.links.iter().filter(|link| link.is_bridge());
    let mut networks = bridges.filter_map(|bridge| Some((bridge, switch::record(bridge)?)));
    networks.find(|(bridge, ledger)| bridge.name == *interface || ledger.host_if(bridge.name) == *interface)
}

/// The addresses of the host on all networks that are served.
fn servers(facts: &Facts) -> impl Iterator<Item = IpAddr> {
    let records = facts.links.iter().filter(|link| link.is_bridge()).filter_map(switch::record);
    let addresses = records.filter(|ledger| ledger.dhcp.is_some()).flat_map(|ledger| ledger.addresses);
    addresses.map(|net| net.addr())
}

/// The smallest of the host's interface and, where the host forwards, of the ways out: that of the default routes, and those
/// that were opened for the network.
fn mtu(ledger: &Ledger, host: &Link, facts: &Facts) -> u32 {
    let routes =
        facts.matched.iter().flat_map(|way| &way.devices).filter_map(|index| facts.link_index(*index));
    let is_opened = |setting| matches!(setting, Setting::Forwarding | Setting::ForceForwarding);
    let opened = ledger.changed.iter().filter(|changed| is_opened(changed.setting) && changed.before == 0);
    let opened = opened.filter_map(|changed| facts.link(&changed.link));
    let ways = routes.chain(opened).filter(|link| !link.loopback && ledger.mode.forwards());
    ways.chain([host]).map(|link| link.mtu).min().unwrap_or(host.mtu)
}
