//! Networks without regard to single guests: `kvmnet up`, `kvmnet down` and `kvmnet gc`.

use super::{Done, Seen, Work, require_rights};
use crate::apply::Kernel;
use crate::config::{self, Environment};
use crate::desired::Desired;
use crate::error::Error;
use crate::model::{IfName, Network};
use crate::observed::Observed;
use crate::plan::{self, Plan};

/// Brings the network `name` up. It stays, with guests or without, until [`network_down`].
pub fn network_up(name: &str, seen: Seen) -> Result<Done, Error> {
    require_rights()?;
    let environment = Environment::of_process();
    let network = config::open(&environment)
        .and_then(|file| file.network(name, &environment))
        .map_err(Error::Config)?;
    let desired = Desired { held: true, ..Desired::without_guest(network) };
    let (plan, left) = Work::begin()?.bring_up(&desired, seen)?;
    let Network { bridge, name, mode, .. } = &desired.network;
    Ok(Done::new(format_args!("{name} ({mode}) is up on {bridge}"), &plan, left))
}

/// Takes the network `name` down; with `force`, also from under its guests. Needs no configuration for one that
/// stands.
pub fn network_down(name: &str, force: bool, seen: Seen) -> Result<Done, Error> {
    require_rights()?;
    let mut work = Work::begin()?;
    let observed = work.observe(|Kernel { rtnl, nft }| Observed::of_networks(nft.as_mut(), rtnl))?;
    let Some(bridge) = bridge_of(name, &observed) else {
        let environment = Environment::of_process();
        let file = config::open(&environment).map_err(Error::Config)?;
        file.network(name, &environment).map_err(Error::Config)?;
        return Ok(Done::nothing(format!("{name} is not up, nothing to do")));
    };
    let observed =
        work.observe(|Kernel { rtnl, nft }| Observed::for_network_down(nft.as_mut(), rtnl, &bridge))?;
    let plan = plan::network_down(&bridge, force, &observed)?;
    let left = work.apply(&observed.facts, &plan, seen)?;
    Ok(Done::new(format_args!("{name} is down"), &plan, left))
}

/// The bridge of a network that stands.
fn bridge_of(name: &str, observed: &Observed) -> Option<IfName> {
    let is_it = |mark: &crate::model::Mark| mark.network == name;
    observed.networks.iter().find(|standing| standing.mark.as_ref().is_some_and(is_it)).map(|s| s.bridge)
}

/// Takes away every network that nothing keeps: what guests that were killed left.
pub fn sweep(seen: Seen) -> Result<Done, Error> {
    require_rights()?;
    let mut work = Work::begin()?;
    let observed = work.observe(|Kernel { rtnl, nft }| Observed::for_sweep(nft.as_mut(), rtnl))?;
    let mut plan = Plan::default();
    plan.extend(plan::sweep(&[], &observed));
    let left = work.apply(&observed.facts, &plan, seen)?;
    Ok(Done::new("swept", &plan, left))
}
