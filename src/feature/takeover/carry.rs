//! What moves from one interface to another. One function carries both ways.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::item::{
    AddressChange, NeighbourChange, NexthopChange, PolicyRuleChange, RouteChange, Step, add_address,
};
use crate::model::route::{
    KEPT, MULTICAST, PROTOCOL_KERNEL, PROTOCOL_RA, PROXY, REACHABLE, ROUTER, STALE, UNICAST,
};
use crate::model::setting::IPV6;
use crate::model::{Address, IfName, Link, Neighbour, Route, Setting};
use crate::observed::Observed;

/// NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE: a neighbour that answered.
const KNOWN: u16 = 0x02 | 0x04 | 0x08 | 0x10;

/// What moves, as steps.
#[derive(Debug, Default)]
pub(super) struct Migration {
    /// Adds it to the new place.
    pub(super) arrive: Vec<Step>,
    /// Adds those IPv6 addresses of which it is yet to be seen whether another machine has them: by detection, for which the
    /// new place must pass packets.
    pub(super) detect: Vec<Step>,
    /// Deletes it from the old.
    pub(super) leave: Vec<Step>,
}

/// Everything that moves from one interface to another, but for the addresses `staying` and their routes.
pub(crate) fn carry(from: &IfName, to: &IfName, staying: &[IpNet], observed: &Observed) -> Migration {
    let mut addresses = observed.addresses(from);
    addresses.retain(|address| !staying.contains(&address.net) && !stays_unused(address, from, observed));
    let moving = observed.facts.routes.iter().filter(|route| route.is_over(from));
    let moving = moving.filter(|route| !belongs_to(route, staying));
    let (routes, kernels): (Vec<&Route>, Vec<&Route>) = moving.partition(|route| is_own(route, &addresses));
    // A router must be reachable before a route goes by it.
    let (by_router, direct): (Vec<&Route>, Vec<&Route>) =
        routes.into_iter().partition(|route| route.has_router());
    let routes = || direct.iter().chain(&by_router);
    let mut migration = Migration::default();
    for address in in_order(&addresses) {
        let steps = add_address(&relabelled(address, from, to), *to);
        if address.is_tentative() { &mut migration.detect } else { &mut migration.arrive }.extend(steps);
    }
    let nexthops = observed.facts.nexthops.iter().filter(|nexthop| nexthop.device == *from);
    migration
        .arrive
        .extend(nexthops.map(|nexthop| NexthopChange { nexthop: nexthop.clone(), to: *to }.into()));
    let arriving = routes().filter(|route| !is_outlived(route, &by_router));
    migration.arrive.extend(
        arriving.map(|route| RouteChange::Add(with_metric_after_ra(route, from, to, observed)).into()),
    );
    for rule in observed.facts.rules.iter().filter(|rule| rule.names(from)) {
        migration.arrive.push(PolicyRuleChange::Add(rule.moved(from, to)).into());
        migration.leave.push(PolicyRuleChange::Delete(rule.clone()).into());
    }
    for neighbour in observed.facts.neighbours.iter().filter(|neighbour| neighbour.device == *from) {
        migration.arrive.extend(arrive_neighbour(neighbour, to, observed));
        if neighbour.is_set() {
            migration.leave.push(NeighbourChange::Delete(neighbour.clone()).into());
        }
    }
    // The kernel's own routes for the prefixes, too: they would go with the addresses, but not all, and late.
    let prefixes = kernels.into_iter().filter(|route| route.kind == UNICAST);
    let old = routes().rev().copied().chain(prefixes).cloned();
    migration.leave.extend(old.map(|route| RouteChange::Delete(route).into()));
    leave_addresses(&mut migration.leave, from, &addresses);
    migration
}

/// An address that another machine has is not put into use by a move: it stays on the NIC, where it is not used, and that is
/// known. One that came to be so on a bridge goes back to where it will be looked for again.
fn stays_unused(address: &Address, link: &IfName, observed: &Observed) -> bool {
    address.is_duplicate() && !observed.facts.link(link).is_some_and(Link::is_bridge)
}

/// A default route that a router announced is copied behind the place where the kernel will put its own with the
/// next announcement: beside a copy of the same metric it would not, and would heed nothing else of it either
/// (`ndisc_router_discovery`). The copy ends by itself, and is at no further move put behind itself.
fn with_metric_after_ra(route: &Route, from: &IfName, to: &IfName, observed: &Observed) -> Route {
    let mut moved = route.moved(from, to);
    if is_announced(route) && route.metric == announced_metric(from, observed) {
        moved.metric += 1;
    }
    moved
}

