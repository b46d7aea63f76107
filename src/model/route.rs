//! Routes and neighbours of an interface, as a takeover carries them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{IfName, Mac, address::scope_name};

/// A route with one next hop, over one interface. What it does not name is in `rest` as the kernel told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to; None for the default route.
    pub destination: Option<IpNet>,
    /// AF_INET or AF_INET6.
    pub family: u8,
    /// IPv4 type of service.
    pub tos: u8,
    /// Routing table.
    pub table: u32,
    /// Who made it (RTPROT_*).
    pub protocol: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// RTN_*: 1 is unicast.
    pub kind: u8,
    /// RTNH_F_*: 4 is onlink.
    pub flags: u32,
    /// Lower wins; 0 for none.
    pub metric: u32,
    /// The next router.
    pub gateway: Option<IpAddr>,
    /// The share of this next hop among several, 1 to 256.
    pub weight: u16,
    /// The source address that it suggests.
    pub source: Option<IpAddr>,
    /// Seconds until it goes, for a route from a router advertisement.
    pub expires: Option<u32>,
    /// The interface.
    pub device: IfName,
    /// Any other attribute, number and value.
    pub rest: Vec<(u16, Vec<u8>)>,
}

/// RTNH_F_ONLINK (`include/uapi/linux/rtnetlink.h`).
pub const ONLINK: u32 = 4;
/// RTPROT_KERNEL.
pub const PROTOCOL_KERNEL: u8 = 2;
/// RTN_UNICAST.
pub const UNICAST: u8 = 1;
/// RTN_LOCAL: an address of the host itself.
pub const LOCAL: u8 = 2;

/// As the arguments of `ip route add`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination {
            Some(net) => write!(f, "{net}")?,
            None => f.write_str("default")?,
        }
        if self.weight == 1 {
            if let Some(gateway) = self.gateway {
                write!(f, " via {gateway}")?;
            }
            write!(f, " dev {}", self.device)?;
        }
        write!(f, " table {} proto {}", self.table, self.protocol)?;
        if self.scope != 0 {
            write!(f, " scope {}", scope_name(self.scope))?;
        }
        if self.tos != 0 {
            write!(f, " tos {}", self.tos)?;
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        if let Some(seconds) = self.expires {
            write!(f, " expires {seconds}")?;
        }
        if self.weight != 1 {
            f.write_str(" nexthop")?;
            if let Some(gateway) = self.gateway {
                write!(f, " via {gateway}")?;
            }
            write!(f, " dev {} weight {}", self.device, self.weight)?;
        }
        if self.flags & ONLINK != 0 {
            f.write_str(" onlink")?;
        }
        Ok(())
    }
}

impl Route {
    /// The same route over another interface.
    pub fn over(&self, device: &IfName) -> Self {
        Self { device: *device, ..self.clone() }
    }
}

/// What is known of a machine on the link (ARP, neighbour discovery).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address.
    pub mac: Mac,
    /// NUD_*.
    pub state: u16,
    /// NTF_*.
    pub flags: u8,
    /// The interface behind which it is.
    pub device: IfName,
}

/// NUD_PERMANENT: set by hand.
pub const PERMANENT: u16 = 0x80;

impl Neighbour {
    /// The same neighbour behind another interface.
    pub fn behind(&self, device: &IfName) -> Self {
        Self { device: *device, ..self.clone() }
    }
}

/// As the arguments of `ip neigh replace`.
impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.state & PERMANENT != 0 { "permanent" } else { "stale" };
        write!(f, "{} lladdr {} dev {} nud {state}", self.address, self.mac, self.device)
    }
}
