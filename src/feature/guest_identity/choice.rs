//! An address for a guest that ports of the host lead to, where nobody says which it has.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::{claim, other_claimant, place};
use crate::feature::{Site, guest_filter, port_forward};
use crate::model::{Forward, GuestIdentity, Mac, Need, Own, Question};

pub(super) enum Choice {
    /// There is none, or no need of one.
    None,
    /// Whether another guest has it is yet to be asked.
    Asks(Need),
    Address(IpAddr),
}

/// So many addresses are tried. Each costs a question.
const TRIES: u32 = 64;

/// One that no other guest has, beginning at a place that follows from the MAC: the same guest gets the same one again.
pub(super) fn choice(site: &Site, identity: &GuestIdentity) -> Choice {
    let network = &site.desired.network;
    let leads_there = |forward: &Forward| forward.listen.is_none_or(|listen| listen.is_ipv4());
    let needs_one =
        port_forward::forwards(site).iter().any(leads_there) || guest_filter::filtering(site).is_on;
    let is_wanted = needs_one && site.serves_dhcp();
    let has_one = identity.addresses.iter().any(IpAddr::is_ipv4);
    let Some(mac) = identity.macs.first().filter(|_| is_wanted && !has_one) else { return Choice::None };
    let leases = Need::Leases(network.bridge);
    if !site.observed.has_met(&leases) {
        return Choice::Asks(leases);
    }
    let lease = site.observed.leases.iter().find(|lease| lease.mac == Some(*mac) && lease.address.is_ipv4());
    let subnet =
        network.addresses.iter().find_map(|net| if let IpNet::V4(net) = net { Some(*net) } else { None });
    let candidates = subnet.into_iter().flat_map(|net| candidates(net, *mac));
    for address in lease.map(|lease| lease.address).into_iter().chain(candidates) {
        if place(site, &address).is_err() || is_leased(site, &address, *mac) {
            continue;
        }
        let claim = claim(site, Own::Address(address));
        if !site.observed.facts.has(&Question::Claim(claim)) {
            return Choice::Asks(Question::Claim(claim).into());
        }
        if other_claimant(site, &claim).is_none() {
            return Choice::Address(address);
        }
    }
    Choice::None
}

/// Whether another guest may still think that it is its own.
fn is_leased(site: &Site, address: &IpAddr, mac: Mac) -> bool {
    site.observed.leases.iter().any(|lease| lease.address == *address && lease.mac != Some(mac))
}

/// The addresses of a subnet's guests, from one that follows from a MAC as in dnsmasq (`address_allocate`).
fn candidates(net: Ipv4Net, mac: Mac) -> impl Iterator<Item = IpAddr> {
    let hash = mac.0.iter().fold(0_u32, |hash, byte| {
        u32::from(*byte).wrapping_add(hash << 6).wrapping_add(hash << 16).wrapping_sub(hash)
    });
    let (first, last) =
        (u32::from(net.network()).saturating_add(1), u32::from(net.broadcast()).saturating_sub(1));
    let count = last.saturating_sub(first).saturating_add(1);
    let begin = hash.max(1) % count;
    let number =
        move |at: u32| first + (u64::from(begin) + u64::from(at)).rem_euclid(u64::from(count)) as u32;
    (0..count.min(TRIES)).map(move |at| IpAddr::V4(number(at).into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn candidates_are_in_the_subnet() {
        let of = |net: &str, last: u8| {
            candidates(net.parse().unwrap(), Mac([0x52, 0x54, 0, 0x12, 0x34, last])).collect::<Vec<_>>()
        };
        let first = of("10.0.100.0/24", 0x56);
        assert_eq!(first, of("10.0.100.0/24", 0x56));
        assert_ne!(first[0], of("10.0.100.0/24", 0x57)[0]);
        assert_eq!(first.len(), TRIES as usize);
        let all = of("10.0.100.0/29", 0x56);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        let expected: Vec<IpAddr> = (1..=6).map(|last| IpAddr::from([10, 0, 100, last])).collect();
        assert_eq!(sorted, expected, "{all:?}");
        assert!(of("10.0.100.0/30", 1).len() == 2 && of("10.0.100.0/31", 1).len() <= 1);
        assert!(of("0.0.0.0/0", 1).len() == TRIES as usize && of("255.255.255.255/32", 1).len() <= 1);
    }
}
