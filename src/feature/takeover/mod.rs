//! In bridged mode, the NIC is a port of the bridge, and what it has is on the bridge.

mod carry;
mod moving;
mod probe;

pub(crate) use moving::give_back;

use super::need;
use super::wanted::Nic;
use super::{Feature, PLAIN, Phase, Site, Wanted};
use crate::desired::Desired;
use crate::item::{AddressChange, Ipv6IdentityChange, LinkChange, Probe, ProbeTarget, Step};
use crate::model::address::LINK_SCOPE;
use crate::model::ledger::Place;
use crate::model::setting::{IPV4, IPV6};
use crate::model::{AddrGen, IfName, Ledger, Link, Mode, Need, Question, Setting, Uplink};

pub(super) static FEATURE: Feature = Feature { needs, want, ..PLAIN };

fn needs(site: &Site) -> Vec<Need> {
    let Site { desired: Desired { network, .. }, observed, old, .. } = site;
    if network.mode != Mode::Bridged {
        return Vec::new();
    }
    let taken = old.and_then(Ledger::nic);
    if let Some(nic) = taken.map(Question::Link).filter(|nic| !observed.facts.has(nic)) {
        return vec![nic.into()];
    }
    let is_taken = taken.is_some_and(|nic| observed.facts.link(&nic).is_some());
    if network.uplink == Uplink::DefaultRoute && !is_taken {
        let open = way_out(site);
        if !open.is_empty() {
            return open;
        }
    }
    let mut needs = Vec::new();
    let Some(nic) = observed.nic(network) else { return needs };
    match nic.master {
        None if nic.is_bridge() => {}
        None => {
            needs.extend([Need::Station(nic.index), Need::Manager(nic.name)]);
            needs.extend(need::of([Some(nic), site.bridge()].into_iter().flatten().flat_map(carried)));
        }
        Some(_) if taken == Some(nic.name) => {
            // Usually nothing: all that it had is on the bridge, unless the takeover was cut short.
            let own = Question::Addresses(nic.index);
            if !observed.facts.has(&own) {
                needs.push(own.into());
            } else if old.is_some_and(|ledger| observed.still_has_addresses(&nic.name, ledger)) {
                let there = site.bridge().into_iter().flat_map(neighbours);
                needs.extend(need::of(carried(nic).into_iter().chain(there)));
            }
        }
        Some(master) => needs.push(Question::LinkIndex(master).into()),
    }
    needs
}

/// What is not known yet of the way out: the default routes, which of their interfaces can be a port of a bridge, and, where
/// the best leads nowhere that can, all the others.
fn way_out(site: &Site) -> Vec<Need> {
    let (observed, bridge) = (site.observed, Some(&site.desired.network.bridge));
    let open =
        |needs: Vec<Need>| needs.into_iter().filter(|need| !observed.has_met(need)).collect::<Vec<_>>();
    let defaults = open([false, true].map(|v6| Need::Defaults { v6 }).into());
    if !defaults.is_empty() {
        return defaults;
    }
    let devices = observed.default_devices(None).into_iter();
    let stations = open(devices.flat_map(|at| [Question::LinkIndex(at).into(), Need::Station(at)]).collect());
    if !stations.is_empty() || observed.way_out(bridge).is_some_and(|link| observed.is_way_out(link, bridge))
    {
        return stations;
    }
    open(vec![Need::AllDefaults6])
}

/// What a takeover carries away from `link`.
pub(crate) fn carried(link: &Link) -> Vec<Question> {
    let (device, name) = (link.index, link.name);
    let mut questions = vec![Question::WideForwarding { v6: false }];
    questions.extend([Question::Addresses(device), Question::Nexthops { device, name }]);
    for v6 in [false, true] {
        questions.push(Question::Routes { v6, device, name });
        questions.push(Question::Rules { v6, name });
        questions.push(Question::Neighbours { v6, device, name });
        questions.push(Question::Proxies { v6, device, name });
    }
    questions
}

