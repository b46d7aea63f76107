//! Takes a network away: everything that its mark records, in the reverse order of its making.

use super::{Transaction, gates, takeover};
use crate::item::{AddressChange, LinkChange, SettingChange, Step, TableChange};
use crate::model::link::{GROUP, lan_group};
use crate::model::mark::Place;
use crate::model::{IfName, Link, Mac, Mark, Saved, Setting, Veth};
use crate::observed::{Observed, Standing};

/// Takes `standing` away. `others` are the marks of the networks that stay. The NIC is given back first, and alone: what
/// it was lent to goes only after that.
fn network(standing: &Standing, others: &[&Mark], observed: &Observed) -> Vec<Transaction> {
    let bridge = &standing.bridge;
    let mut given_back = Vec::new();
    let mut steps = Vec::new();
    if let Some(mark) = &standing.mark {
        if standing.link.is_some() {
            given_back.extend(takeover::give_back(mark, bridge, observed));
        }
        steps.extend(settings(mark, others, observed));
        steps.extend(lost_settings(mark, others, observed));
        steps.extend(pair(mark, observed));
        if let Some(link) = &standing.link {
            steps.extend(self::bridge(mark, bridge, &link.alias, observed));
        }
    }
    steps.extend(gates::close(bridge, observed));
    let tables = standing.tables.iter();
    steps.extend(
        tables.map(|table| TableChange::Delete { family: table.family, name: table.name.clone() }.into()),
    );
    let cleans = Some(*bridge);
    vec![
        Transaction { title: format!("give back what {bridge} has of its NIC"), steps: given_back, cleans },
        Transaction { title: format!("take {bridge} down: nobody is on it"), steps, cleans },
    ]
}

/// Puts back what `mark` says was changed, last change first, unless another network needs it still.
pub fn settings(mark: &Mark, others: &[&Mark], observed: &Observed) -> Vec<Step> {
    let is_needed =
        |saved: &&Saved| others.iter().any(|other| other.former(&saved.place(), saved.setting).is_some());
    let free = mark.saved.iter().rev().filter(|saved| !is_needed(saved));
    let steps = free.flat_map(|saved| match saved.link {
        IfName::DEFAULT => everywhere(saved, mark, others, observed),
        _ => setting(saved, mark, observed),
    });
    // IPv6 comes back last: it makes its address in the way that is set by then.
    let (last, mut steps): (Vec<Step>, Vec<Step>) = steps
        .partition(|step| matches!(step, Step::Setting(SettingChange { setting: Setting::DisableIpv6, .. })));
    steps.extend(last);
    steps
}

/// Where the record is lost in part, no interface but kvmnet's own goes on forwarding for others: kvmnet may have opened
/// any.
fn lost_settings(mark: &Mark, others: &[&Mark], observed: &Observed) -> Vec<Step> {
    let is_known = |link: &IfName, setting| {
        let place = Place { name: *link, index: observed.facts.link(link).map_or(0, |link| link.index) };
        others.iter().chain([&mark]).any(|mark| mark.former(&place, setting).is_some())
    };
    let links = observed.facts.links.iter().filter(|link| mark.more && link.group != GROUP);
    let names = links.map(|link| link.name);
    let switches =
        [(Setting::Forwarding, observed.facts.wide4), (Setting::ForceForwarding, observed.facts.wide6)];
    let all = names.flat_map(|link| switches.map(|(setting, wide)| (link, setting, wide)));
    let open = all.filter(|(link, setting, wide)| {
        !wide && observed.value(link, *setting) == Some(1) && !is_known(link, *setting)
    });
    open.map(|(link, setting, _)| Step::put_back(link, setting, 1, 0)).collect()
}

fn setting(saved: &Saved, mark: &Mark, observed: &Observed) -> Vec<Step> {
    // It was so before all others were made so, and nothing was changed of it.
    let stayed = mark.saved(&IfName::DEFAULT, saved.setting).is_some();
    if stayed && saved.before == saved.setting.range().1 || !is_undone(saved, observed) {
        return Vec::new();
    }
    let link = observed.place(saved).map_or(saved.link, |link| link.name);
    let own = step(&link, saved.setting, saved.before, observed);
    own.into_iter().chain(lan_bridge(saved, mark, observed)).collect()
}

/// Whether nobody has taken another decision about forwarding since.
fn is_undone(saved: &Saved, observed: &Observed) -> bool {
    match saved.setting {
        Setting::Forwarding => observed.facts.wide4 == saved.wide,
        Setting::ForceForwarding => observed.facts.wide6 == saved.wide,
        _ => true,
    }
}

