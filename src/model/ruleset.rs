//! The nftables tables that kvmnet wants, as values that print as `nft` text.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{IfName, Mac};

/// The address family of a table (`nft(8)`, ADDRESS FAMILIES).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6 packets.
    Inet,
    /// Every frame of one device.
    Netdev,
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
    /// Packets that leave it; the place of source NAT.
    Postrouting,
    /// Packets that leave it, as they are after source NAT.
    Leaving,
    /// Frames that come up from a device.
    Ingress(IfName),
    /// Frames that go down to a device (Linux 5.16).
    Egress(IfName),
    /// Nowhere by itself: others jump to the chain.
    Nowhere,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// The interface it came in by.
    Iif(IfName),
    /// The interface it came in by, by its number: another one that gets its name is not meant.
    IifIndex(IfName, u32),
    /// Came in by an interface of this kind.
    IifKind(&'static str),
    /// Goes out by an interface of this kind.
    OifKind(&'static str),
    /// The interface it goes out by.
    Oif(IfName),
    /// Not going out by this interface.
    OifNot(IfName),
    /// Came in by an interface of this group.
    IifGroup(u32),
    /// Goes out by an interface of this group.
    OifGroup(u32),
    /// Came in by an interface of another group.
    IifGroupNot(u32),
    /// Goes out by an interface of another group.
    OifGroupNot(u32),
    /// Is IPv4.
    Ipv4,
    /// Is IPv6.
    Ipv6,
    /// Its source is in this subnet.
    Source(IpNet),
    /// It is for an address in this subnet.
    Destination(IpNet),
    /// Its frame is for this Ethernet address.
    ToMac(Mac),
    /// Its frame is for another Ethernet address.
    ToMacNot(Mac),
    /// Belongs or relates to a connection that both sides know.
    Established,
    /// Of a connection whose source is translated.
    Translated,
    /// Came in by an interface that a packet to its source would go out by.
    ReversePath,
    /// It does not.
    NoReversePath,
}

/// What happens to a packet that meets every condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on to the next chain.
    Accept,
    /// Is gone.
    Drop,
    /// Gets the address of the interface that it leaves by.
    Masquerade,
    /// Gets this source address.
    Snat(IpAddr),
    /// Makes no state of a connection.
    NoTrack,
    /// Goes through another chain of the table, and on if that decides nothing.
    Jump(&'static str),
}

/// Conditions and a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// All must hold.
    pub matches: Vec<Match>,
    /// Then this.
    pub verdict: Verdict,
}

impl Rule {
    /// A rule.
    pub fn new(matches: impl Into<Vec<Match>>, verdict: Verdict) -> Self {
        Self { matches: matches.into(), verdict }
    }
}

/// A base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// Where it is called from.
    pub hook: Hook,
    /// Whether packets that no rule decides are dropped.
    pub drops: bool,
    /// In order.
    pub rules: Vec<Rule>,
}

/// A number with a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The number.
    pub key: u32,
    /// What `nft` shows behind it.
    pub comment: String,
}

/// A set of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub elements: Vec<Element>,
}

/// All that is in one set, now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    /// The family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// The set as it is.
    pub from: Set,
    /// As it shall be.
    pub to: Set,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// `kvmnet-BRIDGE`.
    pub name: String,
    /// What the table's userdata says: the fingerprint of its rules.
    pub comment: String,
    /// Its sets, which can change without the table.
    pub sets: Vec<Set>,
    /// Its chains.
    pub chains: Vec<Chain>,
}

impl Table {
    /// What the kernel counts as uses of a chain: its rules, and the jumps to it.
    pub fn uses(&self, chain: &Chain) -> usize {
        let rules = self.chains.iter().flat_map(|chain| &chain.rules);
        chain.rules.len() + rules.filter(|rule| rule.verdict == Verdict::Jump(chain.name)).count()
    }
}

/// A table of kvmnet's that the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// Its comment, empty where somebody wrote the table again without it.
    pub comment: String,
    /// How many objects it holds: chains, sets, …
    pub objects: u32,
    /// The record that it keeps, where that was asked for.
    pub record: Option<String>,
    /// It is switched off, and none of its chains is called.
    pub dormant: bool,
    /// The chains that were asked for.
    pub chains: Vec<FoundChain>,
}

/// A chain of a table of kvmnet's that the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundChain {
    /// Its name.
    pub name: String,
    /// Where it is called from; None where that is no place, or no kind of chain, of kvmnet's.
    pub hook: Option<Hook>,
    /// Whether packets that no rule decides are dropped.
    pub drops: bool,
    /// How many rules it has, and jumps to it.
    pub uses: u32,
}

impl FoundChain {
    /// Whether it is what it was when it was written, as far as the number of its rules tells of them.
    pub fn is(&self, chain: &Chain, table: &Table) -> bool {
        self.name == chain.name
            && self.hook.as_ref() == Some(&chain.hook)
            && self.drops == chain.drops
            && self.uses as usize == table.uses(chain)
    }
}

/// The name of a bridge's tables.
pub fn table_name(bridge: &IfName) -> String {
    format!("{TABLE_PREFIX}{bridge}")
}

/// The beginning of the names of all of kvmnet's tables.
pub const TABLE_PREFIX: &str = "kvmnet-";

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Inet => "inet",
            Family::Netdev => "netdev",
        })
    }
}

