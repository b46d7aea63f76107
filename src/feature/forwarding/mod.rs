//! Forwarding: switched on only where a network needs it, and nowhere for the whole machine where that can be.

pub(crate) mod everywhere;
pub(super) mod guards;
mod router;

use super::takeover::port_nic;
use super::{Feature, Object, PLAIN, Phase, Site, Wanted};
use crate::desired::Desired;
use crate::model::link::GROUP;
use crate::model::{IfName, Mode, Need, Question, Setting, Uplink};
use crate::observed::Observed;

pub(super) static FEATURE: Feature = Feature { first, needs, want, ..PLAIN };

/// Not only where the network forwards: what was found must be known to be given back.
fn first(desired: &Desired) -> Vec<Question> {
    let mut questions = vec![Question::WideForwarding { v6: false }, Question::WideForwarding { v6: true }];
    let network = &desired.network;
    // What is to be chosen has an IPv4 address.
    let forwards = desired.forwards(false) || network.auto_address && network.mode.forwards();
    let by_routes = forwards && network.uplink == Uplink::DefaultRoute;
    questions.extend(by_routes.then_some(Question::FreshForwarding));
    questions
}

fn needs(site: &Site) -> Vec<Need> {
    let Site { desired, observed, .. } = site;
    let is_set = |setting| everywhere::is_set(setting, desired, observed);
    let everywhere = everywhere::settings(desired, observed);
    let mut needs = Vec::new();
    if !everywhere.iter().all(|setting| is_set(*setting)) {
        needs.extend([Question::Links.into(), Need::Template]);
    }
    // Where the machine-wide switch is kvmnet's, nothing is set of single ways out.
    let is_ours = |v6: bool| v6 && everywhere.contains(&Setting::AcceptRa);
    let by_routes = desired.network.uplink == Uplink::DefaultRoute;
    let adopts = site.found().is_some();
    let families = [false, true].into_iter();
    let families = families.filter(|v6| {
        adopts || by_routes && desired.forwards(*v6) && observed.facts.wide(*v6) && !is_ours(*v6)
    });
    needs.extend(families.map(|v6| Need::Defaults { v6 }));
    needs.extend(router::needs(site));
    needs
}

fn want(site: &Site, wanted: &mut Wanted) {
    let everywhere = everywhere::settings(site.desired, site.observed);
    // First: the host forgets the routes that routers announced as soon as it forwards. And what is set last, of the host's own
    // interface or of all, tells the next run that these are set (`everywhere::is_set`).
    for setting in &everywhere {
        wanted.add(Phase::Serve, Object::Everywhere(*setting));
    }
    let mut open = |link: &IfName, setting, value| wanted.value(Phase::Serve, link, setting, value);
    for (link, setting, value) in switches(site, &everywhere) {
        open(&link, setting, value);
    }
    // Over a NIC that other networks opened, the bridge forwards as the NIC did.
    let opened = port_nic(site).map(|nic| guards::opened_by_others(&nic, site.desired, site.observed));
    for setting in opened.unwrap_or_default() {
        open(&site.desired.network.bridge, setting, 1);
    }
    router::want(site, wanted);
    no_longer(site, wanted);
}

/// A bridge that was nat's or routed's is from then on the LAN's; a closed one forwards nothing anyway.
fn no_longer(site: &Site, wanted: &mut Wanted) {
    let Some(old) = site.old.filter(|old| old.made && old.mode.forwards() && old.veth.is_none()) else {
        return;
    };
    if old.is_closed() || site.desired.network.mode != Mode::Bridged || site.bridge().is_none() {
        return;
    }
    let wide = u32::from(site.observed.facts.wide(false));
    wanted.value(Phase::Clean, &site.desired.network.bridge, Setting::Forwarding, wide);
}

/// The interfaces by which the network's packets of one family leave and answers come in.
pub fn uplinks(desired: &Desired, observed: &Observed, v6: bool) -> Vec<IfName> {
    if !desired.forwards(v6) {
        return Vec::new();
    }
    let mut names: Vec<IfName> = match &desired.network.uplink {
        Uplink::Named(names) => names.clone(),
        Uplink::None => Vec::new(),
        Uplink::DefaultRoute => {
            let devices = observed.default_devices(Some(v6)).into_iter();
            let links = devices.filter_map(|at| observed.facts.link_index(at));
            // A network of kvmnet's is nobody's way out.
            links.filter(|link| link.group != GROUP && !link.loopback).map(|link| link.name).collect()
        }
    };
    names.sort_unstable();
    names.dedup();
    names
}

/// What is to be set, in order, so that packets pass between the host's interface and the uplinks, but for what is set
/// `everywhere`.
fn switches(site: &Site, everywhere: &[Setting]) -> Vec<(IfName, Setting, u32)> {
    let Site { desired, observed, .. } = site;
    let mut switches = Vec::new();
    let host_if = desired.host_if();
    let links = |v6: bool, setting: Setting| {
        let names = if everywhere.contains(&setting) { Vec::new() } else { ways(desired, observed, v6) };
        names.into_iter().chain([*host_if])
    };
    if desired.forwards(false) {
        switches.extend(links(false, Setting::Forwarding).map(|link| (link, Setting::Forwarding, 1)));
    }
    if desired.forwards(true) {
        if has_force_forwarding(desired, observed) {
            let links = links(true, Setting::ForceForwarding);
            switches.extend(links.map(|link| (link, Setting::ForceForwarding, 1)));
        } else {
            let heeds =
                |link: &IfName| observed.value(link, Setting::AcceptRa).is_some_and(|value| value != 0);
            let links = links(true, Setting::AcceptRa).filter(|link| link != host_if && heeds(link));
            switches.extend(links.map(|link| (link, Setting::AcceptRa, 2)));
            switches.push((IfName::ALL, Setting::WideForwarding6, 1));
        }
    }
    switches
}

/// The uplinks, and the bridges that they are ports of.
fn ways(desired: &Desired, observed: &Observed, v6: bool) -> Vec<IfName> {
    let mut names = uplinks(desired, observed, v6);
    let master = |name: &IfName| observed.facts.link_index(observed.facts.link(name)?.master?);
    let bridges: Vec<IfName> =
        names.iter().filter_map(master).filter(|link| link.is_bridge()).map(|link| link.name).collect();
    names.extend(bridges.into_iter().filter(|bridge| *bridge != desired.network.bridge));
    names
}

/// Linux 6.17 and later forward IPv6 for single interfaces.
fn has_force_forwarding(desired: &Desired, observed: &Observed) -> bool {
    observed.value(desired.new_interface(), Setting::ForceForwarding).is_some()
}