/// What is known already behind the interface that it carries to.
pub(crate) fn neighbours(link: &Link) -> [Question; 2] {
    [false, true].map(|v6| Question::Neighbours { v6, device: link.index, name: link.name })
}

fn want(site: &Site, wanted: &mut Wanted) {
    let network = &site.desired.network;
    match taken_nic(site) {
        Some(nic) => take(nic, site, wanted),
        None if network.mode == Mode::Bridged => stay(site, wanted),
        None => {}
    }
}

/// The NIC that is to be taken over now, or whose takeover was cut short.
pub(super) fn taken_nic<'a>(site: &Site<'a>) -> Option<&'a Link> {
    let network = &site.desired.network;
    let nic = site.observed.nic(network).filter(|_| network.mode == Mode::Bridged)?;
    let is_half_taken = site
        .old
        .is_some_and(|old| old.nic() == Some(nic.name) && site.observed.still_has_addresses(&nic.name, old));
    ((nic.master.is_none() || is_half_taken) && nic.name != network.bridge).then_some(nic)
}

/// The NIC that kvmnet makes or made a port.
pub(super) fn port_nic(site: &Site) -> Option<IfName> {
    if site.desired.network.mode != Mode::Bridged {
        return None;
    }
    taken_nic(site).map(|nic| nic.name).or_else(|| site.old?.nic())
}

/// One that is on the bridge already.
fn stay(site: &Site, wanted: &mut Wanted) {
    let Some(place) = site.old.and_then(|old| old.nic) else { return };
    wanted.nic = Some(Nic { place, bridge_addresses: None, bridge_mac: None });
    // A NIC that was set up for the guests stays so while they are there, and what it was before stays recorded.
    if site.former(&site.place(&place.name), Setting::Up).is_some() {
        wanted.value(Phase::Serve, &place.name, Setting::Up, 1);
    }
    // A bridge of kvmnet's makes addresses as its NIC does, where a takeover was cut short before that was said.
    let nic = site.observed.facts.link(&place.name).filter(|_| site.made);
    let now = site.bridge().and_then(|bridge| bridge.addr_gen);
    if let (Some(nic), Some(AddrGen::NONE)) = (nic, now) {
        wanted.way(Phase::Serve, identity(nic, &site.desired.network.bridge));
    }
}

/// One that is not, or not with all that it has.
fn take(nic: &Link, site: &Site, wanted: &mut Wanted) {
    let (bridge, observed) = (&site.desired.network.bridge, site.observed);
    let there = site.bridge();
    let found = there.filter(|_| site.old.is_none());
    let own = found.map(|_| observed.addresses(bridge).iter().map(|address| address.net).collect());
    let lent = there.and_then(|bridge| Some((bridge.mac?, nic.mac?))).filter(|(from, to)| from != to);
    let bridge_mac = lent.map(|(from, _)| from).filter(|_| !site.made);
    wanted.nic = Some(Nic { place: Place::from(nic), bridge_addresses: own, bridge_mac });
    drop_own_link_local(nic, site, wanted);
    // The bridge gets the NIC's MAC, which the machines of the LAN know.
    let lend = lent.map(|(from, to)| LinkChange::Mac { link: *bridge, from, to }.into());
    wanted.way(Phase::Serve, lend);
    copy_settings(nic, site, wanted);
    // A NIC that is down passes nothing.
    wanted.value(Phase::Serve, &nic.name, Setting::Up, 1);
    let target = probe::target(&nic.name, observed)
        .filter(|_| site.desired.network.confirm && nic.master.is_none() && nic.carrier);
    wanted.way(Phase::Serve, target.map(|target| Probe::Before(target).into()));
    let has_identity = !site.made || (there.is_none() && !nic.up);
    let identity = if has_identity { Vec::new() } else { identity(nic, bridge) };
    let steps = moving::take(nic, bridge, observed.owner.is_some(), identity, observed);
    let kept = rp_filter(nic, site);
    wanted.way(Phase::Serve, moving::with_loose_rp_filter(bridge, kept, observed, steps));
    let again = target.map(|target| ProbeTarget { link: *bridge, ..target });
    wanted.way(Phase::Serve, again.map(|target| Probe::After(target).into()));
}

