//! The tables that a network wants: who may reach whom, in the words of `nft`.
//!
//! In: a network and its uplinks. Out: [`Table`]s. Never: asks the kernel.
//!
//! The rules stand on three facts. One drop wins over every accept of other tables, so a table of one's own
//! can keep guests in but not open what another firewall closes. Every door between the host and a network
//! whose guests must not be reached from elsewhere carries the link group [`GROUP`]. And where br_netfilter
//! is on, frames between two guests of one bridge pass here too, with the bridge as both interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::desired::Desired;
use crate::model::link::{GROUP, lan_group};
use crate::model::ruleset::{
    Chain, Element, Family, Found, Hook, Match, Rule, Set, Table, Verdict, table_name,
};
use crate::model::{IfName, Ledger, Mac, Mode, Network, Uplink, fnv1a};

/// What kvmnet alone made forward packets; all that it may forward is kvmnet's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// What that is.
    pub opened: Opened,
    /// Of IPv6 or of IPv4.
    pub v6: bool,
}

/// What forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// One interface.
    Link {
        /// Its name.
        name: IfName,
        /// Its number, where it is known: another interface that gets the name later is not meant.
        index: Option<u32>,
        /// Of a bridge, its MAC: a frame for another one only passes from port to port.
        bridge: Option<Mac>,
    },
    /// Every interface, those to come included.
    All {
        /// Those that forwarded before.
        but: Vec<IfName>,
    },
}

/// What a network's rules depend on besides its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ground {
    /// What kvmnet opened.
    pub leaks: Vec<Leak>,
    /// The MAC of a bridge that keeps it; frames for another one only pass from port to port.
    pub mac: Option<Mac>,
    /// The bridges of others that named uplinks are ports of.
    pub masters: Vec<(IfName, IfName)>,
    /// Whether rules may ask where a source is.
    pub knows_sources: bool,
}

/// The tables of `desired`, the first with `record` as its record.
pub fn tables(desired: &Desired, ground: &Ground, ledger: &Ledger) -> Vec<Table> {
    let network = &desired.network;
    let name = table_name(&network.bridge);
    let table = |family, chains| Table {
        family,
        name: name.clone(),
        comment: String::new(),
        sets: Vec::new(),
        chains,
    };
    let forward = |rules| forward(rules, &ground.leaks);
    let input = || input(network.door(), ground.knows_sources);
    let chains = match network.mode {
        Mode::Isolated => Vec::new(),
        Mode::HostOnly => vec![input(), forward(host_only(network.door()))],
        Mode::Routed => vec![input(), forward(routed(network, ground))],
        Mode::Nat => {
            let [out, translate] = by_source(network);
            let forward = forward(nat(network, ground));
            vec![out, translate, input(), forward, source_nat(network, ground), leaving(network)]
        }
        Mode::Bridged => vec![forward(Vec::new())],
    };
    let inside = inside(desired, ground.mac);
    let mut tables = vec![table(Family::Inet, [vec![inside], chains].concat())];
    if desired.closed {
        tables.push(table(Family::Netdev, closed_door(&network.bridge)));
    }
    sign(&mut tables);
    if let Some(table) = tables.first_mut() {
        table.sets.push(record(ledger));
    }
    tables
}

/// The chains of `desired`'s tables, which do not depend on what is observed.
pub fn chain_names(desired: &Desired) -> Vec<(Family, &'static str)> {
    let chains = match desired.network.mode {
        Mode::Isolated => &[PREROUTING][..],
        Mode::Bridged => &[PREROUTING, FORWARD],
        Mode::HostOnly | Mode::Routed => &[PREROUTING, INPUT, FORWARD],
        Mode::Nat => &[PREROUTING, OUT, TRANSLATE, INPUT, FORWARD, POSTROUTING, LEAVING],
    };
    let mut names: Vec<_> = chains.iter().map(|chain| (Family::Inet, *chain)).collect();
    if desired.closed {
        names.extend([(Family::Netdev, INGRESS), (Family::Netdev, EGRESS)]);
    }
    names
}

