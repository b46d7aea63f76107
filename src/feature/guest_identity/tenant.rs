//! Another guest that was given the address which is to be kept for this one.

use std::net::IpAddr;

use super::{claim, identity, is_of_same_vm, other_claimant};
use crate::feature::Site;
use crate::model::{Claim, Link, Mac, Need, Own, Question};

/// The leases, and then whether a guest runs that has one of them. The lease of one that does not run makes way.
pub(super) fn needs(site: &Site, tap: &Link) -> Vec<Need> {
    if wanted(site, tap).next().is_none() {
        return Vec::new();
    }
    let leases = Need::Leases(site.desired.network.bridge);
    if !site.observed.has_met(&leases) {
        return vec![leases];
    }
    leased(site, tap).into_iter().map(|(_, holder)| Question::Claim(holder).into()).collect()
}

/// The addresses that others have, each with whose it is.
pub(super) fn tenants<'a>(site: &Site<'a>, tap: &Link) -> Vec<(IpAddr, &'a Link)> {
    let leased = leased(site, tap).into_iter().filter(|(_, holder)| !is_of_same_vm(site, holder));
    leased.filter_map(|(address, holder)| Some((address, other_claimant(site, &holder)?))).collect()
}

/// The configured addresses that the guest does not have yet.
fn wanted(site: &Site<'_>, tap: &Link) -> impl Iterator<Item = IpAddr> {
    let is_new = |address: &&IpAddr| {
        let own = claim(site, Own::Address(**address));
        site.serves_dhcp() && !tap.claims().any(|known| known == own)
    };
    let new: Vec<IpAddr> = site.desired.network.guest_addresses.iter().filter(is_new).copied().collect();
    new.into_iter()
}

fn leased(site: &Site, tap: &Link) -> Vec<(IpAddr, Claim)> {
    let macs = identity(site).macs;
    let holders = |address: IpAddr| {
        let of_address = site.observed.leases.iter().filter(move |lease| lease.address == address);
        of_address.filter_map(|lease| lease.mac)
    };
    let is_another = |mac: &Mac| !macs.contains(mac);
    let all = wanted(site, tap).flat_map(|address| holders(address).map(move |mac| (address, mac)));
    all.filter(|(_, mac)| is_another(mac))
        .map(|(address, mac)| (address, claim(site, Own::Mac(mac))))
        .collect()
}
