//! Who the guest is: its name, the MACs of its NICs on the tap, the addresses that are kept for it. And that no other guest of
//! its network has these MACs and addresses while it runs: each is another name of the tap ([`Claim`]).
//!
//! What the configuration says wins over what the command line of the VM says, and that over what is on the tap's record.

mod choice;
mod tenant;

use std::net::IpAddr;

use choice::{Choice, choice};

use super::{Feature, PLAIN, Refusal, Site, Wanted, guest_filter, port_forward};
use crate::desired::Teller;
use crate::model::{Claim, GuestIdentity, Link, Mac, Need, Own, Question, TapRecord};
use crate::vmm;

pub(super) static FEATURE: Feature = Feature { needs, refuse, want, ..PLAIN };

/// The VM's command line, and who has what this guest shall have.
fn needs(site: &Site) -> Vec<Need> {
    let Some(tap) = known_tap(site) else { return Vec::new() };
    if asks_starter(site, tap) && !site.observed.has_met(&Need::Starter) {
        return vec![Need::Starter];
    }
    let is_new = |claim: &Claim| !tap.claims().any(|own| own == *claim);
    let claims: Vec<Claim> = claims(site).filter(is_new).collect();
    let others = claims.iter().filter_map(|claim| other_claimant(site, claim));
    let others: Vec<Need> = others.map(|other| Need::SameVm(other.name)).collect();
    let chosen = match choice(site, &identity(site)) {
        Choice::Asks(need) => Some(need),
        _ => None,
    };
    claims
        .into_iter()
        .map(|claim| Question::Claim(claim).into())
        .chain(others)
        .chain(chosen)
        .chain(tenant::needs(site, tap))
        .collect()
}

/// The guest's tap, where its network has a use for who the guest is.
fn known_tap<'a>(site: &Site<'a>) -> Option<&'a Link> {
    let network = &site.desired.network;
    let is_told = || {
        site.serves_dhcp()
            || !network.guest_macs.is_empty()
            || !network.guest_addresses.is_empty()
            || !port_forward::forwards(site).is_empty()
    };
    let is_used = network.mode.has_host_address() && is_told() || guest_filter::filtering(site).is_on;
    site.desired
        .tap
        .filter(|_| is_used)
        .and_then(|tap| site.observed.facts.link(&tap))
        .filter(|tap| tap.is_tap())
}

/// Whether the process that started this hook may know more than the tap's record: it is new here, or another VM may have it.
fn asks_starter(site: &Site, tap: &Link) -> bool {
    let record = TapRecord::parse(&tap.alias);
    let is_new = record.is_none_or(|record| record.bridge != Some(site.desired.network.bridge));
    site.desired.teller == Teller::Starter && (is_new || tap.is_persistent())
}

/// What the command line of the VM says.
fn told(site: &Site) -> GuestIdentity {
    match (&site.desired.teller, site.desired.tap) {
        (Teller::Command(arguments, taps), Some(tap)) => vmm::identity(arguments, taps, &tap),
        _ => site.observed.starter.clone(),
    }
}

/// Who the guest is, all in all. An address that a second tap of its VM has is that one's alone.
pub(super) fn identity(site: &Site) -> GuestIdentity {
    let Some(tap) = known_tap(site) else { return GuestIdentity::default() };
    let network = &site.desired.network;
    let told = told(site);
    let recorded = TapRecord::parse(&tap.alias).unwrap_or_default().guest;
    let mut configured = configured_macs(&network.guest_macs, &told.macs);
    if configured.is_empty() && tap.index == 0 && !network.forwards.is_empty() {
        // The plan of one that is still to come: it may be started with a MAC of its own.
        configured.push(vmm::DEFAULT_MAC);
    }
    // Who only follows the record has no environment of the guest's.
    let [first, second, last] = match site.desired.teller {
        Teller::Record => [recorded.macs, configured, Vec::new()],
        _ => [configured, told.macs.clone(), recorded.macs],
    };
    let macs = [first, second, last].into_iter().find(|macs| !macs.is_empty());
    let mut identity =
        GuestIdentity { name: told.name.clone().or(recorded.name), ..GuestIdentity::default() };
    macs.into_iter().flatten().for_each(|mac| identity.add_mac(mac));
    let mut kept = recorded.addresses;
    kept.retain(|address| place(site, address).is_ok());
    let is_same_guest = told.is_empty();
    let addresses = match &network.guest_addresses[..] {
        _ if site.desired.teller == Teller::Record && !kept.is_empty() => kept,
        [] if is_same_guest => kept,
        configured => configured.to_vec(),
    };
    let is_own = |address: &IpAddr| !is_of_same_vm(site, &claim(site, Own::Address(*address)));
    addresses.into_iter().filter(is_own).for_each(|address| identity.add_address(address));
    if let Choice::Address(address) = choice(site, &identity) {
        identity.add_address(address);
    }
    identity
}

