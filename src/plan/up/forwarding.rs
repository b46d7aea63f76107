//! What the host forwards for the network.

use super::Up;
use crate::model::ledger::Place;
use crate::model::link::GROUP;
use crate::model::{Changed, IfName, Ledger, Link, Setting, TapRecord};
use crate::plan::{Step, forwarding};

impl Up<'_> {
    pub(super) fn forwarding(&mut self) {
        for (link, setting, value) in forwarding::wanted(self.desired, self.observed) {
            let step = self.want(&link, setting, value);
            self.open.extend(step);
        }
        let opened =
            self.port_nic().map(|nic| forwarding::opened_by_others(&nic, self.desired, self.observed));
        for setting in opened.unwrap_or_default() {
            let step = self.want(&self.desired.network.bridge, setting, 1);
            self.open.extend(step);
        }
        for setting in self.observed.everywhere(self.desired) {
            self.everywhere(setting);
        }
    }

    /// Sets what every interface shall have, those to come included. The record names the exceptions, and bridges, of which
    /// the guard has to know.
    fn everywhere(&mut self, setting: Setting) {
        let (closed, opened) = setting.range();
        let default = self.observed.value(&IfName::DEFAULT, setting).unwrap_or(closed);
        if let Some(old) = self.old.filter(|_| self.observed.is_everywhere(self.desired, setting)) {
            let is_known = |changed: &&Changed| changed.setting == setting;
            let known = old.changed.iter().filter(is_known);
            let new = known.filter(|changed| !self.ledger.changed.iter().any(|own| own == *changed));
            let new: Vec<Changed> = new.cloned().collect();
            self.ledger.changed.extend(new);
            return;
        }
        let place = Place { name: IfName::DEFAULT, index: 0 };
        let before = self.changed_itself(&place, setting).unwrap_or(default);
        let record = |place: Place, before: u32| Changed {
            link: place.name,
            index: place.index,
            setting,
            before,
            global_forwarding: false,
        };
        self.ledger.changed.push(record(place, before));
        let set = |link: IfName| Step::set(link, setting, closed, opened);
        self.open.extend((default == closed).then(|| set(IfName::DEFAULT)));
        let observed = self.observed;
        let links: Vec<&Link> = observed.facts.links.iter().filter(|link| self.is_somebodys(link)).collect();
        for link in links {
            let Some(now) = observed.value(&link.name, setting) else { continue };
            let place = Place { name: link.name, index: link.index };
            let before = self.former(&place, setting).map_or(now, |changed| changed.before);
            if before == opened || before == closed && link.is_bridge() {
                self.ledger.changed.push(record(place, before));
            }
            // One that is gone meanwhile needs nothing, as with what is put back.
            self.open.extend((now == closed).then(|| Step::put_back(link.name, setting, closed, opened)));
        }
    }

    /// What was changed of an interface itself.
    fn changed_itself(&self, place: &Place, setting: Setting) -> Option<u32> {
        let mut ledgers = self.old.into_iter().chain(self.observed.ledgers());
        ledgers.find_map(|ledger| ledger.changed(&place.name, setting)).map(|changed| changed.before)
    }

    /// Whether a packet for a guest could come in by it: not loopback, a host interface of kvmnet's, or a guest's tap.
    fn is_somebodys(&self, link: &Link) -> bool {
        let bridge = &self.desired.network.bridge;
        let is_own = link.name == *bridge || link.name == *self.desired.host_if() || link.group == GROUP;
        let is_guest =
            link.is_tap() && (TapRecord::parse(&link.alias).is_some() || Some(link.name) == self.desired.tap);
        let is_closed = Ledger::parse(&link.alias).is_some_and(|ledger| ledger.is_closed());
        link.index != 0 && !link.loopback && !is_own && !is_guest && !is_closed
    }
}
