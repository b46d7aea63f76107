//! The entries of a table: `struct ipt_entry` and `struct ip6t_entry` (`include/uapi/linux/netfilter_ipv4/ip_tables.h`).

use crate::model::foreign::{Condition, Fate, ForeignChain, ForeignRule, HookPoint, NamePattern};
use crate::model::iptables::TABLE;
use crate::model::ruleset::Family;

/// The chains and rules of a table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub chains: Vec<ForeignChain>,
    pub rules: Vec<ForeignRule>,
}

/// The hooks of a table `filter` (NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT).
const HOOKS: [(usize, &str, HookPoint); 3] =
    [(1, "INPUT", HookPoint::Input), (2, "FORWARD", HookPoint::Forward), (3, "OUTPUT", HookPoint::Output)];

/// `struct xt_entry_match` and `xt_entry_target`: a size, a name and a revision, before data.
const EXTENSION: usize = 32;
const EXTENSION_NAME: usize = 29;

/// XT_RETURN, and the others as NF_* (`-verdict - 1`).
const RETURN: i32 = -5;
const DROP: i32 = -1;
const ACCEPT: i32 = -2;
/// IPT_INV_VIA_IN, IPT_INV_VIA_OUT.
const NOT_IN: u8 = 1;
const NOT_OUT: u8 = 2;
/// IPT_INV_PROTO.
const NOT_PROTOCOL: u8 = 0x40;

/// Where the fields of an entry are.
struct Layout {
    /// Addresses and their masks.
    addresses: usize,
    /// The two names and their masks come after the addresses, and then the protocol.
    flags: usize,
    not: usize,
    /// The flag of a jump that does not come back (IPT_F_GOTO), and one that says nothing (IP6T_F_PROTO).
    goes: u8,
    silent: u8,
    /// The offset of the target, and that of the next entry.
    offsets: usize,
    /// The length of an entry without matches.
    length: usize,
}

const NAME: usize = 16;
const COUNTERS: usize = 16;

impl Layout {
    fn of(v6: bool) -> Self {
        let (addresses, flags, offsets) = if v6 { (64, 131, 140) } else { (16, 82, 88) };
        let (goes, silent) = if v6 { (4, 1) } else { (2, 0) };
        // What comes after the two offsets is a number, and then two of 64 bits.
        let length = (offsets + 8_usize).next_multiple_of(align_of::<u64>()) + COUNTERS;
        Self { addresses, flags, not: flags + 1, goes, silent, offsets, length }
    }
}

/// An entry, as it lies there.
struct Entry<'a> {
    at: usize,
    bytes: &'a [u8],
    /// Its target.
    target: &'a [u8],
}

/// Reads a table; None where it is not of this form.
pub(super) fn filter(entries: &[u8], begins: [u32; 5], policies: [u32; 5], v6: bool) -> Option<Filter> {
    let layout = Layout::of(v6);
    let entries = split(entries, &layout)?;
    let protocol = if v6 { Family::Ip6 } else { Family::Ip };
    // The name of a chain that others jump to is a target before its first rule.
    let heads: Vec<(usize, String)> =
        entries.iter().filter_map(|entry| Some((entry.at + entry.bytes.len(), head(entry)?))).collect();
    let name_at = |at: usize| heads.iter().find(|(begin, _)| *begin == at).map(|(_, name)| name.clone());
    let mut found = Filter::default();
    for (hook, name, point) in HOOKS {
        let (begin, policy) = (begins[hook] as usize, policies[hook] as usize);
        let policy = entries.iter().find(|entry| entry.at == policy)?;
        let chain = |drops| ForeignChain {
            protocol,
            table: TABLE.to_owned(),
            name: name.to_owned(),
            point: Some(point),
            drops,
        };
        found.chains.push(chain(verdict(policy)? == DROP));
        let rules = entries.iter().filter(|entry| (begin..policy.at).contains(&entry.at));
        found.rules.extend(rules.map(|entry| rule(entry, protocol, name, &layout, &name_at)));
    }
    let mut current: Option<String> = None;
    for entry in &entries {
        if let Some(name) = head(entry) {
            current = Some(name);
        } else if let Some(name) = &current {
            found.rules.push(rule(entry, protocol, name, &layout, &name_at));
        }
    }
    Some(found)
}

fn split<'a>(mut rest: &'a [u8], layout: &Layout) -> Option<Vec<Entry<'a>>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while !rest.is_empty() {
        let offset = |place: usize| Some(usize::from(u16_at(rest, layout.offsets + place)?));
        let (target, next) = (offset(0)?, offset(2)?);
        let is_sound = target >= layout.length && target.checked_add(EXTENSION)? <= next;
        let (bytes, after) = rest.split_at_checked(next).filter(|_| is_sound)?;
        found.push(Entry { at, bytes, target: bytes.get(target..)? });
        at += next;
        rest = after;
    }
    Some(found)
}

/// The name of the chain that an entry begins. The last entry of a table has one that is no chain's.
fn head(entry: &Entry) -> Option<String> {
    let is_head = extension(entry.target) == "ERROR";
    is_head.then(|| text(entry.target.get(EXTENSION..).unwrap_or_default()))
}

/// The verdict of a plain target: below 0 the end of a packet's way, else where it goes on.
fn verdict(entry: &Entry) -> Option<i32> {
    let bytes = entry.target.get(EXTENSION..EXTENSION + 4)?;
    let verdict = i32::from_ne_bytes(bytes.try_into().ok()?);
    extension(entry.target).is_empty().then_some(verdict)
}

