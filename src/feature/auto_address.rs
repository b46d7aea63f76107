//! `address = "auto"`: the host's addresses are chosen when the network comes up, and stay as long as it does.

use std::borrow::Cow;

use ipnet::IpNet;

use super::{Refusal, Site, need};
use crate::desired::Desired;
use crate::model::{Ledger, Need, Network, Question, Setting};
use crate::observed::{Instance, Observed};
use crate::subnet::{self, Candidate};

/// What has to be known to choose; nothing where nothing is to be chosen.
pub(crate) fn choice_needs(desired: &Desired, observed: &Observed) -> Vec<Need> {
    let site = Site::new(desired, observed);
    let Open { v4, v6 } = Open::of(&site);
    let mut needs = Vec::new();
    if v4 {
        needs.extend(need::of([Question::Own, ways(false)]));
    }
    if v6 {
        needs.extend([ways(true).into(), Need::GlobalId, Need::ReadOnlySys]);
    }
    needs
}

/// The routes that can be in the way of any choice.
pub(super) fn ways(v6: bool) -> Question {
    let nets = if v6 { vec![subnet::POOL6.into()] } else { subnet::POOL.map(IpNet::V4).into() };
    Question::Ways { v6, nets }
}

/// The same with its addresses.
pub(crate) fn resolved<'a>(desired: &'a Desired, observed: &Observed) -> Result<Cow<'a, Desired>, Refusal> {
    if !desired.network.auto_address {
        return Ok(Cow::Borrowed(desired));
    }
    let site = Site::new(desired, observed);
    let Open { v4, v6 } = Open::of(&site);
    let mut addresses = kept(&site).to_vec();
    if v4 {
        addresses.insert(
            0,
            choose_v4(&site).ok_or(Refusal::NoFreeSubnet { network: desired.network.name.clone() })?,
        );
    }
    // Without a free one, or where it could not be forwarded, there is no IPv6.
    let forwards = desired.network.mode.forwards();
    if v6 && !(forwards && observed.is_proc_fixed) {
        addresses.extend(choose_v6(&site));
    }
    let network = Network { addresses, ..desired.network.clone() };
    Ok(Cow::Owned(Desired { network, ..desired.clone() }))
}

/// The families of which a network that chooses has no address yet.
struct Open {
    v4: bool,
    v6: bool,
}

impl Open {
    fn of(site: &Site) -> Self {
        let network = &site.desired.network;
        let kept = kept(site);
        let is_settled = !kept.is_empty() && site.old.is_some_and(|old| old.digest == network.digest);
        let chooses = network.auto_address && network.mode.has_host_address() && !is_settled;
        let has = |v6: bool| kept.iter().any(|net| net.addr().is_ipv6() == v6);
        Self { v4: chooses && !has(false), v6: chooses && !has(true) && takes_ipv6(site) }
    }
}

/// What the network has on record: it stays while the network stands, whatever else comes.
fn kept<'a>(site: &Site<'a>) -> &'a [IpNet] {
    let ledger = site.instance.and_then(Instance::ledger_of_bridge);
    ledger.map(|ledger| ledger.addresses.as_slice()).unwrap_or_default()
}

/// Whether the kernel takes an IPv6 address on the host's interface. One that kvmnet closed takes none until it opens again.
fn takes_ipv6(site: &Site) -> bool {
    let is_open = !site.old.is_some_and(Ledger::is_closed);
    let there = site.observed.value(site.desired.host_if(), Setting::DisableIpv6).filter(|_| is_open);
    there.or_else(|| site.new_value(Setting::DisableIpv6)) == Some(0)
}

fn choose_v4(site: &Site) -> Option<IpNet> {
    // That of a network whose bridge somebody deleted comes first.
    let former = site.old.iter().flat_map(|old| &old.addresses).copied().filter(|net| net.addr().is_ipv4());
    let candidates = subnet::of_network(&site.desired.network.name).into_iter();
    former.chain(candidates.map(|one| one.v4.into())).find(|net| is_free(net, site) && is_own(net, site))
}

fn choose_v6(site: &Site) -> Option<IpNet> {
    let id = site.observed.global_id.unwrap_or(subnet::global_id(None));
    let candidates = subnet::of_network(&site.desired.network.name).into_iter();
    let own = candidates.filter(|Candidate { v4, .. }| is_own(&(*v4).into(), site));
    own.map(|one| one.v6(id).into()).find(|net| is_free(net, site) && is_own(net, site))
}

/// Whether it is not left to another network of the configuration.
fn is_own(net: &IpNet, site: &Site) -> bool {
    !site.desired.network.left_to_others.iter().any(|other| subnet::overlap(net, other))
}

/// Whether no route leads there, nor another network that stands has it, up or down.
fn is_free(net: &IpNet, site: &Site) -> bool {
    let Site { desired, observed, .. } = site;
    let names = [&desired.network.bridge, desired.host_if()];
    let own: Vec<u32> =
        names.iter().filter_map(|name| observed.facts.link(name)).map(|link| link.index).collect();
    let others = observed.networks.iter().filter(|other| other.bridge != desired.network.bridge);
    let mut given = others.filter_map(|other| other.ledger.as_ref()).flat_map(|ledger| &ledger.addresses);
    let ways =
        observed.facts.ways.iter().filter(|way| !way.devices.iter().any(|device| own.contains(device)));
    !given.any(|other| subnet::overlap(net, other))
        && !ways.into_iter().any(|way| subnet::is_in_the_way(way, net))
}
