//! Networks without regard to single guests: `kvmnet up`, `kvmnet down` and `kvmnet gc`.

use super::{Done, OnStep, Run, beyond, require_rights};
use crate::apply::Kernel;
use crate::config::{self, Environment};
use crate::desired::Desired;
use crate::error::Error;
use crate::firewalld;
use crate::model::{IfName, Network};
use crate::observed::Observed;
use crate::plan::{self, Plan};
use crate::signals;

/// Brings the network `name` up. It stays, with guests or without, until [`network_down`].
pub fn network_up(name: &str, seen: OnStep) -> Result<Done, Error> {
    require_rights()?;
    let desired = Desired { held: true, ..Desired::without_guest(configured(name)?) };
    let brought = Run::begin()?.bring_up(&desired, seen)?;
    let Network { bridge, name, mode, .. } = &desired.network;
    let done = Done::brought(format_args!("{name} ({mode}) is up on {bridge}"), brought);
    let is_new = done.changed;
    Ok(done.with_firewalld(is_new))
}

/// The network of this name, as file and environment say.
fn configured(name: &str) -> Result<Network, Error> {
    let file = config::open(&Environment::of_process()).map_err(Error::Config)?;
    if !file.names().any(|known| known == name) {
        let known: Vec<String> = file.names().map(str::to_owned).collect();
        let absent = file.path().is_none().then(|| file.would_be_at());
        return Err(Error::unknown_network(name, &known, absent));
    }
    file.effective(name).map_err(Error::Config)
}

/// Takes the network `name` down, or that of the bridge `name`; with `force`, also from under its guests. Needs no
/// configuration for one that stands.
pub fn network_down(name: &str, force: bool, seen: OnStep) -> Result<Done, Error> {
    require_rights()?;
    let mut run = Run::begin()?;
    let observed = run.observe(|Kernel { rtnl, nft }| Observed::of_networks(nft.as_mut(), rtnl))?;
    let Some(bridge) = bridge_of(name, &observed)? else {
        configured(name)?;
        return Ok(Done::nothing(format!("{name} is not up, nothing to do")));
    };
    let observed =
        run.observe(|Kernel { rtnl, nft }| Observed::for_network_down(nft.as_mut(), rtnl, &bridge))?;
    let plan = plan::network_down(&bridge, force, &observed)?;
    let mut left = run.apply(&observed.facts, &plan, seen)?;
    left.extend(beyond(&observed));
    run.end();
    Ok(Done::new(format_args!("{name} is down"), &plan, left).with_firewalld(!plan.is_empty()))
}

/// The bridge of a network that stands. An override with a bridge of its own makes a second one of the same name.
fn bridge_of(name: &str, observed: &Observed) -> Result<Option<IfName>, Error> {
    let networks = || observed.networks.iter().filter_map(|one| Some((one.bridge, one.ledger.as_ref()?)));
    let mut bridges: Vec<IfName> =
        networks().filter(|(_, ledger)| ledger.network == name).map(|(bridge, _)| bridge).collect();
    bridges.sort_unstable();
    match bridges[..] {
        [] => Ok(networks().map(|(bridge, _)| bridge).find(|bridge| bridge.as_str() == name)),
        [bridge] => Ok(Some(bridge)),
        _ => Err(Error::SeveralNetworks { name: name.to_owned(), bridges }),
    }
}

/// Has firewalld know the networks of now.
pub fn firewalld() -> Result<Done, Error> {
    require_rights()?;
    signals::start_deadline().map_err(Error::system("set a timer"))?;
    firewalld::settle(true)?;
    Ok(Done::nothing("firewalld knows the networks".to_owned()))
}

/// Takes away every network that nothing keeps: what guests that were killed left.
pub fn sweep(seen: OnStep) -> Result<Done, Error> {
    require_rights()?;
    let mut run = Run::begin()?;
    let observed = run.observe(|Kernel { rtnl, nft }| Observed::for_sweep(nft.as_mut(), rtnl))?;
    let mut plan = Plan::default();
    plan.extend(plan::sweep(&[], &observed));
    plan.extend(plan::sweep_ports(&observed));
    plan.extend(plan::sweep_accept_rules(&observed));
    let mut left = run.apply(&observed.facts, &plan, seen)?;
    left.extend(beyond(&observed));
    run.serve(observed.networks.iter().filter(|instance| !instance.is_unused()));
    run.end();
    Ok(Done::new("swept", &plan, left).with_firewalld(!plan.is_empty()))
}