/// What the bridge has by then: one of our own the NIC's, one that was found what it had before it was closed.
fn rp_filter(nic: &Link, site: &Site) -> u32 {
    let bridge = &site.desired.network.bridge;
    let former =
        site.old.and_then(|old| old.changed(bridge, Setting::RpFilter)).map(|changed| changed.before);
    let now = || site.observed.value(if site.made { &nic.name } else { bridge }, Setting::RpFilter);
    former.or_else(now).unwrap_or_default()
}

/// A bridge of another mode has a link-local address of its own, which the NIC would be given with all that is the NIC's.
fn drop_own_link_local(nic: &Link, site: &Site, wanted: &mut Wanted) {
    if !site.old.is_some_and(|old| old.made && old.nic.is_none()) {
        return;
    }
    let bridge = site.desired.network.bridge;
    let the_nics = site.observed.addresses(&nic.name);
    let mut own = site.observed.addresses(&bridge);
    own.retain(|own| own.scope == LINK_SCOPE && !the_nics.iter().any(|address| address.net == own.net));
    let steps = own.into_iter().map(|address| AddressChange::Delete { link: bridge, address }.into());
    wanted.way(Phase::Clean, steps);
}

/// A new bridge behaves as the NIC did: source validation, ARP, redirects, router advertisements, … One that was another
/// mode's gets what the NIC was told of IPv6.
fn copy_settings(nic: &Link, site: &Site, wanted: &mut Wanted) {
    let bridge = site.desired.network.bridge;
    let is_fresh = site.bridge().is_none();
    let was_bridged = !is_fresh && site.old.is_some_and(|old| old.mode == Mode::Bridged);
    if !site.made || was_bridged {
        return;
    }
    let ipv4 = (0..IPV4.len()).map(Setting::Ipv4).filter(|_| is_fresh);
    // The first is forwarding.
    let ipv6 = (usize::from(!is_fresh)..IPV6.len()).map(Setting::Ipv6);
    for setting in ipv4.chain(ipv6) {
        let now = if is_fresh { site.new_value(setting) } else { site.observed.value(&bridge, setting) };
        let value = value_of_nic(nic, setting, site);
        // A tap that was attached before is no longer as new interfaces are.
        let shuts = setting.shuts_ipv6() && value == Some(1);
        if let Some(value) = value.filter(|_| value != now || shuts) {
            wanted.value(Phase::Make, &bridge, setting, value);
        }
    }
    // The kernel takes it only where announcements are heeded, without which it means nothing.
    let token = nic.token.filter(|_| nic.heeds_announcements());
    let step = token.map(|token| Ipv6IdentityChange::SetToken { link: bridge, token }.into());
    wanted.way(Phase::Make, step);
}

/// What the NIC has, or had before another network made it forward: the LAN is not to be forwarded for that one's sake.
fn value_of_nic(nic: &Link, setting: Setting, site: &Site) -> Option<u32> {
    let former = match setting {
        Setting::Ipv4(0) => site.former(&site.place(&nic.name), Setting::Forwarding),
        _ => None,
    };
    former.map(|changed| changed.before).or_else(|| site.observed.value(&nic.name, setting))
}

/// How the NIC makes IPv6 addresses, for a bridge that has all that were made so.
pub(super) fn identity(nic: &Link, bridge: &IfName) -> Vec<Step> {
    let Some(mode) = nic.addr_gen.filter(|mode| *mode != AddrGen::NONE) else { return Vec::new() };
    let mut steps = Vec::new();
    if mode.is_secret() {
        steps.push(Ipv6IdentityChange::CopySecret { from: nic.name, to: *bridge }.into());
    }
    let (from, to) = (u32::from(AddrGen::NONE.0), u32::from(mode.0));
    steps.push(Step::set(*bridge, Setting::AddrGen, from, to));
    steps
}
