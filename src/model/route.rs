//! Routes and neighbours of an interface, as a takeover carries them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::scope_name;
use super::carried::{self, number, word};
use super::{IfName, Mac};
use crate::terminal::shell_word;

/// A next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    pub device: IfName,
    /// The next router; None for what is on the link.
    pub gateway: Option<IpAddr>,
    /// Its share among several, 1 to 256.
    pub weight: u16,
    /// The router is on the link although no address says so (RTNH_F_ONLINK).
    pub onlink: bool,
}

/// A route. What it does not name is in `rest` as the kernel told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to; None for the default route.
    pub destination: Option<IpNet>,
    /// IPv6: only for packets with a source from here (a source-specific route).
    pub origin: Option<IpNet>,
    /// AF_INET or AF_INET6.
    pub family: u8,
    /// IPv4 type of service.
    pub tos: u8,
    pub table: u32,
    /// Who made it (RTPROT_*).
    pub protocol: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// RTN_*: 1 is unicast.
    pub kind: u8,
    /// Lower wins; 0 for none.
    pub metric: u32,
    /// The source address that it suggests.
    pub source: Option<IpAddr>,
    /// Seconds until it goes, for a route from a router advertisement.
    pub expires: Option<u32>,
    /// The next hops, one at least.
    pub hops: Vec<Hop>,
    /// Any other attribute, number and value.
    pub rest: Vec<(u16, Vec<u8>)>,
}

/// RT_TABLE_MAIN, the table that people mean.
pub const MAIN: u32 = 254;
/// RTPROT_KERNEL.
pub const PROTOCOL_KERNEL: u8 = 2;
/// RTPROT_RA: announced by a router.
pub const PROTOCOL_RA: u8 = 9;
/// RTN_UNICAST.
pub const UNICAST: u8 = 1;
/// RTN_LOCAL: an address of the host itself.
pub const LOCAL: u8 = 2;
/// RTN_MULTICAST, the last type whose routes lead somewhere.
pub const MULTICAST: u8 = 5;
/// RTN_THROW, the last type whose routes lead nowhere: what it is for is looked up in the next table.
pub const THROW: u8 = 9;

/// What ip-route(8) calls the types of routes; unicast goes without saying.
const KINDS: [(u8, &str); 8] = [
    (LOCAL, "local"),
    (3, "broadcast"),
    (4, "anycast"),
    (5, "multicast"),
    (6, "blackhole"),
    (7, "unreachable"),
    (8, "prohibit"),
    (THROW, "throw"),
];

/// The word for a type that is not unicast.
pub fn kind_name(kind: u8) -> Option<&'static str> {
    KINDS.iter().find(|(number, _)| *number == kind).map(|(_, word)| *word)
}

/// As the arguments of `ip route add`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(word) = kind_name(self.kind) {
            write!(f, "{word} ")?;
        }
        match self.destination {
            Some(net) => write!(f, "{net}")?,
            None => f.write_str("default")?,
        }
        word(f, "from", self.origin)?;
        if let [hop] = &self.hops[..] {
            if hop.weight == 1 {
                write!(f, "{hop}")?;
            }
        }
        write!(f, " table {} proto {}", self.table, self.protocol)?;
        word(f, "scope", (self.scope != 0).then(|| scope_name(self.scope)))?;
        number(f, "tos", self.tos.into())?;
        number(f, "metric", self.metric)?;
        word(f, "src", self.source)?;
        word(f, "expires", self.expires)?;
        let rest = carried::route(&self.rest);
        f.write_str(&rest.text)?;
        for hop in self.hops.iter().filter(|hop| self.hops.len() > 1 || hop.weight != 1) {
            write!(f, " nexthop{hop} weight {}", hop.weight)?;
        }
        f.write_str(&rest.remark())
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        word(f, "via", self.gateway)?;
        let onlink = if self.onlink { " onlink" } else { "" };
        write!(f, " dev {}{onlink}", shell_word(self.device))
    }
}

impl Route {
    /// Whether it leads everywhere, and for packets from anywhere.
    pub fn is_default(&self) -> bool {
        self.destination.is_none() && self.origin.is_none()
    }

    /// Whether it goes over this interface.
    pub fn is_over(&self, device: &IfName) -> bool {
        self.hops.iter().any(|hop| hop.device == *device)
    }

    /// Whether its interfaces must have IPv6: one of IPv4 may go by a router of IPv6 (RTA_VIA).
    pub fn needs_ipv6(&self) -> bool {
        i32::from(self.family) == nix::libc::AF_INET6 || self.rest.iter().any(|(kind, _)| *kind == 18)
    }

    /// Whether it goes by a router.
    pub fn has_router(&self) -> bool {
        self.hops.iter().any(|hop| hop.gateway.is_some())
    }

    /// Whether by it packets for this address are taken in.
    pub fn is_local(&self, address: &IpAddr) -> bool {
        self.kind == LOCAL && self.destination.is_some_and(|net| net == IpNet::from(*address))
    }

    /// The same route with one interface in the place of another.
    pub fn moved(&self, from: &IfName, to: &IfName) -> Self {
        let mut route = self.clone();
        route.hops.iter_mut().filter(|hop| hop.device == *from).for_each(|hop| hop.device = *to);
        route
    }
}

