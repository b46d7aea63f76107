//! The networks that stand: how they are found, who is on them, what their undo needs.

use std::collections::HashMap;
use std::io;

use super::{Observed, Standing};
use crate::firewall;
use crate::model::facts::Bytes;
use crate::model::ruleset::{Family, TABLE_PREFIX};
use crate::model::{Changed, Facts, IfName, Ledger, Link, Network, Question, Setting, TapRecord};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;

/// Up to so many networks' bridges are asked for one by one.
const FEW_NETWORKS: usize = 16;
/// Up to so many bridges' ports are asked for one by one: the kernel passes over all interfaces for each.
const FEW_DUMPS: usize = 16;

impl Observed {
    /// Finds kvmnet's networks by their tables.
    pub(super) fn tables(nft: Option<&mut Nft>, wanted: &[(Family, &str, &str)]) -> io::Result<Self> {
        let Some(nft) = nft else { return Ok(Self::default()) };
        let mut observed = Self { has_nft: true, ..Self::default() };
        let (tables, gates) = match nft.tables(wanted) {
            // nfnetlink is there, nf_tables is not (`nfnetlink_rcv_msg`).
            Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => return Ok(Self::default()),
            tables => tables?,
        };
        observed.gates = nft.gates(&gates)?;
        for found in tables {
            let name = found.name.strip_prefix(TABLE_PREFIX).unwrap_or_default();
            // A name that no interface can have is nobody's network, and no table of ours.
            if let Ok(bridge) = IfName::new(name) {
                observed.standing(&bridge).tables.push(found);
            }
        }
        Ok(observed)
    }

    /// Reads the copies of those records that no bridge bears, or not as a whole.
    pub(super) fn ask_about_records(&mut self, nft: Option<&mut Nft>) -> io::Result<()> {
        let Some(nft) = nft else { return Ok(()) };
        for standing in &mut self.networks {
            let alias = self.facts.link(&standing.bridge).and_then(|link| Ledger::parse(&link.alias));
            if alias.is_some_and(|alias| !alias.more) {
                continue;
            }
            for found in standing.tables.iter_mut().filter(|found| found.family == Family::Inet) {
                found.record = match firewall::ledger_in(&found.comment) {
                    Some(ledger) if ledger.more => {
                        Some(nft.comments(found.family, &found.name, firewall::RECORD)?)
                    }
                    Some(_) => None,
                    None => {
                        let mut elements = nft.elements(found.family, &found.name, firewall::RECORD)?;
                        elements.sort_by_key(|element| element.key);
                        let entries: Vec<String> =
                            elements.into_iter().map(|element| element.comment).collect();
                        Some(entries.join(" "))
                    }
                };
            }
        }
        Ok(())
    }

    /// Finds kvmnet's networks among the bridges that are known by now, too: one may have lost its tables, or they
    /// cannot be seen.
    pub(super) fn find_networks(&mut self) {
        let bridges = self.facts.links.iter().filter(|link| link.is_bridge());
        for bridge in bridges.map(|link| link.name).collect::<Vec<_>>() {
            self.standing(&bridge);
        }
        self.match_links();
        self.networks.retain(|standing| standing.ledger.is_some() || !standing.tables.is_empty());
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
        self.facts.stations = rtnl.all_stations()?;
        self.ask_about_records(nft)?;
        self.find_networks();
        let occupied: Vec<bool> =
            self.networks.iter().map(|standing| !self.guests(&standing.bridge).is_empty()).collect();
        for (standing, occupied) in self.networks.iter_mut().zip(occupied) {
            standing.occupied = occupied;
        }
        Ok(bytes)
    }

    /// The network of this bridge, new where there is none yet.
    pub(crate) fn standing(&mut self, bridge: &IfName) -> &mut Standing {
        let known = self.networks.iter().position(|standing| standing.bridge == *bridge);
        let at = known.unwrap_or_else(|| {
            let bridge = *bridge;
            let empty = Standing { bridge, link: None, ledger: None, tables: Vec::new(), occupied: false };
            self.networks.push(empty);
            self.networks.len() - 1
        });
        &mut self.networks[at]
    }

