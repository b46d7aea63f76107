//! What must hold for one guest: its network, made concrete.
//!
//! In: a [`Network`] and a tap. Out: [`Desired`]. Never: asks the kernel.

use ipnet::IpNet;

use crate::model::link::GROUP;
use crate::model::{AddrGen, IfName, Mac, Mode, Network};

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The guest's tap, which shall be a port of the bridge; None for a network that shall be there without one.
    pub tap: Option<IfName>,
    /// The network.
    pub network: Network,
    /// The tap need not be there: QEMU will make it.
    pub tap_to_come: bool,
    /// A person wants the network to stay until they take it down.
    pub held: bool,
    /// A person has seen the difference, and wants the network as the file says it, whoever is on it.
    pub agreed: bool,
    /// The MAC of a bridge that kvmnet makes, unless a NIC lends it its own.
    pub bridge_mac: Mac,
    /// Every frame between the bridge's own port and the host's stack is dropped.
    pub closed: bool,
    /// How the bridge gets its IPv6 link-local address.
    pub addr_gen: AddrGen,
    /// The link group of the interface through which the host takes part; 0 where any neighbour may be reached.
    pub group: u32,
}

impl Desired {
    /// What must hold for `tap` in `network`.
    pub fn new(tap: IfName, network: Network) -> Self {
        Self { tap: Some(tap), ..Self::without_guest(network) }
    }

    /// What must hold for `network`, with guests or without.
    pub fn without_guest(network: Network) -> Self {
        let closed = network.mode == Mode::Isolated || network.veth.is_some();
        // In bridged mode the NIC's own link-local address moves with the others.
        let has_own_address = !closed && network.mode != Mode::Bridged;
        Self {
            tap: None,
            tap_to_come: false,
            held: false,
            agreed: false,
            bridge_mac: Mac::of_bridge(&network.bridge),
            closed,
            addr_gen: if has_own_address { AddrGen::EUI64 } else { AddrGen::NONE },
            group: if network.mode == Mode::Bridged { 0 } else { GROUP },
            network,
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

    /// Whether IPv4 or IPv6 is forwarded.
    pub fn forwards(&self, v6: bool) -> bool {
        let is_family = |net: &IpNet| net.addr().is_ipv6() == v6;
        self.network.mode.forwards() && self.network.addresses.iter().any(is_family)
    }
}