/// The configured MACs; where they are those of several NICs of the VM, the one of this tap.
fn configured_macs(configured: &[Mac], told: &[Mac]) -> Vec<Mac> {
    let mut here: Vec<Mac> = configured.iter().filter(|mac| told.contains(mac)).copied().collect();
    if here.is_empty() {
        here = configured.to_vec();
    }
    here
}

/// The address that the guest has, of one family: one that is kept for it; of IPv6 else what stateless configuration makes of
/// its MAC (RFC 4291, modified EUI-64).
pub(super) fn address(site: &Site, v6: bool) -> Option<IpAddr> {
    address_of(&identity(site), site, v6)
}

/// The same of whoever this is, and only one that a guest of the network can have.
pub(super) fn address_of(identity: &GuestIdentity, site: &Site, v6: bool) -> Option<IpAddr> {
    let is_possible = |address: &IpAddr| address.is_ipv6() == v6 && place(site, address).is_ok();
    let kept = identity.addresses.iter().copied().find(is_possible);
    kept.or_else(|| {
        let mac = identity.macs.first().filter(|_| v6 && site.serves_dhcp())?;
        let subnets = site.desired.network.addresses.iter();
        subnets.filter_map(|net| mac.in_subnet(net)).next().map(IpAddr::V6)
    })
}

fn claim(site: &Site, own: Own) -> Claim {
    Claim { bridge: site.desired.network.bridge, own }
}

/// What this guest alone shall have.
fn claims(site: &Site) -> impl Iterator<Item = Claim> {
    let identity = identity(site);
    let network = &site.desired.network;
    let has_own_macs =
        site.serves_dhcp() || !network.guest_macs.is_empty() || guest_filter::filtering(site).is_on;
    let macs = identity.macs.into_iter().filter(move |_| has_own_macs).map(Own::Mac);
    let owns = macs.chain(identity.addresses.into_iter().map(Own::Address));
    let claims: Vec<Claim> = owns.map(|own| claim(site, own)).collect();
    claims.into_iter()
}

/// The other tap that has it.
fn other_claimant<'a>(site: &Site<'a>, claim: &Claim) -> Option<&'a Link> {
    let claimant = site.observed.facts.claimant(claim)?;
    (Some(claimant.name) != site.desired.tap).then_some(claimant)
}

/// Two NICs of one VM may have one MAC on purpose, as in a bond.
fn is_of_same_vm(site: &Site, claim: &Claim) -> bool {
    other_claimant(site, claim).is_some_and(|other| site.observed.same_vm.contains(&other.name))
}

fn refuse(site: &Site) -> Vec<Refusal> {
    let network = &site.desired.network;
    let Some(tap) = known_tap(site) else { return Vec::new() };
    let misplaced = network.guest_addresses.iter().filter_map(|address| place(site, address).err());
    let mut refusals: Vec<Refusal> = misplaced.collect();
    let taken = claims(site).filter(|claim| !is_of_same_vm(site, claim));
    refusals.extend(taken.filter_map(|claim| {
        let other = other_claimant(site, &claim)?;
        let guest = TapRecord::parse(&other.alias).and_then(|record| record.guest.name);
        Some(Refusal::OfAnotherGuest { own: claim.own, tap: other.name, guest })
    }));
    refusals.extend(tenant::tenants(site, tap).into_iter().map(|(address, other)| {
        let guest = TapRecord::parse(&other.alias).and_then(|record| record.guest.name);
        Refusal::OfAnotherGuest { own: Own::Address(address), tap: other.name, guest }
    }));
    let leads_nowhere = || [false, true].into_iter().all(|v6| site.guest_address(v6).is_none());
    if network.mode.forwards() && !network.forwards.is_empty() && leads_nowhere() {
        refusals.push(Refusal::NoGuestAddress { tap: tap.name });
    }
    refusals
}

/// Whether an address is one for a guest of its subnet; where the host gives none out, any is.
fn place(site: &Site, address: &IpAddr) -> Result<(), Refusal> {
    let network = &site.desired.network;
    if !network.mode.has_host_address() {
        return Ok(());
    }
    let fails = |why| Err(Refusal::GuestAddress { address: *address, network: network.name.clone(), why });
    let Some(net) = network.addresses.iter().find(|net| net.contains(address)) else {
        return fails("is in no subnet of it");
    };
    match *address {
        it if network.addresses.iter().any(|net| net.addr() == it) => fails("is the host's own"),
        it if it == net.network() && net.max_prefix_len() - net.prefix_len() > 1 => {
            fails("is that of the subnet itself")
        }
        IpAddr::V4(_) if *address == net.broadcast() && net.max_prefix_len() - net.prefix_len() > 1 => {
            fails("is the broadcast address")
        }
        _ => Ok(()),
    }
}

fn want(site: &Site, wanted: &mut Wanted) {
    let Some(guest) = &mut wanted.guest else { return };
    guest.identity = identity(site);
    guest.claims = claims(site).filter(|claim| !is_of_same_vm(site, claim)).collect();
}
