//! The networks that stand, and who is on them.
//!
//! In: facts, tables. Out: [`Instance`]s. Never: asks the kernel, or decides what is to be done.

use crate::firewall;
use crate::model::ruleset::{Family, Found, TABLE_PREFIX};
use crate::model::{Facts, IfName, Ledger, Link, Question, Served, TapRecord};
use crate::switch;

/// A network that kvmnet made and that stands, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its bridge's name.
    pub bridge: IfName,
    /// Its bridge, unless somebody deleted it; one that was made later under that name is not it.
    pub link: Option<Link>,
    /// The record, from the bridge or else from the table.
    pub ledger: Option<Ledger>,
    /// Its tables.
    pub tables: Vec<Found>,
    /// Whether a guest other than the one at hand, or anything else that kvmnet did not put there, is a port, or nobody has
    /// asked.
    pub occupied: bool,
}

/// All of them. `besides` is the guest at hand, who keeps no network.
pub fn instances(facts: &Facts, tables: &[Found], besides: Option<&IfName>) -> Vec<Instance> {
    let bridges = facts.links.iter().filter(|link| link.is_bridge()).map(|link| link.name);
    let mut names: Vec<IfName> = Vec::new();
    for name in tables.iter().filter_map(bridge_of).chain(bridges) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let all = names.into_iter().map(|bridge| Instance::find(bridge, facts, tables, besides));
    all.filter(|instance| instance.ledger.is_some() || !instance.tables.is_empty()).collect()
}

/// The bridge that a table belongs to. A name that no interface can have is nobody's network, and no table of kvmnet's.
pub fn bridge_of(table: &Found) -> Option<IfName> {
    IfName::new(table.name.strip_prefix(TABLE_PREFIX)?).ok()
}

impl Instance {
    fn find(bridge: IfName, facts: &Facts, tables: &[Found], besides: Option<&IfName>) -> Self {
        let tables: Vec<Found> =
            tables.iter().filter(|table| bridge_of(table) == Some(bridge)).cloned().collect();
        let there = facts.bridge(&bridge);
        let alias = there.and_then(switch::record);
        let copy = tables.iter().find_map(firewall::ledger_of);
        let (link, ledger) = match (there, alias, copy) {
            (Some(link), Some(alias), copy) => (Some(link), Some(alias.with_copy(copy))),
            (Some(link), None, Some(copy)) if copy.is_of(link, facts) => (Some(link), Some(copy)),
            (Some(link), None, None) => (Some(link), None),
            // Somebody else's, made anew under that name.
            (Some(_), None, Some(copy)) => (None, Some(copy.without_bridge(&bridge))),
            (None, _, copy) => (None, copy),
        };
        let mut ledger = ledger;
        ledger.iter_mut().for_each(|ledger| follow_names(ledger, facts));
        let ledger = ledger.map(|ledger| ledger.believed(&bridge, facts));
        let mut instance = Instance { bridge, link: link.cloned(), ledger, tables, occupied: false };
        instance.occupied = instance.is_occupied(facts, besides);
        instance
    }

    fn is_occupied(&self, facts: &Facts, besides: Option<&IfName>) -> bool {
        let is_known = self.knows_guests(facts, besides);
        self.ledger_of_bridge().is_some() && (!is_known || self.has_guest(facts, besides))
    }

    fn has_guest(&self, facts: &Facts, besides: Option<&IfName>) -> bool {
        self.guests(facts).any(|guest| Some(&guest.name) != besides)
    }

    /// Whether the facts say if there is a guest.
    pub fn knows_guests(&self, facts: &Facts, besides: Option<&IfName>) -> bool {
        self.has_guest(facts, besides) || self.ports().is_some_and(|ports| facts.knows(&ports))
    }

    /// What to ask for its ports.
    pub fn ports(&self) -> Option<Question> {
        self.link.as_ref().map(switch::members)
    }

