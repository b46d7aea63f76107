//! What is read before anything is checked.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, geteuid};

use super::bridge_filter::{FAMILIES, Family};
use super::dhcp::DhcpFacts;
use super::hooks;
use super::kernel::KernelFacts;
use super::quiet::Quiet;
use crate::apply::Kernel;
use crate::config::{ConfigReport, Environment};
use crate::desired::Desired;
use crate::error::Error;
use crate::firewalld::{self, View};
use crate::foreign::{self, Firewall};
use crate::holder::{self, Holder};
use crate::model::foreign::ForeignChain;
use crate::model::{FirewallUse, IfName, Ledger, Link, Mode, Network};
use crate::network;
use crate::observed::{Instance, Observed, Tables};
use crate::subnet;

/// A network of the configuration, and what the kernel says of what it needs.
#[derive(Debug)]
pub struct Configured {
    /// For a guest that is on it, or for none.
    pub desired: Desired,
    pub observed: Observed,
}

#[derive(Debug)]
pub struct CheckInput {
    /// Whether root runs the check.
    pub root: bool,
    /// Why hooks may have been at work while the kernel was read.
    pub busy: Option<Error>,
    pub config: ConfigReport,
    /// Whether the configuration file is there and may not be read.
    pub config_hidden: bool,
    pub configured: Vec<Configured>,
    pub observed: Observed,
    /// Every address of the host.
    pub addresses: Vec<IpAddr>,
    /// The interfaces whose IPv6 is off, of the networks' host interfaces and `default`, which stands for those to come; None where
    /// the kernel has no IPv6.
    pub without_ipv6: Option<Vec<String>>,
    pub firewall: Firewall,
    /// What firewalld says; None where it does not run, or says nothing.
    pub firewalld: Option<View>,
    /// The families of which frames between guests pass the firewall.
    pub bridge_filter: Vec<Family>,
    pub holders: Vec<Holder>,
    pub kernel: KernelFacts,
    pub dhcp: DhcpFacts,
    /// What is wrong with each of the two hooks.
    pub hooks: [Option<String>; 2],
}

impl CheckInput {
    /// Reads everything that is checked, and changes nothing.
    pub fn read(environment: &Environment) -> Result<Self, Error> {
        let config = ConfigReport::read(environment);
        let quiet = Quiet::begin();
        let Kernel { mut rtnl, mut nft } = Kernel::open()?;
        let ask = || Error::system("ask the kernel");
        let nets: Vec<IpNet> = config.networks.iter().flat_map(subnet::concerning).collect();
        let observed = Observed::survey(nft.as_mut(), &mut rtnl, &nets).map_err(ask())?;
        let mut nft = nft.filter(|_| observed.nft == Tables::Readable);
        let firewall = Firewall::read(nft.as_mut(), |_| true).map_err(ask())?;
        let mut configured = Vec::new();
        for network in config.networks.iter().cloned() {
            let (desired, observed) = observed.of_network(nft.as_mut(), &mut rtnl, network).map_err(ask())?;
            configured.push(Configured { desired, observed });
        }
        let addresses = rtnl.all_addresses().map_err(ask())?;
        let without_ipv6 = without_ipv6(&configured);
        let dhcp = DhcpFacts::read(&observed.networks);
        Ok(Self {
            busy: quiet.end(),
            root: geteuid().is_root(),
            // Not by opening it: that waits where it is a FIFO.
            config_hidden: access(config.file.would_be_at(), AccessFlags::R_OK) == Err(Errno::EACCES),
            addresses: addresses.into_iter().map(|(_, address)| address.net.addr()).collect(),
            without_ipv6,
            firewalld: observed.firewalld.then(|| firewalld::view(interfaces(&configured))).flatten(),
            config,
            configured,
            observed,
            firewall,
            bridge_filter: FAMILIES.into_iter().filter(is_used).collect(),
            holders: holder::all(),
            kernel: KernelFacts::read(),
            dhcp,
            hooks: hooks::PATHS.map(hooks::read),
        })
    }

    /// The networks of kvmnet's that have a record.
    pub fn networks_up(&self) -> impl Iterator<Item = (&Instance, &Ledger)> {
        self.observed.networks.iter().filter_map(|instance| Some((instance, instance.ledger.as_ref()?)))
    }