fn rule(
    entry: &Entry,
    protocol: Family,
    chain: &str,
    layout: &Layout,
    name_at: &impl Fn(usize) -> Option<String>,
) -> ForeignRule {
    let flags = entry.bytes.get(layout.flags).copied().unwrap_or_default();
    let goes_to = |verdict: i32| name_at(usize::try_from(verdict).ok()?);
    let fate = match (verdict(entry), extension(entry.target).as_str()) {
        (Some(RETURN), _) => Fate::Return,
        (Some(DROP), _) | (None, "REJECT" | "DROP") => Fate::Drop,
        (Some(ACCEPT), _) => Fate::Accept,
        // A rule without a target goes on to the next one.
        (Some(other), _) => goes_to(other).map_or(Fate::None, |to| Fate::Go(to, flags & layout.goes == 0)),
        (None, _) => Fate::None,
    };
    ForeignRule {
        protocol,
        table: TABLE.to_owned(),
        chain: chain.to_owned(),
        conditions: conditions(entry, layout),
        fate,
    }
}

fn conditions(entry: &Entry, layout: &Layout) -> Vec<Condition> {
    let at = |place: usize, length: usize| entry.bytes.get(place..place + length).unwrap_or_default();
    let (names, not) = (layout.addresses, at(layout.not, 1).first().copied().unwrap_or_default());
    let mut found = Vec::new();
    let name = |number: usize| {
        let begin = names + number * NAME;
        pattern(at(begin, NAME), at(begin + 2 * NAME, NAME))
    };
    found.extend(name(0).map(|name| Condition::Iif(name, not & NOT_IN == 0)));
    found.extend(name(1).map(|name| Condition::Oif(name, not & NOT_OUT == 0)));
    let is_set = |place: usize, length: usize| at(place, length).iter().any(|byte| *byte != 0);
    let protocol = u16_at(entry.bytes, names + 4 * NAME).unwrap_or_default();
    if protocol != 0 && not & NOT_PROTOCOL == 0 {
        found.push(u8::try_from(protocol).map_or(Condition::Service, Condition::Protocol));
    }
    let asks_addresses = is_set(names / 2, names / 2);
    let asks_more = at(layout.flags, 1).iter().any(|flags| flags & !(layout.goes | layout.silent) != 0)
        || not & !(NOT_IN | NOT_OUT) != 0;
    found.extend((asks_addresses || asks_more).then_some(Condition::Other));
    let end = entry.bytes.len() - entry.target.len();
    found.extend(matches(entry.bytes.get(layout.length..end).unwrap_or_default()));
    found
}

fn matches(mut rest: &[u8]) -> Vec<Condition> {
    let mut found = Vec::new();
    while let Some(size) = u16_at(rest, 0).map(usize::from).filter(|size| *size >= EXTENSION) {
        found.extend(match extension(rest).as_str() {
            "comment" => None,
            "conntrack" | "state" => Some(Condition::StateIn),
            "udp" => Some(ports(rest).unwrap_or(Condition::Service)),
            "multiport" => Some(multiport(rest).unwrap_or(Condition::Service)),
            "tcp" | "sctp" | "icmp" | "icmp6" => Some(Condition::Service),
            _ => Some(Condition::Other),
        });
        rest = rest.get(size..).unwrap_or_default();
    }
    found
}

/// The ports that `struct xt_udp` asks for (`include/uapi/linux/netfilter/xt_tcpudp.h`): ranges of both ports, and what is inverted.
fn ports(extension: &[u8]) -> Option<Condition> {
    let number = |at: usize| u16_at(extension, EXTENSION + 2 * at);
    let is_inverted = *extension.get(EXTENSION + 8)? != 0;
    let from_any = (number(0)?, number(1)?) == (0, u16::MAX);
    (from_any && !is_inverted).then_some(Condition::Ports(vec![number(2)?..=number(3)?]))
}

/// XT_MULTI_PORTS.
const MULTI_PORTS: usize = 15;

/// The same of `struct xt_multiport_v1` (`xt_multiport.h`): of which port, how many numbers, the numbers, which of them begin a range,
/// and whether all is inverted.
fn multiport(extension: &[u8]) -> Option<Condition> {
    let byte = |at: usize| extension.get(EXTENSION + at).copied();
    let (which, count) = (byte(0)?, usize::from(byte(1)?).min(MULTI_PORTS));
    let flags = 2 + 2 * MULTI_PORTS;
    let is_inverted = byte(flags + MULTI_PORTS)? != 0;
    let mut ports = Vec::new();
    let mut at = 0;
    while at < count {
        let first = u16_at(extension, EXTENSION + 2 + 2 * at)?;
        let begins = byte(flags + at)? != 0;
        at += usize::from(begins);
        ports.push(first..=u16_at(extension, EXTENSION + 2 + 2 * at)?);
        at += 1;
    }
    // XT_MULTIPORT_SOURCE is 0; the other two mean the destination, or both.
    (which != 0 && !is_inverted).then_some(Condition::Ports(ports))
}

/// A name with a mask: all bytes of it and the one behind it, or those that it begins with.
fn pattern(name: &[u8], mask: &[u8]) -> Option<NamePattern> {
    let length = mask.iter().take_while(|byte| **byte != 0).count();
    let name = name.get(..length).filter(|name| !name.is_empty())?;
    Some(NamePattern { text: text(name), open: !name.contains(&0) })
}

fn extension(bytes: &[u8]) -> String {
    text(bytes.get(2..2 + EXTENSION_NAME).unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(place..place + 2)?.try_into().ok()?))
}
