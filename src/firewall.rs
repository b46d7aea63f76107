//! The tables that a network wants: who may reach whom, in the words of `nft`.
//!
//! In: a network and its uplinks. Out: [`Table`]s. Never: asks the kernel.
//!
//! The rules stand on three facts. One drop wins over every accept of other tables, so a table of one's own
//! can keep guests in but not open what another firewall closes. Every door between the host and a network
//! whose guests must not be reached from elsewhere carries the link group [`GROUP`]. And where br_netfilter
//! is on, frames between two guests of one bridge pass here too, with the bridge as both interfaces.

use ipnet::IpNet;

use crate::desired::Desired;
use crate::model::link::GROUP;
use crate::model::ruleset::{Chain, Family, Hook, Match, Rule, Table, Verdict, table_name};
use crate::model::{IfName, Mark, Mode, Network, Uplink, fnv1a};

/// An interface that kvmnet alone made forward packets; all that it may forward is kvmnet's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The interface; None where it is the whole machine, as for IPv6 before Linux 6.17.
    pub link: Option<IfName>,
    /// Of IPv6 or of IPv4.
    pub v6: bool,
}

/// The tables of `desired`, with `mark` as their note.
pub fn tables(desired: &Desired, leaks: &[Leak], mark: &Mark) -> Vec<Table> {
    let network = &desired.network;
    let name = table_name(&network.bridge);
    let table = |family, chains| Table { family, name: name.clone(), note: String::new(), chains };
    let mut tables = Vec::new();
    match network.mode {
        Mode::Isolated => {}
        Mode::HostOnly => tables.push(table(Family::Inet, vec![forward(host_only(network.door()), leaks)])),
        Mode::Routed => tables.push(table(Family::Inet, vec![forward(routed(network), leaks)])),
        Mode::Nat => {
            tables.push(table(Family::Inet, vec![forward(nat(network), leaks), source_nat(network)]))
        }
        // Nothing to filter on a LAN; the table only holds the copy of the mark.
        Mode::Bridged => tables.push(table(Family::Inet, Vec::new())),
    }
    if desired.closed {
        tables.push(table(Family::Netdev, closed_door(&network.bridge)));
    }
    sign(&mut tables, mark);
    tables
}

/// The chains of `desired`'s tables, which do not depend on what is observed.
pub fn chain_names(desired: &Desired) -> Vec<(Family, &'static str)> {
    let mut names = match desired.network.mode {
        Mode::Isolated | Mode::Bridged => Vec::new(),
        Mode::HostOnly | Mode::Routed => vec![(Family::Inet, FORWARD)],
        Mode::Nat => vec![(Family::Inet, FORWARD), (Family::Inet, POSTROUTING)],
    };
    if desired.closed {
        names.extend([(Family::Netdev, INGRESS), (Family::Netdev, EGRESS)]);
    }
    names
}

/// The mark in a table's note.
pub fn mark_in(note: &str) -> Option<Mark> {
    let (mark, _) = note.rsplit_once(" #")?;
    Mark::parse(mark)
}

const FORWARD: &str = "forward";
const POSTROUTING: &str = "postrouting";
const INGRESS: &str = "ingress";
const EGRESS: &str = "egress";

/// Writes mark and fingerprint into the notes: two tables with one note have one content.
fn sign(tables: &mut [Table], mark: &Mark) {
    let text: String = tables.iter().map(ToString::to_string).collect();
    let note = format!("{mark} #{:016x}", fnv1a(text.as_bytes()));
    for table in tables {
        table.note.clone_from(&note);
    }
}

fn forward(mut rules: Vec<Rule>, leaks: &[Leak]) -> Chain {
    rules.extend(leaks.iter().map(leak));
    Chain { name: FORWARD, hook: Hook::Forward, drops: false, rules }
}

/// Everything between the bridge's own port and the host is dropped: ARP, any ethertype, multicast. It does
/// not see frames between two ports.
fn closed_door(bridge: &IfName) -> Vec<Chain> {
    let chain = |name, hook| Chain { name, hook, drops: true, rules: Vec::new() };
    vec![chain(INGRESS, Hook::Ingress(*bridge)), chain(EGRESS, Hook::Egress(*bridge))]
}

