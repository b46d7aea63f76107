//! Guests: a tap, and what the kernel and /proc know of who is behind it.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Guest, LinkState, Process};
use crate::holder::Holder;
use crate::model::{IfName, Link, Mac, TapMark};
use crate::observed::Glance;
use crate::vmm;

/// What is behind the taps of the machine, sorted once so that nothing is searched for each of them.
pub struct Behind<'a> {
    glance: &'a Glance,
    holders: HashMap<IfName, Vec<&'a Holder>>,
    names: HashMap<u32, IfName>,
    macs: HashMap<u32, Vec<Mac>>,
    met: HashMap<(u32, Mac), Vec<IpAddr>>,
    given: HashMap<(u32, IfName), Mac>,
}

/// So many of a guest's MACs and addresses are told; a guest may send with as many as it likes.
const MOST: usize = 8;

impl<'a> Behind<'a> {
    /// Sorts it.
    pub fn new(glance: &'a Glance, holders: &'a [Holder]) -> Self {
        let names = glance.observed.facts.links.iter().map(|link| (link.index, link.name)).collect();
        let mut macs: HashMap<u32, Vec<Mac>> = HashMap::new();
        for station in &glance.observed.facts.stations {
            macs.entry(station.port).or_default().push(station.mac);
        }
        let mut met: HashMap<(u32, Mac), Vec<IpAddr>> = HashMap::new();
        for one in &glance.met {
            met.entry((one.device, one.mac)).or_default().push(one.address);
        }
        for macs in macs.values_mut() {
            macs.sort_unstable();
            // A bridge with VLANs has one entry for each.
            macs.dedup();
        }
        for addresses in met.values_mut() {
            addresses.sort_unstable();
            addresses.dedup();
        }
        let mut given = HashMap::new();
        for holder in holders {
            for (tap, mac) in vmm::macs(&holder.arguments, &holder.taps) {
                given.entry((holder.pid, tap)).or_insert(mac);
            }
        }
        Self { glance, holders: by_tap(holders), names, macs, met, given }
    }

    /// The guests on a bridge, whom the host meets on the interface `door`.
    pub fn guests(&self, bridge: &IfName, door: Option<u32>) -> Vec<Guest> {
        let taps = self.glance.observed.taps_on(bridge);
        let mut guests: Vec<Guest> = taps.map(|tap| self.guest(tap, door)).collect();
        note_same_macs(&mut guests);
        guests.into_iter().map(shortened).collect()
    }

    /// Attached taps that are on no network of kvmnet's.
    pub fn strays(&self) -> Vec<Guest> {
        let links = self.glance.observed.facts.links.iter();
        let attached = links.filter(|link| link.is_tap() && TapMark::parse(&link.alias).is_some());
        let bridges = || self.glance.observed.networks.iter().filter_map(|standing| standing.link.as_ref());
        let is_stray = |tap: &&Link| !bridges().any(|bridge| tap.master == Some(bridge.index));
        attached.filter(is_stray).map(|tap| shortened(self.guest(tap, tap.master))).collect()
    }

    /// Who has a tap open. Without carrier nobody has, and what is elsewhere has another one of the same name.
    fn holders(&self, tap: &Link) -> &[&'a Holder] {
        let holders = self.holders.get(&tap.name).map(Vec::as_slice).unwrap_or_default();
        let is_here = |holder: &&Holder| !holder.elsewhere;
        if tap.carrier || holders.iter().any(is_here) { holders } else { &[] }
    }

    fn guest(&self, tap: &Link, door: Option<u32>) -> Guest {
        let holders = self.holders(tap);
        // Of several that are elsewhere, which may all have a tap of this name, none is taken for the guest's.
        let is_certain = holders.len() < 2 || holders.iter().any(|holder| !holder.elsewhere);
        let certain = if is_certain { holders } else { &[] };
        let macs = self.macs.get(&tap.index).map(Vec::as_slice).unwrap_or_default();
        let met = macs.iter().filter_map(|mac| self.met.get(&(door?, *mac))).flatten();
        let bytes = self.glance.bytes.get(&tap.index).copied().unwrap_or_default();
        let named = certain.iter().find_map(|holder| vmm::name(&holder.arguments));
        Guest {
            tap: tap.name.to_string(),
            bridge: tap.master.and_then(|master| self.names.get(&master)).map(ToString::to_string),
            vm: named.or_else(|| certain.first().map(|holder| vmm::program(&holder.arguments))),
            processes: holders.iter().map(|holder| process(holder)).collect(),
            link: match (tap.up, tap.carrier) {
                (false, _) => LinkState::Down,
                (true, false) => LinkState::NoProcess,
                (true, true) => LinkState::Up,
            },
            persistent: tap.tun.as_ref().is_some_and(|tun| tun.persistent),
            attached: TapMark::parse(&tap.alias).is_some(),
            macs: macs.iter().map(ToString::to_string).collect(),
            mac_count: macs.len(),
            mac_given: certain
                .iter()
                .find_map(|holder| self.given.get(&(holder.pid, tap.name)))
                .map(|mac| mac.to_string()),
            addresses: met.map(ToString::to_string).collect(),
            address_count: 0,
            same_mac_as: Vec::new(),
            guest_received_bytes: bytes.sent,
            guest_sent_bytes: bytes.received,
        }
    }
}

/// Who has which tap open. One that is elsewhere is only taken for a tap's holder where nobody here is.
fn by_tap(holders: &[Holder]) -> HashMap<IfName, Vec<&Holder>> {
    let mut found: HashMap<IfName, Vec<&Holder>> = HashMap::new();
    for holder in holders {
        for (_, tap) in &holder.taps {
            let known = found.entry(*tap).or_default();
            // A tap with several queues is several files.
            if known.last().is_none_or(|last| last.pid != holder.pid) {
                known.push(holder);
            }
        }
    }
    for holders in found.values_mut().filter(|holders| holders.iter().any(|holder| !holder.elsewhere)) {
        holders.retain(|holder| !holder.elsewhere);
    }
    found
}

fn process(holder: &Holder) -> Process {
    Process { pid: holder.pid, program: vmm::program(&holder.arguments), elsewhere: holder.elsewhere }
}

/// A guest with a few of its MACs and addresses, that of its NIC before others, and the number of all.
fn shortened(mut guest: Guest) -> Guest {
    (guest.mac_count, guest.address_count) = (guest.macs.len(), guest.addresses.len());
    if guest.macs.len() > MOST {
        guest.macs.sort_by_key(|mac| Some(mac) != guest.mac_given.as_ref());
    }
    guest.macs.truncate(MOST);
    guest.addresses.truncate(MOST);
    guest
}

/// A bridge knows a MAC behind one port at a time, wherever it was seen last; what the command lines say tells of the
/// other one.
fn note_same_macs(guests: &mut [Guest]) {
    let mut taps: HashMap<String, Vec<String>> = HashMap::new();
    let macs = |guest: &Guest| {
        let given = guest.mac_given.iter().filter(|mac| !guest.macs.contains(mac));
        given.chain(&guest.macs).cloned().collect::<Vec<String>>()
    };
    for guest in guests.iter() {
        for mac in macs(guest) {
            taps.entry(mac).or_default().push(guest.tap.clone());
        }
    }
    for guest in guests {
        let same = macs(guest).into_iter().filter_map(|mac| taps.get(&mac)).flatten();
        let mut others: Vec<String> = same.filter(|tap| **tap != guest.tap).cloned().collect();
        others.sort_unstable();
        others.dedup();
        guest.same_mac_as = others;
    }
}
