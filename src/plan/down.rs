//! A guest leaves, or a network goes.

use super::{Refusal, Step, check, undo};
use crate::model::{IfName, Link, Setting, TapMark};
use crate::observed::Observed;

/// The steps that take `tap` off its network, and every network away that has no guest any more.
///
/// A tap that is gone already is no error: its network is still swept.
pub fn down(tap: &IfName, observed: &Observed) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    if let Some(link) = observed.facts.link(tap) {
        check::tap(tap, observed)?;
        steps.extend(detach(link, observed));
    }
    steps.extend(sweep(observed));
    Ok(steps)
}

/// The steps that take away every network that nothing keeps.
pub fn sweep(observed: &Observed) -> Vec<Step> {
    undo::dead_networks(None, observed)
}

/// The steps that take the network of `bridge` away. With `force`, its guests lose it.
pub fn network_down(bridge: &IfName, force: bool, observed: &Observed) -> Result<Vec<Step>, Refusal> {
    let guests = observed.guests(bridge);
    if !guests.is_empty() && !force {
        let guests = guests.iter().map(|guest| guest.name).collect();
        return Err(Refusal::HasGuests { bridge: *bridge, guests });
    }
    let taps = guests.into_iter().filter(|guest| guest.is_tap());
    let mut steps: Vec<Step> = taps.flat_map(|tap| detach(tap, observed)).collect();
    steps.extend(sweep(observed));
    Ok(steps)
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