/// The table of a closed door as it was written with this note.
pub fn door_table(bridge: &IfName, note: &str) -> Table {
    let (name, note) = (table_name(bridge), note.to_owned());
    Table { family: Family::Netdev, name, note, chains: closed_door(bridge) }
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
fn routed(network: &Network) -> Vec<Rule> {
    let door = network.door();
    let mut rules = vec![within(door)];
    let Uplink::Named(uplinks) = &network.uplink else { return rules };
    rules.push(Rule::new([Match::Iif(*door), Match::OifGroup(GROUP)], Verdict::Accept));
    rules.push(Rule::new([Match::Oif(*door), Match::IifGroup(GROUP)], Verdict::Accept));
    for uplink in uplinks {
        rules.push(Rule::new([Match::Iif(*door), Match::Oif(*uplink)], Verdict::Accept));
        rules.push(Rule::new([Match::Oif(*door), Match::Iif(*uplink)], Verdict::Accept));
    }
    rules.push(Rule::new([Match::Iif(*door)], Verdict::Drop));
    rules.push(Rule::new([Match::Oif(*door)], Verdict::Drop));
    rules
}

/// Out from the network's own addresses only, so that nothing leaves without NAT; in only as an answer.
fn nat(network: &Network) -> Vec<Rule> {
    let door = network.door();
    let mut rules = vec![within(door), Rule::new([Match::Iif(*door), Match::OifGroup(GROUP)], Verdict::Drop)];
    for subnet in subnets(network) {
        for mut way_out in ways_out(network) {
            way_out.insert(0, Match::Iif(*door));
            way_out.push(Match::Source(subnet));
            rules.push(Rule::new(way_out, Verdict::Accept));
        }
    }
    rules.push(Rule::new([Match::Iif(*door)], Verdict::Drop));
    rules.push(Rule::new([Match::Oif(*door), Match::Established], Verdict::Accept));
    rules.push(Rule::new([Match::Oif(*door)], Verdict::Drop));
    rules
}

/// Never from guest to guest, which `daddr !=` sees to also where br_netfilter shows their frames here.
fn source_nat(network: &Network) -> Chain {
    let mut rules = Vec::new();
    for subnet in subnets(network) {
        let is_family = |source: &std::net::IpAddr| source.is_ipv4() == subnet.addr().is_ipv4();
        let verdict = network.nat_source.filter(is_family).map_or(Verdict::Masquerade, Verdict::Snat);
        for mut matches in ways_out(network) {
            if matches.is_empty() {
                matches.push(Match::OifNot(*network.door()));
            }
            matches.extend([Match::Source(subnet), Match::DestinationNot(subnet)]);
            rules.push(Rule::new(matches, verdict.clone()));
        }
    }
    Chain { name: POSTROUTING, hook: Hook::Postrouting, drops: false, rules }
}

/// One list of conditions for each way out: by each uplink that is named, or by whatever the routes say.
fn ways_out(network: &Network) -> Vec<Vec<Match>> {
    match &network.uplink {
        Uplink::DefaultRoute => vec![Vec::new()],
        Uplink::Named(uplinks) => uplinks.iter().map(|uplink| vec![Match::Oif(*uplink)]).collect(),
    }
}

fn subnets(network: &Network) -> impl Iterator<Item = IpNet> + '_ {
    network.addresses.iter().map(IpNet::trunc)
}

/// Forwarding is decided by the interface that a packet comes in by. One that kvmnet alone switched on must
/// not make the host a router between its other interfaces.
fn leak(leak: &Leak) -> Rule {
    let mut matches = Vec::new();
    match &leak.link {
        Some(link) => matches.extend([Match::Iif(*link), Match::OifNot(*link)]),
        None => matches.push(Match::IifGroupNot(GROUP)),
    }
    matches.push(if leak.v6 { Match::Ipv6 } else { Match::Ipv4 });
    matches.push(Match::OifGroupNot(GROUP));
    Rule::new(matches, Verdict::Drop)
}
