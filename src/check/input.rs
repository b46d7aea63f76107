//! What was read before anything is checked.

use std::fmt;
use std::net::IpAddr;

use super::bridge_filter::Family;
use super::kernel::KernelFacts;
use super::walk::{self, Packet};
use crate::config::ConfigReport;
use crate::desired::Desired;
use crate::error::Error;
use crate::holder::Holder;
use crate::model::foreign::{ForeignChain, ForeignRule};
use crate::model::forward_chain::ForwardChain;
use crate::model::{IfName, Ledger, Link};
use crate::observed::{Instance, Observed, Tables};

/// A network of the configuration, and what the kernel says of what it needs.
#[derive(Debug)]
pub struct Configured {
    /// For a guest that is on it, or for none.
    pub desired: Desired,
    pub observed: Observed,
}

/// The rules of others.
#[derive(Debug, Default)]
pub struct Firewall {
    pub chains: Vec<ForeignChain>,
    /// Of the tables with a chain that decides about guests' packets.
    pub rules: Vec<ForeignRule>,
    /// The families for which the table `filter` of iptables-legacy is in use: "ip", "ip6".
    pub legacy: Vec<&'static str>,
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
    /// The families of which frames between guests pass the firewall.
    pub bridge_filter: Vec<Family>,
    pub holders: Vec<Holder>,
    pub kernel: KernelFacts,
    /// What is wrong with each of the two hooks.
    pub hooks: [Option<String>; 2],
}

impl CheckInput {
    /// The networks of kvmnet's that have a record.
    pub fn networks_up(&self) -> impl Iterator<Item = (&Instance, &Ledger)> {
        self.observed.networks.iter().filter_map(|instance| Some((instance, instance.ledger.as_ref()?)))
    }

    /// The guests: the taps on their bridges.
    pub fn guests(&self) -> impl Iterator<Item = &Link> {
        self.networks_up().flat_map(|(instance, _)| self.observed.taps_on(&instance.bridge))
    }

    /// Whether a network of kvmnet's is up on this bridge.
    pub fn is_up(&self, bridge: &IfName) -> bool {
        self.networks_up().any(|(instance, _)| instance.bridge == *bridge)
    }

    /// The chain as one that kvmnet opens by itself when the network of this bridge comes up.
    pub fn will_open(&self, chain: &ForeignChain, bridge: &IfName) -> Option<&ForwardChain> {
        self.observed.forward_chains.iter().find(|known| known.is(chain) && !self.is_up(bridge))
    }

    /// Whether nothing was hidden.
    pub fn is_complete(&self) -> bool {
        self.root && self.observed.nft != Tables::Hidden && !self.config_hidden
    }
}

impl Firewall {
    /// The base chains of others that guests' packets meet.
    pub fn deciding(&self) -> impl Iterator<Item = &ForeignChain> {
        self.chains.iter().filter(|chain| chain.decides())
    }

    /// The rules of a chain's table.
    pub fn rules_beside<'a>(&'a self, chain: &'a ForeignChain) -> impl Iterator<Item = &'a ForeignRule> {
        self.rules.iter().filter(|rule| rule.protocol == chain.protocol && rule.table == chain.table)
    }

    /// What drops such packets: a rule for certain, or the policy, unless a rule of the chain's table accepts the interface.
    pub fn obstacle(&self, chain: &ForeignChain, packet: &Packet) -> Option<Obstacle> {
        let accepts = |rule: &ForeignRule| match packet.answers {
            true => packet.oif.iter().any(|name| rule.lets_out(name)),
            false => packet.iif.iter().any(|name| rule.lets_in(name)),
        };
        if walk::drops(chain, self.rules_beside(chain), packet) {
            return Some(Obstacle::Rule);
        }
        (chain.drops && !self.rules_beside(chain).any(accepts)).then_some(Obstacle::Policy)
    }
}

/// What drops packets in a chain; the more certain is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    Policy,
    Rule,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Obstacle::Policy => "its policy",
            Obstacle::Rule => "a rule",
        })
    }
}
