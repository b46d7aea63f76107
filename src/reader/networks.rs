//! The networks that stand: how they are found, who is on them, what their undo needs.

use std::collections::HashMap;
use std::io;

use nix::errno::Errno;

use super::template;
use crate::feature;
use crate::firewall;
use crate::model::facts::Bytes;
use crate::model::ruleset::Family;
use crate::model::{Changed, IfName, Ledger, Link, Question, Setting};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::network::{Instance, bridge_of};
use crate::observed::{Observed, Tables};
use crate::sorted::sorted_by_key;
use crate::switch;

/// Up to so many networks' bridges are asked for one by one.
const FEW_NETWORKS: usize = 16;
/// Up to so many bridges' ports are asked for one by one: the kernel passes over all interfaces for each.
const FEW_DUMPS: usize = 16;

impl Observed {
    /// Finds kvmnet's networks by their tables.
    pub(super) fn tables(nft: Option<&mut Nft>, wanted: &[(Family, &str, &str)]) -> io::Result<Self> {
        let Some(nft) = nft else { return Ok(Self::default()) };
        let (tables, others) = match nft.tables(wanted) {
            Ok(answer) => answer,
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                // nfnetlink is there, nf_tables is not (`nfnetlink_rcv_msg`).
                Some(Errno::EINVAL) => return Ok(Self::default()),
                Some(Errno::EPERM) => return Ok(Self { nft: Tables::Hidden, ..Self::default() }),
                _ => return Err(error),
            },
        };
        let mut observed = Self { nft: Tables::Readable, ..Self::default() };
        observed.iptables_chains = nft.iptables_chains(&others.iptables)?;
        observed.firewalld = others.firewalld;
        observed.has_other_tables = others.any;
        observed.tables = tables;
        observed.tables.retain(|table| bridge_of(table).is_some());
        Ok(observed)
    }

    /// Reads the copies of those records that no bridge bears, or not as a whole.
    pub(super) fn ask_about_records(&mut self, nft: Option<&mut Nft>) -> io::Result<()> {
        let Some(nft) = nft else { return Ok(()) };
        for found in self.tables.iter_mut().filter(|found| found.family == Family::Inet) {
            let bridge = bridge_of(found).and_then(|bridge| self.facts.bridge(&bridge));
            let alias = bridge.and_then(switch::record);
            if alias.is_some_and(|alias| !alias.more) {
                continue;
            }
            found.record = match firewall::ledger_in(&found.comment) {
                Some(ledger) if ledger.more => {
                    Some(nft.comments(found.family, &found.name, firewall::RECORD.name)?)
                }
                Some(_) => None,
                None => {
                    let elements = nft.elements(found.family, &found.name, &firewall::RECORD)?;
                    let elements = sorted_by_key(elements, |element| element.key.clone());
                    let entries: Vec<String> = elements.into_iter().map(|element| element.comment).collect();
                    Some(entries.join(" "))
                }
            };
        }
        Ok(())
    }

    /// Reads all interfaces and what the bridges have learned, finds every network and whether anybody is on it. Returns
    /// what each interface has counted, by its number.
    pub(super) fn ask_about_everybody(
        &mut self,
        nft: Option<&mut Nft>,
        rtnl: &mut Rtnl,
    ) -> io::Result<HashMap<u32, Bytes>> {
        let mut bytes = HashMap::new();
        for (link, counted) in rtnl.all_links()? {
            // A dump that a change interrupts may tell one twice.
            if bytes.insert(link.index, counted).is_none() {
                self.facts.links.push(link);
            }
        }
        self.facts.asked.push(Question::Links);
        self.facts.stations = rtnl.all_fdb_entries()?;
        self.ask_about_records(nft)?;
        self.work_out();
        Ok(bytes)
    }

    /// What to ask to know the bridges of all networks: each of a few; of many all that there are at once.
    pub(super) fn bridges(&self) -> Vec<Question> {
        let mut names: Vec<IfName> = self.tables.iter().filter_map(bridge_of).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > FEW_NETWORKS {
            return vec![Question::Bridges];
        }
        names.into_iter().map(Question::Link).collect()
    }

    /// The NICs that were taken, which may have other names by now; a bridge whose alias was wiped out is known by the NIC
    /// that is its port.
    pub(super) fn ask_about_nics(&mut self, rtnl: &mut Rtnl) -> io::Result<()> {
        let is_lost =
            |instance: &&Instance| instance.link.is_none() && self.facts.bridge(&instance.bridge).is_some();
        let lost = self.networks.iter().filter(is_lost);
        let ledgers = lost.flat_map(|instance| &instance.tables).filter_map(firewall::ledger_of);
        let mut nics: Vec<Question> = ledgers.filter_map(|ledger| ledger.nic()).map(Question::Link).collect();
        let numbers =
            self.ledgers().filter_map(|ledger| ledger.nic).map(|nic| nic.index).filter(|index| *index != 0);
        nics.extend(numbers.filter(|index| self.facts.link_index(*index).is_none()).map(Question::LinkIndex));
        if nics.is_empty() {
            return Ok(());
        }
        rtnl.ask(&nics, &mut self.facts)?;
        self.work_out();
        Ok(())
    }

    /// Which networks still have guests, apart from the one at hand, as far as carrier does not say so. Those that must be
    /// known exactly cost a dump each, as far as the first guest; where they are many, one of all interfaces.
    pub(super) fn ask_about_guests(
        &mut self,
        rtnl: &mut Rtnl,
        exactly: impl Fn(&IfName) -> bool,
    ) -> io::Result<()> {
        let is_open = |one: &&Instance| {
            let is_clear = one.has_carrier_of_guests() && !exactly(&one.bridge);
            one.ledger_of_bridge().is_some()
                && !is_clear
                && !one.knows_guests(&self.facts, self.besides.as_ref())
        };
        let open: Vec<&Instance> = self.networks.iter().filter(is_open).collect();
        let rounds: Vec<(Question, &[&Instance])> = match open.len() {
            0..=FEW_DUMPS => open.chunks(1).filter_map(|one| Some((one[0].ports()?, one))).collect(),
            _ => vec![(Question::Links, &open)],
        };
        let mut guests = Vec::new();
        let mut asked = Vec::new();
        for (question, networks) in rounds {
            let found = rtnl.links_while(&question, |found: &mut Vec<(IfName, Link)>, port| {
                let is_on = |one: &&&Instance| one.is_guest(&port) && Some(port.name) != self.besides;
                let on = networks.iter().find(is_on).map(|one| one.bridge);
                let is_new = |bridge: &IfName| !found.iter().any(|(known, _)| known == bridge);
                found.extend(on.filter(is_new).map(|bridge| (bridge, port)));
                found.len() < networks.len()
            })?;
            // The answer was read to its end, unless all have one.
            let is_empty = |one: &&&Instance| !found.iter().any(|(bridge, _)| *bridge == one.bridge);
            asked.extend(networks.iter().filter(is_empty).filter_map(|one| one.ports()));
            guests.extend(found);
        }
        self.facts.asked.extend(asked);
        guests.into_iter().for_each(|(_, guest)| self.facts.add_link(guest));
        self.work_out();
        Ok(())
    }

    /// What the undo of some networks needs.
    pub(super) fn ask_about_undo(
        &mut self,
        rtnl: &mut Rtnl,
        is_undone: impl Fn(&Instance) -> bool,
    ) -> io::Result<()> {
        let mut questions = Vec::new();
        let mut bridges = Vec::new();
        let mut has_lost = false;
        let mut forwards = false;
        let mut ledgers: Vec<Ledger> = Vec::new();
        for instance in self.networks.iter().filter(|instance| is_undone(instance)) {
            let Some(ledger) = &instance.ledger else { continue };
            ledgers.push(ledger.clone());
            let mut names: Vec<&IfName> = Vec::new();
            names.extend(ledger.veth.iter().flat_map(|veth| [&veth.outer, &veth.inner]));
            names.extend(ledger.nic.as_ref().map(|nic| &nic.name));
            names.retain(|name| self.facts.link(name).is_none());
            questions.extend(names.into_iter().cloned().map(Question::Link));
            has_lost |= ledger.more;
            forwards |= ledger.more || ledger.changed.iter().any(|changed| changed.setting.forwards());
            bridges.extend(instance.link.iter().cloned().map(|link| (link, ledger.nic())));
        }
        if forwards {
            questions.extend([false, true].map(|v6| Question::WideForwarding { v6 }));
        }
        rtnl.ask(&questions, &mut self.facts)?;
        if ledgers.iter().flat_map(|ledger| &ledger.changed).any(|changed| changed.link == IfName::DEFAULT) {
            rtnl.ask(&[Question::Links], &mut self.facts)?;
            if self.facts.link(&IfName::DEFAULT).is_none() {
                self.facts.links.push(template::interface()?);
            }
        }
        self.ask_about_changed(rtnl, &ledgers)?;
        rtnl.ask(&self.about_changed_filters(), &mut self.facts)?;
        if has_lost {
            // What the record has lost may be of any interface.
            rtnl.all_links()?.into_iter().for_each(|(link, _)| self.facts.add_link(link));
            self.facts.asked.push(Question::Links);
        }
        for (bridge, nic) in bridges {
            if let Some(nic) = nic {
                let nic = self.facts.link(&nic).map(feature::neighbours);
                let carried = feature::carried(&bridge);
                self.ask_new(rtnl, carried.into_iter().chain(nic.into_iter().flatten()))?;
            } else if self.facts.addresses_of(bridge.index).is_empty() {
                rtnl.ask(&[Question::Addresses(bridge.index)], &mut self.facts)?;
            }
        }
        Ok(())
    }

    /// The filters that were put on bridges which were there before.
    fn about_changed_filters(&self) -> Vec<Question> {
        let changed = self
            .networks
            .iter()
            .filter_map(|instance| instance.ledger.as_ref())
            .flat_map(|ledger| &ledger.changed);
        let question = |changed: &Changed| match (changed.setting, self.facts.link(&changed.link)?.index) {
            (Setting::Clsact, index) => Some(Question::Clsact(index)),
            (Setting::Filter(filter), index) => Some(Question::Filter(index, filter)),
            _ => None,
        };
        changed.filter_map(question).collect()
    }

    /// The interfaces that were changed, and the bridges that they are ports of.
    fn ask_about_changed(&mut self, rtnl: &mut Rtnl, ledgers: &[Ledger]) -> io::Result<()> {
        loop {
            let questions = feature::recorded(ledgers.iter(), &self.facts);
            if questions.iter().all(|question| self.facts.has(question)) {
                break;
            }
            self.ask_new(rtnl, questions)?;
        }
        // Records go by the names of now.
        self.work_out();
        Ok(())
    }
}
