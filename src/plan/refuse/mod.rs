//! What speaks against bringing a guest up, found before anything is touched: a file for each thing that can.

mod address;
mod bridge;
mod overrides;
pub(super) mod tap;
mod uplink;
mod veth;

pub use address::collides;
pub use uplink::bridgeable;

use super::Refusal;
use crate::desired::Desired;
use crate::model::Mode;
use crate::observed::Observed;

/// Checks everything.
pub fn check(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    desired.tap.map_or(Ok(()), |name| tap::tap(&name, observed))?;
    let network = &desired.network;
    if !observed.has_nft() && network.mode != Mode::Bridged {
        return Err(Refusal::NoNft(network.mode));
    }
    desired.tap.map_or(Ok(()), |name| tap::of_another(&name, network, observed))?;
    desired.tap.map_or(Ok(()), |name| tap::unused_by_the_host(&name, observed))?;
    bridge::bridge(network, observed)?;
    overrides::overrides(desired, observed)?;
    uplink::uplinks(network, observed)?;
    veth::veth(desired, observed)?;
    address::addresses(desired, observed)
}

/// All that speaks against a network, whatever the tap. Addresses that the host has there already are looked at as well:
/// a route that collides may have come later.
pub fn network(desired: &Desired, observed: &Observed) -> Vec<Refusal> {
    let network = &desired.network;
    let mut refusals: Vec<Refusal> = uplink::missing_uplinks(network, observed).collect();
    if refusals.is_empty() {
        refusals.extend(uplink::nic(network, observed).err());
    }
    let others = [
        bridge::bridge(network, observed),
        overrides::overrides(desired, observed),
        veth::veth(desired, observed),
    ];
    let addresses = network.addresses.iter().map(|net| address::address(net, desired, observed));
    refusals.extend(others.into_iter().chain(addresses).filter_map(Result::err));
    refusals
}
