//! Takes a network away: everything that its record records, in the reverse order of its making.

use super::{Transaction, forward_chains, takeover};
use crate::firewall;
use crate::item::{AddressChange, LinkChange, SettingChange, Step, TableChange};
use crate::model::ledger::Place;
use crate::model::link::{GROUP, lan_group};
use crate::model::ruleset::{Family, Found};
use crate::model::{Changed, IfName, Ledger, Link, Mac, Setting, Veth};
use crate::observed::{Instance, Observed};

/// Takes `standing` away. `others` are the records of the networks that stay. The NIC is given back first, and alone: what
/// it was lent to goes only after that.
fn network(instance: &Instance, others: &[&Ledger], observed: &Observed) -> Vec<Transaction> {
    let bridge = &instance.bridge;
    let mut given_back = Vec::new();
    let mut steps = Vec::new();
    if let Some(ledger) = &instance.ledger {
        if instance.link.is_some() {
            given_back.extend(takeover::give_back(ledger, bridge, observed));
        }
        steps.extend(settings(ledger, others, observed));
        steps.extend(lost_settings(ledger, others, observed));
        steps.extend(pair(ledger, observed));
        if let Some(link) = &instance.link {
            steps.extend(self::bridge(ledger, bridge, &link.alias, observed));
        }
    }
    steps.extend(forward_chains::close(bridge, observed));
    steps.extend(tables(instance, observed));
    let cleans = Some(*bridge);
    vec![
        Transaction { title: format!("give back what {bridge} has of its NIC"), steps: given_back, cleans },
        Transaction { title: format!("take {bridge} down: nobody is on it"), steps, cleans },
    ]
}

/// The tables go, but for the record of what only a later version can undo.
fn tables(instance: &Instance, observed: &Observed) -> Vec<Step> {
    let beyond = instance.ledger.as_ref().and_then(Ledger::beyond).filter(|_| observed.has_nft());
    let stays = |found: &&Found| found.family == Family::Inet && beyond.is_some();
    let (kept, unwanted): (Vec<&Found>, Vec<&Found>) = instance.tables.iter().partition(stays);
    let delete = |found: &Found| TableChange::Delete { family: found.family, name: found.name.clone() };
    let mut changes: Vec<TableChange> = unwanted.into_iter().map(delete).collect();
    if let Some(beyond) = beyond {
        let table = firewall::record_alone(&instance.bridge, &beyond);
        match kept.first() {
            None => changes.push(TableChange::Add(table)),
            Some(found) if found.comment == table.comment && firewall::ledger_of(found) == Some(beyond) => {}
            Some(_) => changes.push(TableChange::Replace(table)),
        }
    }
    changes.into_iter().map(Step::from).collect()
}

/// Puts back what `ledger` says was changed, last change first, unless another network needs it still.
pub fn settings(ledger: &Ledger, others: &[&Ledger], observed: &Observed) -> Vec<Step> {
    let is_needed = |changed: &&Changed| {
        others.iter().any(|other| other.former(&changed.place(), changed.setting).is_some())
    };
    let free = ledger.changed.iter().rev().filter(|changed| !is_needed(changed));
    let steps = free.flat_map(|changed| match changed.link {
        IfName::DEFAULT => everywhere(changed, ledger, others, observed),
        _ => setting(changed, ledger, observed),
    });
    // IPv6 comes back last: it makes its address in the way that is set by then.
    let (last, mut steps): (Vec<Step>, Vec<Step>) = steps
        .partition(|step| matches!(step, Step::Setting(SettingChange { setting: Setting::DisableIpv6, .. })));
    steps.extend(last);
    steps
}

/// Where the record is lost in part, no interface but kvmnet's own goes on forwarding for others: kvmnet may have opened
/// any.
fn lost_settings(ledger: &Ledger, others: &[&Ledger], observed: &Observed) -> Vec<Step> {
    if !ledger.more {
        return Vec::new();
    }
    let is_known = |link: &IfName, setting| {
        let place = Place { name: *link, index: observed.facts.link(link).map_or(0, |link| link.index) };
        others.iter().chain([&ledger]).any(|ledger| ledger.former(&place, setting).is_some())
    };
    let links = observed.facts.links.iter().filter(|link| link.group != GROUP);
    let names = links.map(|link| link.name);
    let switches = [
        (Setting::Forwarding, observed.facts.wide(false)),
        (Setting::ForceForwarding, observed.facts.wide(true)),
    ];
    let all = names.flat_map(|link| switches.map(|(setting, wide)| (link, setting, wide)));
    let open = all.filter(|(link, setting, wide)| {
        !wide && observed.value(link, *setting) == Some(1) && !is_known(link, *setting)
    });
    open.map(|(link, setting, _)| Step::put_back(link, setting, 1, 0)).collect()
}

fn setting(changed: &Changed, ledger: &Ledger, observed: &Observed) -> Vec<Step> {
    // It was so before all others were made so, and nothing was changed of it.
    let stayed = ledger.changed(&IfName::DEFAULT, changed.setting).is_some();
    if stayed && changed.before == changed.setting.range().1 || !is_undone(changed, observed) {
        return Vec::new();
    }
    let link = observed.place(changed).map_or(changed.link, |link| link.name);
    let own = step(&link, changed.setting, changed.before, observed);
    own.into_iter().chain(lan_bridge(changed, ledger, observed)).collect()
}

/// Whether nobody has taken another decision about forwarding since.
fn is_undone(changed: &Changed, observed: &Observed) -> bool {
    match changed.setting {
        Setting::Forwarding => observed.facts.wide(false) == changed.global_forwarding,
        Setting::ForceForwarding => observed.facts.wide(true) == changed.global_forwarding,
        _ => true,
    }
}

