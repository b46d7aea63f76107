//! A closed bridge: nothing passes between its own port and the host. The first lock is a table of rules; here is the second,
//! should the table be gone or the bridge have another name.

use super::{Feature, PLAIN, Phase, Site, Wanted};
use super::{host_if, need};
use crate::item::AddressChange;
use crate::model::address::LINK_SCOPE;
use crate::model::{Filter, Ledger, Need, Question, Setting};
use crate::switch;

pub(super) static FEATURE: Feature = Feature { needs, want, ..PLAIN };

/// The filters of a bridge that is closed, or was; on one that is new to kvmnet, the place for them.
fn needs(site: &Site) -> Vec<Need> {
    let Some(bridge) = site.bridge().map(|bridge| bridge.index) else { return Vec::new() };
    let was_closed = site.old.is_some_and(Ledger::is_closed);
    if !was_closed && !site.desired.network.is_closed() {
        return Vec::new();
    }
    let filters = [Filter::Ingress, Filter::Egress].map(|filter| Question::Filter(bridge, filter));
    let mut questions: Vec<Question> = filters.into();
    questions.extend((!was_closed).then_some(Question::Clsact(bridge)));
    questions.extend(is_closing(site).then_some(Question::Addresses(bridge)));
    need::of(questions)
}

/// Whether a bridge of kvmnet's is open as yet.
fn is_closing(site: &Site) -> bool {
    site.made && site.bridge().is_some() && !site.old.is_some_and(Ledger::is_closed)
}

fn want(site: &Site, wanted: &mut Wanted) {
    let was_closed = site.bridge().is_some() && site.old.is_some_and(Ledger::is_closed);
    if site.desired.network.is_closed() {
        close(site, wanted);
    } else if was_closed && site.made {
        reopen(site, wanted);
    }
}

fn close(site: &Site, wanted: &mut Wanted) {
    let bridge = &site.desired.network.bridge;
    for (setting, value) in switch::SHUT {
        wanted.value(Phase::Make, bridge, setting, value);
    }
    let own = if is_closing(site) { site.observed.addresses(bridge) } else { Vec::new() };
    let own = own.into_iter().filter(|address| address.scope == LINK_SCOPE);
    wanted.way(Phase::Make, own.map(|address| AddressChange::Delete { link: *bridge, address }.into()));
    // No IPv6. Its IPv6 addresses go with it, so on a bridge that is there already this comes last, when those that kvmnet
    // gave have been taken off in a way that can be taken back.
    let phase = if site.bridge().is_none() { Phase::Shut } else { Phase::Clean };
    let (setting, value) = switch::SHUT_IPV6;
    if site.observed.value(site.desired.new_interface(), setting).is_some() {
        wanted.value(phase, bridge, setting, value);
    }
}

/// A bridge that was made closed gets the values that a new interface has. (One that was found has them on record.) The way
/// back: the filters before their place, the place before the settings.
fn reopen(site: &Site, wanted: &mut Wanted) {
    let bridge = &site.desired.network.bridge;
    for (setting, _) in switch::SHUT.into_iter().rev().chain([switch::SHUT_IPV6]) {
        if site.observed.value(bridge, setting).is_some() && !host_if::stays_shut(site, setting) {
            wanted.value(Phase::Reopen, bridge, setting, site.new_value(setting).unwrap_or_default());
        }
    }
}

/// Whether a setting is one of those that close a bridge.
pub(crate) fn closes(setting: Setting) -> bool {
    switch::SHUT.into_iter().chain([switch::SHUT_IPV6]).any(|(known, _)| known == setting)
}
