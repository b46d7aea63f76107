//! The interface through which the host takes part: the bridge's own port, or a veth pair.

use super::{Feature, Object, Phase, Refusal, Site, Wanted};
use crate::desired::Desired;
use crate::model::{AddrGen, Filter, Ledger, Mac, Mode, Need, Question, Setting, Subnets, Veth};
use crate::observed::Observed;

/// The pair's names are free, or the pair is this network's own.
fn taken_name(site: &Site) -> Option<Refusal> {
    let veth = site.desired.network.veth.as_ref()?;
    let is_recorded = site.old.is_some_and(|ledger| ledger.veth.as_ref() == Some(veth));
    if is_recorded && is_pair(veth, site.observed) {
        return None;
    }
    let taken =
        [&veth.outer, &veth.inner].into_iter().find(|name| site.observed.facts.link(name).is_some())?;
    Some(Refusal::NameTaken(*taken))
}

/// Whether the two are one pair, and with the MACs that kvmnet gives.
pub(crate) fn is_pair(veth: &Veth, observed: &Observed) -> bool {
    let end = |name| {
        let link = observed.facts.link(name)?;
        (link.kind.as_deref() == Some("veth") && link.mac == Some(Mac::of_bridge(name))).then_some(link)
    };
    let ends = end(&veth.outer).zip(end(&veth.inner));
    ends.is_some_and(|(outer, inner)| inner.peer == Some(outer.index))
}

pub(super) static FEATURE: Feature =
    Feature { first, needs, refuse: |site| taken_name(site).into_iter().collect(), want };

fn first(desired: &Desired) -> Vec<Question> {
    let veth = desired.network.veth.iter();
    veth.flat_map(|veth| [veth.outer, veth.inner]).map(Question::Link).collect()
}

fn needs(site: &Site) -> Vec<Need> {
    let mut needs = about_announcements(site);
    let host_if = site.observed.facts.link(site.desired.host_if()).map(|link| link.index);
    let question = match (network_filter(site), host_if) {
        (Some(filter), Some(host_if)) => Some(Question::Filter(host_if, filter)),
        (None, _) if was_filtered(site) => site.bridge().map(|bridge| Question::Clsact(bridge.index)),
        _ => None,
    };
    needs.extend(question.map(Need::from));
    needs
}

/// Whether /proc/sys can be written, where announcements of guests are to be kept off; and what is in its place.
fn about_announcements(site: &Site) -> Vec<Need> {
    let Site { desired, observed, .. } = site;
    let host_if = observed.facts.link(desired.host_if());
    let like = host_if.or_else(|| observed.facts.link(desired.new_interface()));
    let accepts = like.and_then(|like| like.ipv6).is_some_and(|ipv6| ipv6.accept_ra != 0);
    if !accepts || !desired.network.mode.has_host_address() {
        return Vec::new();
    }
    let mut needs = vec![Need::ReadOnlySys];
    if let Some(host_if) = host_if.filter(|_| observed.is_proc_fixed) {
        needs.push(Question::Filter(host_if.index, Filter::Announcements).into());
    }
    needs
}

fn want(site: &Site, wanted: &mut Wanted) {
    if let Some(veth) = &site.desired.network.veth {
        pair(veth, site, wanted);
    }
    router_advertisements(site, wanted);
    forward_nothing(site, wanted);
    filter(site, wanted);
}

fn pair(veth: &Veth, site: &Site, wanted: &mut Wanted) {
    let group = site.desired.group();
    if site.observed.facts.link(&veth.inner).is_none() {
        wanted.add(Phase::Make, Object::Pair { veth: veth.clone(), group });
    } else {
        wanted.value(Phase::Make, &veth.inner, Setting::Group, group);
    }
    if site.observed.value(site.desired.new_interface(), Setting::AddrGen).is_some() {
        wanted.value(Phase::Make, &veth.outer, Setting::AddrGen, u32::from(AddrGen::NONE.0));
    }
    wanted.add(Phase::Serve, Object::Port(veth.outer));
    for end in [&veth.outer, &veth.inner] {
        wanted.value(Phase::Serve, end, Setting::Up, 1);
    }
}

