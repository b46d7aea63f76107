//! Who is behind the taps: the processes that have them open, and the MACs of their NICs.
//!
//! In: what the kernel and /proc say. Out: [`GuestIndex`]. Never: reads anything.

use std::collections::{HashMap, HashSet};

use crate::holder::Holder;
use crate::model::facts::Facts;
use crate::model::{GuestIdentity, IfName, Link, Mac, TapRecord};
use crate::network::Instance;
use crate::sorted::grouped;
use crate::vmm;

/// Sorted once, so that nothing is searched for each tap.
pub(crate) struct GuestIndex<'a> {
    holders: HashMap<IfName, Vec<&'a Holder>>,
    /// What a process's command line gives the NICs on a tap.
    given: HashMap<(u32, IfName), Vec<Mac>>,
    /// What the bridge has learned, by the number of the tap.
    learned: HashMap<u32, Vec<Mac>>,
    /// The guests' taps by their MACs, those on one bridge next to each other.
    pub by_mac: HashMap<Mac, Vec<&'a Link>>,
}

impl<'a> GuestIndex<'a> {
    /// `taps` are those of guests.
    pub fn new(facts: &'a Facts, holders: &'a [Holder], taps: impl Iterator<Item = &'a Link>) -> Self {
        let open = |holder: &'a Holder| holder.taps.iter().map(move |(_, tap)| (*tap, holder));
        let mut by_tap = grouped(holders.iter().flat_map(open));
        // A tap with several queues is several files.
        by_tap.values_mut().for_each(|holders| holders.dedup_by_key(|holder| holder.pid));
        let given = |holder: &'a Holder| {
            let macs = vmm::macs(&holder.arguments, &holder.taps).into_iter();
            macs.map(|(tap, mac)| ((holder.pid, tap), mac))
        };
        let given = grouped(holders.iter().flat_map(given));
        let mut learned = grouped(facts.stations.iter().map(|station| (station.port, station.mac)));
        for macs in learned.values_mut() {
            macs.sort_unstable();
            // A bridge with VLANs has one entry for each.
            macs.dedup();
        }
        let mut index = Self { holders: by_tap, given, learned, by_mac: HashMap::new() };
        index.by_mac = grouped(taps.flat_map(|tap| index.macs(tap).into_iter().map(move |mac| (mac, tap))));
        index.by_mac.values_mut().for_each(|taps| taps.sort_by_key(|tap| tap.master));
        index
    }

    /// Who has a tap open: a process of another network namespace, which may have another tap of this name, only where
    /// none of this one has, and the carrier says that somebody does.
    pub fn holders(&self, tap: &Link) -> Vec<&'a Holder> {
        let all = self.holders.get(&tap.name).map(Vec::as_slice).unwrap_or_default();
        let (elsewhere, here): (Vec<_>, Vec<_>) = all.iter().partition(|holder| holder.other_netns);
        if here.is_empty() && tap.carrier { elsewhere } else { here }
    }

    /// The same, but nobody if several of other namespaces are possible.
    pub fn vm(&self, tap: &Link) -> Vec<&'a Holder> {
        let mut holders = self.holders(tap);
        if holders.len() > 1 {
            holders.retain(|holder| !holder.other_netns);
        }
        holders
    }

    /// The first process of the VM behind a tap.
    pub fn pid(&self, tap: &Link) -> Option<u32> {
        self.vm(tap).first().map(|holder| holder.pid)
    }

    /// The MACs that the VM's command line gives the NICs on a tap.
    pub fn given_macs(&self, tap: &Link) -> impl Iterator<Item = Mac> {
        let pids = self.vm(tap).into_iter().map(|holder| holder.pid);
        pids.filter_map(|pid| self.given.get(&(pid, tap.name))).flatten().copied()
    }

    /// The MACs that the guest behind a tap has sent with. A bridge knows a MAC behind one port at a time.
    pub fn learned_macs(&self, tap: &Link) -> &[Mac] {
        self.learned.get(&tap.index).map(Vec::as_slice).unwrap_or_default()
    }

    /// The name of the VM behind a tap: as its command line says, else as was said when the tap was attached.
    pub fn vm_name(&self, tap: &Link) -> Option<String> {
        let named = self.vm(tap).into_iter().find_map(|holder| vmm::name(&holder.arguments));
        named.or_else(|| recorded(tap).name)
    }

    fn macs(&self, tap: &Link) -> HashSet<Mac> {
        self.given_macs(tap).chain(recorded(tap).macs).chain(self.learned_macs(tap).iter().copied()).collect()
    }

    /// The first tap of each VM: two NICs of one VM may have one MAC on purpose, as in a bond.
    pub fn one_for_each_vm<'b>(&self, taps: impl Iterator<Item = &'b &'b Link>) -> Vec<&'b Link> {
        let mut pids = HashSet::new();
        taps.copied().filter(|tap| self.pid(tap).is_none_or(|pid| pids.insert(pid))).collect()
    }

    /// The taps of other VMs on the same bridge that have a MAC of this one's.
    pub fn same_mac_as(&self, tap: &Link) -> Vec<IfName> {
        let pid = self.pid(tap);
        let is_other = |other: &&&Link| {
            other.master == tap.master
                && other.index != tap.index
                && (pid.is_none() || self.pid(other) != pid)
        };
        let macs = self.macs(tap);
        let taps = macs.iter().filter_map(|mac| self.by_mac.get(mac)).flatten();
        let mut names: Vec<IfName> = taps.filter(is_other).map(|other| other.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Who the guest is, as the tap's record says.
pub(crate) fn recorded(tap: &Link) -> GuestIdentity {
    TapRecord::parse(&tap.alias).unwrap_or_default().guest
}

/// The ports of a network's bridge that are neither taps nor kvmnet's own.
pub(crate) fn other_ports<'a>(instance: &'a Instance, facts: &'a Facts) -> impl Iterator<Item = &'a Link> {
    let index = instance.link.as_ref().map(|bridge| bridge.index);
    let is_own = |name| instance.ledger.as_ref().is_none_or(|ledger| ledger.has_port(name));
    let ports = facts.links.iter().filter(move |link| index.is_some() && link.master == index);
    ports.filter(move |port| !port.is_tap() && !is_own(port.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::FdbEntry;
    use crate::plan::tests::world::{link, name};
    use crate::sorted::sorted_by_key;

    fn tap(index: u32, text: &str, carrier: bool) -> Link {
        Link { carrier, ..link(index, text, Some("tun")) }
    }

    fn holder(pid: u32, other_netns: bool, line: &str, taps: &[&str]) -> Holder {
        let arguments = line.split(' ').map(str::to_owned).collect();
        let taps = (9..).zip(taps.iter().map(|tap| name(tap))).collect();
        Holder { pid, arguments, is_cut: false, taps, other_netns }
    }

    fn pids(holders: &[Holder], tap: &Link) -> (Vec<u32>, Option<u32>) {
        let facts = Facts::default();
        let guests = GuestIndex::new(&facts, holders, std::iter::empty());
        (guests.holders(tap).iter().map(|holder| holder.pid).collect(), guests.pid(tap))
    }

    /// Names of taps are per network namespace.
    #[test]
    fn a_process_of_another_namespace() {
        let (here, there) = (holder(1, false, "qemu", &["vif0.0"]), holder(2, true, "qemu", &["vif0.0"]));
        let another = holder(3, true, "qemu", &["vif0.0"]);
        let (on, off) = (tap(3, "vif0.0", true), tap(3, "vif0.0", false));
        assert_eq!(pids(&[here, there.clone()], &on), (vec![1], Some(1)));
        assert_eq!(pids(std::slice::from_ref(&there), &on), (vec![2], Some(2)));
        assert_eq!(pids(std::slice::from_ref(&there), &off), (vec![], None));
        assert_eq!(pids(&[there, another], &on), (vec![2, 3], None), "either may be meant");
    }

    /// Two NICs of one VM count once.
    #[test]
    fn one_mac_behind_several_taps() {
        let nics = "-nic tap,ifname=a,mac=52:54:00:00:00:07 -nic tap,ifname=b,mac=52:54:00:00:00:07";
        let holders = [
            holder(1, false, &format!("qemu {nics}"), &["a", "b"]),
            holder(2, false, "qemu -nic tap,ifname=c", &["c"]),
        ];
        let mut facts = Facts::default();
        let taps = [tap(3, "a", true), tap(4, "b", true), tap(5, "c", true)];
        facts.stations.push(FdbEntry { port: 5, mac: Mac([0x52, 0x54, 0, 0, 0, 7]) });
        let guests = GuestIndex::new(&facts, &holders, taps.iter());
        let names = |taps: &[&Link]| taps.iter().map(|tap| tap.name.to_string()).collect::<Vec<_>>();
        let found = sorted_by_key(&guests.by_mac, |(mac, _)| **mac).into_iter();
        let found = found.map(|(mac, taps)| (mac.to_string(), names(taps)));
        let wanted = [("52:54:00:00:00:07", vec!["a", "b", "c"]), ("52:54:00:12:34:56", vec!["c"])];
        assert!(found.eq(wanted.map(|(mac, taps)| (mac.to_owned(), taps.into_iter().map(str::to_owned).collect()))));
        assert_eq!(names(&guests.one_for_each_vm(taps.each_ref().iter())), ["a", "c"]);
        assert_eq!(taps.each_ref().map(|tap| guests.same_mac_as(tap).len()), [1, 1, 2]);
    }
}