fn is_announced(route: &Route) -> bool {
    route.protocol == PROTOCOL_RA && route.destination.is_none()
}

/// The metric that the kernel gives a default route which a router announced (IP6_RT_PRIO_USER without the setting).
fn announced_metric(link: &IfName, observed: &Observed) -> u32 {
    let place = IPV6.iter().position(|(name, _)| *name == "ra_defrtr_metric");
    place.and_then(|place| observed.value(link, Setting::Ipv6(place))).filter(|&set| set != 0).unwrap_or(1024)
}

/// Whether it is a copy whose router has spoken since: the kernel's own route stands before it.
fn is_outlived(route: &Route, routes: &[&Route]) -> bool {
    let is_newer = |other: &&&Route| is_announced(other) && other.metric < route.metric;
    let mut newer = routes.iter().filter(is_newer);
    is_announced(route) && newer.any(|other| (other.table, &other.hops) == (route.table, &route.hops))
}

/// The order in which addresses are to be added so that they stand as they do now: IPv4 appends, IPv6 puts the
/// newest first (`ipv6_link_dev_addr`).
fn in_order(addresses: &[Address]) -> impl Iterator<Item = &Address> {
    let is_v6 = |address: &&Address| address.net.addr().is_ipv6();
    addresses.iter().filter(move |address| !is_v6(address)).chain(addresses.iter().rev().filter(is_v6))
}

/// Backwards, so that a secondary IPv4 address never is promoted.
fn leave_addresses(steps: &mut Vec<Step>, link: &IfName, addresses: &[Address]) {
    let old = addresses.iter().rev().cloned();
    steps.extend(old.map(|address| AddressChange::Delete { link: *link, address }.into()));
}

/// Whether the kernel made this route for this address.
fn is_prefix_route(route: &Route, address: &Address) -> bool {
    route.destination.is_some() && route.destination == address.prefix_route() && !route.has_router()
}

/// A label begins with its interface's name.
fn relabelled(address: &Address, from: &IfName, to: &IfName) -> Address {
    let label = address.label.as_ref().map(|label| match label.strip_prefix(from.as_str()) {
        Some(rest) => format!("{to}{rest}").chars().take(15).collect(),
        None => label.clone(),
    });
    Address { label, ..address.clone() }
}

/// What somebody has set comes to stand; what the kernel has learned gives way to that.
fn arrive_neighbour(neighbour: &Neighbour, to: &IfName, observed: &Observed) -> Option<Step> {
    let is_same = |there: &&Neighbour| {
        (there.device, there.address) == (*to, neighbour.address)
            && (there.flags ^ neighbour.flags) & PROXY == 0
    };
    let before = observed.facts.neighbours.iter().find(is_same).cloned();
    let is_known = neighbour.state & KNOWN != 0 && !before.as_ref().is_some_and(Neighbour::is_set);
    (neighbour.is_set() || is_known)
        .then(|| NeighbourChange::Add { neighbour: known(neighbour, to), before }.into())
}

fn known(neighbour: &Neighbour, device: &IfName) -> Neighbour {
    let state = match neighbour.state {
        state if state & KNOWN == 0 => state,
        REACHABLE => REACHABLE,
        _ => STALE,
    };
    Neighbour { state, flags: neighbour.flags & (ROUTER | KEPT | PROXY), ..neighbour.behind(device) }
}

/// Whether a route was made by somebody, and not by the kernel as part of an address.
fn is_own(route: &Route, addresses: &[Address]) -> bool {
    if route.kind != UNICAST {
        return route.protocol != PROTOCOL_KERNEL && route.kind <= MULTICAST;
    }
    route.protocol != PROTOCOL_KERNEL || !addresses.iter().any(|address| is_prefix_route(route, address))
}

/// Whether a route hangs on one of these addresses. That of a router with a link-local address hangs on none: it is the NIC's,
/// as a bridge with such a route of its own is not taken.
fn belongs_to(route: &Route, nets: &[IpNet]) -> bool {
    let is_near = |gateway: &IpAddr| {
        let is_link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        !is_link_local && nets.iter().any(|net| net.contains(gateway))
    };
    route.hops.iter().filter_map(|hop| hop.gateway).any(|gateway| is_near(&gateway))
        || route.source.is_some_and(|source| nets.iter().any(|net| net.addr() == source))
        || route.destination.is_some_and(|to| nets.iter().any(|net| net.trunc() == to.trunc()))
}
