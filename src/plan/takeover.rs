//! A NIC becomes a port of the bridge, and what it has moves there; or back. One function carries both ways.
//!
//! Make before break: all that is new is there and acknowledged before anything old goes. In between, packets
//! for the NIC's MAC come up on the bridge and are taken, and packets out still leave by the NIC.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::item::{
    AddressChange, NeighbourChange, NexthopChange, PolicyRuleChange, PortChange, ProbeTarget, RouteChange,
    Step, Wait, add_address,
};
use crate::model::address::{FOREVER, PROTOCOL_LINK_LOCAL};
use crate::model::route::{
    KEPT, MAIN, MULTICAST, PROTOCOL_KERNEL, PROTOCOL_RA, PROXY, REACHABLE, ROUTER, STALE, UNICAST,
};
use crate::model::setting::IPV6;
use crate::model::{Address, IfName, Ledger, Link, Mac, Neighbour, Route, Setting};
use crate::observed::Observed;
use crate::sorted::sorted_by_key;

/// NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE: a neighbour that answered.
const KNOWN: u16 = 0x02 | 0x04 | 0x08 | 0x10;

/// What moves, as steps.
#[derive(Debug, Default)]
pub struct Migration {
    /// Adds it to the new place.
    pub arrive: Vec<Step>,
    /// Adds those IPv6 addresses of which it is yet to be seen whether another machine has them: by detection, for which the
    /// new place must pass packets.
    pub detect: Vec<Step>,
    /// Deletes it from the old.
    pub leave: Vec<Step>,
}

/// Makes `nic` a port of `bridge`, which is up, and moves there what the NIC has.
///
/// With `endless`, IPv4 addresses arrive without an end: their owner does not know of the bridge and renews nothing. From
/// `identity` on the bridge makes IPv6 addresses as the NIC did; before its own have come it would make them once more.
pub fn take(
    nic: &Link,
    bridge: &IfName,
    endless: bool,
    identity: Vec<Step>,
    observed: &Observed,
) -> Vec<Step> {
    let mut migration = carry(&nic.name, bridge, &[], observed);
    if endless {
        migration.arrive.iter_mut().for_each(without_end);
    }
    // Neighbour discovery heeds the interface that an address is on, and the validation of sources whether it has any:
    // in the same send as the enslaving, and before it, so that there is no moment at which the host is deaf.
    let (mut steps, later): (Vec<Step>, Vec<Step>) = migration.arrive.into_iter().partition(is_address);
    if nic.master.is_none() {
        steps.push(PortChange { port: nic.name, from: None, to: Some(*bridge) }.into());
    }
    if nic.carrier {
        steps.push(Wait::Operational { link: *bridge }.into());
    }
    steps.push(Step::BARRIER);
    steps.extend(identity);
    steps.extend(migration.detect);
    steps.extend(later);
    steps.push(settled(nic, bridge, &steps));
    steps.extend(migration.leave);
    steps
}

/// What is to hold before the old goes: the new is there, and IPv6 addresses are in use. On a bridge whose NIC has no
/// carrier they would not come into use, and nothing comes in by it that could be lost.
fn settled(nic: &Link, link: &IfName, steps: &[Step]) -> Step {
    let is_ipv6 = |step: &Step| matches!(step, Step::Address(AddressChange::Add { address, .. }) if address.is_usable6());
    if nic.up && nic.carrier && steps.iter().any(is_ipv6) {
        Wait::Addresses { link: *link }.into()
    } else {
        Step::BARRIER
    }
}

/// STRICT, and LOOSE, of `rp_filter` (RFC 3704). Of an interface's and the machine's the larger one holds.
const STRICT: u32 = 1;
const LOOSE: u32 = 2;

/// Does `steps` while the bridge believes sources whatever way leads back to them: for a moment packets come in by it
/// and leave by the NIC, and a strict filter would drop them all. Afterwards its own is `kept`.
pub fn with_loose_rp_filter(
    bridge: &IfName,
    kept: u32,
    observed: &Observed,
    mut steps: Vec<Step>,
) -> Vec<Step> {
    if kept.max(observed.facts.wide_rp_filter) == STRICT {
        let set = |from, to| Step::set(*bridge, Setting::RpFilter, from, to);
        steps.insert(0, set(kept, LOOSE));
        steps.push(set(LOOSE, kept));
    }
    steps
}