    /// The guests: the taps on their bridges.
    pub fn guests(&self) -> impl Iterator<Item = &Link> {
        let of_networks =
            self.networks_up().flat_map(|(instance, _)| self.observed.taps_on(&instance.bridge));
        let ports = network::ports_of_others(&self.observed.facts, &self.observed.networks);
        of_networks.chain(ports.map(|(_, tap)| tap))
    }

    /// Whether a network of kvmnet's is up on this bridge.
    pub fn is_up(&self, bridge: &IfName) -> bool {
        self.networks_up().any(|(instance, _)| instance.bridge == *bridge)
    }

    /// The chain as one that kvmnet opens by itself for this network.
    pub fn opens(&self, chain: &ForeignChain, network: &Network) -> bool {
        foreign::opens(&self.observed, chain, network)
    }

    /// The zone of firewalld that this network's guests are in.
    pub fn zone(&self, chain: &ForeignChain, network: &Network) -> Option<&'static str> {
        let integrates = network.firewall == FirewallUse::Integrate && chain.table == firewalld::TABLE;
        firewalld::zone_of(network.mode).filter(|_| integrates)
    }

    /// The zone of firewalld that somebody else has put an interface into: what is let through there is for them to say.
    pub fn owners_zone(&self, chain: &ForeignChain, interface: &IfName) -> Option<&str> {
        let view = self.firewalld.as_ref().filter(|_| chain.table == firewalld::TABLE)?;
        view.owners_zone(interface)
    }

    /// Whether firewalld lets frames through inside its bridge by a set of kvmnet's, as far as is known.
    pub fn has_set(&self, chain: &ForeignChain, network: &Network) -> bool {
        let has_set = |view: &View| view.has_set(&network.bridge);
        chain.table == firewalld::TABLE && self.firewalld.as_ref().is_none_or(has_set)
    }

    /// Whether kvmnet tells firewalld of its bridge, unless that is in a zone of its owner's choice.
    pub fn is_told_of_bridge(&self, chain: &ForeignChain, network: &Network) -> bool {
        let integrates = network.firewall == FirewallUse::Integrate && chain.table == firewalld::TABLE;
        // Of these firewalld has a zone.
        let by_zone = network.is_closed() || network.mode != Mode::Bridged;
        let has_room = |view: &View| by_zone || !view.is_full_without(&network.bridge);
        integrates && !network.is_port_only() && self.firewalld.as_ref().is_none_or(has_room)
    }

    /// Whether firewalld has what kvmnet needs there, as far as it says.
    pub fn has_firewalld_all(&self) -> bool {
        self.firewalld.as_ref().is_none_or(|view| view.is_complete)
    }

    /// Whether it does so, or has firewalld do it, when the network comes up.
    pub fn will_open(&self, chain: &ForeignChain, network: &Network) -> bool {
        let has_zone = || self.zone(chain, network).is_some() && self.has_firewalld_all();
        let is_owners = || self.owners_zone(chain, network.host_if()).is_some();
        !self.is_up(&network.bridge) && (self.opens(chain, network) || has_zone() && !is_owners())
    }

    /// Whether nothing was hidden.
    pub fn is_complete(&self) -> bool {
        self.root && self.observed.nft != Tables::Hidden && !self.config_hidden
    }
}

/// Those that networks consist of.
fn interfaces(configured: &[Configured]) -> Vec<IfName> {
    let mut names: Vec<IfName> =
        configured.iter().flat_map(|one| [one.desired.network.bridge, *one.desired.host_if()]).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The interfaces that the host's addresses are or will be on, and that take no IPv6 address.
fn without_ipv6(configured: &[Configured]) -> Option<Vec<String>> {
    let conf = Path::new("/proc/sys/net/ipv6/conf");
    let host_ifs = configured.iter().map(|one| one.desired.host_if().to_string());
    let names = host_ifs.chain(["default".to_owned()]);
    conf.exists().then(|| names.filter(|name| is_on(conf.join(name).join("disable_ipv6"))).collect())
}

fn is_used(family: &Family) -> bool {
    is_on(Path::new("/proc/sys/net/bridge").join(family.setting))
}

fn is_on(setting: impl AsRef<Path>) -> bool {
    fs::read_to_string(setting).is_ok_and(|value| value.trim() != "0")
}
