//! Numbers of interfaces: what differs is set, with its former value on record; what is on record and nobody wants any longer
//! is put back.

use super::{Difference, everywhere};
use crate::item::{SettingChange, Step};
use crate::model::ledger::Place;
use crate::model::link::{GROUP, lan_group};
use crate::model::{Changed, IfName, Ledger, Setting};
use crate::observed::Observed;

impl Difference<'_> {
    /// Sets one where it differs.
    pub(super) fn value(&mut self, link: &IfName, setting: Setting, to: u32) -> Option<Step> {
        let now = self.site.observed.value(link, setting);
        if !self.site.is_own(link) {
            self.remember(link, setting, now, to);
        }
        let from = now.or_else(|| self.site.new_value(setting)).unwrap_or_default();
        (now != Some(to)).then(|| Step::set(*link, setting, from, to))
    }

    /// Saves a value before its first change. What another network changed has its former value there.
    fn remember(&mut self, link: &IfName, setting: Setting, now: Option<u32>, to: u32) {
        let place = self.site.place(link);
        if self.ledger.changed.iter().any(|changed| changed.setting == setting && place.is_of(changed)) {
            return;
        }
        // One that was open before and is closed is not what a record of others says.
        let (_, opened) = setting.range();
        let is_true = |former: &Changed| {
            now == Some(opened)
                || former.before != opened
                || self.ledger.is_own(link, &self.site.desired.network.bridge)
        };
        if let Some(former) = self.site.former(&place, setting).filter(is_true) {
            // What gets its former value again needs no record.
            return self.ledger.changed.extend((former.before != to).then_some(former));
        }
        let wide = self.site.observed.facts.wide(setting != Setting::Forwarding);
        // What a record was that is lost in part is not known: then a switch that is on is ours.
        let lost = self.site.old.is_some_and(|old| old.more) && setting.forwards();
        let before = if lost { now.map(|_| 0) } else { now };
        self.ledger.changed.extend(before.filter(|before| *before != to).map(|before| {
            let global_forwarding = setting.forwards() && wide;
            Changed { link: *link, index: place.index, setting, before, global_forwarding }
        }));
    }
}

/// Puts back what `old` says was changed, last change first, unless one of `others` needs it still.
pub(super) fn unwanted(bridge: &IfName, old: &Ledger, others: &[&Ledger], observed: &Observed) -> Vec<Step> {
    let is_needed = |changed: &&Changed| {
        others.iter().any(|other| other.former(&changed.place(), changed.setting).is_some())
    };
    let free = old.changed.iter().rev().filter(|changed| !is_needed(changed));
    // Unless somebody has taken another decision about forwarding since.
    let free = free.filter(|changed| match changed.setting {
        Setting::Forwarding => observed.facts.wide(false) == changed.global_forwarding,
        Setting::ForceForwarding => observed.facts.wide(true) == changed.global_forwarding,
        _ => true,
    });
    let steps = free.flat_map(|changed| match changed.link {
        IfName::DEFAULT => everywhere::put_back(changed, old, others, observed),
        _ => of_one(changed, bridge, old, observed),
    });
    // IPv6 comes back last: it makes its address in the way that is set by then.
    let (last, mut steps): (Vec<Step>, Vec<Step>) = steps
        .partition(|step| matches!(step, Step::Setting(SettingChange { setting: Setting::DisableIpv6, .. })));
    steps.extend(last);
    steps
}

fn of_one(changed: &Changed, bridge: &IfName, old: &Ledger, observed: &Observed) -> Vec<Step> {
    // It was so before all others were made so, and nothing was changed of it.
    let stayed = old.changed(&IfName::DEFAULT, changed.setting).is_some();
    if stayed && changed.before == changed.setting.range().1 {
        return Vec::new();
    }
    let link = observed.place(changed).map_or(changed.link, |link| link.name);
    // Of others, kvmnet closes what it opened. Anything else was somebody's decision since, or is not kvmnet's record.
    let is_open = observed.value(&link, changed.setting) == Some(changed.setting.range().1);
    if !is_open && !old.is_own(&link, bridge) {
        return Vec::new();
    }
    let own = put_back(&link, changed.setting, changed.before, observed);
    own.into_iter().chain(lan_bridge(changed, old, observed)).collect()
}

pub(super) fn put_back(link: &IfName, setting: Setting, to: u32, observed: &Observed) -> Option<Step> {
    let from = observed.value(link, setting).filter(|from| *from != to)?;
    Some(Step::put_back(*link, setting, from, to))
}

/// The bridge that has become the NIC's way, and forwards as the NIC did.
fn lan_bridge(changed: &Changed, old: &Ledger, observed: &Observed) -> Option<Step> {
    let nic = observed.place(changed).filter(|_| changed.setting.forwards())?;
    let bridge = observed.facts.link_index(nic.master?)?;
    let is_lan = bridge.group == lan_group(&nic.name) && old.changed(&bridge.name, changed.setting).is_none();
    put_back(&bridge.name, changed.setting, changed.before, observed).filter(|_| is_lan)
}

/// Where the record is lost in part, no interface but kvmnet's own goes on forwarding for others: kvmnet may have opened
/// any.
pub(super) fn lost(old: &Ledger, others: &[&Ledger], observed: &Observed) -> Vec<Step> {
    if !old.more {
        return Vec::new();
    }
    let is_known = |link: &IfName, setting| {
        let place = Place { name: *link, index: observed.facts.link(link).map_or(0, |link| link.index) };
        others.iter().chain([&old]).any(|ledger| ledger.former(&place, setting).is_some())
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