/// What a chain that drops everything else has to let through: frames from port to port, which br_netfilter shows there,
/// and what the network's own table, which decides, lets out and in.
pub fn passages(desired: &Desired, v6: bool) -> Vec<Rule> {
    let (bridge, door) = (desired.network.bridge, *desired.door());
    let mut rules = vec![within(&bridge)];
    if desired.forwards(v6) {
        rules.push(Rule::new([Match::Iif(door)], Verdict::Accept));
        rules.push(Rule::new([Match::Oif(door)], Verdict::Accept));
    }
    rules
}

/// The set with the copy of a record. Earlier versions had a chain of this name, for what the comment had no room for.
pub const RECORD: &str = "record";

/// The set with the copy of a record, an entry each element.
pub fn record(ledger: &Ledger) -> Set {
    let elements = (1..).zip(ledger.entries()).map(|(key, comment)| Element { key, comment });
    Set { name: RECORD, elements: elements.collect() }
}

/// The record in the comment of a table that an earlier version wrote. It may be in short.
pub fn ledger_in(comment: &str) -> Option<Ledger> {
    let (ledger, _) = comment.rsplit_once(" #")?;
    Ledger::parse(ledger)
}

/// The copy of the record that a table has, as far as it was read.
pub fn ledger_of(found: &Found) -> Option<Ledger> {
    found.record.as_deref().and_then(Ledger::parse).or_else(|| ledger_in(&found.comment))
}

const INPUT: &str = "input";
const FORWARD: &str = "forward";
const OUT: &str = "out";
const TRANSLATE: &str = "translate";
const PREROUTING: &str = "prerouting";
const POSTROUTING: &str = "postrouting";
const LEAVING: &str = "leaving";
const INGRESS: &str = "ingress";
const EGRESS: &str = "egress";

/// Writes the fingerprint of all rules into the notes: two tables with one comment have one content.
fn sign(tables: &mut [Table]) {
    let text: String = tables.iter().map(ToString::to_string).collect();
    let comment = format!("kvmnet #{:016x}", fnv1a(text.as_bytes()));
    for table in tables {
        table.comment.clone_from(&comment);
    }
}

fn forward(mut rules: Vec<Rule>, leaks: &[Leak]) -> Chain {
    rules.extend(leaks.iter().flat_map(leak));
    Chain { name: FORWARD, hook: Hook::Forward, drops: false, rules }
}

/// A guest speaks to the host as itself: what the host answers to a source that is elsewhere would go there, with the guest's
/// own words in it (an echo, an error), past all that keeps the guest in.
fn input(door: &IfName, knows_sources: bool) -> Chain {
    let unspecified = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let mut rules: Vec<Rule> = unspecified
        .map(|source| Rule::new([Match::Iif(*door), Match::Source(source.into())], Verdict::Accept))
        .into();
    rules.push(Rule::new([Match::Iif(*door), Match::ReversePath], Verdict::Accept));
    rules.push(Rule::new([Match::Iif(*door)], Verdict::Drop));
    rules.retain(|_| knows_sources);
    Chain { name: INPUT, hook: Hook::Input, drops: false, rules }
}

/// What br_netfilter shows of frames inside the bridge is no packet of the host's: it makes no connection that the
/// host's rules then know, and fills no memory. All that comes in by a closed bridge is inside.
fn inside(desired: &Desired, mac: Option<Mac>) -> Chain {
    let bridge = Match::Iif(desired.network.bridge);
    let rules = match (desired.closed, mac) {
        (true, _) => vec![Rule::new([bridge], Verdict::NoTrack)],
        (false, Some(mac)) => vec![Rule::new([bridge, Match::ToMacNot(mac)], Verdict::NoTrack)],
        (false, None) => Vec::new(),
    };
    Chain { name: PREROUTING, hook: Hook::Prerouting, drops: false, rules }
}

/// Everything between the bridge's own port and the host is dropped: ARP, any ethertype, multicast. It does
/// not see frames between two ports.
fn closed_door(bridge: &IfName) -> Vec<Chain> {
    let chain = |name, hook| Chain { name, hook, drops: true, rules: Vec::new() };
    vec![chain(INGRESS, Hook::Ingress(*bridge)), chain(EGRESS, Hook::Egress(*bridge))]
}

/// The table of a closed door as it was written with this comment.
pub fn door_table(bridge: &IfName, comment: &str) -> Table {
    let (name, comment) = (table_name(bridge), comment.to_owned());
    Table { family: Family::Netdev, name, comment, sets: Vec::new(), chains: closed_door(bridge) }
}

