//! Rules: conditions and a verdict.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Kind;
use crate::model::{IfName, Mac, Protocol};

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
    /// Its frame is for all, or for a group.
    ToAll,
    ToGroup,
    /// By its interface, one of a set: more of them came than in a second may, behind a burst.
    Over {
        set: &'static Kind,
        rate: u32,
        burst: u32,
    },
    /// Is IPv4.
    Ipv4,
    /// Is IPv6.
    Ipv6,
    /// Its source is in this subnet.
    Source(IpNet),
    /// It is for an address in this subnet.
    Destination(IpNet),
    /// Its IPv6 header is followed by options for every hop.
    HopByHop,
    /// Its frame is for this Ethernet address.
    ToMac(Mac),
    /// Its frame is for another Ethernet address.
    ToMacNot(Mac),
    /// Not for an address in this subnet.
    DestinationNot(IpNet),
    /// It is for an address of the host's.
    ForHost,
    /// Belongs or relates to a connection that both sides know.
    Established,
    /// Relates to a connection that is known.
    Related,
    /// Is the first of a connection that is seen.
    New,
    /// Goes back to who opened the connection.
    Reply,
    /// Is TCP, and does not open a connection.
    TcpNotSyn,
    /// Is for this port.
    Port(Protocol, u16),
    /// Is ICMP of this type.
    IcmpType(IcmpType),
    /// Of a connection whose destination is translated.
    Led,
    /// Is ICMP, of IPv6 or of IPv4.
    Icmp {
        v6: bool,
    },
    /// Is the host's advice to take another way.
    Redirect {
        v6: bool,
    },
    /// These of its fields are in a set.
    In(&'static [Field], &'static Kind),
    /// Of a connection whose source is translated.
    Translated,
    /// Came in by an interface that a packet to its source would go out by.
    ReversePath,
    /// It does not.
    NoReversePath,
}

/// A type of ICMP (RFC 792), or of ICMPv6 (RFC 4443, 2710, 4861).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpType {
    Echo,
    Echo6,
    ListenerQuery,
    RouterSolicitation,
    RouterAdvertisement,
    Solicitation,
    Advertisement,
}

impl IcmpType {
    pub const ALL: [Self; 7] = [
        IcmpType::Echo,
        IcmpType::Echo6,
        IcmpType::ListenerQuery,
        IcmpType::RouterSolicitation,
        IcmpType::RouterAdvertisement,
        IcmpType::Solicitation,
        IcmpType::Advertisement,
    ];

    /// Whether it is one of IPv6, its number, and what `nft` calls it.
    pub fn about(self) -> (bool, u8, &'static str) {
        match self {
            IcmpType::Echo => (false, 8, "echo-request"),
            IcmpType::Echo6 => (true, 128, "echo-request"),
            IcmpType::ListenerQuery => (true, 130, "mld-listener-query"),
            IcmpType::RouterSolicitation => (true, 133, "nd-router-solicit"),
            IcmpType::RouterAdvertisement => (true, 134, "nd-router-advert"),
            IcmpType::Solicitation => (true, 135, "nd-neighbor-solicit"),
            IcmpType::Advertisement => (true, 136, "nd-neighbor-advert"),
        }
    }
}

impl fmt::Display for IcmpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (v6, _, word) = self.about();
        write!(f, "{} type {word}", if v6 { "icmpv6" } else { "icmp" })
    }
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
    /// Gets the destination that a map has for these of its fields.
    Dnat(&'static [Field], &'static Kind),
    /// Gets the source that a map has for these of its fields, without any state.
    SourceBy(&'static [Field], &'static Kind),
    /// Gets this destination, without any state.
    Destination(IpAddr),
    /// Goes through another chain of the table, and on if that decides nothing.
    Jump(&'static str),
}

/// A field of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Protocol,
    /// The destination, of IPv6 or of IPv4.
    Destination {
        v6: bool,
    },
    /// The port that it is for.
    Port,
}

/// Conditions and a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// All must hold.
    pub matches: Vec<Match>,
    pub verdict: Verdict,
}

impl Rule {
    /// A rule.
    pub fn new(matches: impl Into<Vec<Match>>, verdict: Verdict) -> Self {
        Self { matches: matches.into(), verdict }
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
            Match::ToAll => f.write_str("meta pkttype broadcast"),
            Match::ToGroup => f.write_str("meta pkttype multicast"),
            Match::Over { set, rate, burst } => {
                let name = set.name;
                write!(f, "update @{name} {{ iif limit rate over {rate}/second burst {burst} packets }}")
            }
            Match::Ipv4 => f.write_str("meta nfproto ipv4"),
            Match::Ipv6 => f.write_str("meta nfproto ipv6"),
            Match::Source(net) => write!(f, "{} saddr {net}", ip_word(net)),
            Match::Destination(net) => write!(f, "{} daddr {net}", ip_word(net)),
            Match::HopByHop => f.write_str("ip6 nexthdr hopopt"),
            Match::ToMac(mac) => write!(f, "ether daddr {mac}"),
            Match::ToMacNot(mac) => write!(f, "ether daddr != {mac}"),
            Match::DestinationNot(net) => write!(f, "{} daddr != {net}", ip_word(net)),
            Match::ForHost => f.write_str("fib daddr type local"),
            Match::Related => f.write_str("ct state related"),
            Match::New => f.write_str("ct state new"),
            Match::Reply => f.write_str("ct direction reply"),
            Match::TcpNotSyn => f.write_str("tcp flags & (fin | syn | rst | ack) != syn"),
            Match::Port(protocol, port) => write!(f, "{protocol} dport {port}"),
            Match::IcmpType(kind) => kind.fmt(f),
            Match::Led => f.write_str("ct status dnat"),
            Match::Icmp { v6: false } => f.write_str("meta l4proto icmp"),
            Match::Icmp { v6: true } => f.write_str("meta l4proto ipv6-icmp"),
            Match::Redirect { v6: false } => f.write_str("icmp type redirect"),
            Match::Redirect { v6: true } => f.write_str("icmpv6 type nd-redirect"),
            Match::In(fields, set) => write!(f, "{} @{}", Fields(fields), set.name),
            Match::Established => f.write_str("ct state established,related"),
            Match::Translated => f.write_str("ct status snat"),
            Match::ReversePath => f.write_str("fib saddr . iif oif exists"),
            Match::NoReversePath => f.write_str("fib saddr . iif oif missing"),
        }
    }
}

/// As a concatenation.
struct Fields(&'static [Field]);

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(|field| match field {
            Field::Protocol => "meta l4proto",
            Field::Destination { v6: false } => "ip daddr",
            Field::Destination { v6: true } => "ip6 daddr",
            Field::Port => "th dport",
        });
        f.write_str(&words.collect::<Vec<_>>().join(" . "))
    }
}

/// The family of the addresses that a map leads to.
fn word_of(map: &Kind) -> &'static str {
    if map.is_of_ipv6() { "ip6" } else { "ip" }
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
            Verdict::Dnat(fields, map) => {
                write!(f, "dnat {} to {} map @{}", word_of(map), Fields(fields), map.name)
            }
            Verdict::SourceBy(fields, map) => {
                write!(f, "{} saddr set {} map @{}", word_of(map), Fields(fields), map.name)
            }
            Verdict::Destination(to) => write!(f, "{} daddr set {to}", ip_word(&(*to).into())),
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
