//! Guests: a tap, and what the kernel and /proc know of who is behind it.

use std::collections::HashMap;
use std::net::IpAddr;

use super::data::{Guest, LinkState, Process};
use super::forward;
use crate::guests::{GuestIndex, recorded};
use crate::holder::Holder;
use crate::model::TapRecord;
use crate::model::{IfName, Link, Mac};
use crate::network::ports_of_others;
use crate::reader::StatusSnapshot;
use crate::sorted::grouped;
use crate::vmm;

/// So many of a guest's MACs and addresses are shown; a guest may send with as many as it likes.
const MOST: usize = 8;

/// The guests of the machine.
pub struct Guests<'a> {
    snapshot: &'a StatusSnapshot,
    index: GuestIndex<'a>,
    /// The addresses that the host has met, by its interface and their MAC.
    met: HashMap<(u32, Mac), Vec<IpAddr>>,
}

impl<'a> Guests<'a> {
    pub fn new(snapshot: &'a StatusSnapshot, holders: &'a [Holder]) -> Self {
        let observed = &snapshot.observed;
        let bridges = observed.networks.iter().filter_map(|instance| instance.link.as_ref());
        let taps = bridges.flat_map(|bridge| observed.taps_on(&bridge.name));
        let taps = taps.chain(ports_of_others(&observed.facts, &observed.networks).map(|(_, tap)| tap));
        let mut met = grouped(snapshot.neighbours.iter().map(|one| ((one.device, one.mac), one.address)));
        for addresses in met.values_mut() {
            addresses.sort_unstable();
            addresses.dedup();
        }
        Self { snapshot, index: GuestIndex::new(&observed.facts, holders, taps), met }
    }

    /// The guests on a bridge, whom the host meets on the interface `host_if`.
    pub fn on_bridge(&self, bridge: &IfName, host_if: Option<u32>) -> Vec<Guest> {
        self.snapshot.observed.taps_on(bridge).map(|tap| self.guest(tap, host_if)).collect()
    }

    /// Attached taps that are on no network of kvmnet's.
    pub fn strays(&self) -> Vec<Guest> {
        let observed = &self.snapshot.observed;
        let bridges = || observed.networks.iter().filter_map(|instance| instance.link.as_ref());
        let elsewhere: Vec<u32> =
            ports_of_others(&observed.facts, &observed.networks).map(|(_, tap)| tap.index).collect();
        let is_on = |tap: &Link| bridges().any(|bridge| tap.master == Some(bridge.index));
        let is_stray = |tap: &&Link| !is_on(tap) && !elsewhere.contains(&tap.index);
        let attached = observed.facts.links.iter().filter(|link| link.is_tap() && link.is_attached());
        attached.filter(is_stray).map(|tap| self.guest(tap, tap.master)).collect()
    }

    fn guest(&self, tap: &Link, host_if: Option<u32>) -> Guest {
        let vm = self.index.vm(tap);
        let named = vm.iter().find_map(|holder| vmm::name(&holder.arguments));
        let bytes = self.snapshot.bytes.get(&tap.index).copied().unwrap_or_default();
        let bridge = tap.master.and_then(|master| self.snapshot.observed.facts.link_index(master));
        let recorded = recorded(tap);
        let filtering = TapRecord::parse(&tap.alias).and_then(|record| record.filter).unwrap_or_default();
        let given = self.index.given_macs(tap).next().or_else(|| recorded.macs.first().copied());
        let mut macs = self.index.learned_macs(tap).to_vec();
        let met = macs.iter().filter_map(|mac| self.met.get(&(host_if?, *mac))).flatten();
        let addresses: Vec<String> = met.map(ToString::to_string).collect();
        if macs.len() > MOST {
            // That of its NIC before others.
            macs.sort_by_key(|mac| Some(*mac) != given);
        }
        Guest {
            tap: tap.name.to_string(),
            bridge: bridge.map(|bridge| bridge.name.to_string()),
            vm: named.or_else(|| vm.first().map(|holder| vmm::program(&holder.arguments))),
            name: recorded.name,
            kept_addresses: recorded.addresses.iter().map(ToString::to_string).collect(),
            processes: self.index.holders(tap).into_iter().map(process).collect(),
            link: match (tap.up, tap.carrier) {
                (false, _) => LinkState::Down,
                (true, false) => LinkState::NoProcess,
                (true, true) => LinkState::Up,
            },
            persistent: tap.is_persistent(),
            attached: tap.is_attached(),
            isolated: tap.isolated == Some(true),
            mac_count: macs.len(),
            macs: macs.iter().take(MOST).map(ToString::to_string).collect(),
            mac_given: given.map(|mac| mac.to_string()),
            address_count: addresses.len(),
            addresses: addresses.into_iter().take(MOST).collect(),
            filter: filtering.is_on,
            vlan_tags: filtering.tags || !filtering.is_on,
            forwards: forward::to(tap, &self.snapshot.observed),
            same_mac_as: self.index.same_mac_as(tap).iter().map(ToString::to_string).collect(),
            guest_received_bytes: bytes.sent,
            guest_sent_bytes: bytes.received,
        }
    }
}

fn process(holder: &Holder) -> Process {
    Process { pid: holder.pid, program: vmm::program(&holder.arguments), elsewhere: holder.other_netns }
}