/// Who is to say whether the host is still there: the gateway of a default route, else a neighbour that
/// answered lately. A gateway may be outside every subnet of the host (onlink, a host route).
pub fn target_of_probe(nic: &IfName, observed: &Observed) -> Option<ProbeTarget> {
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

/// Moves back to the NIC what the bridge has, and takes the NIC off. What the bridge had itself stays.
pub fn give_back(ledger: &Ledger, bridge: &IfName, observed: &Observed) -> Vec<Step> {
    let Some(nic) = ledger.nic().and_then(|nic| observed.facts.link(&nic)) else { return Vec::new() };
    let port_of = nic.master.and_then(|master| observed.facts.link_index(master));
    if port_of.is_some_and(|master| master.name != *bridge) {
        return Vec::new();
    }
    // A bridge that was down makes an address of its own MAC as soon as it is up.
    let own: Vec<IpNet> =
        ledger.bridge_addresses.iter().copied().chain(ledger.mac.map(Mac::link_local)).collect();
    let mut migration = carry(bridge, &nic.name, &own, observed);
    let mut steps = Vec::new();
    // Nothing can lead over a NIC that somebody has set down. One that was down before kvmnet came stays so.
    if !nic.up && ledger.changed(&nic.name, Setting::Up).is_some_and(|changed| changed.before == 0) {
        migration.arrive.retain(|step| !needs_up(step));
    } else if !nic.up {
        steps.push(Step::set(nic.name, Setting::Up, 0, 1));
    }
    if nic.ipv6.is_none_or(|ipv6| ipv6.disable_ipv6 != 0) {
        migration.arrive.retain(|step| !needs_ipv6(step));
        migration.detect.clear();
    }
    let Migration { arrive, detect, leave } = migration;
    steps.extend(arrive);
    steps.push(settled(nic, &nic.name, &steps));
    // In one send. First every route over the bridge: once its port is gone they lead nowhere, and until then packets
    // leave by the NIC as well.
    let (routes, rest): (Vec<Step>, Vec<Step>) =
        leave.into_iter().partition(|step| matches!(step, Step::Route(RouteChange::Delete(_))));
    steps.extend(routes);
    if port_of.is_some() {
        steps.push(PortChange { port: nic.name, from: Some(*bridge), to: None }.into());
    }
    steps.extend(rest);
    if !detect.is_empty() {
        steps.push(Step::BARRIER);
        steps.extend(detect);
    }
    let kept = observed.value(bridge, Setting::RpFilter).unwrap_or_default();
    with_loose_rp_filter(bridge, kept, observed, steps)
}

/// Everything that moves from one interface to another, but for the addresses `staying` and their routes.
pub fn carry(from: &IfName, to: &IfName, staying: &[IpNet], observed: &Observed) -> Migration {
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

/// Whether it comes, or comes by itself, with an interface that is set up.
fn needs_up(step: &Step) -> bool {
    match step {
        Step::Address(AddressChange::Add { address, .. } | AddressChange::ClearNodad { address, .. }) => {
            address.protocol == PROTOCOL_LINK_LOCAL
        }
        Step::Route(RouteChange::Add(_)) | Step::Nexthop(_) => true,
        _ => false,
    }
}

/// Whether an interface without IPv6 would refuse it: there is nothing to give back then.
fn needs_ipv6(step: &Step) -> bool {
    match step {
        Step::Address(AddressChange::Add { address, .. } | AddressChange::ClearNodad { address, .. }) => {
            address.net.addr().is_ipv6()
        }
        Step::Route(RouteChange::Add(route)) => route.needs_ipv6(),
        Step::Nexthop(change) => change.nexthop.needs_ipv6(),
        Step::Neighbour(NeighbourChange::Add { neighbour, .. }) => neighbour.address.is_ipv6(),
        _ => false,
    }
}

fn is_address(step: &Step) -> bool {
    matches!(step, Step::Address(AddressChange::Add { .. } | AddressChange::ClearNodad { .. }))
}

fn without_end(step: &mut Step) {
    if let Step::Address(AddressChange::Add { address, .. }) = step {
        if address.net.addr().is_ipv4() {
            (address.valid, address.preferred) = (FOREVER, FOREVER);
        }
    }
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

/// A NIC that is down passes nothing.
pub fn wanted(nic: &Link) -> (IfName, Setting, u32) {
    (nic.name, Setting::Up, 1)
}
