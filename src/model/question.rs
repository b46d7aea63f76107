//! What can be asked of the kernel. What was asked is part of the facts, so that "no" differs from "not asked".

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Claim, Filter, IfName};

/// Something to ask the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// An interface, by its name.
    Link(IfName),
    /// An interface, by its number.
    LinkIndex(u32),
    /// The interface that has something for itself.
    Claim(Claim),
    /// The machine-wide forwarding switch, of IPv6 or of IPv4.
    WideForwarding { v6: bool },
    /// Whether IPv4 interfaces to come will forward.
    FreshForwarding,
    /// The route to an address.
    RouteTo(IpAddr),
    /// The ports of the bridge with this number, until one is found that is a guest's. A dump.
    Ports(u32),
    /// Whether the interface with this number has a place for filters.
    Clsact(u32),
    /// Whether the interface with this number has a filter.
    Filter(u32, Filter),
    /// The guest's own filter on the interface with this number.
    GuestFilter(u32),
    /// All bridges. A dump.
    Bridges,
    /// All interfaces. A dump.
    Links,
    /// All taps and tuns. A dump.
    Taps,
    /// The addresses of an interface. A dump that the kernel answers from this interface alone; with 0 from all.
    Addresses(u32),
    /// The unicast routes of a family that lead into one of these networks, or past all of it, and the default ones. A
    /// dump; what it says of others is forgotten at once.
    Ways { v6: bool, nets: Vec<IpNet> },
    /// The host's own IPv4 addresses, as routes of the table `local`. A dump.
    Own,
    /// What a takeover carries from an interface: its routes of a family. A dump.
    Routes { v6: bool, device: u32, name: IfName },
    /// What a takeover carries from an interface: nexthop objects. A dump.
    Nexthops { device: u32, name: IfName },
    /// What a takeover carries from an interface: the policy rules of a family that name it. A dump.
    Rules { v6: bool, name: IfName },
    /// What a takeover carries from an interface: the addresses of a family that the host answers for on it. A dump.
    Proxies { v6: bool, device: u32, name: IfName },
    /// What a takeover carries from an interface: its neighbours of a family. A dump.
    Neighbours { v6: bool, device: u32, name: IfName },
}
