//! One change of the kernel's state: prints as the command of an administrator, and knows its way back.

mod words;

pub use words::secret_key;

use std::net::{IpAddr, Ipv6Addr};

use crate::model::address::flag;
use crate::model::gate::Passages;
use crate::model::ruleset::{Elements, Family, Table};
use crate::model::{Address, IfName, Mac, Neighbour, Nexthop, PolicyRule, Route, Setting};

/// A neighbour that sees whether the host is still on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The interface behind which it is.
    pub link: IfName,
    /// The host's address there.
    pub source: IpAddr,
    /// The neighbour's address.
    pub target: IpAddr,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes a bridge, down, without spanning tree and forward delay.
    AddBridge {
        /// Its name.
        name: IfName,
        /// The MAC that it keeps.
        mac: Mac,
        /// Its link group.
        group: u32,
    },
    /// Makes a veth pair, down.
    AddVeth {
        /// The end that becomes a port.
        outer: IfName,
        /// The end with the host's address.
        inner: IfName,
        /// The MACs, of the outer end and of the inner.
        macs: [Mac; 2],
        /// The inner end's link group.
        group: u32,
    },
    /// Deletes an interface that kvmnet made, with all that is on it.
    DeleteLink {
        /// Its name.
        name: IfName,
    },
    /// Changes a number.
    Set {
        /// Of this interface.
        link: IfName,
        /// Which.
        setting: Setting,
        /// The value now.
        from: u32,
        /// The value then.
        to: u32,
        /// Whether it puts back what kvmnet changed. An interface that is gone meanwhile needs nothing put back.
        back: bool,
    },
    /// Has an interface make its IPv6 addresses of the same secret as another one.
    CopySecret {
        /// The one that has it.
        from: IfName,
        /// The one that gets it, and then makes its addresses of it (`addr_gen_mode` 2).
        to: IfName,
    },
    /// Sets how the addresses end that IPv6 makes of announced prefixes.
    SetToken {
        /// The interface.
        link: IfName,
        /// The lower half of an address.
        token: Ipv6Addr,
    },
    /// Changes an interface's MAC.
    SetMac {
        /// The interface.
        link: IfName,
        /// Now.
        from: Mac,
        /// Then.
        to: Mac,
    },
    /// Changes an interface's alias.
    SetAlias {
        /// The interface.
        link: IfName,
        /// Now.
        from: String,
        /// Then.
        to: String,
    },
    /// Makes an interface a port of a bridge, or of none.
    SetMaster {
        /// The port.
        port: IfName,
        /// The bridge now.
        from: Option<IfName>,
        /// The bridge then.
        to: Option<IfName>,
    },
    /// Waits until an interface that was just set up passes packets, for a second at most.
    AwaitOperational {
        /// The interface.
        link: IfName,
    },
    /// Waits until the IPv6 addresses that were just added are in use, for a while at most: the kernel makes an
    /// address's local route in its own time, and takes no packet for it before (`addrconf_dad_work`).
    AwaitAddresses {
        /// The interface that has them.
        link: IfName,
    },
    /// Asks a neighbour whether it is there, to know later whether its silence means something.
    Ask(Witness),
    /// Asks again; fails where the neighbour answered before and is silent now.
    Confirm(Witness),
    /// Adds an address.
    AddAddress {
        /// To this interface.
        link: IfName,
        /// The address.
        address: Address,
    },
    /// Writes an address again that was added without duplicate address detection, to take off the flag.
    ClearNodad {
        /// On this interface.
        link: IfName,
        /// The address as it shall be.
        address: Address,
    },
    /// Deletes an address.
    DeleteAddress {
        /// From this interface.
        link: IfName,
        /// The address.
        address: Address,
    },
    /// Adds a route.
    AddRoute(Route),
    /// Deletes a route.
    DeleteRoute(Route),
    /// Puts a nexthop object, and all routes that use it, over another interface.
    MoveNexthop {
        /// As it is.
        nexthop: Nexthop,
        /// The other interface.
        to: IfName,
    },
    /// Adds a policy rule.
    AddRule(PolicyRule),
    /// Deletes a policy rule.
    DeleteRule(PolicyRule),
    /// Adds a neighbour, in the place of one that is there.
    AddNeighbour {
        /// The neighbour.
        neighbour: Neighbour,
        /// What the interface knows of its address now.
        before: Option<Neighbour>,
    },
    /// Deletes a neighbour.
    DeleteNeighbour(Neighbour),
    /// Adds a table.
    AddTable(Table),
    /// Puts a table in the place of the one of its name.
    ReplaceTable(Table),
    /// Puts elements in the place of all that are in a set, and leaves its table alone.
    ReplaceElements(Elements),
    /// Deletes a table that is known well enough to be written again.
    RemoveTable(Table),
    /// Adds rules to a chain of iptables.
    AddPassages(Passages),
    /// Deletes them.
    DeletePassages {
        /// Where, and what they accept.
        passages: Passages,
        /// Their numbers, where they are known.
        handles: Vec<u64>,
    },
    /// Deletes a table.
    DeleteTable {
        /// Its family.
        family: Family,
        /// Its name.
        name: String,
    },
    /// Everything before is done and acknowledged before anything behind begins.
    Barrier,
}