/// Frames between two guests that br_netfilter shows here.
fn within(door: &IfName) -> Rule {
    Rule::new([Match::Iif(*door), Match::Oif(*door)], Verdict::Accept)
}

fn host_only(door: &IfName) -> Vec<Rule> {
    vec![
        within(door),
        Rule::new([Match::Iif(*door)], Verdict::Drop),
        Rule::new([Match::Oif(*door)], Verdict::Drop),
    ]
}

/// In and out between the network and its uplinks or other routed networks; a nat network refuses for itself.
fn routed(network: &Network, ground: &Ground) -> Vec<Rule> {
    let door = network.door();
    let mut rules = vec![within(door)];
    if ground.knows_sources {
        rules.push(Rule::new([Match::Iif(*door), Match::NoReversePath], Verdict::Drop));
    }
    let Some(ways) = ways(network, ground) else { return rules };
    let ways = [vec![Way::Group(GROUP)], ways].concat();
    rules.extend(ways.iter().map(|way| Rule::new([Match::Iif(*door), way.out()], Verdict::Accept)));
    rules.extend(ways.iter().map(|way| Rule::new([Match::Oif(*door), way.back()], Verdict::Accept)));
    rules.push(Rule::new([Match::Iif(*door)], Verdict::Drop));
    rules.push(Rule::new([Match::Oif(*door)], Verdict::Drop));
    rules
}

/// Out from the network's own addresses only, so that nothing leaves without NAT; in only as an answer, by the way that
/// the question went.
fn nat(network: &Network, ground: &Ground) -> Vec<Rule> {
    let door = network.door();
    let mut rules = vec![within(door), Rule::new([Match::Iif(*door), Match::OifGroup(GROUP)], Verdict::Drop)];
    rules.extend(multicast(network));
    for way_out in ways_out(network, ground) {
        rules.push(Rule::new([vec![Match::Iif(*door)], way_out].concat(), Verdict::Jump(OUT)));
    }
    rules.push(Rule::new([Match::Iif(*door)], Verdict::Drop));
    let backs = match ways(network, ground) {
        Some(ways) => ways.iter().map(|way| vec![way.back()]).collect(),
        None if ground.knows_sources => vec![vec![Match::IifGroupNot(GROUP), Match::ReversePath]],
        None => vec![vec![Match::IifGroupNot(GROUP)]],
    };
    for back in backs {
        let answer = vec![Match::Established, Match::Translated];
        rules.push(Rule::new([vec![Match::Oif(*door)], back, answer].concat(), Verdict::Accept));
    }
    rules.push(Rule::new([Match::Oif(*door)], Verdict::Drop));
    rules
}

/// What a multicast router on the host sends on passes postrouting without the interface that it came in by (`ip_mc_output`):
/// nothing there would translate it, or stop it for not being translated.
fn multicast(network: &Network) -> Vec<Rule> {
    let all =
        [IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0))];
    let nets = all.into_iter().zip([4, 8]).filter_map(|(first, length)| IpNet::new(first, length).ok());
    let has = |net: &IpNet| subnets(network).any(|subnet| subnet.addr().is_ipv4() == net.addr().is_ipv4());
    let drop = |net| Rule::new([Match::Iif(*network.door()), Match::Destination(net)], Verdict::Drop);
    nets.filter(has).map(drop).collect()
}

/// Never for what br_netfilter shows: a frame that passes from port to port has no interface that it came in by here.
fn source_nat(network: &Network, ground: &Ground) -> Chain {
    let mut rules = Vec::new();
    for mut way_out in ways_out(network, ground) {
        if way_out.is_empty() {
            way_out.push(Match::OifNot(*network.door()));
        }
        let matches = [vec![Match::Iif(*network.door())], way_out].concat();
        rules.push(Rule::new(matches, Verdict::Jump(TRANSLATE)));
    }
    Chain { name: POSTROUTING, hook: Hook::Postrouting, drops: false, rules }
}

