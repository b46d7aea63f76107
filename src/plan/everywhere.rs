//! A setting of every interface, those to come included, and back. The record names `default` and the exceptions.

use super::Difference;
use crate::feature::{Site, everywhere};
use crate::item::Step;
use crate::model::ledger::Place;
use crate::model::link::GROUP;
use crate::model::{Changed, IfName, Ledger, Link, Setting};
use crate::observed::Observed;
use crate::switch;

impl Difference<'_> {
    /// Sets it. The record names the exceptions, and bridges, of which the guard has to know.
    pub(super) fn everywhere(&mut self, setting: Setting) -> Vec<Step> {
        let Site { desired, observed, old, .. } = self.site;
        if let Some(old) = old.filter(|_| everywhere::is_set(setting, desired, observed)) {
            let known = old.changed.iter().filter(|changed| changed.setting == setting);
            let new = known.filter(|changed| !self.ledger.changed.iter().any(|own| own == *changed));
            let new: Vec<Changed> = new.cloned().collect();
            self.ledger.changed.extend(new);
            return Vec::new();
        }
        let (closed, opened) = setting.range();
        let default = observed.value(&IfName::DEFAULT, setting).unwrap_or(closed);
        let record = |place: Place, before: u32| Changed {
            link: place.name,
            index: place.index,
            setting,
            before,
            global_forwarding: false,
        };
        let place = Place { name: IfName::DEFAULT, index: 0 };
        let before = changed_itself(&place, setting, &self.site).unwrap_or(default);
        self.ledger.changed.push(record(place, before));
        let mut steps = Vec::new();
        steps.extend((default == closed).then(|| Step::set(IfName::DEFAULT, setting, closed, opened)));
        for link in observed.facts.links.iter().filter(|link| is_somebodys(link, &self.site)) {
            let Some(now) = observed.value(&link.name, setting) else { continue };
            let place = Place { name: link.name, index: link.index };
            let before = self.site.former(&place, setting).map_or(now, |changed| changed.before);
            if before == opened || before == closed && link.is_bridge() {
                self.ledger.changed.push(record(place, before));
            }
            // One that is gone meanwhile needs nothing, as with what is put back.
            steps.extend((now == closed).then(|| Step::put_back(link.name, setting, closed, opened)));
        }
        steps
    }
}

/// What was changed of an interface itself.
fn changed_itself(place: &Place, setting: Setting, site: &Site) -> Option<u32> {
    let mut ledgers = site.old.into_iter().chain(site.observed.ledgers());
    ledgers.find_map(|ledger| ledger.changed(&place.name, setting)).map(|changed| changed.before)
}

/// Whether a packet for a guest could come in by it: not loopback, a host interface of kvmnet's, or a guest's tap.
fn is_somebodys(link: &Link, site: &Site) -> bool {
    let desired = site.desired;
    let is_own =
        link.name == desired.network.bridge || link.name == *desired.host_if() || link.group == GROUP;
    let is_guest = link.is_tap() && (link.is_attached() || Some(link.name) == desired.tap);
    let is_closed = switch::record(link).is_some_and(|ledger| ledger.is_closed());
    link.index != 0 && !link.loopback && !is_own && !is_guest && !is_closed
}

/// Every interface that was not so before gets back what it had, and those to come will have it.
pub(super) fn put_back(
    changed: &Changed,
    old: &Ledger,
    others: &[&Ledger],
    observed: &Observed,
) -> Vec<Step> {
    let (closed, opened) = changed.setting.range();
    let is_another = |link: &Link| {
        let place = Place { name: link.name, index: link.index };
        let is_recorded = |ledger: &&Ledger| {
            ledger.changed.iter().any(|other| other.setting == changed.setting && place.is_of(other))
        };
        is_recorded(&old) || others.iter().any(is_recorded)
    };
    // The host interfaces of networks are their own business, and a bridge that was made for a NIC is as the NIC was.
    let is_lan = |link: &Link| {
        let nic = observed.network(&link.name).and_then(|instance| instance.ledger.as_ref()?.nic());
        nic.is_some_and(|nic| old.changed(&nic, changed.setting).is_some())
    };
    let links = observed.facts.links.iter().filter(|link| link.index != 0 && link.group != GROUP);
    let links = links.filter(|link| observed.value(&link.name, changed.setting) == Some(opened));
    let links = links.filter(|link| !is_another(link) && !is_lan(link)).map(|link| (link.name, closed));
    // One that was open was left so.
    let default = (changed.before == closed).then_some((IfName::DEFAULT, closed));
    let own = own_interface(old, observed).filter(|_| changed.setting.forwards());
    let all = own.map(|link| (link, closed)).into_iter().chain(links).chain(default);
    all.filter_map(|(link, to)| super::values::put_back(&link, changed.setting, to, observed)).collect()
}

/// The network's own interface, if kvmnet made it: shut first and opened last, so that it says whether all others are open
/// (`everywhere::is_set`).
fn own_interface(old: &Ledger, observed: &Observed) -> Option<IfName> {
    let instance = observed.networks.iter().find(|instance| instance.ledger.as_ref() == Some(old))?;
    (old.made || old.veth.is_some()).then(|| old.host_if(instance.bridge))
}
