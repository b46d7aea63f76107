//! The uplinks: they are there, and in bridged mode the NIC can be a port.

use crate::config::key::uplink;
use crate::model::facts::Unmovable;
use crate::model::{IfName, Link, Mode, Network, Uplink};
use crate::observed::Observed;
use crate::plan::Refusal;

/// The uplinks are there and can be what the mode makes of them.
pub(super) fn uplinks(network: &Network, observed: &Observed) -> Result<(), Refusal> {
    missing_uplinks(network, observed).next().map_or(Ok(()), Err)?;
    nic(network, observed)
}

pub(super) fn missing_uplinks(network: &Network, observed: &Observed) -> impl Iterator<Item = Refusal> {
    let names = match &network.uplink {
        Uplink::Named(names) if network.mode.forwards() || network.mode == Mode::Bridged => names.as_slice(),
        _ => &[],
    };
    let missing = names.iter().filter(|name| observed.facts.link(name).is_none());
    missing.map(|name| Refusal::NoUplink {
        name: *name,
        network: network.name.clone(),
        origin: network.origin(uplink::KEY.word).to_string(),
    })
}

/// In bridged mode, the NIC can be taken.
pub(super) fn nic(network: &Network, observed: &Observed) -> Result<(), Refusal> {
    if network.mode != Mode::Bridged {
        return Ok(());
    }
    let nic = observed.nic(network).ok_or(Refusal::NoDefaultRoute)?;
    bridgeable(nic, &network.bridge, observed)?;
    match observed.owner {
        Some(owner) if !network.take_managed => Err(Refusal::Managed { name: nic.name, owner }),
        _ => Ok(()),
    }
}

/// The NIC can be a port of `bridge`, and all that it has can be carried there.
pub fn bridgeable(nic: &Link, bridge: &IfName, observed: &Observed) -> Result<(), Refusal> {
    if nic.name == *bridge {
        return Ok(());
    }
    let bridge = observed.facts.link(bridge).map(|bridge| bridge.index);
    if let Some(master) = nic.master {
        if bridge == Some(master) {
            return Ok(());
        }
        let master = observed.facts.link_index(master);
        let kind = master.and_then(|master| master.kind.clone());
        let master = master.map_or("another interface".to_owned(), |master| master.name.to_string());
        return Err(Refusal::PortOfAnother { name: nic.name, master, kind });
    }
    let station = "it is a Wi-Fi station, which sends frames with no MAC but its own";
    let why = Some(station).filter(|_| observed.is_station && !nic.loopback).or(nic.unbridgeable());
    if let Some(why) = why {
        return Err(Refusal::Unbridgeable { name: nic.name, why });
    }
    let uncarriable = observed.facts.uncarriable.iter().find(|(name, _)| *name == nic.name);
    uncarriable.map_or(Ok(()), |(name, why)| {
        let what = match why {
            Unmovable::SpecialHop => "with a special next hop among several",
            Unmovable::NamelessHop => "with a next hop by an interface that cannot be named",
        };
        Err(Refusal::Unmovable { name: *name, what })
    })
}