/// What becomes of packets on a way out, by their source: chains of their own, so that there is a rule for each way and
/// one for each subnet, and not one for each pair.
fn by_source(network: &Network) -> [Chain; 2] {
    let chain = |name, verdict: &dyn Fn(IpNet) -> Verdict| {
        let rules =
            subnets(network).map(|subnet| Rule::new([Match::Source(subnet)], verdict(subnet))).collect();
        Chain { name, hook: Hook::Nowhere, drops: false, rules }
    };
    let translate = |subnet: IpNet| {
        let is_family = |source: &IpAddr| source.is_ipv4() == subnet.addr().is_ipv4();
        network.nat_source.filter(is_family).map_or(Verdict::Masquerade, Verdict::Snat)
    };
    [chain(OUT, &|_| Verdict::Accept), chain(TRANSLATE, &translate)]
}

/// What was not translated, for whatever reason, does not leave: a packet of no connection, of one that began before NAT
/// did, or that somebody's rules do not track.
fn leaving(network: &Network) -> Chain {
    let door = *network.door();
    let drop =
        |subnet| Rule::new([Match::Iif(door), Match::OifNot(door), Match::Source(subnet)], Verdict::Drop);
    Chain { name: LEAVING, hook: Hook::Leaving, drops: false, rules: subnets(network).map(drop).collect() }
}

/// A way out of a network, and back.
#[derive(Debug, Clone, Copy)]
enum Way {
    Link(IfName),
    Group(u32),
}

impl Way {
    fn out(self) -> Match {
        match self {
            Way::Link(name) => Match::Oif(name),
            Way::Group(group) => Match::OifGroup(group),
        }
    }

    fn back(self) -> Match {
        match self {
            Way::Link(name) => Match::Iif(name),
            Way::Group(group) => Match::IifGroup(group),
        }
    }
}

/// Each uplink that is named, and the bridge that it is a port of or may become one of; None where the routes say.
fn ways(network: &Network, ground: &Ground) -> Option<Vec<Way>> {
    let Uplink::Named(uplinks) = &network.uplink else { return None };
    let mut ways = Vec::new();
    for uplink in uplinks {
        ways.extend([Way::Link(*uplink), Way::Group(lan_group(uplink))]);
        let masters = ground.masters.iter().filter(|(port, _)| port == uplink);
        ways.extend(masters.map(|(_, master)| Way::Link(*master)));
    }
    Some(ways)
}

/// One list of conditions for each way out.
fn ways_out(network: &Network, ground: &Ground) -> Vec<Vec<Match>> {
    match ways(network, ground) {
        None => vec![Vec::new()],
        Some(ways) => ways.iter().map(|way| vec![way.out()]).collect(),
    }
}

fn subnets(network: &Network) -> impl Iterator<Item = IpNet> + '_ {
    network.addresses.iter().map(IpNet::trunc)
}

/// Forwarding is decided by the interface that a packet comes in by. What kvmnet alone switched on must not make the host
/// a router for others, not even back out by the same interface.
fn leak(leak: &Leak) -> Vec<Rule> {
    let family = if leak.v6 { Match::Ipv6 } else { Match::Ipv4 };
    let drop = |what: Vec<Match>| {
        let elsewhere = vec![family.clone(), Match::OifGroupNot(GROUP)];
        Rule::new([what, elsewhere].concat(), Verdict::Drop)
    };
    match &leak.opened {
        Opened::Link { name, index, bridge: None } => vec![drop(vec![iif(name, *index)])],
        Opened::Link { name, index, bridge: Some(mac) } => {
            let iif = iif(name, *index);
            vec![drop(vec![iif.clone(), Match::OifNot(*name)]), drop(vec![iif, Match::ToMac(*mac)])]
        }
        Opened::All { but } => {
            let forwarded = |name: &IfName| Rule::new([Match::Iif(*name), family.clone()], Verdict::Accept);
            let bridges = [Match::IifKind("bridge"), Match::OifKind("bridge"), family.clone()];
            let mut rules: Vec<Rule> = but.iter().map(forwarded).collect();
            // Frames that pass from port to port of anybody's bridge.
            rules.push(Rule::new(bridges, Verdict::Accept));
            rules.push(drop(vec![Match::IifGroupNot(GROUP)]));
            rules
        }
    }
}

fn iif(name: &IfName, index: Option<u32>) -> Match {
    index.map_or(Match::Iif(*name), |index| Match::IifIndex(*name, index))
}