/// A next hop that routes name by its number (`ip nexthop`), as the kernel told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nexthop {
    pub id: u32,
    /// Family, scope, protocol and flags (`struct nhmsg`).
    pub header: [u8; 8],
    pub device: IfName,
    pub gateway: Option<IpAddr>,
    /// Any other attribute, number and value.
    pub rest: Vec<(u16, Vec<u8>)>,
}

impl Nexthop {
    /// Whether its interface must have IPv6.
    pub fn needs_ipv6(&self) -> bool {
        i32::from(self.header[0]) == nix::libc::AF_INET6
    }

    /// The same over another interface.
    pub fn over(&self, device: &IfName) -> Self {
        Self { device: *device, ..self.clone() }
    }
}

/// As the arguments of `ip nexthop replace`.
impl fmt::Display for Nexthop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id {}", self.id)?;
        word(f, "via", self.gateway)?;
        write!(f, " dev {}", shell_word(self.device))
    }
}

/// A routing policy rule that names an interface (`ip rule`), as the kernel told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRule {
    /// `struct fib_rule_hdr`.
    pub header: [u8; 12],
    /// Its place among the rules.
    pub priority: u32,
    pub table: u32,
    /// The interface that a packet comes in by.
    pub iif: Option<IfName>,
    /// The interface that a packet's socket is bound to.
    pub oif: Option<IfName>,
    /// Any other attribute, number and value.
    pub rest: Vec<(u16, Vec<u8>)>,
}

impl PolicyRule {
    /// Whether it names this interface.
    pub fn names(&self, link: &IfName) -> bool {
        self.iif.as_ref() == Some(link) || self.oif.as_ref() == Some(link)
    }

    /// The same with one interface in the place of another.
    pub fn moved(&self, from: &IfName, to: &IfName) -> Self {
        let renamed = |name: Option<IfName>| name.map(|name| if name == *from { *to } else { name });
        Self { iif: renamed(self.iif), oif: renamed(self.oif), ..self.clone() }
    }
}

/// As the arguments of `ip rule add`.
impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority {}", self.priority)?;
        word(f, "iif", self.iif.map(shell_word))?;
        word(f, "oif", self.oif.map(shell_word))?;
        let rest = carried::rule(&self.header, &self.rest);
        f.write_str(&rest.text)?;
        number(f, "lookup", self.table)?;
        f.write_str(&rest.remark())
    }
}

/// What is known of a machine on the link (ARP, neighbour discovery), or an address that the host answers for (NTF_PROXY).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub address: IpAddr,
    /// Its Ethernet address; None for one that the host answers for.
    pub mac: Option<Mac>,
    /// NUD_*.
    pub state: u16,
    /// NTF_*.
    pub flags: u8,
    pub device: IfName,
    /// Who made it, and further flags, as the kernel told them (NDA_PROTOCOL, NDA_FLAGS_EXT).
    pub rest: Vec<(u16, Vec<u8>)>,
}

/// NUD_REACHABLE: it answered a moment ago.
pub const REACHABLE: u16 = 0x02;
/// NUD_STALE: it answered some time ago.
pub const STALE: u16 = 0x04;
/// NUD_NOARP: nobody asks whether it is there.
pub const NOARP: u16 = 0x40;
/// NUD_PERMANENT: set by hand.
pub const PERMANENT: u16 = 0x80;
/// NTF_PROXY: the host answers for it.
pub const PROXY: u8 = 0x08;
/// NTF_EXT_LEARNED: a program keeps it.
pub const KEPT: u8 = 0x10;
/// NTF_ROUTER.
pub const ROUTER: u8 = 0x80;

impl Neighbour {
    /// The same neighbour behind another interface.
    pub fn behind(&self, device: &IfName) -> Self {
        Self { device: *device, ..self.clone() }
    }

    /// Whether somebody put it there, and the kernel did not learn it by itself.
    pub fn is_set(&self) -> bool {
        self.state & (PERMANENT | NOARP) != 0 || self.flags & (PROXY | KEPT) != 0 || self.is_managed()
    }

    /// Whether the kernel is to keep asking for it (NTF_EXT_MANAGED).
    fn is_managed(&self) -> bool {
        carried::has_flag(&self.rest, 15, 1)
    }
}

/// As the arguments of `ip neigh replace`.
impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.flags & PROXY != 0 {
            f.write_str("proxy ")?;
        }
        write!(f, "{}", self.address)?;
        word(f, "lladdr", self.mac)?;
        write!(f, " dev {}", shell_word(self.device))?;
        if self.mac.is_some() {
            let states = [(PERMANENT, "permanent"), (NOARP, "noarp"), (REACHABLE, "reachable")];
            let state = states.iter().find(|(bit, _)| self.state & bit != 0);
            write!(f, " nud {}", state.map_or("stale", |(_, word)| word))?;
        }
        for (bit, word) in [(ROUTER, " router"), (KEPT, " extern_learn")] {
            f.write_str(if self.flags & bit != 0 { word } else { "" })?;
        }
        f.write_str(if self.is_managed() { " managed" } else { "" })?;
        let protocol = self.rest.iter().find(|(kind, _)| *kind == 12).and_then(|(_, value)| value.first());
        word(f, "protocol", protocol)
    }
}
