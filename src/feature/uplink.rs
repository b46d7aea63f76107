//! The uplinks: they are there, and in bridged mode the NIC can be a port.

use super::need;
use super::{Feature, PLAIN, Refusal, Site};
use crate::config::key::uplink;
use crate::desired::Desired;
use crate::model::facts::Unmovable;
use crate::model::{IfName, Link, Mode, Need, Network, Question, Uplink};
use crate::observed::Observed;

pub(super) static FEATURE: Feature = Feature { first, needs, refuse, ..PLAIN };

fn first(desired: &Desired) -> Vec<Question> {
    named(&desired.network).iter().copied().map(Question::Link).collect()
}

/// What the uplinks are ports of, and what the default routes go over, as far as they are known.
fn needs(site: &Site) -> Vec<Need> {
    let facts = &site.observed.facts;
    let masters = named(&site.desired.network).iter().filter_map(|name| facts.link(name)?.master);
    need::of(masters.chain(site.observed.default_devices(None)).map(Question::LinkIndex))
}

/// The uplinks by name, where the mode has any.
fn named(network: &Network) -> &[IfName] {
    match &network.uplink {
        Uplink::Named(names) if network.mode.forwards() || network.mode == Mode::Bridged => names,
        _ => &[],
    }
}

/// The uplinks are there and can be what the mode makes of them.
fn refuse(site: &Site) -> Vec<Refusal> {
    let missing = missing(&site.desired.network, site.observed);
    if missing.is_empty() { nic(site).err().into_iter().collect() } else { missing }
}

fn missing(network: &Network, observed: &Observed) -> Vec<Refusal> {
    let missing = named(network).iter().filter(|name| observed.facts.link(name).is_none());
    let refusal = |name: &IfName| Refusal::NoUplink {
        name: *name,
        network: network.name.clone(),
        origin: network.origin(uplink::KEY.word).to_string(),
    };
    missing.map(refusal).collect()
}

/// In bridged mode, the NIC can be taken.
fn nic(site: &Site) -> Result<(), Refusal> {
    let (network, observed) = (&site.desired.network, site.observed);
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
pub(crate) fn bridgeable(nic: &Link, bridge: &IfName, observed: &Observed) -> Result<(), Refusal> {
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
    let why = Some(station)
        .filter(|_| observed.stations.contains(&nic.index) && !nic.loopback)
        .or(nic.unbridgeable());
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