fn step(link: &IfName, setting: Setting, to: u32, observed: &Observed) -> Option<Step> {
    let from = observed.value(link, setting).filter(|from| *from != to)?;
    Some(Step::put_back(*link, setting, from, to))
}

/// The bridge that has become the NIC's way, and forwards as the NIC did.
fn lan_bridge(changed: &Changed, ledger: &Ledger, observed: &Observed) -> Option<Step> {
    let nic = observed.place(changed).filter(|_| changed.setting.forwards())?;
    let bridge = observed.facts.link_index(nic.master?)?;
    let is_lan =
        bridge.group == lan_group(&nic.name) && ledger.changed(&bridge.name, changed.setting).is_none();
    step(&bridge.name, changed.setting, changed.before, observed).filter(|_| is_lan)
}

/// Every interface that was not so before gets back what it had, and those to come will have it.
fn everywhere(changed: &Changed, ledger: &Ledger, others: &[&Ledger], observed: &Observed) -> Vec<Step> {
    if !is_undone(changed, observed) {
        return Vec::new();
    }
    let (closed, opened) = changed.setting.range();
    let is_another = |link: &Link| {
        let place = Place { name: link.name, index: link.index };
        let is_recorded = |ledger: &&Ledger| {
            ledger.changed.iter().any(|other| other.setting == changed.setting && place.is_of(other))
        };
        is_recorded(&ledger) || others.iter().any(is_recorded)
    };
    // The host interfaces of networks are their own business, and a bridge that was made for a NIC is as the NIC was.
    let is_lan = |link: &Link| {
        let nic = observed.network(&link.name).and_then(|instance| instance.ledger.as_ref()?.nic());
        nic.is_some_and(|nic| ledger.changed(&nic, changed.setting).is_some())
    };
    let links = observed.facts.links.iter().filter(|link| link.index != 0 && link.group != GROUP);
    let links = links.filter(|link| observed.value(&link.name, changed.setting) == Some(opened));
    let links = links.filter(|link| !is_another(link) && !is_lan(link));
    let mut steps: Vec<Step> =
        links.filter_map(|link| step(&link.name, changed.setting, closed, observed)).collect();
    steps.extend(step(&IfName::DEFAULT, changed.setting, changed.before, observed));
    steps
}

/// The pair goes with either of its ends. Others of these names stay.
pub fn pair(ledger: &Ledger, observed: &Observed) -> Option<Step> {
    let veth = ledger.veth.as_ref()?;
    is_pair(veth, observed).then_some(LinkChange::Delete { name: veth.inner }.into())
}

/// Whether the two are one pair, and with the MACs that kvmnet gives.
pub fn is_pair(veth: &Veth, observed: &Observed) -> bool {
    let end = |name: &IfName| {
        let link = observed.facts.link(name)?;
        (link.kind.as_deref() == Some("veth") && link.mac == Some(Mac::of_bridge(name))).then_some(link)
    };
    let ends = end(&veth.outer).zip(end(&veth.inner));
    ends.is_some_and(|(outer, inner)| inner.peer == Some(outer.index))
}

/// A bridge that kvmnet made goes; one that it found is given back.
fn bridge(ledger: &Ledger, bridge: &IfName, alias: &str, observed: &Observed) -> Vec<Step> {
    if ledger.made {
        return vec![LinkChange::Delete { name: *bridge }.into()];
    }
    let given = observed
        .addresses(bridge)
        .into_iter()
        .rev()
        .filter(|address| ledger.addresses.contains(&address.net));
    let mut steps: Vec<Step> =
        given.map(|address| AddressChange::Delete { link: *bridge, address }.into()).collect();
    let mac = observed.facts.link(bridge).and_then(|link| link.mac);
    if let (Some(now), Some(before)) = (mac, ledger.mac) {
        if now != before {
            steps.push(LinkChange::Mac { link: *bridge, from: now, to: before }.into());
        }
    }
    steps.push(Step::BARRIER);
    steps.push(LinkChange::Alias { link: *bridge, from: alias.to_owned(), to: ledger.alias.clone() }.into());
    steps
}

/// Takes away the network of `bridge`, if nothing keeps it, when another one with this record has been brought up.
pub fn unused_network(bridge: &IfName, ledger: &Ledger, observed: &Observed) -> Vec<Transaction> {
    let instance = observed.network(bridge).filter(|instance| instance.is_unused());
    let Some(instance) = instance else { return Vec::new() };
    let others = observed.networks.iter().filter(|other| other.bridge != *bridge);
    let others: Vec<&Ledger> = others.filter_map(|other| other.ledger.as_ref()).chain([ledger]).collect();
    network(instance, &others, observed)
}

/// Takes away every network that nothing keeps, except those of the bridges `staying`; and the one of `ending`, whoever is
/// on it.
pub fn unused_networks(staying: &[IfName], ending: Option<&IfName>, observed: &Observed) -> Vec<Transaction> {
    let mut ledgers: Vec<(&IfName, &Ledger)> = observed
        .networks
        .iter()
        .filter_map(|instance| Some((&instance.bridge, instance.ledger.as_ref()?)))
        .collect();
    let mut transactions = Vec::new();
    let goes = |instance: &&Instance| instance.is_unused() || ending == Some(&instance.bridge);
    let unused = observed.networks.iter().filter(goes);
    for instance in unused.filter(|instance| !staying.contains(&instance.bridge)) {
        // One that is taken away no longer needs what another one opened, too.
        ledgers.retain(|(bridge, _)| **bridge != instance.bridge);
        let others: Vec<&Ledger> = ledgers.iter().map(|(_, ledger)| *ledger).collect();
        transactions.extend(network(instance, &others, observed));
    }
    transactions
}
