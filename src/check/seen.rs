//! What was read before anything is judged.

use std::net::IpAddr;

use crate::config::Survey;
use crate::desired::Desired;
use crate::holder::Holder;
use crate::model::foreign::{ForeignChain, ForeignRule};
use crate::model::{IfName, Link};
use crate::observed::Observed;

/// Whether nf_tables could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// All of it.
    Seen,
    /// Not without rights.
    Hidden,
    /// The kernel has none.
    Absent,
}

/// A network of the configuration, and what the kernel says of what it needs.
#[derive(Debug, Clone)]
pub struct Configured {
    /// What must hold for a guest that is on it, or for none.
    pub desired: Desired,
    /// What holds.
    pub observed: Observed,
}

/// The rules of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// All chains but kvmnet's.
    pub chains: Vec<ForeignChain>,
    /// The rules of the tables with a chain that decides about guests' packets.
    pub rules: Vec<ForeignRule>,
    /// The families for which the table `filter` of iptables-legacy is in use: "ip", "ip6".
    pub legacy: Vec<&'static str>,
}

/// What the kernel can, by several witnesses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelFacts {
    /// `uname -r`.
    pub release: String,
    /// The text of /boot/config-RELEASE.
    pub config: Option<String>,
    /// The text of modules.builtin and modules.dep in /lib/modules/RELEASE.
    pub modules: Option<String>,
    /// The modules of /sys/module.
    pub present: Vec<String>,
    /// Whether there is a /dev/net/tun.
    pub tun_device: bool,
}

/// What is at one of the two paths in /etc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookFile {
    /// kvmnet's program.
    Ours,
    /// Nothing.
    Missing,
    /// A link to this, where nothing is.
    Dangling(String),
    /// Something that is not kvmnet's.
    Foreign,
    /// A file that cannot be run.
    NotExecutable,
    /// It cannot be read.
    Hidden,
}

/// Everything.
#[derive(Debug)]
pub struct Seen {
    /// Whether root looks.
    pub root: bool,
    /// The configuration.
    pub config: Survey,
    /// Whether its file is there and may not be read.
    pub config_hidden: bool,
    /// The networks of the configuration.
    pub configured: Vec<Configured>,
    /// All that stands.
    pub observed: Observed,
    /// Every address of the host.
    pub addresses: Vec<IpAddr>,
    /// The interfaces whose IPv6 is off, of the doors of networks and `default`, which stands for those to come; None where
    /// the kernel has no IPv6.
    pub without_ipv6: Option<Vec<String>>,
    /// Whether the tables of nf_tables could be read.
    pub tables: Tables,
    /// The firewall of others.
    pub firewall: Firewall,
    /// `net.bridge.bridge-nf-call-iptables` and `-ip6tables`.
    pub bridge_filter: [bool; 2],
    /// The processes that have taps open.
    pub holders: Vec<Holder>,
    /// The kernel's features.
    pub kernel: KernelFacts,
    /// /etc/qemu-ifup and /etc/qemu-ifdown.
    pub hooks: Vec<(&'static str, HookFile)>,
}

impl Seen {
    /// The guests: the taps on the bridges of kvmnet's networks.
    pub fn guests(&self) -> impl Iterator<Item = &Link> {
        let networks = self.observed.networks.iter().filter(|standing| standing.mark.is_some());
        networks.flat_map(|standing| self.observed.taps_on(&standing.bridge))
    }

    /// Whether nothing was hidden.
    pub fn is_complete(&self) -> bool {
        self.root && self.tables != Tables::Hidden && !self.config_hidden
    }
}

impl Firewall {
    /// The base chains of others that guests' packets meet.
    pub fn deciding(&self) -> impl Iterator<Item = &ForeignChain> {
        self.chains.iter().filter(|chain| chain.decides())
    }

    /// Whether rules in the chain's table accept what comes in by `name`, and what goes out by it.
    pub fn lets_through(&self, chain: &ForeignChain, name: &IfName) -> (bool, bool) {
        let mut rules = self.rules_beside(chain);
        let name = name.as_str();
        (rules.clone().any(|rule| rule.lets_in(name)), rules.any(|rule| rule.lets_out(name)))
    }

    /// The rules of a chain's table.
    pub fn rules_beside<'a>(
        &'a self,
        chain: &'a ForeignChain,
    ) -> impl Iterator<Item = &'a ForeignRule> + Clone {
        self.rules.iter().filter(|rule| rule.protocol == chain.protocol && rule.table == chain.table)
    }
}