/// A guest must not become the host's router by announcing itself (RFC 4861, router advertisements).
/// In bridged mode the LAN's routers may; a bridge of another mode before gets what a new interface has.
fn router_advertisements(site: &Site, wanted: &mut Wanted) {
    let network = &site.desired.network;
    let host_if = network.host_if();
    let Some(new) = site.new_value(Setting::AcceptRa) else { return };
    let to = match network.mode {
        Mode::Isolated => return,
        Mode::Bridged if site.observed.value(host_if, Setting::AcceptRa) == Some(0) => new,
        Mode::Bridged => return,
        _ => 0,
    };
    let is_own = site.made || network.veth.is_some();
    let is_fixed = site.observed.is_proc_fixed;
    // On a LAN's bridge that was found, its owner has decided.
    if !is_own && (network.mode == Mode::Bridged || is_fixed) {
        return;
    }
    // Where /proc/sys cannot be written, a filter does it; it goes with the host's interface.
    if is_fixed && to == 0 {
        wanted.value(Phase::Make, host_if, Setting::Clsact, 1);
        wanted.value(Phase::Make, host_if, Setting::Filter(Filter::Announcements), 1);
    } else {
        wanted.value(Phase::Make, host_if, Setting::AcceptRa, to);
    }
}

/// What holds of a host-only network whatever becomes of its table: nothing is forwarded, and no source is believed, and so answered,
/// that is elsewhere.
const WITHOUT_TABLE: [(Setting, u32); 2] = [(Setting::RpFilter, 1), (Setting::Forwarding, 0)];

/// Whether a setting of the bridge stays shut, though the bridge opens.
pub(super) fn stays_shut(site: &Site, setting: Setting) -> bool {
    let network = &site.desired.network;
    let is_it = network.mode == Mode::HostOnly && network.veth.is_none();
    is_it && (setting == Setting::Clsact || WITHOUT_TABLE.iter().any(|(known, _)| *known == setting))
}

/// What comes in by the host interface of a host-only network, where that goes with the network: an interface that was there may have
/// subnets that nobody here knows of.
fn network_filter(site: &Site) -> Option<Filter> {
    let network = &site.desired.network;
    let is_it = network.mode == Mode::HostOnly && site.is_own(network.host_if());
    is_it.then(|| Filter::Network(Subnets::of(network.addresses.iter().copied())))
}

/// Whether the bridge has such a filter from before.
fn was_filtered(site: &Site) -> bool {
    let was_host_if = |old: &Ledger| old.mode == Mode::HostOnly && old.veth.is_none();
    site.made && site.old.is_some_and(was_host_if)
}

/// The lock that is left without the table: only the network's own are heard.
fn filter(site: &Site, wanted: &mut Wanted) {
    let network = &site.desired.network;
    if let Some(filter) = network_filter(site) {
        let host_if = network.host_if();
        if !wanted.has_value(host_if, Setting::Clsact) {
            wanted.value(Phase::Make, host_if, Setting::Clsact, 1);
        }
        wanted.value(Phase::Make, host_if, Setting::Filter(filter), 1);
    } else if was_filtered(site)
        && !wanted.has_value(&network.bridge, Setting::Clsact)
        && !network.is_closed()
    {
        wanted.value(Phase::Reopen, &network.bridge, Setting::Clsact, 0);
    }
}

/// What comes from a host-only network is forwarded nowhere.
fn forward_nothing(site: &Site, wanted: &mut Wanted) {
    if site.desired.network.mode != Mode::HostOnly {
        return;
    }
    let host_if = site.desired.host_if();
    for (setting, value) in WITHOUT_TABLE {
        wanted.value(Phase::Make, host_if, setting, value);
    }
    let now = site.observed.value(host_if, Setting::BROADCASTS).or(site.new_value(Setting::BROADCASTS));
    if site.is_own(host_if) && now == Some(1) {
        wanted.value(Phase::Make, host_if, Setting::BROADCASTS, 0);
    }
    if site.new_value(Setting::ForceForwarding) == Some(1) {
        wanted.value(Phase::Make, host_if, Setting::ForceForwarding, 0);
    }
}
