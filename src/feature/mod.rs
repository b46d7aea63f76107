//! What a network can have: a room for each thing. It says which objects shall be, each in its phase, and what speaks against
//! it; the difference from what is there, and the way back, follow from that in `plan`.
//!
//! In: a [`Site`]. Out: [`Wanted`], [`Refusal`]s. Never: asks the kernel.

mod address;
mod auto_address;
mod bridge;
mod dhcp;
mod forwarding;
mod found;
mod guest_filter;
mod guest_identity;
mod host_if;
mod isolation;
mod need;
mod overrides;
mod port_forward;
mod port_isolation;
mod port_only;
mod refusal;
mod rules;
mod site;
mod takeover;
mod tap;
mod uplink;
mod wanted;

pub(crate) use address::intruders;
pub(crate) use auto_address::{choice_needs, resolved};
pub(crate) use dhcp::{domain as dhcp_domain, served};
pub(crate) use forwarding::{everywhere, uplinks};
pub(crate) use guest_filter::bounds_guests;
pub(crate) use host_if::is_pair;
pub(crate) use isolation::closes;
pub(crate) use need::recorded;
pub(crate) use port_forward::{has_former, leads_to_guests, mappings, question, stale};
pub use refusal::Refusal;
pub(crate) use rules::{accept_rules, tables};
pub(crate) use site::Site;
pub(crate) use takeover::{carried, give_back, neighbours};
pub(crate) use tap::{is_of_user, is_tap};
pub(crate) use uplink::bridgeable;
pub(crate) use wanted::{Guest, Nic, Object, Phase, Wanted};

use crate::desired::Desired;
use crate::model::{Mode, Need, Question};

/// One of them.
struct Feature {
    /// What it asks first, whatever there is.
    first: fn(&Desired) -> Vec<Question>,
    /// What it has to know, as far as that can be said yet: it is asked again with the answers, until nothing is open.
    needs: fn(&Site) -> Vec<Need>,
    /// All that speaks against it, found before anything is touched. A hook says the first.
    refuse: fn(&Site) -> Vec<Refusal>,
    /// What shall be.
    want: fn(&Site, &mut Wanted),
}

/// Asks nothing, speaks against nothing and wants nothing.
const PLAIN: Feature =
    Feature { first: |_| Vec::new(), needs: |_| Vec::new(), refuse: |_| Vec::new(), want: |_, _| {} };

/// All of them. Where several want something in one phase, it comes in this order.
static FEATURES: &[&Feature] = &[
    &tap::FEATURE,
    &bridge::FEATURE,
    &port_isolation::FEATURE,
    &overrides::FEATURE,
    &guest_identity::FEATURE,
    &uplink::FEATURE,
    &isolation::FEATURE,
    &host_if::FEATURE,
    &forwarding::FEATURE,
    &address::FEATURE,
    &takeover::FEATURE,
    &port_forward::FEATURE,
    &guest_filter::FEATURE,
];

/// Those of a network that only makes its guests ports of a bridge.
static OF_PORTS: &[&Feature] = &[
    &tap::FEATURE,
    &port_isolation::FEATURE,
    &guest_identity::FEATURE,
    &guest_filter::FEATURE,
    &port_only::FEATURE,
];

fn of(desired: &Desired) -> impl Iterator<Item = &'static Feature> {
    let all = if desired.network.is_port_only() { OF_PORTS } else { FEATURES };
    all.iter().copied()
}

/// What all of them ask first.
pub(crate) fn first(desired: &Desired) -> Vec<Question> {
    of(desired).flat_map(|feature| (feature.first)(desired)).collect()
}

/// What they have to know next, and what is on record.
pub(crate) fn needs(site: &Site) -> Vec<Need> {
    let needs = of(site.desired).flat_map(|feature| (feature.needs)(site));
    needs.chain(need::of(need::recorded(site.old.into_iter(), &site.observed.facts))).collect()
}

/// All that shall be.
pub(crate) fn wanted(site: &Site) -> Wanted {
    let mut wanted = Wanted::default();
    of(site.desired).for_each(|feature| (feature.want)(site, &mut wanted));
    wanted
}

/// What speaks against it.
pub(crate) fn check(site: &Site) -> Result<(), Refusal> {
    if !site.observed.has_nft() && site.desired.network.mode != Mode::Bridged {
        return Err(Refusal::NoNft(site.desired.network.mode));
    }
    let mut refusals = of(site.desired).flat_map(|feature| (feature.refuse)(site));
    refusals.next().map_or(Ok(()), Err)
}

/// All that speaks against a network. Addresses that the host has there already are looked at as well: a route that collides
/// may have come later.
pub(crate) fn refusals(site: &Site) -> Vec<Refusal> {
    let refusals = of(site.desired).flat_map(|feature| (feature.refuse)(site));
    refusals.chain(address::collisions(site)).collect()
}
