//! The guest's tap.

use super::address::is_link_local;
use crate::model::{IfName, Link, Network, TapRecord};
use crate::observed::Observed;
use crate::plan::Refusal;

/// The tap is one.
pub fn tap(name: &IfName, observed: &Observed) -> Result<(), Refusal> {
    let tap = observed.facts.link(name).ok_or(Refusal::NoTap(*name))?;
    if tap.is_tap() {
        return Ok(());
    }
    Err(Refusal::NotATap { name: *name, kind: tap.kind.clone() })
}

/// The host has no address on the tap: one that is a port has no use for it, and would lose it.
pub(super) fn unused_by_the_host(tap: &IfName, observed: &Observed) -> Result<(), Refusal> {
    let link = observed.facts.link(tap).filter(|tap| TapRecord::parse(&tap.alias).is_none());
    let addresses = link.map(|link| observed.facts.addresses_of(link.index)).unwrap_or_default();
    match addresses.iter().find(|address| !is_link_local(&address.net)) {
        Some(address) => Err(Refusal::TapHasAddress { tap: *tap, address: address.net }),
        None => Ok(()),
    }
}

/// The tap is nobody else's port. From one network of kvmnet's to another it may go, and one that kvmnet attached and
/// another hand moved comes back.
pub(super) fn of_another(tap: &IfName, network: &Network, observed: &Observed) -> Result<(), Refusal> {
    let link = observed.facts.link(tap).filter(|tap| TapRecord::parse(&tap.alias).is_none());
    let Some(master) = link.and_then(|tap| tap.master) else { return Ok(()) };
    let on = observed.facts.link_index(master);
    let is_ours = |on: &Link| {
        on.name == network.bridge
            || observed.network(&on.name).is_some_and(|instance| instance.ledger_of_bridge().is_some())
    };
    if on.is_some_and(is_ours) {
        return Ok(());
    }
    let on = on.map_or_else(|| "another interface".to_owned(), |on| on.name.to_string());
    Err(Refusal::TapOfAnother { tap: *tap, on })
}
