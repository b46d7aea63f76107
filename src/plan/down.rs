//! A guest leaves, or a network goes.

use super::{Plan, Refusal, Step, Transaction, check, undo};
use crate::model::{IfName, Link, Setting, TapMark};
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
    check::tap(tap, observed)?;
    let bridge = link.master.and_then(|master| observed.facts.link_index(master)).map(|bridge| bridge.name);
    Ok(leave(format!("detach {tap}"), detach(link, observed), bridge, observed))
}

/// Does `steps`, and takes the network of `bridge` down if nothing keeps it, or neither. Then sweeps the others.
fn leave(title: String, mut steps: Vec<Step>, bridge: Option<IfName>, observed: &Observed) -> Plan {
    let (own, others): (Vec<Transaction>, Vec<Transaction>) =
        sweep(&[], observed).into_iter().partition(|one| bridge.is_some() && one.cleans == bridge);
    steps.extend(own.into_iter().flat_map(|one| one.steps));
    let mut plan = Plan::default();
    plan.must(title, steps);
    plan.extend(others);
    plan
}

/// Takes away every network that nothing keeps, except those of the bridges `staying`.
pub fn sweep(staying: &[IfName], observed: &Observed) -> Vec<Transaction> {
    undo::unused_networks(staying, observed)
}

/// Takes the network of `bridge` away. With `force`, its guests lose it.
pub fn network_down(bridge: &IfName, force: bool, observed: &Observed) -> Result<Plan, Refusal> {
    let guests = observed.guests(bridge);
    if !guests.is_empty() && !force {
        let guests = guests.iter().map(|guest| guest.name).collect();
        return Err(Refusal::HasGuests { bridge: *bridge, guests });
    }
    let taps = guests.into_iter().filter(|guest| guest.is_tap());
    let steps = taps.flat_map(|tap| detach(tap, observed)).collect();
    Ok(leave(format!("take {bridge} down"), steps, Some(*bridge), observed))
}

/// Off the bridge and down; a tap that outlives its guest gets back what it had.
fn detach(tap: &Link, observed: &Observed) -> Vec<Step> {
    let name = &tap.name;
    let mut steps = Vec::new();
    if let Some(bridge) = tap.master.and_then(|master| observed.facts.link_index(master)) {
        steps.push(Step::SetMaster { port: *name, from: Some(bridge.name), to: None });
    }
    let mut set = |setting, from: Option<u32>, to| match from {
        Some(from) if from != to => steps.push(Step::Set { link: *name, setting, from, to }),
        _ => {}
    };
    set(Setting::Up, Some(u32::from(tap.up)), 0);
    let Some(mark) = TapMark::parse(&tap.alias) else { return steps };
    if let Some(mtu) = mark.mtu {
        set(Setting::Mtu, Some(tap.mtu), mtu);
    }
    if let Some(mode) = mark.addr_gen {
        set(Setting::AddrGen, tap.addr_gen.map(|now| u32::from(now.0)), mode);
    }
    steps.push(Step::SetAlias { link: *name, from: tap.alias.clone(), to: mark.alias });
    steps
}
