//! A guest comes.

mod bridge;
mod forwarding;
mod host;
mod tables;
mod tap;

use std::borrow::Cow;

use ipnet::IpNet;

use super::{Plan, Refusal, Transaction, refuse, sweep, undo};
use crate::desired::Desired;
use crate::item::{LinkChange, PortChange, SettingChange, Step};
use crate::model::ledger::Place;
use crate::model::link::Tun;
use crate::model::{Changed, IfName, Ledger, Link, Mode, Setting, TapRecord};
use crate::observed::{Instance, Observed};

/// Makes `desired` true, after taking away every other network that nothing keeps. The one that the tap leaves goes when
/// the tap is off it.
pub fn up(desired: &Desired, observed: &Observed) -> Result<Plan, Refusal> {
    let observed = &*with_tap(desired, observed);
    let left = left(desired, observed);
    let staying: Vec<IfName> = left.into_iter().chain([desired.network.bridge]).collect();
    let swept = sweep(&staying, observed);
    let (wanted, ledger) = converge(desired, &after(observed, &swept))?;
    let mut plan = Plan::default();
    plan.extend(swept);
    plan.extend(wanted);
    plan.extend(left.iter().flat_map(|bridge| undo::unused_network(bridge, &ledger, observed)));
    Ok(plan)
}

/// What there is when QEMU has made the tap.
fn with_tap<'a>(desired: &Desired, observed: &'a Observed) -> Cow<'a, Observed> {
    let missing = desired.tap.filter(|tap| desired.tap_to_come && observed.facts.link(tap).is_none());
    let template = observed.facts.link(&IfName::DEFAULT);
    let Some((name, template)) = missing.zip(template) else { return Cow::Borrowed(observed) };
    let tun = Some(Tun { is_tap: true, persistent: false, owner: None });
    let tap = Link { name, kind: Some("tun".to_owned()), tun, ..template.clone() };
    let mut with_tap = observed.clone();
    with_tap.facts.links.push(tap);
    Cow::Owned(with_tap)
}

/// The bridge of the other network of kvmnet's that the tap is on.
fn left(desired: &Desired, observed: &Observed) -> Option<IfName> {
    let master = observed.facts.link(desired.tap.as_ref()?)?.master?;
    let bridge = observed.facts.link_index(master)?.name;
    (bridge != desired.network.bridge).then_some(bridge)
}

/// What there is when the networks that nothing keeps are gone: what they opened is shut, and NICs are nobody's ports.
fn after<'a>(observed: &'a Observed, swept: &[Transaction]) -> Cow<'a, Observed> {
    let mut after = Cow::Borrowed(observed);
    for one in swept.iter().filter(|one| one.cleans.is_some()) {
        let after = after.to_mut();
        for step in &one.steps {
            match step {
                Step::Setting(SettingChange { link, setting, to, .. }) => after.assume(link, *setting, *to),
                Step::Port(PortChange { port, to: None, .. }) => after.assume_free(port),
                Step::Link(LinkChange::Delete { name }) => after.assume_gone(name),
                _ => {}
            }
        }
        let instance = after.networks.iter_mut().filter(|instance| Some(instance.bridge) == one.cleans);
        instance.filter_map(|instance| instance.ledger.as_mut()).for_each(|ledger| ledger.changed.clear());
    }
    after
}

/// Makes `desired` true: first all that it needs, then, without which the guest is well, an end to what it no longer does.
pub fn bring_up(desired: &Desired, observed: &Observed) -> Result<[Transaction; 2], Refusal> {
    converge(desired, observed).map(|(transactions, _)| transactions)
}

/// The same with uplinks by the names that rules and records know: one may be written by another name of its.
fn by_own_names(desired: &Desired, observed: &Observed) -> Desired {
    let own_name = |name: &IfName| observed.facts.link(name).map_or(*name, |link| link.name);
    Desired { network: desired.network.with_uplinks(own_name), ..desired.clone() }
}

