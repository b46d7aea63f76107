//! What a network can have: a room for each thing. It says which objects shall be, each in its phase, and what speaks against
//! it; the difference from what is there, and the way back, follow from that in `plan`.
//!
//! In: a [`Site`]. Out: [`Wanted`], [`Refusal`]s. Never: asks the kernel.

mod address;
mod bridge;
mod forwarding;
mod found;
mod host_if;
mod isolation;
mod overrides;
mod rules;
mod site;
mod takeover;
mod tap;
mod uplink;
mod wanted;

pub(crate) use address::collides;
pub(crate) use forwarding::{everywhere, uplinks};
pub(crate) use host_if::is_pair;
pub(crate) use isolation::closes;
pub(crate) use rules::{accept_rules, tables};
pub(crate) use site::Site;
pub(crate) use takeover::give_back;
pub(crate) use tap::is_tap;
pub(crate) use uplink::bridgeable;
pub(crate) use wanted::{Guest, Nic, Object, Phase, Wanted};

use crate::model::Mode;
use crate::plan::Refusal;

/// One of them.
struct Feature {
    /// All that speaks against it, found before anything is touched. A hook says the first.
    refuse: fn(&Site) -> Vec<Refusal>,
    /// What shall be.
    want: fn(&Site, &mut Wanted),
}

/// Speaks against nothing and wants nothing.
const PLAIN: Feature = Feature { refuse: |_| Vec::new(), want: |_, _| {} };

/// All of them. Where several want something in one phase, it comes in this order.
static FEATURES: [&Feature; 9] = [
    &tap::FEATURE,
    &bridge::FEATURE,
    &overrides::FEATURE,
    &uplink::FEATURE,
    &isolation::FEATURE,
    &host_if::FEATURE,
    &forwarding::FEATURE,
    &address::FEATURE,
    &takeover::FEATURE,
];

/// All that shall be.
pub(crate) fn wanted(site: &Site) -> Wanted {
    let mut wanted = Wanted::default();
    FEATURES.iter().for_each(|feature| (feature.want)(site, &mut wanted));
    wanted
}

/// What speaks against it.
pub(crate) fn check(site: &Site) -> Result<(), Refusal> {
    if !site.observed.has_nft() && site.desired.network.mode != Mode::Bridged {
        return Err(Refusal::NoNft(site.desired.network.mode));
    }
    let mut refusals = FEATURES.iter().flat_map(|feature| (feature.refuse)(site));
    refusals.next().map_or(Ok(()), Err)
}

/// All that speaks against a network. Addresses that the host has there already are looked at as well: a route that collides
/// may have come later.
pub(crate) fn refusals(site: &Site) -> Vec<Refusal> {
    let refusals = FEATURES.iter().flat_map(|feature| (feature.refuse)(site));
    refusals.chain(address::collisions(site)).collect()
}
