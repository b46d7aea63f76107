//! A guest leaves, or a network goes.

use super::difference::undo;
use super::{Plan, Refusal, Transaction, guest, port_mappings};
use crate::feature;
use crate::item::Step;
use crate::model::{IfName, Ledger};
use crate::observed::{Instance, Observed};

/// Takes `tap` off its network, and every network away that has no guest any more. Its own goes with it, or it stays.
///
/// A tap that is gone already is not an error: its network is still swept.
pub fn down(tap: &IfName, observed: &Observed) -> Result<Plan, Refusal> {
    let Some(link) = observed.facts.link(tap) else {
        let mut plan = Plan::default();
        plan.extend(sweep(&[], observed));
        plan.extend(port_mappings::sweep(observed));
        return Ok(plan);
    };
    feature::is_tap(tap, observed)?;
    let bridge = link.master.and_then(|master| observed.facts.link_index(master)).map(|bridge| bridge.name);
    let swept = sweep(&[], observed);
    Ok(leave(format!("detach {tap}"), guest::detach(link, observed), bridge, swept))
}

/// Does `steps`, and takes the network of `bridge` down if nothing keeps it, or neither. Then sweeps the others.
fn leave(title: String, mut steps: Vec<Step>, bridge: Option<IfName>, swept: Vec<Transaction>) -> Plan {
    let (own, others): (Vec<Transaction>, Vec<Transaction>) =
        swept.into_iter().partition(|one| bridge.is_some() && one.cleans == bridge);
    steps.extend(own.into_iter().flat_map(|one| one.steps));
    let mut plan = Plan::default();
    plan.must(title, steps);
    plan.extend(others);
    plan
}

/// Takes away every network that nothing keeps, except those of the bridges `staying`.
pub fn sweep(staying: &[IfName], observed: &Observed) -> Vec<Transaction> {
    unused_networks(staying, None, observed)
}

/// Takes the network of `bridge` away, kept or not. With `force`, its guests lose it.
pub fn network_down(bridge: &IfName, force: bool, observed: &Observed) -> Result<Plan, Refusal> {
    let guests = observed.guests(bridge);
    if !guests.is_empty() && !force {
        let guests = guests.iter().map(|guest| guest.name).collect();
        return Err(Refusal::HasGuests { bridge: *bridge, guests });
    }
    let taps = guests.into_iter().filter(|guest| guest.is_tap());
    let steps = taps.flat_map(|tap| guest::detach(tap, observed)).collect();
    let swept = unused_networks(&[], Some(bridge), observed);
    Ok(leave(format!("take {bridge} down"), steps, Some(*bridge), swept))
}

/// Takes away the network of `bridge`, if nothing keeps it, when another one with this record has been brought up.
pub(super) fn unused_network(bridge: &IfName, ledger: &Ledger, observed: &Observed) -> Vec<Transaction> {
    let instance = observed.network(bridge).filter(|instance| instance.is_unused());
    let Some(instance) = instance else { return Vec::new() };
    let others = observed.networks.iter().filter(|other| other.bridge != *bridge);
    let others: Vec<&Ledger> = others.filter_map(|other| other.ledger.as_ref()).chain([ledger]).collect();
    undo(instance, &others, observed)
}

/// Takes away every network that nothing keeps, except those of the bridges `staying`; and the one of `ending`, whoever is
/// on it.
fn unused_networks(staying: &[IfName], ending: Option<&IfName>, observed: &Observed) -> Vec<Transaction> {
    let mut ledgers: Vec<(&IfName, &Ledger)> = observed
        .networks
        .iter()
        .filter_map(|instance| Some((&instance.bridge, instance.ledger.as_ref()?)))
        .collect();
    let mut transactions = Vec::new();
    let goes = |instance: &&Instance| instance.is_unused() || ending == Some(&instance.bridge);
    let unused = observed.networks.iter().filter(goes);
    for instance in unused.filter(|instance| !staying.contains(&instance.bridge)) {
        // One that is taken away no longer needs what another one opened, too.
        ledgers.retain(|(bridge, _)| **bridge != instance.bridge);
        let others: Vec<&Ledger> = ledgers.iter().map(|(_, ledger)| *ledger).collect();
        transactions.extend(undo(instance, &others, observed));
    }
    transactions
}