    /// The guests of this bridge, of those that are among the facts, by name.
    pub fn guests(&self, bridge: &IfName) -> Vec<&Link> {
        let standing = self.network(bridge).and_then(|s| Some((s.link.as_ref()?.index, s.ledger.as_ref()?)));
        let Some((index, ledger)) = standing else { return Vec::new() };
        let mut guests: Vec<&Link> =
            self.facts.links.iter().filter(|link| is_guest(link, index, ledger)).collect();
        guests.sort_by_key(|link| link.name);
        guests
    }

    /// The taps that kvmnet attached, and which are ports of nothing now, of those among the facts, each with the bridge
    /// that it was on.
    pub fn strays(&self) -> Vec<(IfName, Option<IfName>)> {
        let lives = |link: &Link| link.carrier || link.tun.as_ref().is_some_and(|tun| tun.persistent);
        let taps =
            self.facts.links.iter().filter(|link| link.is_tap() && lives(link) && link.master.is_none());
        taps.filter_map(|tap| Some((tap.name, TapRecord::parse(&tap.alias)?.bridge))).collect()
    }

    /// What to ask to know the bridges of all networks: each of a few; of many all that there are at once.
    pub(super) fn bridges(&self) -> Vec<Question> {
        if self.networks.len() > FEW_NETWORKS {
            return vec![Question::Bridges];
        }
        self.networks.iter().map(|standing| Question::Link(standing.bridge)).collect()
    }

    /// Finds the bridges of the networks, and the records.
    pub(crate) fn match_links(&mut self) {
        for standing in &mut self.networks {
            let is_it = |link: &&Link| link.is_bridge() && link.name == standing.bridge;
            let there = self.facts.link(&standing.bridge).filter(is_it);
            let alias = there.and_then(|link| Ledger::parse(&link.alias));
            let copy = standing.tables.iter().find_map(firewall::ledger_of);
            (standing.link, standing.ledger) = match (there, alias, copy) {
                (Some(link), Some(alias), copy) => (Some(link.clone()), Some(alias.with_copy(copy))),
                (Some(link), None, Some(copy)) if copy.is_of(link, &self.facts) => {
                    (Some(link.clone()), Some(copy))
                }
                (Some(link), None, None) => (Some(link.clone()), None),
                // Somebody else's, made anew under that name.
                (Some(_), None, Some(copy)) => (None, Some(copy.without_bridge(&standing.bridge))),
                (None, _, copy) => (None, copy),
            };
            standing.ledger = standing.ledger.take().map(|ledger| ledger.believed(&standing.bridge));
            standing.ledger.iter_mut().for_each(|ledger| follow_names(ledger, &self.facts));
        }
    }

    /// The NICs that were taken, which may have other names by now; a bridge whose alias was wiped out is known by the NIC
    /// that is its port.
    pub(super) fn ask_about_nics(&mut self, rtnl: &mut Rtnl) -> io::Result<()> {
        let is_lost =
            |standing: &&Standing| standing.link.is_none() && self.facts.link(&standing.bridge).is_some();
        let lost = self.networks.iter().filter(is_lost);
        let ledgers = lost.flat_map(|standing| &standing.tables).filter_map(firewall::ledger_of);
        let mut nics: Vec<Question> = ledgers.filter_map(|ledger| ledger.nic()).map(Question::Link).collect();
        let numbers =
            self.ledgers().filter_map(|ledger| ledger.nic).map(|nic| nic.index).filter(|index| *index != 0);
        nics.extend(numbers.filter(|index| self.facts.link_index(*index).is_none()).map(Question::LinkIndex));
        if nics.is_empty() {
            return Ok(());
        }
        rtnl.ask(&nics, &mut self.facts)?;
        self.match_links();
        Ok(())
    }