impl Step {
    /// Changes a number.
    pub fn set(link: IfName, setting: Setting, from: u32, to: u32) -> Self {
        Self::Set { link, setting, from, to, back: false }
    }

    /// Puts a number back that kvmnet changed.
    pub fn put_back(link: IfName, setting: Setting, from: u32, to: u32) -> Self {
        Self::Set { link, setting, from, to, back: true }
    }

    /// The step that takes this one back; None where nothing is to be taken back.
    pub fn inverse(&self) -> Option<Step> {
        Some(match self.clone() {
            Step::AddBridge { name, .. } => Step::DeleteLink { name },
            Step::AddVeth { inner, .. } => Step::DeleteLink { name: inner },
            // Whatever it was: on an interface that is gone by then nothing is left to take back.
            Step::Set { link, setting, from, to, .. } => Step::put_back(link, setting, to, from),
            Step::SetMac { link, from, to } => Step::SetMac { link, from: to, to: from },
            Step::SetAlias { link, from, to } => Step::SetAlias { link, from: to, to: from },
            Step::SetMaster { port, from, to } => Step::SetMaster { port, from: to, to: from },
            Step::AddAddress { link, address } => Step::DeleteAddress { link, address },
            Step::DeleteAddress { link, address } => Step::AddAddress { link, address },
            Step::AddRoute(route) => Step::DeleteRoute(route),
            Step::DeleteRoute(route) => Step::AddRoute(route),
            Step::MoveNexthop { nexthop, to } => {
                Step::MoveNexthop { to: nexthop.device, nexthop: nexthop.over(&to) }
            }
            Step::AddRule(rule) => Step::DeleteRule(rule),
            Step::DeleteRule(rule) => Step::AddRule(rule),
            Step::AddNeighbour { neighbour, before: None } => Step::DeleteNeighbour(neighbour),
            Step::AddNeighbour { neighbour, before: Some(before) } => {
                Step::AddNeighbour { neighbour: before, before: Some(neighbour) }
            }
            Step::DeleteNeighbour(neighbour) => Step::AddNeighbour { neighbour, before: None },
            Step::AddTable(table) => Step::DeleteTable { family: table.family, name: table.name },
            Step::RemoveTable(table) => Step::AddTable(table),
            Step::ReplaceElements(Elements { family, table, from, to }) => {
                Step::ReplaceElements(Elements { family, table, from: to, to: from })
            }
            Step::AddPassages(passages) => Step::DeletePassages { passages, handles: Vec::new() },
            Step::DeletePassages { passages, .. } => Step::AddPassages(passages),
            Step::DeleteLink { .. } | Step::DeleteTable { .. } | Step::ReplaceTable(_) => return None,
            Step::AwaitOperational { .. } | Step::AwaitAddresses { .. } | Step::Barrier => return None,
            Step::Ask(_) | Step::Confirm(_) | Step::ClearNodad { .. } => return None,
            // Of a bridge that goes with them.
            Step::CopySecret { .. } | Step::SetToken { .. } => return None,
        })
    }

    /// Whether a network does without it where /proc/sys is read-only: the filters of taps stand alone then, and interfaces
    /// to come are not opened.
    pub fn is_spare(&self) -> bool {
        match self {
            Step::Set { link, setting, .. } => *setting == Setting::DisableIpv6 || *link == IfName::DEFAULT,
            _ => false,
        }
    }

    /// Whether something ends by it for good, so that what was done before is not taken back either.
    pub fn deletes(&self) -> bool {
        matches!(self, Step::DeleteLink { .. } | Step::DeleteTable { .. })
    }

    /// The steps that take this one back at once: an IPv6 address that was in use is so again without detection.
    pub fn way_back(&self) -> Vec<Step> {
        match self.inverse() {
            Some(Step::AddAddress { link, address }) => add_address(&address, link),
            inverse => inverse.into_iter().collect(),
        }
    }

    /// Whether it cannot be taken back: what is deleted or replaced as a whole is not made again. These come last.
    pub fn is_final(&self) -> bool {
        matches!(self, Step::DeleteLink { .. } | Step::DeleteTable { .. } | Step::ReplaceTable(_))
    }
}

/// Adds an address that was in use elsewhere. An IPv6 address that was unique there is so here: no second detection, and no
/// trace of that. One that was not in use is to be looked for first.
pub fn add_address(address: &Address, link: IfName) -> Vec<Step> {
    let was_detected =
        address.net.addr().is_ipv6() && address.flags & flag::NODAD == 0 && !address.is_tentative();
    let mut first = address.clone();
    if !was_detected {
        return vec![Step::AddAddress { link, address: first }];
    }
    first.flags |= flag::NODAD;
    let address = address.clone();
    vec![Step::AddAddress { link, address: first }, Step::ClearNodad { link, address }]
}
