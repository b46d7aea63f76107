//! What bringing a guest up can depend on: what the features have to know, asked until nothing is open.

use std::borrow::Cow;
use std::{fs, io};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::{address_manager, leases, starter, station, template};
use crate::desired::Desired;
use crate::feature::{self, Site};
use crate::firewall;
use crate::holder;
use crate::model::facts::Way;
use crate::model::route::LOCAL;
use crate::model::ruleset::table_name;
use crate::model::{Address, IfName, Ledger, Need, Question};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::observed::Observed;
use crate::subnet;

impl Observed {
    /// Reads what bringing a guest up can depend on.
    pub fn for_up(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<Self> {
        let bridge = &desired.network.bridge;
        let name = table_name(bridge);
        let leads = desired.network.mode.forwards() && !desired.network.forwards.is_empty();
        let chains: Vec<_> = firewall::chain_names(desired, leads);
        let wanted: Vec<_> = chains.iter().map(|(family, chain)| (*family, name.as_str(), *chain)).collect();
        let mut observed = Self { besides: desired.tap, ..Self::tables(nft.as_deref_mut(), &wanted)? };
        let mut questions = feature::first(desired);
        let bridges = observed.bridges().into_iter();
        questions.extend(bridges.filter(|question| *question != Question::Link(*bridge)));
        rtnl.ask(&questions, &mut observed.facts)?;
        let is_there = |tap: IfName| observed.facts.link(&tap).is_some();
        if desired.tap.is_none() || desired.tap_to_come && !desired.tap.is_some_and(is_there) {
            observed.facts.links.push(template::interface()?);
        }
        observed.ask_about_records(nft.as_deref_mut())?;
        observed.work_out();
        if !leads {
            observed.ask_about_led_chains(nft.as_deref_mut(), desired)?;
        }
        observed.ask_about_nics(rtnl)?;
        observed.meet_needs(nft.as_deref_mut(), rtnl, desired)?;
        observed.ask_about_other_networks(rtnl, desired)?;
        let bridge = &desired.network.bridge;
        observed.ask_about_mappings(nft, rtnl, |one| one.is_unused() && one.bridge != *bridge)?;
        Ok(observed)
    }

    /// The chains that other guests' ports have brought to the network's table.
    fn ask_about_led_chains(&mut self, nft: Option<&mut Nft>, desired: &Desired) -> io::Result<()> {
        let bridge = &desired.network.bridge;
        let ledger = self.network(bridge).and_then(|instance| instance.ledger.as_ref());
        let Some(nft) = nft.filter(|_| ledger.is_some_and(|ledger| ledger.forwards)) else { return Ok(()) };
        let name = table_name(bridge);
        let chains: Vec<_> = firewall::chain_names(desired, true);
        let wanted: Vec<_> = chains.iter().map(|(family, chain)| (*family, name.as_str(), *chain)).collect();
        for found in nft.tables(&wanted)?.0 {
            let known = self
                .tables
                .iter_mut()
                .find(|known| (known.family, &known.name) == (found.family, &found.name));
            if let Some(known) = known {
                known.chains = found.chains;
            }
        }
        self.work_out();
        Ok(())
    }

    /// Whether anybody is on them, and what the undo of those needs that go.
    fn ask_about_other_networks(&mut self, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<()> {
        let network = &desired.network;
        let overridden = |ledger: &Ledger| ledger.overridden && ledger.digest != network.digest;
        let ledger =
            |instance: &Self| instance.network(&network.bridge).and_then(|instance| instance.ledger.clone());
        let matters = network.variable.is_some() || ledger(self).as_ref().is_some_and(overridden);
        // The one that the tap is on has its carrier from the very guest that leaves.
        let master = desired.tap.and_then(|tap| self.facts.link(&tap)?.master);
        let left = master.and_then(|master| self.facts.link_index(master)).map(|bridge| bridge.name);
        let exactly = |bridge: &IfName| {
            if *bridge == network.bridge { matters } else { left == Some(*bridge) }
        };
        self.ask_about_guests(rtnl, exactly)?;
        let is_changed = |ledger: &Ledger| ledger.digest != network.digest;
        self.ask_about_undo(rtnl, |instance| match instance.bridge == network.bridge {
            true => instance.ledger.as_ref().is_some_and(is_changed),
            false => instance.is_unused(),
        })
    }

    fn meet_needs(
        &mut self,
        mut nft: Option<&mut Nft>,
        rtnl: &mut Rtnl,
        desired: &Desired,
    ) -> io::Result<()> {
        loop {
            let mut open: Vec<Need> = Vec::new();
            let mut needs = feature::choice_needs(desired, self);
            let mut desired = Cow::Borrowed(desired);
            if needs.iter().all(|need| self.has_met(need)) {
                // Where that is refused, the plan says so.
                desired = feature::resolved(&desired, self)
                    .map_or(desired.clone(), |resolved| Cow::Owned(resolved.into_owned()));
                needs = feature::needs(&Site::new(&desired, self));
            }
            for need in needs {
                if !self.has_met(&need) && !open.contains(&need) {
                    open.push(need);
                }
            }
            if open.is_empty() {
                return Ok(());
            }
            self.meet(open, nft.as_deref_mut(), rtnl, &desired)?;
            // Records go by the names of now.
            self.work_out();
        }
    }

    /// Whether this is known.
    pub(crate) fn has_met(&self, need: &Need) -> bool {
        match need {
            Need::Of(question) => self.facts.has(question),
            Need::Template => self.facts.link(&IfName::DEFAULT).is_some(),
            Need::HostAddresses(link) => {
                self.met.contains(need) || self.facts.knows(&Question::Addresses(*link))
            }
            _ => self.met.contains(need),
        }
    }

    fn meet(
        &mut self,
        needs: Vec<Need>,
        mut nft: Option<&mut Nft>,
        rtnl: &mut Rtnl,
        desired: &Desired,
    ) -> io::Result<()> {
        let questions = needs.iter().filter_map(|need| match need {
            Need::Of(question) => Some(question.clone()),
            _ => None,
        });
        let mut questions: Vec<Question> = questions.collect();
        if questions.contains(&Question::Links) {
            questions.retain(|question| !matches!(question, Question::Link(_) | Question::LinkIndex(_)));
        }
        // What is asked about an interface as a whole takes the place of what was worked out of its addresses.
        self.facts.addresses.retain(|(of, _)| !questions.contains(&Question::Addresses(*of)));
        rtnl.ask(&questions, &mut self.facts)?;
        for need in &needs {
            match need {
                Need::Of(_) => {}
                Need::Defaults { v6 } => self.ask_about_defaults(rtnl, *v6)?,
                Need::AllDefaults6 => self.facts.ways.extend(rtnl.all_defaults(true)?),
                Need::HostAddresses(link) => self.ask_about_host_addresses(rtnl, *link, desired)?,
                Need::Template => self.facts.links.push(template::interface()?),
                Need::GlobalId => self.global_id = Some(subnet::global_id(machine_id().as_deref())),
                Need::PortMappings => {
                    if let Some(nft) = nft.as_deref_mut() {
                        self.ask_about_own_mappings(nft, desired)?;
                    }
                }
                Need::Listeners => self.ask_about_listeners(desired)?,
                Need::ReadOnlySys => self.is_proc_fixed = is_proc_fixed(),
                Need::Station(index) => {
                    let link = self.facts.link_index(*index).filter(|link| station::is_station(link));
                    self.stations.extend(link.map(|link| link.index));
                }
                Need::Starter => {
                    self.starter = desired.tap.map(|tap| starter::identity(&tap)).unwrap_or_default();
                }
                Need::Leases(bridge) => self.leases = leases::of(bridge),
                Need::SameVm(other) => {
                    let is_same = desired.tap.is_some_and(|tap| holder::is_one_vm(&tap, other));
                    self.same_vm.extend(is_same.then_some(*other));
                }
                Need::Manager(name) => {
                    let nic = self.facts.link(name);
                    self.owner =
                        nic.and_then(|nic| address_manager::of(nic, &self.facts.addresses_of(nic.index)));
                }
            }
        }
        self.met.extend(needs.into_iter().filter(|need| !matches!(need, Need::Of(_))));
        rtnl.resolve_nexthops(&mut self.facts.ways)
    }

    /// Where the network stands as it is configured, the routes of the table `local` say that the host has its addresses: a
    /// get for each instead of a dump.
    fn ask_about_host_addresses(
        &mut self,
        rtnl: &mut Rtnl,
        host_if: u32,
        desired: &Desired,
    ) -> io::Result<()> {
        let network = &desired.network;
        let ledger = self.network(&network.bridge).and_then(|instance| instance.ledger.as_ref());
        let is_settled = ledger.is_some_and(|ledger| ledger.digest == network.digest);
        let has_route = |net: &ipnet::IpNet| {
            let is_host =
                |way: &Way| way.kind == LOCAL && way.destination.is_some_and(|to| to.addr() == net.addr());
            self.facts.matched.iter().any(|way| is_host(way) && way.devices == [host_if])
        };
        if !is_settled || !network.addresses.iter().all(has_route) {
            return self.ask_new(rtnl, [Question::Addresses(host_if)]);
        }
        self.facts.addresses.extend(network.addresses.iter().map(|net| (host_if, Address::plain(*net))));
        Ok(())
    }

    /// Asks what is not known yet.
    pub(super) fn ask_new(
        &mut self,
        rtnl: &mut Rtnl,
        questions: impl IntoIterator<Item = Question>,
    ) -> io::Result<()> {
        let mut open: Vec<Question> = Vec::new();
        for question in questions {
            if !self.facts.has(&question) && !open.contains(&question) {
                open.push(question);
            }
        }
        rtnl.ask(&open, &mut self.facts)
    }
}

/// The machine ID, machine-id(5); None where there is none, or none yet.
fn machine_id() -> Option<String> {
    let id = fs::read_to_string("/etc/machine-id").ok()?.trim().to_owned();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// Whether /proc/sys is mounted read-only.
pub fn is_proc_fixed() -> bool {
    statvfs("/proc/sys").is_ok_and(|about| about.flags().contains(FsFlags::ST_RDONLY))
}
