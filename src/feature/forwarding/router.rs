//! The host is a router for its guests, and says so: where a neighbour that asks for its MAC is answered as by any host, that one
//! forgets the default route that it has by an announcement (RFC 4861, 7.2.5). Before Linux 6.17 the machine-wide switch does it.

use super::has_force_forwarding;
use crate::feature::{Phase, Site, Wanted};
use crate::model::facts::Way;
use crate::model::route::PROTOCOL_RA;
use crate::model::{IfName, Need, Setting};

/// Whose routes it would cost.
pub(super) fn needs(site: &Site) -> Option<Need> {
    (is_wanted(site) && !is_router(site)).then_some(Need::Defaults { v6: true })
}

pub(super) fn want(site: &Site, wanted: &mut Wanted) {
    if !is_wanted(site) {
        return;
    }
    // With the first interface that is a router the host forgets its own routes by announcements, unless accept_ra is 2.
    for link in listeners(site) {
        wanted.value(Phase::Serve, &link, Setting::AcceptRa, 2);
    }
    wanted.value(Phase::Serve, site.desired.host_if(), Setting::Router, 1);
}

fn is_wanted(site: &Site) -> bool {
    let Site { desired, observed, .. } = site;
    desired.forwards(true)
        && has_force_forwarding(desired, observed)
        && !observed.facts.wide(true)
        && !observed.is_proc_fixed
}

fn is_router(site: &Site) -> bool {
    site.observed.value(site.desired.host_if(), Setting::Router) == Some(1)
}

/// The interfaces with a default route by an announcement; once the host is a router, those on record.
fn listeners(site: &Site) -> Vec<IfName> {
    let Site { desired, observed, old, .. } = site;
    let announced =
        |way: &&Way| way.v6 && way.is_default() && way.protocol == PROTOCOL_RA && !is_router(site);
    let devices = observed.facts.ways.iter().filter(announced).flat_map(|way| &way.devices);
    let links = devices.filter_map(|index| observed.facts.link_index(*index));
    let heeds = |link: &IfName| observed.value(link, Setting::AcceptRa) == Some(1);
    let found = links.map(|link| link.name).filter(heeds);
    let known =
        old.iter().flat_map(|old| &old.changed).filter(|changed| changed.setting == Setting::AcceptRa);
    let known = known.filter_map(|changed| observed.place(changed)).map(|link| link.name);
    let known = known.filter(|link| observed.value(link, Setting::AcceptRa) == Some(2));
    let mut names: Vec<IfName> = found.chain(known).filter(|link| link != desired.host_if()).collect();
    names.sort_unstable();
    names.dedup();
    names
}