fn step(link: &IfName, setting: Setting, to: u32, observed: &Observed) -> Option<Step> {
    let from = observed.value(link, setting).filter(|from| *from != to)?;
    Some(Step::put_back(*link, setting, from, to))
}

/// The bridge that has become the NIC's way, and forwards as the NIC did.
fn lan_bridge(saved: &Saved, mark: &Mark, observed: &Observed) -> Option<Step> {
    let nic = observed.place(saved).filter(|_| saved.setting.forwards())?;
    let bridge = observed.facts.link_index(nic.master?)?;
    let is_lan = bridge.group == lan_group(&nic.name) && mark.saved(&bridge.name, saved.setting).is_none();
    step(&bridge.name, saved.setting, saved.before, observed).filter(|_| is_lan)
}

/// Every interface that was not so before gets back what it had, and those to come will have it.
fn everywhere(saved: &Saved, mark: &Mark, others: &[&Mark], observed: &Observed) -> Vec<Step> {
    if !is_undone(saved, observed) {
        return Vec::new();
    }
    let (closed, opened) = saved.setting.range();
    let is_another = |link: &Link| {
        let place = Place { name: link.name, index: link.index };
        let is_recorded = |mark: &&Mark| {
            mark.saved.iter().any(|other| other.setting == saved.setting && place.is_of(other))
        };
        is_recorded(&mark) || others.iter().any(is_recorded)
    };
    // The doors of networks are their own business, and a bridge that was made for a NIC is as the NIC was.
    let is_lan = |link: &Link| {
        let nic = observed.network(&link.name).and_then(|standing| standing.mark.as_ref()?.nic);
        nic.is_some_and(|nic| mark.saved(&nic, saved.setting).is_some())
    };
    let links = observed.facts.links.iter().filter(|link| link.index != 0 && link.group != GROUP);
    let links = links.filter(|link| observed.value(&link.name, saved.setting) == Some(opened));
    let links = links.filter(|link| !is_another(link) && !is_lan(link));
    let mut steps: Vec<Step> =
        links.filter_map(|link| step(&link.name, saved.setting, closed, observed)).collect();
    steps.extend(step(&IfName::DEFAULT, saved.setting, saved.before, observed));
    steps
}

/// The pair goes with either of its ends. Others of these names stay.
pub fn pair(mark: &Mark, observed: &Observed) -> Option<Step> {
    let veth = mark.veth.as_ref()?;
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
fn bridge(mark: &Mark, bridge: &IfName, alias: &str, observed: &Observed) -> Vec<Step> {
    if mark.made {
        return vec![LinkChange::Delete { name: *bridge }.into()];
    }
    let given =
        observed.addresses(bridge).into_iter().rev().filter(|address| mark.addresses.contains(&address.net));
    let mut steps: Vec<Step> =
        given.map(|address| AddressChange::Delete { link: *bridge, address }.into()).collect();
    let mac = observed.facts.link(bridge).and_then(|link| link.mac);
    if let (Some(now), Some(before)) = (mac, mark.mac) {
        if now != before {
            steps.push(LinkChange::Mac { link: *bridge, from: now, to: before }.into());
        }
    }
    steps.push(Step::BARRIER);
    steps.push(LinkChange::Alias { link: *bridge, from: alias.to_owned(), to: mark.alias.clone() }.into());
    steps
}

/// Takes away the network of `bridge`, if nothing keeps it, when another one with this mark has been brought up.
pub fn unused_network(bridge: &IfName, mark: &Mark, observed: &Observed) -> Vec<Transaction> {
    let standing = observed.network(bridge).filter(|standing| standing.is_dead());
    let Some(standing) = standing else { return Vec::new() };
    let others = observed.networks.iter().filter(|other| other.bridge != *bridge);
    let others: Vec<&Mark> = others.filter_map(|other| other.mark.as_ref()).chain([mark]).collect();
    network(standing, &others, observed)
}

/// Takes away every network that nothing keeps, except those of the bridges `staying`.
pub fn unused_networks(staying: &[IfName], observed: &Observed) -> Vec<Transaction> {
    let mut marks: Vec<(&IfName, &Mark)> = observed
        .networks
        .iter()
        .filter_map(|standing| Some((&standing.bridge, standing.mark.as_ref()?)))
        .collect();
    let mut transactions = Vec::new();
    let unused = observed.networks.iter().filter(|standing| standing.is_dead());
    for standing in unused.filter(|standing| !staying.contains(&standing.bridge)) {
        // One that is taken away no longer needs what another one opened, too.
        marks.retain(|(bridge, _)| **bridge != standing.bridge);
        let others: Vec<&Mark> = marks.iter().map(|(_, mark)| *mark).collect();
        transactions.extend(network(standing, &others, observed));
    }
    transactions
}
