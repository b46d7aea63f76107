//! A guest leaves, or a network goes.

use super::{Plan, Refusal, Transaction, refuse, undo};
use crate::item::{LinkChange, PortChange, Step};
use crate::model::{IfName, Link, Setting, TapRecord};
use crate::observed::Observed;

/// Takes `tap` off its network, and every network away that has no guest any more. Its own goes with it, or it stays.
///
/// A tap that is gone already is not an error: its network is still swept.
pub fn down(tap: &IfName, observed: &Observed) -> Result<Plan, Refusal> {
    let Some(link) = observed.facts.link(tap) else {
        let mut plan = Plan::default();
        plan.extend(sweep(&[], observed));
        return Ok(plan);
    };
    refuse::tap::tap(tap, observed)?;
    let bridge = link.master.and_then(|master| observed.facts.link_index(master)).map(|bridge| bridge.name);
    let swept = sweep(&[], observed);
    Ok(leave(format!("detach {tap}"), take_off(link, observed), bridge, swept))
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
    undo::unused_networks(staying, None, observed)
}

/// Takes the network of `bridge` away, kept or not. With `force`, its guests lose it.
pub fn network_down(bridge: &IfName, force: bool, observed: &Observed) -> Result<Plan, Refusal> {
    let guests = observed.guests(bridge);
    if !guests.is_empty() && !force {
        let guests = guests.iter().map(|guest| guest.name).collect();
        return Err(Refusal::HasGuests { bridge: *bridge, guests });
    }
    let taps = guests.into_iter().filter(|guest| guest.is_tap());
    let steps = taps.flat_map(|tap| take_off(tap, observed)).collect();
    let swept = undo::unused_networks(&[], Some(bridge), observed);
    Ok(leave(format!("take {bridge} down"), steps, Some(*bridge), swept))
}

/// Down and off the bridge; the tap gets back what it had.
fn take_off(tap: &Link, observed: &Observed) -> Vec<Step> {
    let name = &tap.name;
    let record = TapRecord::parse(&tap.alias);
    let bridge = tap.master.and_then(|master| observed.facts.link_index(master)).map(|bridge| bridge.name);
    let is_ours =
        |bridge| observed.network(bridge).is_some_and(|network| network.ledger_of_bridge().is_some());
    if record.is_none() && !bridge.as_ref().is_some_and(is_ours) {
        // Somebody else's port, or nobody's.
        return Vec::new();
    }
    let mut steps = Vec::new();
    // Down first: a tap that is up and on no bridge is an interface of the host's like any other.
    if tap.up {
        steps.push(Step::put_back(*name, Setting::Up, 1, 0));
    }
    if let Some(bridge) = bridge {
        steps.push(PortChange { port: *name, from: Some(bridge), to: None }.into());
    }
    let Some(record) = record else { return steps };
    let mut set = |setting, from: Option<u32>, to| match from {
        Some(from) if from != to => steps.push(Step::put_back(*name, setting, from, to)),
        _ => {}
    };
    for (setting, before) in record.changed.into_iter().rev() {
        set(setting, observed.value(name, setting), before);
    }
    if let (Some(from), Some(to)) = (tap.mac.filter(|now| Some(*now) != record.mac), record.mac) {
        steps.push(LinkChange::Mac { link: *name, from, to }.into());
    }
    steps.push(LinkChange::Alias { link: *name, from: tap.alias.clone(), to: record.alias }.into());
    steps
}