/// The same, with the record that will be there.
fn converge(desired: &Desired, observed: &Observed) -> Result<([Transaction; 2], Ledger), Refusal> {
    let desired = &by_own_names(desired, observed);
    refuse::check(desired, observed)?;
    let mut up = Up::new(desired, observed);
    up.bridge();
    up.pair();
    up.router_advertisements();
    up.forward_nothing();
    up.forwarding();
    up.addresses();
    up.nic();
    up.tap()?;
    up.shut_out_ipv6();
    up.leftovers();
    if up.ledger.short().is_none() || !(up.ledger.fits() || observed.has_nft()) {
        return Err(Refusal::RecordTooLong(desired.network.bridge));
    }
    let ledger = up.ledger.clone();
    Ok((up.finish(), ledger))
}

/// The plan as it grows: in each part the steps have an order, and the parts have one.
struct Up<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    instance: Option<&'a Instance>,
    /// The record that is there.
    old: Option<&'a Ledger>,
    /// The record that shall be there.
    ledger: Ledger,
    /// Makes interfaces, and shuts those that the host has no part in; comes before the tables.
    make: Vec<Step>,
    /// Opens what the host has part in, and sets up; comes after the tables.
    open: Vec<Step>,
    /// Takes away what is no longer wanted; comes last.
    clean: Vec<Step>,
}