    /// The guests, of those that are among the facts.
    pub fn guests<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = &'a Link> {
        facts.links.iter().filter(|link| self.is_guest(link))
    }

    /// Whether an interface is a port of the bridge that is not kvmnet's own, and alive.
    pub fn is_guest(&self, port: &Link) -> bool {
        let (Some(link), Some(ledger)) = (&self.link, &self.ledger) else { return false };
        let is_own = ledger.has_port(port.name);
        let counts = match (port.is_tap(), ledger.made) {
            // A tap without carrier has no process behind it; a persistent one that was attached waits for
            // the next. A found bridge may have taps of others.
            (true, made) => {
                let attached = port.is_attached();
                let waits = attached && port.is_persistent();
                (port.carrier && (made || attached)) || waits
            }
            // Somebody put it on the bridge that kvmnet made, or it was there before.
            (false, made) => made,
        };
        counts && port.master == Some(link.index) && !is_own
    }

    /// Whether the bridge has carrier only from a guest: it has no other ports, which have it always.
    pub fn has_carrier_of_guests(&self) -> bool {
        let is_alone = |ledger: &Ledger| ledger.made && ledger.veth.is_none() && ledger.nic.is_none();
        self.ledger.as_ref().is_some_and(is_alone) && self.link.as_ref().is_some_and(|link| link.carrier)
    }

    /// The record of the bridge that is there, if that is this network's own and not another one of its name.
    pub fn ledger_of_bridge(&self) -> Option<&Ledger> {
        self.ledger.as_ref().filter(|_| self.link.is_some())
    }

    /// The network, if its guests are told their addresses.
    pub fn served(&self) -> Option<Served> {
        let index = self.link.as_ref()?.index;
        self.ledger.as_ref()?.dhcp.as_ref()?;
        Some(Served { bridge: self.bridge, index: Some(index) })
    }

    /// Whether nothing keeps it: no guest, no `keep`, and nobody who holds it.
    pub fn is_unused(&self) -> bool {
        !self.occupied
            && !self.ledger.as_ref().is_some_and(|ledger| (ledger.keep || ledger.held) && self.link.is_some())
    }

    /// The families of the tables that a network of its kind has and this one has not.
    pub fn missing_tables(&self) -> Vec<Family> {
        let Some(ledger) = &self.ledger else { return Vec::new() };
        let wanted =
            [(Family::Inet, true), (Family::Netdev, ledger.is_closed()), (Family::Bridge, ledger.filters)];
        let mut families: Vec<Family> =
            wanted.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(family, _)| family).collect();
        families.retain(|family| !self.tables.iter().any(|table| table.family == *family));
        families
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

/// The taps that kvmnet attached, and which are ports of nothing now, of those among the facts, each with the bridge
/// that it was on.
pub fn strays(facts: &Facts) -> Vec<(IfName, Option<IfName>)> {
    let lives = |link: &Link| link.carrier || link.is_persistent();
    let taps = facts.links.iter().filter(|link| link.is_tap() && lives(link) && link.master.is_none());
    taps.filter_map(|tap| Some((tap.name, TapRecord::parse(&tap.alias)?.bridge))).collect()
}

/// The taps that kvmnet only made ports of a bridge of somebody else's, each with that bridge, of those among the facts.
pub fn ports_of_others<'a>(
    facts: &'a Facts,
    networks: &'a [Instance],
) -> impl Iterator<Item = (&'a Link, &'a Link)> {
    let is_of_another = |bridge: &Link| {
        bridge.is_bridge()
            && !networks.iter().any(|one| one.bridge == bridge.name && one.ledger_of_bridge().is_some())
    };
    facts.links.iter().filter(|link| link.is_tap()).filter_map(move |tap| {
        let bridge = facts.link_index(tap.master?).filter(|bridge| is_of_another(bridge))?;
        (TapRecord::parse(&tap.alias)?.bridge == Some(bridge.name)).then_some((bridge, tap))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::link::GROUP;
    use crate::plan::tests::world::{link, name};

    /// A bridge whose ports nobody asked for may have a guest; one whose ports are known has none but those.
    #[test]
    fn a_network_that_nobody_asked_about_is_in_use() {
        let alias = "kvmnet:isolated default 00000000 made".to_owned();
        let bridge = Link { alias, group: GROUP, ..link(7, "br0", Some("bridge")) };
        let tap = Link { master: Some(7), ..link(8, "vif0.0", Some("tun")) };
        let mut facts = Facts { links: vec![bridge], ..Facts::default() };
        let is_unused = |facts: &Facts, besides: Option<&IfName>| {
            instances(facts, &[], besides).first().unwrap().is_unused()
        };
        assert!(!is_unused(&facts, None));
        facts.asked.push(Question::Ports(7));
        assert!(is_unused(&facts, None));
        facts.links.push(tap);
        assert!(!is_unused(&facts, None) && is_unused(&facts, Some(&name("vif0.0"))));
    }

    #[test]
    #[should_panic(expected = "was not asked")]
    fn an_answer_to_what_was_not_asked_fails_a_test() {
        Facts::default().wide(false);
    }
}
