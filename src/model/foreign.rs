//! The nftables chains and rules of others, as far as they decide about guests' packets.

use std::ops::RangeInclusive;

use super::IfName;
use super::ruleset::{Family, TABLE_PREFIX, Verdict};

/// Where a base chain is called from (NF_INET_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPoint {
    /// Packets for the host itself.
    Input,
    /// Packets that pass through.
    Forward,
    /// Packets of the host's own.
    Output,
    /// Any other.
    Other,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChain {
    pub protocol: Family,
    pub table: String,
    pub name: String,
    /// Where it is called from; None for one that others jump to.
    pub point: Option<HookPoint>,
    /// Whether packets that no rule decides are dropped.
    pub drops: bool,
}

impl ForeignChain {
    /// Whether it is somebody else's, and guests' packets meet it.
    pub fn decides(&self) -> bool {
        matches!(self.point, Some(HookPoint::Forward | HookPoint::Input | HookPoint::Output))
            && !self.table.starts_with(TABLE_PREFIX)
    }
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

/// What a rule asks of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The interface that it comes in by; with false, that it is another.
    Iif(NamePattern, bool),
    /// The interface that it goes out by, likewise.
    Oif(NamePattern, bool),
    /// It is IPv6, or IPv4.
    V6(bool),
    /// The state of its connection is one of these (`NF_CT_STATE_BIT`).
    State(u32),
    /// The state of its connection is in a set, whose members are not asked for.
    StateIn,
    /// The protocol above IP.
    Protocol(u8),
    /// It is for one of these ports.
    Ports(Vec<RangeInclusive<u16>>),
    /// It is for a port in a set of this name (or, with false, in none), whose members are not known.
    PortsOf(String, bool),
    /// Its IPv4 source is one of some.
    Source4,
    /// It is of one service: the port that it comes from, a type of ICMP.
    Service,
    /// Anything else.
    Other,
}

/// IPPROTO_UDP.
pub const UDP: u8 = 17;

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet.
    None,
    /// It passes this chain.
    Accept,
    /// It is dropped or rejected.
    Drop,
    /// It goes on in another chain, and comes back (true) or not.
    Go(String, bool),
    /// It goes back to where it came from.
    Return,
    /// Its source is translated.
    Nat(Verdict),
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRule {
    pub protocol: Family,
    pub table: String,
    pub chain: String,
    pub conditions: Vec<Condition>,
    pub fate: Fate,
}

impl ForeignRule {
    /// Whether it accepts what comes in by an interface. It may have further conditions.
    pub fn lets_in(&self, name: &str) -> bool {
        self.accepts(|condition| matches!(condition, Condition::Iif(iif, true) if iif.fits(name)))
    }

    /// How it translates the source of a packet.
    pub fn nat(&self) -> Option<&Verdict> {
        match &self.fate {
            Fate::Nat(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// The interface that a packet must go out by.
    pub fn oif(&self) -> Option<IfName> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::Oif(oif, true) => IfName::new(&oif.text).ok(),
            _ => None,
        })
    }

    /// Whether it accepts what goes out by an interface, likewise.
    pub fn lets_out(&self, name: &str) -> bool {
        self.accepts(|condition| matches!(condition, Condition::Oif(oif, true) if oif.fits(name)))
    }

    /// Whether it accepts some UDP.
    pub fn lets_in_by_udp(&self) -> bool {
        self.accepts(|condition| *condition == Condition::Protocol(UDP))
    }

    fn accepts(&self, is_it: impl Fn(&Condition) -> bool) -> bool {
        self.fate == Fate::Accept && self.conditions.iter().any(is_it)
    }
}
