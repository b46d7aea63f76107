//! The guest's tap, and its guard: what climbs up on the tap itself meets nothing that is done to the bridge, so it is
//! stopped on the tap, before that is up.

use super::address::is_link_local;
use super::need;
use super::takeover::taken_nic;
use super::{Feature, Guest, Refusal, Site, Wanted};
use crate::desired::Desired;
use crate::model::{AddrGen, Filter, Filtering, GuestIdentity, IfName, Link, Need, Question, Setting};
use crate::observed::Observed;
use crate::switch;

pub(super) static FEATURE: Feature = Feature { first, needs, refuse, want };

fn first(desired: &Desired) -> Vec<Question> {
    desired.tap.map(Question::Link).into_iter().collect()
}

/// What it is a port of. Of one that somebody made, and that is yet to be attached, its addresses, the filter and the place for
/// it; QEMU's own has none.
fn needs(site: &Site) -> Vec<Need> {
    let facts = &site.observed.facts;
    let Some(tap) = site.desired.tap.and_then(|tap| facts.link(&tap)).filter(|tap| tap.index != 0) else {
        return Vec::new();
    };
    let is_known = tap.is_attached();
    let stays = tap.is_persistent();
    let mut questions: Vec<Question> = tap.master.map(Question::LinkIndex).into_iter().collect();
    if stays && !is_known {
        questions.extend([Question::Addresses(tap.index), Question::Clsact(tap.index)]);
    }
    questions.extend((stays || is_known).then_some(Question::Filter(tap.index, Filter::Tap)));
    need::of(questions)
}

fn refuse(site: &Site) -> Vec<Refusal> {
    let Some(name) = &site.desired.tap else { return Vec::new() };
    let (user, observed) = (site.desired.user, site.observed);
    let checks = [
        is_tap(name, observed),
        is_of_user(name, user, observed),
        of_another(name, site),
        unused_by_the_host(name, observed),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

/// The tap is one.
pub(crate) fn is_tap(name: &IfName, observed: &Observed) -> Result<(), Refusal> {
    let tap = observed.facts.link(name).ok_or(Refusal::NoTap(*name))?;
    if tap.is_tap() {
        return Ok(());
    }
    Err(Refusal::NotATap { name: *name, kind: tap.kind.clone() })
}

/// The tap is the user's who is worked for: they may open it themselves.
pub(crate) fn is_of_user(name: &IfName, user: Option<u32>, observed: &Observed) -> Result<(), Refusal> {
    let tun = observed.facts.link(name).and_then(|link| link.tun.as_ref());
    match tun.is_none_or(|tun| user.is_none() || tun.owner == user) {
        true => Ok(()),
        false => Err(Refusal::TapOfAnotherUser(*name)),
    }
}

/// The host has no address on the tap: one that is a port has no use for it, and would lose it.
fn unused_by_the_host(tap: &IfName, observed: &Observed) -> Result<(), Refusal> {
    let link = observed.facts.link(tap).filter(|tap| !tap.is_attached());
    let addresses = link.map(|link| observed.facts.addresses_of(link.index)).unwrap_or_default();
    match addresses.iter().find(|address| !is_link_local(&address.net)) {
        Some(address) => Err(Refusal::TapHasAddress { tap: *tap, address: address.net }),
        None => Ok(()),
    }
}

/// The tap is nobody else's port. From one network of kvmnet's to another it may go, and one that kvmnet attached and
/// another hand moved comes back.
fn of_another(tap: &IfName, site: &Site) -> Result<(), Refusal> {
    let observed = site.observed;
    let link = observed.facts.link(tap).filter(|tap| !tap.is_attached());
    let Some(master) = link.and_then(|tap| tap.master) else { return Ok(()) };
    let on = observed.facts.link_index(master);
    let is_ours = |on: &Link| {
        on.name == site.desired.network.bridge
            || observed.network(&on.name).is_some_and(|instance| instance.ledger_of_bridge().is_some())
    };
    if on.is_some_and(is_ours) {
        return Ok(());
    }
    let on = on.map_or_else(|| "another interface".to_owned(), |on| on.name.to_string());
    Err(Refusal::TapOfAnother { tap: *tap, on })
}

fn want(site: &Site, wanted: &mut Wanted) {
    let tap = site.desired.tap.and_then(|tap| site.observed.facts.link(&tap));
    wanted.guest = tap.map(|tap| Guest {
        tap: tap.name,
        values: guard(tap, site),
        mac: tap.mac.filter(|_| !site.made).and_then(switch::harmless_mac),
        port_values: switch::guest_port(site.desired.network.port_isolation).into(),
        identity: GuestIdentity::default(),
        claims: Vec::new(),
        forwards: Vec::new(),
        filtering: Filtering::default(),
        filter: None,
    });
}

/// What is set on the tap, in order: no ARP answer, no source believed, nothing forwarded, no IPv6, and the filter
/// that lets nothing come this far. The MTU first: a smaller one would pull the bridge's down (`br_mtu_auto_adjust`).
fn guard(tap: &Link, site: &Site) -> Vec<(Setting, u32)> {
    let mtu = taken_nic(site).or(site.bridge()).map_or(tap.mtu, |link| link.mtu);
    let mut guard = vec![(Setting::Mtu, mtu)];
    guard.extend(tap.addr_gen.map(|_| (Setting::AddrGen, u32::from(AddrGen::NONE.0))));
    guard.extend([(Setting::ArpIgnore, 8), (Setting::RpFilter, 1), (Setting::Forwarding, 0)]);
    guard.extend([(Setting::Clsact, 1), (Setting::Filter(Filter::Tap), 1)]);
    guard.extend(tap.ipv6.map(|_| (Setting::DisableIpv6, 1)));
    guard
}
