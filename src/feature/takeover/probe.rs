//! Who is asked, before and after a takeover, whether the host is still there.

use std::net::IpAddr;

use crate::item::ProbeTarget;
use crate::model::route::{MAIN, REACHABLE};
use crate::model::{IfName, Route};
use crate::observed::Observed;
use crate::sorted::sorted_by_key;

/// Who is to say whether the host is still there: the gateway of a default route, else a neighbour that
/// answered lately. A gateway may be outside every subnet of the host (onlink, a host route).
pub(super) fn target(nic: &IfName, observed: &Observed) -> Option<ProbeTarget> {
    let addresses = observed.addresses(nic);
    let routes = observed.facts.routes.iter().filter(|route| route.is_default() && route.is_over(nic));
    let routes = sorted_by_key(routes, |route| (route.table != MAIN, route.metric));
    let hops = |route: &Route| route.hops.clone().into_iter().filter(|hop| hop.device == *nic);
    let gateways = routes.into_iter().flat_map(|route| {
        let source = route.source;
        hops(route).filter_map(move |hop| Some((hop.gateway?, source)))
    });
    let nexthops = observed.facts.nexthops.iter().filter(|nexthop| nexthop.device == *nic);
    let neighbours = observed.facts.neighbours.iter();
    let reachable = neighbours.filter(|neighbour| neighbour.device == *nic && neighbour.state == REACHABLE);
    let others = nexthops
        .filter_map(|nexthop| nexthop.gateway)
        .chain(reachable.map(|neighbour| neighbour.address))
        .map(|target| (target, None));
    let source_for = |target: &IpAddr| {
        let sources = addresses
            .iter()
            .filter(|address| address.net.addr().is_ipv6() == target.is_ipv6() && !address.is_tentative());
        let best = sources.min_by_key(|address| !address.net.contains(target));
        best.map(|address| address.net.addr())
    };
    gateways.chain(others).find_map(|(target, source)| {
        Some(ProbeTarget { link: *nic, source: source.or(source_for(&target))?, target })
    })
}