    /// Which networks still have guests, apart from `tap`. Those that must be known exactly cost a dump each, as far as the
    /// first guest; where they are many, one of all interfaces.
    pub(super) fn ask_about_guests(
        &mut self,
        rtnl: &mut Rtnl,
        tap: &IfName,
        exactly: impl Fn(&IfName) -> bool,
    ) -> io::Result<()> {
        let mut open = Vec::new();
        for standing in &mut self.networks {
            let (Some(link), Some(ledger)) = (&standing.link, &standing.ledger) else { continue };
            // Carrier comes from a live port: a guest's, unless it has others, which have it always.
            let has_other_ports = ledger.veth.is_some() || ledger.nic.is_some() || !ledger.made;
            standing.occupied = link.carrier && !has_other_ports && !exactly(&standing.bridge);
            if !standing.occupied {
                open.push((link.index, ledger.clone()));
            }
        }
        let occupied = match open.len() {
            0..=FEW_DUMPS => open
                .chunks(1)
                .map(|one| occupied(rtnl, &Question::Ports(one[0].0), one, tap))
                .collect::<io::Result<Vec<_>>>()?
                .concat(),
            _ => occupied(rtnl, &Question::Links, &open, tap)?,
        };
        for standing in &mut self.networks {
            let is_occupied = standing.link.as_ref().is_some_and(|link| occupied.contains(&link.index));
            standing.occupied |= is_occupied;
        }
        Ok(())
    }

