//! What must hold for one guest: its network, made concrete.
//!
//! In: a [`Network`] and a tap. Out: [`Desired`]. Never: asks the kernel.

use ipnet::IpNet;

use crate::model::link::GROUP;
use crate::model::{IfName, Mode, Network};

/// Who says who the guest is, beside the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Teller {
    /// The record on its tap: it was asked before.
    #[default]
    Record,
    /// The command line of what started this program: QEMU.
    Starter,
    /// The command line that this program is about to run, with the taps that it gets, each with the number of the file.
    Command(Vec<String>, Vec<(u32, IfName)>),
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The guest's tap, which shall be a port of the bridge; None for a network that shall be there without one.
    pub tap: Option<IfName>,
    /// The network.
    pub network: Network,
    pub teller: Teller,
    /// The user whose tap it must be, where it is for a user that something is done.
    pub user: Option<u32>,
    /// The tap need not be there: QEMU will make it.
    pub tap_to_come: bool,
    /// A person wants the network to stay until they take it down.
    pub held: bool,
    /// A person has seen the difference, and wants the network as the file says it, whoever is on it.
    pub agreed: bool,
}

impl Desired {
    /// What must hold for `tap` in `network`.
    pub fn new(tap: IfName, network: Network) -> Self {
        Self { tap: Some(tap), ..Self::without_guest(network) }
    }

    /// What must hold for `network`, with guests or without.
    pub fn without_guest(network: Network) -> Self {
        Self {
            tap: None,
            network,
            teller: Teller::Record,
            user: None,
            tap_to_come: false,
            held: false,
            agreed: false,
        }
    }

    /// The name of the interface through which the host takes part.
    pub fn host_if(&self) -> &IfName {
        self.network.host_if()
    }

    /// An interface that is as new ones are: the tap, else what the kernel has for those to come.
    pub fn new_interface(&self) -> &IfName {
        self.tap.as_ref().unwrap_or(&IfName::DEFAULT)
    }

    /// The link group of the interface through which the host takes part; 0 where any neighbour may be reached.
    pub fn group(&self) -> u32 {
        if self.network.mode == Mode::Bridged { 0 } else { GROUP }
    }

    /// Whether IPv4 or IPv6 is forwarded.
    pub fn forwards(&self, v6: bool) -> bool {
        let is_family = |net: &IpNet| net.addr().is_ipv6() == v6;
        self.network.mode.forwards() && self.network.addresses.iter().any(is_family)
    }
}