impl Match {
    /// The interface that it names.
    pub fn name(&self) -> Option<&IfName> {
        match self {
            Match::Iif(name) | Match::IifIndex(name, _) | Match::Oif(name) | Match::OifNot(name) => {
                Some(name)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Iif(name) => write!(f, "iifname \"{name}\""),
            Match::IifIndex(name, _) => write!(f, "iif \"{name}\""),
            Match::IifKind(kind) => write!(f, "meta iifkind \"{kind}\""),
            Match::OifKind(kind) => write!(f, "meta oifkind \"{kind}\""),
            Match::Oif(name) => write!(f, "oifname \"{name}\""),
            Match::OifNot(name) => write!(f, "oifname != \"{name}\""),
            Match::IifGroup(group) => write!(f, "iifgroup {group}"),
            Match::OifGroup(group) => write!(f, "oifgroup {group}"),
            Match::IifGroupNot(group) => write!(f, "iifgroup != {group}"),
            Match::OifGroupNot(group) => write!(f, "oifgroup != {group}"),
            Match::Ipv4 => f.write_str("meta nfproto ipv4"),
            Match::Ipv6 => f.write_str("meta nfproto ipv6"),
            Match::Source(net) => write!(f, "{} saddr {net}", ip_word(net)),
            Match::Destination(net) => write!(f, "{} daddr {net}", ip_word(net)),
            Match::ToMac(mac) => write!(f, "ether daddr {mac}"),
            Match::ToMacNot(mac) => write!(f, "ether daddr != {mac}"),
            Match::Established => f.write_str("ct state established,related"),
            Match::Translated => f.write_str("ct status snat"),
            Match::ReversePath => f.write_str("fib saddr . iif oif exists"),
            Match::NoReversePath => f.write_str("fib saddr . iif oif missing"),
        }
    }
}

fn ip_word(net: &IpNet) -> &'static str {
    if net.addr().is_ipv4() { "ip" } else { "ip6" }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Accept => f.write_str("accept"),
            Verdict::Drop => f.write_str("drop"),
            Verdict::Masquerade => f.write_str("masquerade"),
            Verdict::NoTrack => f.write_str("notrack"),
            Verdict::Snat(IpAddr::V4(to)) => write!(f, "snat ip to {to}"),
            Verdict::Snat(IpAddr::V6(to)) => write!(f, "snat ip6 to {to}"),
            Verdict::Jump(chain) => write!(f, "jump {chain}"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for condition in &self.matches {
            write!(f, "{condition} ")?;
        }
        write!(f, "{}", self.verdict)
    }
}

impl Chain {
    /// Where it is called from, and what happens to the rest.
    fn head(&self) -> String {
        let hook = match &self.hook {
            Hook::Input => "type filter hook input priority filter".to_owned(),
            Hook::Forward => "type filter hook forward priority filter".to_owned(),
            Hook::Prerouting => "type filter hook prerouting priority -450".to_owned(),
            Hook::Leaving => "type filter hook postrouting priority 300".to_owned(),
            Hook::Postrouting => "type nat hook postrouting priority srcnat".to_owned(),
            Hook::Ingress(device) => format!("type filter hook ingress device \"{device}\" priority filter"),
            Hook::Egress(device) => format!("type filter hook egress device \"{device}\" priority filter"),
            Hook::Nowhere => return String::new(),
        };
        format!("{hook}; policy {};", if self.drops { "drop" } else { "accept" })
    }

    /// The interfaces that it names.
    fn names(&self) -> impl Iterator<Item = &IfName> {
        let device = match &self.hook {
            Hook::Ingress(device) | Hook::Egress(device) => Some(device),
            _ => None,
        };
        let matches = self.rules.iter().flat_map(|rule| &rule.matches);
        device.into_iter().chain(matches.filter_map(Match::name))
    }
}

/// The longest comment in bytes that `nft` takes (NFTNL_UDATA_COMMENT_MAXLEN).
pub const COMMENT_MAX: usize = 127;

/// Whether `nft` takes the name in its quotes: it has no way to hold a quote, and a star at its end means more.
pub fn is_text(name: &IfName) -> bool {
    let name = name.as_bytes();
    std::str::from_utf8(name).is_ok() && !name.contains(&b'"') && !name.ends_with(b"*")
}

impl Table {
    /// Whether `nft` can be told of it.
    pub fn is_sayable(&self) -> bool {
        is_identifier(&self.name) && self.chains.iter().flat_map(Chain::names).all(is_text)
    }
}

/// Whether `nft` takes a text for a comment.
fn is_comment(text: &str) -> bool {
    let is_taken = |c: char| c != '"' && !c.is_control();
    !text.is_empty() && text.len() <= COMMENT_MAX && text.chars().all(is_taken)
}

/// A comment that cannot be written is left out.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match is_comment(&self.comment) {
            true => write!(f, "{} comment \"{}\"", self.key, self.comment),
            false => write!(f, "{}", self.key),
        }
    }
}

/// As `nft add element` takes it.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements: Vec<String> = self.elements.iter().map(ToString::to_string).collect();
        write!(f, "{{ {} }}", elements.join(", "))
    }
}

/// Whether `nft` takes a text for the name of a table.
pub fn is_identifier(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_plain)
}

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
            write!(f, "{}set {} {{{}type mark{end}", gap(1), set.name, gap(2))?;
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
