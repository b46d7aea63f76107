//! Tables and chains.

use std::fmt;

use super::words::{is_comment, is_identifier, is_text};
use super::{Match, Rule, Set, Verdict};
use crate::model::IfName;

/// The address family of a table (`nft(8)`, ADDRESS FAMILIES). kvmnet has tables of the first two and of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6 packets.
    Inet,
    /// Every frame of one device.
    Netdev,
    /// IPv4 packets.
    Ip,
    /// IPv6 packets.
    Ip6,
    /// Frames that pass a bridge.
    Bridge,
}

impl Family {
    /// Whether packets of IPv6 or of IPv4 come here.
    pub fn sees(self, v6: bool) -> bool {
        match self {
            Family::Inet => true,
            Family::Ip => !v6,
            Family::Ip6 => v6,
            Family::Netdev | Family::Bridge => false,
        }
    }
}

/// As `nft` names it.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Inet => "inet",
            Family::Netdev => "netdev",
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
            Family::Bridge => "bridge",
        })
    }
}

/// Where a chain is called from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// Packets for the host itself.
    Input,
    /// Packets that pass through the host.
    Forward,
    /// Packets that come in, before connections are tracked.
    Prerouting,
    /// Packets that come in; the place of destination NAT.
    Arriving,
    /// Packets of the host itself.
    Output,
    /// Packets of the host itself, before connections are tracked.
    Sending,
    /// Packets of the host itself; the place of their destination NAT.
    Sent,
    /// Packets for the host itself, as they are after all NAT.
    Received,
    /// Packets that leave it; the place of source NAT.
    Postrouting,
    /// Packets that leave it, as they are after source NAT.
    Leaving,
    /// Packets that come in by a device, before the host has looked at them (Linux 5.10).
    Device(IfName),
    /// Frames that come up from a device.
    Ingress(IfName),
    /// Frames that go down to a device (Linux 5.16).
    Egress(IfName),
    /// Frames that come in by a port of a bridge, before it looks where they go.
    Bridging,
    /// Nowhere by itself: others jump to the chain.
    Nowhere,
}

/// A base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub name: &'static str,
    pub hook: Hook,
    /// Whether packets that no rule decides are dropped.
    pub drops: bool,
    pub rules: Vec<Rule>,
}

impl Chain {
    /// Where it is called from, and what happens to the rest.
    fn head(&self) -> String {
        let hook = match &self.hook {
            Hook::Input => "type filter hook input priority filter".to_owned(),
            Hook::Forward => "type filter hook forward priority filter".to_owned(),
            Hook::Prerouting => "type filter hook prerouting priority -450".to_owned(),
            Hook::Arriving => "type nat hook prerouting priority dstnat".to_owned(),
            Hook::Output => "type filter hook output priority filter".to_owned(),
            Hook::Sending => "type filter hook output priority -300".to_owned(),
            Hook::Sent => "type nat hook output priority -100".to_owned(),
            Hook::Received => "type filter hook input priority 150".to_owned(),
            Hook::Leaving => "type filter hook postrouting priority 300".to_owned(),
            Hook::Postrouting => "type nat hook postrouting priority srcnat".to_owned(),
            Hook::Device(device) | Hook::Ingress(device) => {
                format!("type filter hook ingress device \"{device}\" priority filter")
            }
            Hook::Egress(device) => format!("type filter hook egress device \"{device}\" priority filter"),
            Hook::Bridging => "type filter hook prerouting priority -300".to_owned(),
            Hook::Nowhere => return String::new(),
        };
        format!("{hook}; policy {};", if self.drops { "drop" } else { "accept" })
    }

    /// The interfaces that it names.
    fn names(&self) -> impl Iterator<Item = &IfName> {
        let device = match &self.hook {
            Hook::Device(device) | Hook::Ingress(device) | Hook::Egress(device) => Some(device),
            _ => None,
        };
        let matches = self.rules.iter().flat_map(|rule| &rule.matches);
        device.into_iter().chain(matches.filter_map(Match::name))
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub family: Family,
    /// `kvmnet-BRIDGE`.
    pub name: String,
    /// What the table's userdata says: the fingerprint of its rules.
    pub comment: String,
    /// Its sets, which can change without the table.
    pub sets: Vec<Set>,
    pub chains: Vec<Chain>,
}

impl Table {
    /// What the kernel counts as uses of a chain: its rules, and the jumps to it.
    pub fn uses(&self, chain: &Chain) -> usize {
        let rules = self.chains.iter().flat_map(|chain| &chain.rules);
        chain.rules.len() + rules.filter(|rule| rule.verdict == Verdict::Jump(chain.name)).count()
    }

    /// Whether `nft` can be told of it.
    pub fn is_sayable(&self) -> bool {
        is_identifier(&self.name) && self.chains.iter().flat_map(Chain::names).all(is_text)
    }
}

/// The name of a bridge's tables.
pub fn table_name(bridge: &IfName) -> String {
    format!("{TABLE_PREFIX}{bridge}")
}

/// The beginning of the names of all of kvmnet's tables.
pub const TABLE_PREFIX: &str = "kvmnet-";

/// As one line that `nft` takes as it is, or with `{:#}` as lines. A comment that cannot be a comment is left out.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What ends a statement, and what stands before one.
        let (end, gap): (&str, fn(usize) -> String) = match f.alternate() {
            true => ("", |depth| format!("\n{}", "  ".repeat(depth))),
            false => (";", |_| " ".to_owned()),
        };
        write!(f, "table {} {} {{", self.family, self.name)?;
        if is_comment(&self.comment) {
            write!(f, "{}comment \"{}\"{end}", gap(1), self.comment)?;
        }
        for set in &self.sets {
            let (word, kind) = (if set.kind.is_map() { "map" } else { "set" }, set.kind);
            write!(f, "{}{word} {} {{{}{kind}{end}", gap(1), kind.name, gap(2))?;
            if !set.elements.is_empty() {
                write!(f, "{}elements = {set}{end}", gap(2))?;
            }
            write!(f, "{}}}{end}", gap(1))?;
        }
        for chain in &self.chains {
            write!(f, "{}chain {} {{", gap(1), chain.name)?;
            if chain.hook != Hook::Nowhere {
                write!(f, "{}{}", gap(2), chain.head())?;
            }
            for rule in &chain.rules {
                write!(f, "{}{rule}{end}", gap(2))?;
            }
            write!(f, "{}}}{end}", gap(1))?;
        }
        write!(f, "{}}}", gap(0))
    }
}
