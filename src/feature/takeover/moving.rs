//! A NIC becomes a port of the bridge, and what it has moves there; or back.
//!
//! Make before break: all that is new is there and acknowledged before anything old goes. In between, packets
//! for the NIC's MAC come up on the bridge and are taken, and packets out still leave by the NIC.

use ipnet::IpNet;

use super::carry::{Migration, carry};
use crate::item::{AddressChange, NeighbourChange, RouteChange, Step, Wait};
use crate::model::address::{FOREVER, PROTOCOL_LINK_LOCAL};
use crate::model::{IfName, Ledger, Link, Mac, Setting};
use crate::observed::Observed;
use crate::switch;

/// Makes `nic` a port of `bridge`, which is up, and moves there what the NIC has.
///
/// With `endless`, IPv4 addresses arrive without an end: their owner does not know of the bridge and renews nothing. From
/// `identity` on the bridge makes IPv6 addresses as the NIC did; before its own have come it would make them once more.
pub(crate) fn take(
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
        steps.push(switch::attach(nic.name, None, *bridge));
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
pub(crate) fn with_loose_rp_filter(
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

/// Moves back to the NIC what the bridge has, and takes the NIC off. What the bridge had itself stays.
pub(crate) fn give_back(ledger: &Ledger, bridge: &IfName, observed: &Observed) -> Vec<Step> {
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
        migration.detect.retain(|step| !needs_up(step));
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
        steps.push(switch::detach(nic.name, *bridge));
    }
    steps.extend(rest);
    if !detect.is_empty() {
        steps.push(Step::BARRIER);
        steps.extend(detect);
    }
    let kept = observed.value(bridge, Setting::RpFilter).unwrap_or_default();
    with_loose_rp_filter(bridge, kept, observed, steps)
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
