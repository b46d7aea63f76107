//! What is wanted, against what is there and what is on record: the steps that lead from one to the other, and the record that
//! shall be. With nothing wanted it is the undo.

use ipnet::IpNet;

use super::tables::{self, Tables};
use super::{Refusal, Transaction, accept_rules, guest, port, port_mappings, values};
use crate::desired::Desired;
use crate::feature::{self, Nic, Object, Phase, Site, Wanted};
use crate::firewall;
use crate::item::{AddressChange, LinkChange, Step};
use crate::model::ruleset::{Family, Found};
use crate::model::{Address, FirewallUse, IfName, Ledger, Mac, Setting, Veth};
use crate::observed::{Instance, Observed};
use crate::switch;

/// The difference as it grows: in each part the steps have an order, and the parts have one.
pub(super) struct Difference<'a> {
    pub site: Site<'a>,
    /// The record that shall be there.
    pub ledger: Ledger,
    /// Makes interfaces, and shuts those that the host has no part in; comes before the tables.
    pub make: Vec<Step>,
    /// Opens what the host has part in, and sets up; comes after the tables.
    pub open: Vec<Step>,
    /// Takes away what is no longer wanted; comes last.
    pub clean: Vec<Step>,
}

impl<'a> Difference<'a> {
    /// Of what shall be, and what there is.
    pub fn of(site: Site<'a>) -> Result<Self, Refusal> {
        let wanted = feature::wanted(&site);
        let mut difference = Self {
            site,
            ledger: record_of(&site, &wanted),
            make: Vec::new(),
            open: Vec::new(),
            clean: Vec::new(),
        };
        let former = difference.former_nic(wanted.nic.as_ref());
        difference.open.extend(former);
        let [make, shut, reopen, serve, last] =
            [Phase::Make, Phase::Shut, Phase::Reopen, Phase::Serve, Phase::Clean]
                .map(|phase| difference.steps_of(phase, &wanted));
        // A bridge that was closed opens before anything is added to it.
        let (reopened, unwanted): (Vec<Step>, Vec<Step>) = difference
            .unwanted(&wanted)
            .into_iter()
            .partition(|step| reopens(step, &site.desired.network.bridge));
        difference.make.extend(make.into_iter().chain(shut));
        difference.open.extend(reopened.into_iter().chain(reopen).chain(serve));
        if let Some(guest) = &wanted.guest {
            difference.open.extend(guest::attach(guest, &site)?);
        }
        difference.clean.extend(unwanted.into_iter().chain(last));
        Ok(difference)
    }

    fn steps_of(&mut self, phase: Phase, wanted: &Wanted) -> Vec<Step> {
        let objects = wanted.objects.iter().filter(|(of, _)| *of == phase);
        objects.flat_map(|(_, object)| self.steps(object)).collect()
    }

    /// What makes one object of what is there.
    fn steps(&mut self, object: &Object) -> Vec<Step> {
        match object {
            Object::Bridge { mac, group } => {
                let name = self.site.desired.network.bridge;
                vec![switch::make(name, *mac, *group)]
            }
            Object::Pair { veth: Veth { outer, inner }, group } => {
                let macs = [Mac::of_bridge(outer), Mac::of_bridge(inner)];
                vec![LinkChange::AddVeth { outer: *outer, inner: *inner, macs, group: *group }.into()]
            }
            Object::Value { link, setting, value } => {
                self.value(link, *setting, *value).into_iter().collect()
            }
            Object::Everywhere(setting) => self.everywhere(*setting),
            Object::Port(port) => port::enslave(port, &self.site).into_iter().collect(),
            Object::Address(net) => {
                let link = *self.site.desired.host_if();
                let is_there = self.site.observed.addresses(&link).iter().any(|address| address.net == *net);
                let add = || AddressChange::Add { link, address: Address::plain(*net) }.into();
                (!is_there).then(add).into_iter().collect()
            }
            Object::Way(steps) => steps.clone(),
        }
    }

    /// A NIC that is no longer the network's gets back what it had, before the addresses of another mode come to the bridge.
    fn former_nic(&self, wanted: Option<&Nic>) -> Vec<Step> {
        let Some(old) = self.site.old.filter(|old| old.nic.is_some()) else { return Vec::new() };
        if old.nic() == wanted.map(|nic| nic.place.name) {
            return Vec::new();
        }
        let bridge = self.site.desired.network.bridge;
        let mut steps = feature::give_back(old, &bridge, self.site.observed);
        let from = self.site.bridge().and_then(|link| link.mac).filter(|_| self.site.made);
        let to = Mac::of_bridge(&bridge);
        steps.extend(from.map(|from| LinkChange::Mac { link: bridge, from, to }.into()));
        steps
    }