impl<'a> Up<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        let network = &desired.network;
        let instance = observed.network(&network.bridge);
        let old = instance.and_then(|instance| instance.ledger.as_ref());
        let link = observed.facts.link(&network.bridge);
        // Where the bridge is another one by now, the record knows nothing of it.
        let of_bridge = old.filter(|_| instance.is_some_and(|instance| instance.link.is_some()));
        let made = link.is_none() || of_bridge.is_some_and(|old| old.made);
        let ledger = Ledger {
            made,
            index: link.filter(|_| !made).map(|link| link.index),
            keep: network.keep,
            held: desired.held || old.is_some_and(|old| old.held),
            overridden: network.overridden,
            veth: network.veth.clone(),
            addresses: given(desired, observed, of_bridge, made),
            bridge_addresses: old.map(|old| old.bridge_addresses.clone()).unwrap_or_default(),
            mac: old.and_then(|old| old.mac),
            unknown: old.map(|old| old.unknown.clone()).unwrap_or_default(),
            alias: match (of_bridge, link) {
                (Some(old), _) => old.alias.clone(),
                (None, Some(link)) => link.alias.clone(),
                (None, None) => String::new(),
            },
            ..Ledger::new(network.mode, network.name.clone(), network.digest)
        };
        Self {
            desired,
            observed,
            instance,
            old,
            ledger,
            make: Vec::new(),
            open: Vec::new(),
            clean: Vec::new(),
        }
    }

    fn bridge_link(&self) -> Option<&'a Link> {
        self.observed.facts.link(&self.desired.network.bridge)
    }

    /// Wants a setting; the step where it differs, with its former value in the record where the interface stays.
    fn want(&mut self, link: &IfName, setting: Setting, to: u32) -> Option<Step> {
        let now = self.observed.value(link, setting);
        let made_by_us = (*link == self.desired.network.bridge && self.ledger.made)
            || self
                .desired
                .network
                .veth
                .as_ref()
                .is_some_and(|veth| veth.outer == *link || veth.inner == *link);
        if !made_by_us {
            self.remember(link, setting, now, to);
        }
        let from = now.or_else(|| self.new_value(setting)).unwrap_or_default();
        let step = Step::set(*link, setting, from, to);
        (now != Some(to)).then_some(step)
    }

    /// What a setting is on an interface that was just made: on the tap, before it was guarded.
    fn new_value(&self, setting: Setting) -> Option<u32> {
        let is_default = !matches!(setting, Setting::Up | Setting::Group | Setting::Mtu | Setting::AddrGen);
        let like = self.desired.new_interface();
        let record = self.observed.facts.link(like).and_then(|tap| TapRecord::parse(&tap.alias));
        let before = record.and_then(|record| record.before(setting));
        before.or_else(|| self.observed.value(like, setting)).filter(|_| is_default)
    }

    /// Saves a value before its first change. What another network changed has its former value there.
    fn remember(&mut self, link: &IfName, setting: Setting, now: Option<u32>, to: u32) {
        let place = self.place(link);
        if self.ledger.changed.iter().any(|changed| changed.setting == setting && place.is_of(changed)) {
            return;
        }
        let known = self.former(&place, setting).filter(|changed| changed.before != to);
        let wide = self.observed.facts.wide(setting != Setting::Forwarding);
        // What a record was that is lost in part is not known: then a switch that is on is ours.
        let lost = self.old.is_some_and(|old| old.more) && setting.forwards();
        let before = if lost { now.map(|_| 0) } else { now };
        let fresh = before.filter(|before| *before != to).map(|before| {
            let global_forwarding = setting.forwards() && wide;
            Changed { link: *link, index: place.index, setting, before, global_forwarding }
        });
        self.ledger.changed.extend(known.or(fresh));
    }

    fn place(&self, link: &IfName) -> Place {
        Place { name: *link, index: self.observed.facts.link(link).map_or(0, |link| link.index) }
    }

    /// What a setting was before this network or any other changed it.
    fn former(&self, place: &Place, setting: Setting) -> Option<Changed> {
        let mut ledgers = self.old.into_iter().chain(self.observed.ledgers());
        ledgers.find_map(|ledger| ledger.former(place, setting))
    }

    /// What the former configuration changed and this one does not need.
    fn leftovers(&mut self) {
        let Some(old) = self.old else { return };
        let bridge = &self.desired.network.bridge;
        let others = self.observed.networks.iter().filter(|s| s.bridge != *bridge);
        let others: Vec<&Ledger> = others.filter_map(|s| s.ledger.as_ref()).chain([&self.ledger]).collect();
        self.clean.extend(undo::settings(old, &others, self.observed));
        // A closed bridge forwards nothing anyway.
        let stays_open = self.desired.network.mode == Mode::Bridged;
        if old.made && old.mode.forwards() && stays_open && self.bridge_link().is_some() {
            let wide = u32::from(self.observed.facts.wide(false));
            let step = self.want(bridge, Setting::Forwarding, wide).filter(|_| old.veth.is_none());
            self.clean.extend(step);
        }
    }

    /// Puts the parts in order. While something old is still to be taken away, both records hold.
    fn finish(mut self) -> [Transaction; 2] {
        let bridge = self.desired.network.bridge;
        let now = self.bridge_link().map(|link| link.alias.clone()).unwrap_or_default();
        let last = self.ledger.short().unwrap_or_default();
        let mut both = self.ledger.clone();
        let left = self.old.iter().flat_map(|old| &old.changed);
        let is_kept = |changed: &&Changed| {
            let mut kept = self.ledger.changed.iter();
            kept.any(|known| known.setting == changed.setting && changed.place().is_of(known))
        };
        both.changed.extend(left.filter(|changed| !is_kept(changed)).cloned());
        let tables = self.tables(&both);
        // Until its copy is written, the bridge says so: a run that is cut off in between is made up for by the next.
        both.pending = !self.has_copy(&both);
        let first = both.short().unwrap_or_else(|| last.clone());
        both.pending = false;
        let copy = self.replace_copy(Some(&both), &self.ledger);
        let mut steps = self.make;
        if first != now {
            let after_birth =
                usize::from(matches!(steps.first(), Some(Step::Link(LinkChange::AddBridge { .. }))));
            let step = LinkChange::Alias { link: bridge, from: now, to: first.clone() }.into();
            steps.insert(after_birth, step);
        }
        steps.extend(tables);
        steps.extend(self.open);
        let mut clean = self.clean;
        let at_last = if clean.is_empty() { &mut steps } else { &mut clean };
        if both != self.ledger && self.observed.has_nft() {
            at_last.push(copy);
        }
        if last != first {
            at_last.push(LinkChange::Alias { link: bridge, from: first, to: last }.into());
        }
        let title = match self.desired.tap {
            Some(tap) => format!("attach {tap} to {bridge}"),
            None => format!("bring {bridge} up"),
        };
        [
            Transaction { title, steps, cleans: None },
            Transaction {
                title: format!("take away what {bridge} no longer needs"),
                steps: clean,
                cleans: Some(bridge),
            },
        ]
    }
}

/// The addresses that kvmnet gives or gave; one that the host had on a bridge that was found stays its own.
fn given(desired: &Desired, observed: &Observed, old: Option<&Ledger>, made: bool) -> Vec<IpNet> {
    let present = observed.addresses(desired.host_if());
    let is_given = |net: &&IpNet| match old {
        Some(old) if old.addresses.contains(net) => true,
        _ => made || !present.iter().any(|has| has.net == **net),
    };
    desired.network.addresses.iter().filter(is_given).copied().collect()
}
