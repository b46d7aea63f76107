//! The nftables chains and rules of others, as far as they decide about guests' packets.

use std::fmt;

/// The address family of a chain of anybody's (NFPROTO_*, `include/uapi/linux/netfilter.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// IPv4 and IPv6 packets.
    Inet,
    /// IPv4 packets.
    Ip,
    /// IPv6 packets.
    Ip6,
    /// Frames that pass a bridge.
    Bridge,
}

impl Protocol {
    /// Whether packets of IPv6 or of IPv4 come here.
    pub fn sees(self, v6: bool) -> bool {
        match self {
            Protocol::Inet => true,
            Protocol::Ip => !v6,
            Protocol::Ip6 => v6,
            Protocol::Bridge => false,
        }
    }
}

/// As `nft` names it.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Inet => "inet",
            Protocol::Ip => "ip",
            Protocol::Ip6 => "ip6",
            Protocol::Bridge => "bridge",
        })
    }
}

/// Where a base chain is called from (NF_INET_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Packets for the host itself.
    Input,
    /// Packets that pass through.
    Forward,
    /// Any other.
    Other,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChain {
    /// Its family.
    pub protocol: Protocol,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where it is called from; None for one that others jump to.
    pub point: Option<Point>,
    /// Whether packets that no rule decides are dropped.
    pub drops: bool,
}

/// An interface in a condition of a rule: `br0`, or `br*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    /// The name, or how it begins.
    pub text: String,
    /// Whether anything may follow.
    pub open: bool,
}

impl NamePattern {
    /// Whether it means `name`.
    pub fn fits(&self, name: &str) -> bool {
        if self.open { name.starts_with(&self.text) } else { name == self.text }
    }
}

/// A rule that accepts what passes one interface. It may have further conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The family of its table.
    pub protocol: Protocol,
    /// Its table.
    pub table: String,
    /// The chain that it is in.
    pub chain: String,
    /// The interface that packets come in by.
    pub iif: Option<NamePattern>,
    /// The interface that they go out by.
    pub oif: Option<NamePattern>,
}