    /// What the former configuration made and this one does not need.
    fn unwanted(&self, wanted: &Wanted) -> Vec<Step> {
        let Some(old) = self.site.old else { return Vec::new() };
        let bridge = &self.site.desired.network.bridge;
        let others = self.site.observed.networks.iter().filter(|other| other.bridge != *bridge);
        let others: Vec<&Ledger> =
            others.filter_map(|other| other.ledger.as_ref()).chain([&self.ledger]).collect();
        let mut steps = unwanted(bridge, old, Some(&self.ledger), &others, self.site.observed);
        steps.retain(|step| match step {
            Step::Setting(change) => !wanted.has_value(&change.link, change.setting),
            _ => true,
        });
        steps
    }

    /// The tables with `record` as their copy. A host interface opens in one transaction with the rules that come in its place:
    /// what a takeover asks through the bridge would not be answered behind a closed one.
    pub fn tables(&mut self, record: &Ledger) -> Vec<Step> {
        let Site { desired, observed, .. } = self.site;
        if !observed.has_nft() {
            return Vec::new();
        }
        let tables = self.found_tables();
        let wanted = feature::tables(&self.site, &self.ledger, record);
        let (host_ifs, others): (Vec<&Found>, Vec<&Found>) =
            tables.unwanted(&wanted).partition(|found| found.family == Family::Netdev);
        self.clean.extend(others.into_iter().map(tables::delete));
        let bridge = &desired.network.bridge;
        let mut steps = tables.write(wanted, record);
        let is_written = |step: &Step| matches!(step, Step::Table(change) if change.writes(Family::Inet));
        let written = steps.iter().any(is_written);
        steps.extend(port_mappings::difference(&self.site, written));
        steps.extend(host_ifs.into_iter().map(|found| tables::remove(bridge, found)));
        steps.extend(accept_rules::difference(bridge, Some(desired), observed));
        steps
    }

    pub fn found_tables(&self) -> Tables<'a> {
        Tables { bridge: &self.site.desired.network.bridge, instance: self.site.instance }
    }
}

/// What makes its address is set by the time that IPv6 is back.
fn reopens(step: &Step, bridge: &IfName) -> bool {
    let opens = |setting| feature::closes(setting) || setting == Setting::AddrGen;
    matches!(step, Step::Setting(change) if change.link == *bridge && opens(change.setting))
}

/// The record of what is wanted, but for settings.
fn record_of(site: &Site, wanted: &Wanted) -> Ledger {
    let Site { desired: Desired { network, held, .. }, old, made, .. } = *site;
    let link = site.bridge();
    // Where the bridge is another one by now, the record knows nothing of it.
    let of_bridge = old.filter(|_| site.instance.is_some_and(|instance| instance.link.is_some()));
    let own = wanted.nic.as_ref().and_then(|nic| nic.bridge_addresses.clone());
    let mac = old.and_then(|old| old.mac).or(wanted.nic.as_ref().and_then(|nic| nic.bridge_mac));
    Ledger {
        made,
        index: link.filter(|_| !made).map(|link| link.index),
        keep: network.keep,
        held: *held || old.is_some_and(|old| old.held),
        overridden: network.overridden,
        dhcp: feature::dhcp_domain(site),
        forwards: feature::leads_to_guests(site),
        filters: feature::bounds_guests(site),
        hands_off: network.firewall != FirewallUse::Integrate,
        veth: network.veth.clone(),
        nic: wanted.nic.as_ref().map(|nic| nic.place),
        addresses: given(wanted, of_bridge, site),
        bridge_addresses: own.or_else(|| old.map(|old| old.bridge_addresses.clone())).unwrap_or_default(),
        mac: mac.filter(|_| !made),
        unknown: old.map(|old| old.unknown.clone()).unwrap_or_default(),
        alias: match (of_bridge, link) {
            (Some(old), _) => old.alias.clone(),
            (None, Some(link)) => link.alias.clone(),
            (None, None) => String::new(),
        },
        ..Ledger::new(network.mode, network.name.clone(), network.digest)
    }
}

/// The addresses that kvmnet gives or gave; one that the host had on a bridge that was found stays its own.
fn given(wanted: &Wanted, old: Option<&Ledger>, site: &Site) -> Vec<IpNet> {
    let present = site.observed.addresses(site.desired.host_if());
    let is_given = |net: &IpNet| match old {
        Some(old) if old.addresses.contains(net) => true,
        _ => site.made || !present.iter().any(|has| has.net == *net),
    };
    wanted.addresses().filter(is_given).collect()
}