    /// What the undo of dead networks needs, and what the change of `staying` does.
    pub(super) fn ask_about_undo(&mut self, rtnl: &mut Rtnl, staying: Option<&Network>) -> io::Result<()> {
        let mut questions = Vec::new();
        let mut bridges = Vec::new();
        let mut has_lost = false;
        let mut ledgers: Vec<Ledger> = Vec::new();
        for standing in &self.networks {
            let Some(ledger) = &standing.ledger else { continue };
            let needs_undo = match staying.filter(|network| network.bridge == standing.bridge) {
                Some(network) => network.digest != ledger.digest,
                None => standing.is_dead(),
            };
            if !needs_undo {
                continue;
            }
            ledgers.push(ledger.clone());
            let mut names: Vec<&IfName> = Vec::new();
            names.extend(ledger.veth.iter().flat_map(|veth| [&veth.outer, &veth.inner]));
            names.extend(ledger.nic.as_ref().map(|nic| &nic.name));
            names.retain(|name| self.facts.link(name).is_none());
            questions.extend(names.into_iter().cloned().map(Question::Link));
            has_lost |= ledger.more;
            if ledger.more || ledger.changed.iter().any(|changed| changed.setting.forwards()) {
                questions.extend([false, true].map(|v6| Question::WideForwarding { v6 }));
            }
            bridges.extend(standing.link.iter().cloned().map(|link| (link, ledger.nic())));
        }
        rtnl.ask(&questions, &mut self.facts)?;
        if ledgers.iter().flat_map(|ledger| &ledger.changed).any(|changed| changed.link == IfName::DEFAULT) {
            self.ask_about_all_links(rtnl)?;
        }
        self.ask_about_changed(rtnl, ledgers.iter())?;
        rtnl.ask(&self.about_changed_filters(), &mut self.facts)?;
        if has_lost {
            // What the record has lost may be of any interface.
            rtnl.all_links()?.into_iter().for_each(|(link, _)| self.facts.add_link(link));
        }
        for (bridge, nic) in bridges {
            if let Some(nic) = nic {
                self.ask_about_baggage(rtnl, &bridge)?;
                self.ask_about_neighbours(rtnl, &nic)?;
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
            .filter_map(|standing| standing.ledger.as_ref())
            .flat_map(|ledger| &ledger.changed);
        let question = |changed: &Changed| match (changed.setting, self.facts.link(&changed.link)?.index) {
            (Setting::Clsact, index) => Some(Question::Clsact(index)),
            (Setting::Filter(filter), index) => Some(Question::Filter(index, filter)),
            _ => None,
        };
        changed.filter_map(question).collect()
    }

    /// The interfaces that were changed, whatever their names are now, and the bridges that they are ports of.
    pub(super) fn ask_about_changed<'a>(
        &mut self,
        rtnl: &mut Rtnl,
        ledgers: impl Iterator<Item = &'a Ledger>,
    ) -> io::Result<()> {
        let is_link = |changed: &&Changed| changed.link != IfName::DEFAULT && changed.link != IfName::ALL;
        let changed: Vec<&Changed> = ledgers.flat_map(|ledger| &ledger.changed).filter(is_link).collect();
        let mut names: Vec<IfName> = changed.iter().map(|changed| changed.link).collect();
        names.retain(|name| self.facts.link(name).is_none());
        names.dedup();
        rtnl.ask(&names.into_iter().map(Question::Link).collect::<Vec<_>>(), &mut self.facts)?;
        let masters = changed.iter().filter_map(|changed| self.facts.link(&changed.link)?.master);
        let mut numbers: Vec<u32> = changed.iter().map(|changed| changed.index).chain(masters).collect();
        numbers.retain(|index| *index != 0 && self.facts.link_index(*index).is_none());
        numbers.dedup();
        rtnl.ask(&numbers.into_iter().map(Question::LinkIndex).collect::<Vec<_>>(), &mut self.facts)?;
        let ledgers = self.networks.iter_mut().filter_map(|standing| standing.ledger.as_mut());
        ledgers.for_each(|ledger| follow_names(ledger, &self.facts));
        Ok(())
    }

    /// What a takeover carries away from `link`.
    pub(super) fn ask_about_baggage(&mut self, rtnl: &mut Rtnl, link: &Link) -> io::Result<()> {
        let (device, name) = (link.index, &link.name);
        self.facts.addresses.retain(|(of, _)| *of != device);
        let mut questions = vec![Question::WideForwarding { v6: false }];
        questions.extend([Question::Addresses(device), Question::Nexthops { device, name: *name }]);
        for v6 in [false, true] {
            questions.push(Question::Routes { v6, device, name: *name });
            questions.push(Question::Rules { v6, name: *name });
            questions.push(Question::Neighbours { v6, device, name: *name });
            questions.push(Question::Proxies { v6, device, name: *name });
        }
        rtnl.ask(&questions, &mut self.facts)
    }

    /// What is known already behind the interface that a takeover carries to.
    pub(super) fn ask_about_neighbours(&mut self, rtnl: &mut Rtnl, name: &IfName) -> io::Result<()> {
        let Some(device) = self.facts.link(name).map(|link| link.index) else { return Ok(()) };
        let questions = [false, true].map(|v6| Question::Neighbours { v6, device, name: *name });
        rtnl.ask(&questions, &mut self.facts)
    }
}

/// Interfaces that have other names by now; their old ones may be others'.
fn follow_names(ledger: &mut Ledger, facts: &Facts) {
    let name_of = |index| facts.link_index(index).filter(|_| index != 0).map(|link| link.name);
    if let Some(nic) = &mut ledger.nic {
        nic.name = name_of(nic.index).unwrap_or(nic.name);
    }
    for changed in &mut ledger.changed {
        changed.link = name_of(changed.index).unwrap_or(changed.link);
    }
}

/// Those of `bridges` that have a guest other than `tap`: the answer is read until each has one.
fn occupied(
    rtnl: &mut Rtnl,
    question: &Question,
    bridges: &[(u32, Ledger)],
    tap: &IfName,
) -> io::Result<Vec<u32>> {
    rtnl.links_while(question, |found: &mut Vec<u32>, port| {
        let is_on = |(bridge, ledger): &&(u32, Ledger)| is_guest(&port, *bridge, ledger);
        let on =
            bridges.iter().find(is_on).filter(|(bridge, _)| port.name != *tap && !found.contains(bridge));
        found.extend(on.map(|(bridge, _)| *bridge));
        found.len() < bridges.len()
    })
}

/// Whether an interface is a port of the bridge with this number that is not kvmnet's own, and alive.
fn is_guest(port: &Link, bridge: u32, ledger: &Ledger) -> bool {
    let is_own =
        ledger.nic() == Some(port.name) || ledger.veth.as_ref().is_some_and(|veth| veth.outer == port.name);
    let counts = match (port.is_tap(), ledger.made) {
        // A tap without carrier has no process behind it; a persistent one that was attached waits for
        // the next. A found bridge may have taps of others.
        (true, made) => {
            let attached = TapRecord::parse(&port.alias).is_some();
            let waits = attached && port.tun.as_ref().is_some_and(|tun| tun.persistent);
            (port.carrier && (made || attached)) || waits
        }
        // Somebody put it on the bridge that kvmnet made, or it was there before.
        (false, made) => made,
    };
    counts && port.master == Some(bridge) && !is_own
}
