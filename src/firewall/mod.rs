//! The tables that a network wants: who may reach whom, in the words of `nft`.
//!
//! In: a network and its uplinks. Out: [`Table`]s. Never: asks the kernel.
//!
//! The rules stand on three facts. One drop wins over every accept of other tables, so a table of one's own
//! can keep guests in but not open what another firewall closes. Every interface between the host and a network
//! whose guests must not be reached from elsewhere carries the link group [`GROUP`]. And where br_netfilter
//! is on, frames between two guests of one bridge pass here too, with the bridge as both interfaces.

//! A file for each thing that rules do: [`isolation`] of the host, who is forwarded where ([`forward`]), source NAT
//! ([`nat`]), what may speak to the host itself ([`host`], [`host_access`]), what keeps the host from routing for others
//! ([`forward_guard`]), what guests send to all ([`bound`]), frames that br_netfilter
//! shows ([`bridge_frames`]).

mod bound;
mod bridge_frames;
mod forward;
mod forward_guard;
mod host;
mod host_access;
mod isolation;
mod nat;
mod port_forward;
mod services;

pub use bridge_frames::accept_rules;
pub use forward_guard::{ForwardGuard, Opened};
pub use isolation::isolation_table;
pub use port_forward::{HAIRPIN, LED_SETS, at_map, elements};
pub use services::{service_rules, telling_rules};

use bridge_frames::PREROUTING;
use forward::FORWARD;
use host::INPUT;
use isolation::{EGRESS, INGRESS};
use nat::{LEAVING, OUT, POSTROUTING, TRANSLATE};

use crate::desired::Desired;
use crate::model::ruleset::{Element, Family, Found, Kind, Set, Table, Type, table_name};
use crate::model::{IfName, Ledger, Mac, Mode, Network, PortMapping, fnv1a};

/// What a network's rules depend on besides its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ground {
    /// What kvmnet opened.
    pub guards: Vec<ForwardGuard>,
    /// The MAC of a bridge that keeps it; frames for another one only pass from port to port.
    pub mac: Option<Mac>,
    /// The MAC that the bridge of a LAN has now, where guests are kept apart.
    pub lan_mac: Option<Mac>,
    /// The bridges of others that named uplinks are ports of.
    pub masters: Vec<(IfName, IfName)>,
    /// Whether rules may ask where a source is.
    pub knows_sources: bool,
    /// Whether ports of the host lead to guests; and those that do now.
    pub leads_to_guests: bool,
    pub port_mappings: Vec<PortMapping>,
    /// Whether what guests send to all is bounded.
    pub bounds_guests: bool,
}

/// The tables of `desired`, the first with `ledger` as its record.
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
    let forward = |rules| forward::chain(rules, &ground.guards);
    let input = || host::chain(network, ground.knows_sources);
    let chains = match network.mode {
        Mode::Isolated => Vec::new(),
        Mode::HostOnly => vec![input(), forward(forward::host_only(network))],
        Mode::Routed => vec![input(), forward(forward::routed(network, ground))],
        Mode::Nat => {
            let [out, translate] = nat::by_source(network);
            let forward = forward(nat::forwarded(network, ground));
            vec![out, translate, input(), forward, nat::source_nat(network, ground), nat::leaving(network)]
        }
        Mode::Bridged => {
            vec![forward(bridge_frames::no_way_back(network, ground.lan_mac).into_iter().collect())]
        }
    };
    let mut first = vec![bridge_frames::inside(desired, ground.mac)];
    first.extend(has_options(network, ground.knows_sources).then(|| host::options(network)));
    let leads = ground.leads_to_guests && network.mode.forwards();
    let to_guests = if leads { port_forward::chains(network) } else { Vec::new() };
    let mut tables =
        vec![table(Family::Inet, [first, to_guests, host_access::chains(network), chains].concat())];
    if desired.network.is_closed() {
        tables.push(table(Family::Netdev, isolation::chains(&network.bridge)));
    }
    sign(&mut tables);
    if let Some(table) = tables.first_mut() {
        table.sets.push(record(ledger));
        if leads {
            table.sets.extend(port_forward::sets(network, &ground.port_mappings));
        }
    }
    tables.extend(ground.bounds_guests.then(|| bound::table(&network.bridge)));
    tables
}

/// Whether the host answers options of guests: a kernel of before Linux 5.10 has no chain for them in such a table, and that is not
/// asked for by itself.
fn has_options(network: &Network, is_of_5_19: bool) -> bool {
    network.mode.has_host_address() && is_of_5_19
}

/// The table of a network that is gone but for this record.
pub fn record_alone(bridge: &IfName, ledger: &Ledger) -> Table {
    let (name, comment) = (table_name(bridge), String::new());
    let mut table = Table { family: Family::Inet, name, comment, sets: Vec::new(), chains: Vec::new() };
    sign(std::slice::from_mut(&mut table));
    table.sets.push(record(ledger));
    table
}

/// The chains of `desired`'s tables that are asked for: they do not depend on what is observed but for whether ports of the host lead to
/// guests. Not the one for options: that it is there is told by the number of the table's objects.
pub fn chain_names(desired: &Desired, leads_to_guests: bool) -> Vec<(Family, &'static str)> {
    let chains = match desired.network.mode {
        Mode::Isolated => &[PREROUTING][..],
        Mode::Bridged if desired.network.is_port_only() => &[],
        Mode::Bridged => &[PREROUTING, FORWARD],
        Mode::HostOnly | Mode::Routed => &[PREROUTING, INPUT, FORWARD],
        Mode::Nat => &[PREROUTING, OUT, TRANSLATE, INPUT, FORWARD, POSTROUTING, LEAVING],
    };
    let mut names: Vec<_> = chains.iter().map(|chain| (Family::Inet, *chain)).collect();
    names.extend(host_access::names(&desired.network).iter().map(|chain| (Family::Inet, *chain)));
    if leads_to_guests && desired.network.mode.forwards() {
        names.extend(port_forward::CHAINS.map(|chain| (Family::Inet, chain)));
    }
    if desired.network.is_closed() {
        names.extend([(Family::Netdev, INGRESS), (Family::Netdev, EGRESS)]);
    }
    let bounds = desired.network.filter && !desired.network.is_port_only();
    names.extend(bounds.then_some((Family::Bridge, bound::BOUND)));
    names
}

/// The set with the copy of a record. Earlier versions had a chain of this name, for what the comment had no room for.
pub static RECORD: Kind = Kind { name: "record", key: &[Type::Mark], data: &[] };

/// The set with the copy of a record, an entry each element.
pub fn record(ledger: &Ledger) -> Set {
    let elements = (1..).zip(ledger.entries()).map(|(number, entry)| Element::numbered(number, entry));
    Set { kind: &RECORD, elements: elements.collect() }
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

/// Writes the fingerprint of all rules into the comments: two tables with one comment have one content.
fn sign(tables: &mut [Table]) {
    let text: String = tables.iter().map(ToString::to_string).collect();
    let comment = format!("kvmnet #{:016x}", fnv1a(text.as_bytes()));
    for table in tables {
        table.comment.clone_from(&comment);
    }
}