/// What the network of `bridge` made and `new` does not need, if that is anything; `others` are the records of those that stay.
fn unwanted(
    bridge: &IfName,
    old: &Ledger,
    new: Option<&Ledger>,
    others: &[&Ledger],
    observed: &Observed,
) -> Vec<Step> {
    let mut steps = values::unwanted(bridge, old, others, observed);
    if new.is_none() {
        steps.extend(values::lost(old, others, observed));
    }
    if old.veth.as_ref() != new.and_then(|new| new.veth.as_ref()) {
        steps.extend(pair(old, observed));
    }
    steps.extend(addresses(bridge, old, new, observed));
    steps
}

/// The pair goes with either of its ends. Others of these names stay.
fn pair(old: &Ledger, observed: &Observed) -> Option<Step> {
    let veth = old.veth.as_ref().filter(|veth| feature::is_pair(veth, observed))?;
    Some(LinkChange::Delete { name: veth.inner }.into())
}

/// The addresses that kvmnet gave, but for those that go with their interface. Backwards, so that a secondary one is never
/// promoted.
fn addresses(bridge: &IfName, old: &Ledger, new: Option<&Ledger>, observed: &Observed) -> Vec<Step> {
    let link = old.host_if(*bridge);
    let stays = new.is_some_and(|new| new.host_if(*bridge) == link);
    let goes = if old.veth.is_some() { !stays } else { old.made && new.is_none() };
    if goes || old.addresses.is_empty() {
        return Vec::new();
    }
    let is_kept = |net: &IpNet| stays && new.is_some_and(|new| new.addresses.contains(net));
    let given = observed.addresses(&link).into_iter().rev();
    let is_given = |address: &Address| old.addresses.contains(&address.net) && address.is_plain();
    let unwanted = given.filter(|address| is_given(address) && !is_kept(&address.net));
    unwanted.map(|address| AddressChange::Delete { link, address }.into()).collect()
}

/// Takes a network away: the same with nothing wanted. The NIC is given back first, and alone: what it was lent to goes only
/// after that.
pub(super) fn undo(instance: &Instance, others: &[&Ledger], observed: &Observed) -> Vec<Transaction> {
    let bridge = &instance.bridge;
    let mut given_back = Vec::new();
    let mut steps = Vec::new();
    if let Some(old) = &instance.ledger {
        if instance.link.is_some() {
            given_back.extend(feature::give_back(old, bridge, observed));
        }
        steps.extend(unwanted(bridge, old, None, others, observed));
        steps.extend(self::bridge(instance, old));
    }
    steps.extend(accept_rules::difference(bridge, None, observed));
    steps.extend(tables_after(instance, observed));
    steps.extend(port_mappings::cut_gone(bridge, observed));
    let cleans = Some(*bridge);
    vec![
        Transaction { title: format!("give back what {bridge} has of its NIC"), steps: given_back, cleans },
        Transaction { title: format!("take {bridge} down: nobody is on it"), steps, cleans },
    ]
}

/// A bridge that kvmnet made goes; one that it found is given back.
fn bridge(instance: &Instance, old: &Ledger) -> Vec<Step> {
    let Some(link) = &instance.link else { return Vec::new() };
    let name = link.name;
    if old.made {
        return vec![switch::delete(name)];
    }
    let lent = link.mac.zip(old.mac).filter(|(now, before)| now != before);
    let mut steps: Vec<Step> =
        lent.map(|(from, to)| LinkChange::Mac { link: name, from, to }.into()).into_iter().collect();
    steps.push(Step::BARRIER);
    steps.push(switch::write_record(name, link.alias.clone(), old.alias.clone()));
    steps
}

/// The tables go, but for the record of what only a later version can undo.
fn tables_after(instance: &Instance, observed: &Observed) -> Vec<Step> {
    let beyond = instance.ledger.as_ref().and_then(Ledger::beyond).filter(|_| observed.has_nft());
    let wanted: Vec<_> =
        beyond.iter().map(|beyond| firewall::record_alone(&instance.bridge, beyond)).collect();
    let tables = Tables { bridge: &instance.bridge, instance: Some(instance) };
    let mut steps: Vec<Step> = tables.unwanted(&wanted).map(tables::delete).collect();
    steps.extend(beyond.iter().flat_map(|beyond| tables.write(wanted.clone(), beyond)));
    steps
}
