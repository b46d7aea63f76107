//! A guest leaves.

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
    steps.extend(undo::dead_networks(None, observed));
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
