//! The words of ip(8) for what kvmnet carries from one interface to another without looking into it.
//!
//! In: an attribute as the kernel told it. Out: the argument that makes `ip` send the same.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// RTAX_*, by number (`include/uapi/linux/rtnetlink.h`), as ip-route(8) calls them.
const METRICS: [(u16, &str); 14] = [
    (2, "mtu"),
    (3, "window"),
    (4, "rtt"),
    (5, "rttvar"),
    (6, "ssthresh"),
    (7, "cwnd"),
    (8, "advmss"),
    (9, "reordering"),
    (10, "hoplimit"),
    (11, "initcwnd"),
    (12, "features"),
    (13, "rto_min"),
    (14, "initrwnd"),
    (15, "quickack"),
];
/// RTAX_LOCK: a bit for each metric that the kernel must not change.
const LOCK: u16 = 1;

/// ` WORD VALUE`, where there is a value.
pub fn word(f: &mut fmt::Formatter<'_>, word: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {word} {value}"))
}

/// The same of a number, which is 0 where there is none.
pub fn number(f: &mut fmt::Formatter<'_>, word: &str, value: u32) -> fmt::Result {
    self::word(f, word, (value != 0).then_some(value))
}

/// Attributes in words, and how many had none.
#[derive(Debug, Default)]
pub struct Words {
    /// With a space before each.
    pub text: String,
    /// Attributes that `ip` has no word for, or kvmnet none of `ip`'s.
    pub unsaid: usize,
}

impl Words {
    fn add(&mut self, words: Option<String>) {
        match words {
            Some(words) => self.text += &format!(" {words}"),
            None => self.unsaid += 1,
        }
    }

    /// A remark at the end of the command.
    pub fn remark(&self) -> String {
        match self.unsaid {
            0 => String::new(),
            1 => " # with an attribute more that is not shown".to_owned(),
            count => format!(" # with {count} attributes more that are not shown"),
        }
    }
}

/// What is left of a route (RTA_*).
pub fn route(rest: &[(u16, Vec<u8>)]) -> Words {
    let mut words = Words::default();
    for (kind, value) in rest {
        match (kind, u32_of(value)) {
            (8, _) => metrics(value, &mut words),
            (11, Some(realms)) => words.add(Some(format!("realm {}/{}", realms >> 16, realms & 0xffff))),
            (20, _) => words.add(preference(value)),
            (30, Some(id)) => words.add(Some(format!("nhid {id}"))),
            _ => words.add(None),
        }
    }
    words
}

/// RTA_METRICS: attributes of four bytes each.
fn metrics(mut value: &[u8], words: &mut Words) {
    let mut found = Vec::new();
    while let Some((head, rest)) = value.split_at_checked(8) {
        let (Some(kind), Some(number)) = (head.get(2..4), head.get(4..8).and_then(u32_of)) else { break };
        found.push((u16::from_ne_bytes([kind[0], kind[1]]), number));
        value = rest;
    }
    let locks = found.iter().find(|(kind, _)| *kind == LOCK).map_or(0, |(_, locks)| *locks);
    for (kind, number) in found.into_iter().filter(|(kind, _)| *kind != LOCK) {
        let word = METRICS.iter().find(|(known, _)| *known == kind).map(|(_, word)| *word);
        let lock = if locks & (1 << kind) == 0 { "" } else { "lock " };
        words.add(word.map(|word| match word {
            // The kernel counts these three in parts of a millisecond.
            "rtt" => format!("{word} {lock}{}ms", number / 8),
            "rttvar" => format!("{word} {lock}{}ms", number / 4),
            "rto_min" => format!("{word} {lock}{number}ms"),
            "features" => format!("{word} ecn"),
            _ => format!("{word} {lock}{number}"),
        }));
    }
}

/// RTA_PREF (RFC 4191): 0, 1 and 3.
fn preference(value: &[u8]) -> Option<String> {
    match value {
        [0] => Some("pref medium".to_owned()),
        [1] => Some("pref high".to_owned()),
        [3] => Some("pref low".to_owned()),
        _ => None,
    }
}

/// A policy rule but for its interfaces, priority and table: `struct fib_rule_hdr` and FRA_*.
pub fn rule(header: &[u8; 12], rest: &[(u16, Vec<u8>)]) -> Words {
    let [_, to_length, from_length, tos, _, _, _, action, a, b, c, d] = *header;
    let flags = u32::from_ne_bytes([a, b, c, d]);
    let mut words = Words::default();
    if flags & 2 != 0 {
        words.add(Some("not".to_owned()));
    }
    if tos != 0 {
        words.add(Some(format!("tos {tos:#x}")));
    }
    let mask = number_of(rest, 16).unwrap_or(u32::MAX);
    for (kind, value) in rest {
        let number = u32_of(value);
        match (kind, number) {
            (1, _) => words.add(address(value).map(|to| format!("to {to}/{to_length}"))),
            (2, _) => words.add(address(value).map(|from| format!("from {from}/{from_length}"))),
            (10, Some(mark)) => {
                words.add(Some(format!("fwmark {mark:#x}/{mask:#x}")));
            }
            // Said with the mark; and -1, for "none", is what a rule without the word has.
            (16, _) | (13 | 14, Some(u32::MAX)) => {}
            (13, Some(group)) => words.add(Some(format!("suppress_ifgroup {group}"))),
            (14, Some(length)) => words.add(Some(format!("suppress_prefixlength {length}"))),
            (20, _) => words.add(range(value, 4).map(|(from, to)| format!("uidrange {from}-{to}"))),
            (21, _) => words.add(value.first().map(|protocol| format!("protocol {protocol}"))),
            (22, _) => words.add(value.first().map(|protocol| format!("ipproto {protocol}"))),
            (23, _) => words.add(range(value, 2).map(|(from, to)| format!("sport {from}-{to}"))),
            (24, _) => words.add(range(value, 2).map(|(from, to)| format!("dport {from}-{to}"))),
            _ => words.add(None),
        }
    }
    // FR_ACT_*: 1 is the table, which is said already.
    match action {
        1 => {}
        6 => words.add(Some("type blackhole".to_owned())),
        7 => words.add(Some("type unreachable".to_owned())),
        8 => words.add(Some("type prohibit".to_owned())),
        _ => words.add(None),
    }
    words
}

/// Whether the number `kind` among these attributes has a bit.
pub fn has_flag(rest: &[(u16, Vec<u8>)], kind: u16, bit: u32) -> bool {
    number_of(rest, kind).is_some_and(|flags| flags & bit != 0)
}

fn number_of(rest: &[(u16, Vec<u8>)], kind: u16) -> Option<u32> {
    rest.iter().find(|(known, _)| *known == kind).and_then(|(_, value)| u32_of(value))
}

fn u32_of(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).ok().map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|| <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into()))
}

/// Two numbers of `size` bytes.
fn range(value: &[u8], size: usize) -> Option<(u32, u32)> {
    let number = |bytes: &[u8]| match bytes {
        [a, b] => Some(u32::from(u16::from_ne_bytes([*a, *b]))),
        _ => u32_of(bytes),
    };
    let (from, to) = value.split_at_checked(size)?;
    Some((number(from)?, number(to)?))
}
