//! The bridge itself.

use super::need;
use super::takeover::{identity, port_nic, taken_nic};
use super::{Feature, Object, Phase, Site, Wanted, found};
use crate::desired::Desired;
use crate::item::LinkChange;
use crate::model::link::lan_group;
use crate::model::{AddrGen, Link, Mac, Mode, Need, Question, Setting};
use crate::switch;

pub(super) static FEATURE: Feature =
    Feature { first, needs, refuse: |site| found::check(site).err().into_iter().collect(), want };

fn first(desired: &Desired) -> Vec<Question> {
    vec![Question::Link(desired.network.bridge)]
}

/// What a bridge has that was there before kvmnet: whose it is.
fn needs(site: &Site) -> Vec<Need> {
    need::of(
        site.found()
            .into_iter()
            .flat_map(|bridge| [Question::Addresses(bridge.index), switch::members(bridge)]),
    )
}

fn want(site: &Site, wanted: &mut Wanted) {
    let bridge = &site.desired.network.bridge;
    let group = group(site);
    match site.bridge() {
        None => {
            let mac = taken_nic(site).and_then(|nic| nic.mac).unwrap_or(Mac::of_bridge(bridge));
            wanted.add(Phase::Make, Object::Bridge { mac, group });
        }
        Some(_) if site.made || group != 0 => wanted.value(Phase::Make, bridge, Setting::Group, group),
        Some(_) => {}
    }
    hold_mac(site, wanted);
    bound_learning(site, wanted);
    address_generation(site, wanted);
    wanted.value(Phase::Serve, bridge, Setting::Up, 1);
}

/// By which other networks' rules know it.
fn group(site: &Site) -> u32 {
    match port_nic(site) {
        Some(nic) => lan_group(&nic),
        None if site.desired.network.veth.is_none() => site.desired.group(),
        None => 0,
    }
}

/// A bridge that was found without ports may have no MAC of its own, but its lowest port's, and 00:00:00:00:00:00 when
/// the last one leaves. What it has is set, and no longer follows anybody. One with a port has that port's: no tap's,
/// see the guest's MAC.
pub(super) fn hold_mac(site: &Site, wanted: &mut Wanted) {
    let Some(bridge) = site.bridge().filter(|_| site.old.is_none()) else { return };
    let is_port = |link: &Link| link.master == Some(bridge.index) && Some(link.name) != site.desired.tap;
    let has_port = site.observed.facts.links.iter().any(is_port);
    let mac = bridge.mac.filter(|mac| mac.0 != [0; 6] && !has_port && taken_nic(site).is_none());
    let step = mac.map(|mac| LinkChange::Mac { link: bridge.name, from: mac, to: mac }.into());
    wanted.way(Phase::Make, step);
}

fn bound_learning(site: &Site, wanted: &mut Wanted) {
    let network = &site.desired.network;
    // One without a bound was made by an older `ip`, or is on an older kernel.
    let has_bound = |bridge: &Link| bridge.fdb_max_learned.is_some_and(|bound| bound != 0);
    if site.made && site.bridge().is_none_or(has_bound) {
        wanted.value(
            Phase::Make,
            &network.bridge,
            Setting::FdbMaxLearned,
            switch::learning_bound(network.mode),
        );
    }
}

/// How the bridge gets its link-local address. One that was found keeps its own in bridged mode; there, one of kvmnet's
/// makes none until it has what the NIC had, and at once where the NIC is down: that one had none to give.
fn address_generation(site: &Site, wanted: &mut Wanted) {
    let network = &site.desired.network;
    let is_fresh = site.bridge().is_none();
    let taken = taken_nic(site);
    if let Some(nic) = taken.filter(|nic| is_fresh && !nic.up) {
        return wanted.way(Phase::Make, identity(nic, &network.bridge));
    }
    // In bridged mode the NIC's own link-local address moves with the others.
    let has_own_address = !network.is_closed() && network.mode != Mode::Bridged;
    let is_wanted = match network.mode {
        Mode::Bridged => site.made && (is_fresh || taken.is_some()),
        _ => !has_own_address || site.made && (!is_fresh || !makes_addresses(site)),
    };
    let has_ipv6 = site.observed.value(site.desired.new_interface(), Setting::AddrGen).is_some();
    if has_ipv6 && is_wanted {
        let mode = if has_own_address { AddrGen::EUI64 } else { AddrGen::NONE };
        wanted.value(Phase::Make, &network.bridge, Setting::AddrGen, u32::from(mode.0));
    }
}

/// Whether new interfaces make their link-local address of their MAC, as kvmnet's bridges do.
fn makes_addresses(site: &Site) -> bool {
    site.new_value(Setting::AddrGen) == Some(u32::from(AddrGen::EUI64.0))
}
