//! Guests that do not reach each other: each one's port passes nothing to another such port. The guest at hand gets that with its
//! other values; here is what those get that are on already.

use super::{Feature, PLAIN, Phase, Site, Wanted, need};
use crate::item::Step;
use crate::model::{Link, Need, Setting, TapRecord};
use crate::switch;

pub(super) static FEATURE: Feature = Feature { needs, want, ..PLAIN };

/// The other ports, where they may have been attached by another configuration, or a run for them was cut off. Where nothing of the
/// network is on record, that cannot be known.
fn needs(site: &Site) -> Vec<Need> {
    let network = &site.desired.network;
    let may_differ = match site.old {
        Some(old) => old.digest != network.digest || old.pending,
        None => network.port_isolation && network.is_port_only(),
    };
    need::of(site.bridge().filter(|bridge| may_differ && bridge.is_bridge()).map(switch::members))
}

fn want(site: &Site, wanted: &mut Wanted) {
    let network = &site.desired.network;
    // The environment of one guest is about that guest, where there is no network to be the same for all.
    if network.is_port_only() && network.variable.is_some() {
        return;
    }
    let to = u32::from(network.port_isolation);
    let guests = site.observed.taps_on(&network.bridge).filter(|tap| is_other_guest(tap, site));
    let now = guests.filter_map(|tap| Some((tap.name, site.observed.value(&tap.name, Setting::Isolated)?)));
    let steps = now.filter(|(_, now)| *now != to);
    wanted.way(Phase::Make, steps.map(|(tap, now)| Step::set(tap, Setting::Isolated, now, to)));
}

/// A tap of others on a bridge that was found is not meant.
fn is_other_guest(tap: &Link, site: &Site) -> bool {
    let bridge = site.desired.network.bridge;
    let record = TapRecord::parse(&tap.alias).filter(|_| Some(tap.name) != site.desired.tap);
    record.is_some_and(|record| record.bridge.is_none_or(|on| on == bridge))
}
