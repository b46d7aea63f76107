//! The tables of a network, and what it needs in the chains of others.

use super::Site;
use super::forwarding::guards;
use super::port_forward::all_mappings;
use super::takeover::taken_nic;
use crate::desired::Desired;
use crate::firewall::{self, Ground};
use crate::model::iptables::{IptablesChain, Way};
use crate::model::ruleset::{Family, Rule, Table};
use crate::model::{FirewallUse, Ledger, Mac};
use crate::observed::Observed;

/// The tables, with the guards that `ledger` asks for and `record` as their copy.
pub(crate) fn tables(site: &Site, ledger: &Ledger, record: &Ledger) -> Vec<Table> {
    let ground = Ground {
        guards: guards::guards(site.desired, site.observed, ledger),
        mac: kept_mac(site, ledger),
        lan_mac: lan_mac(site, ledger),
        masters: guards::masters(&site.desired.network, site.observed),
        knows_sources: knows_sources(site.observed),
        leads_to_guests: ledger.forwards,
        bounds_guests: ledger.filters,
        port_mappings: if ledger.forwards { all_mappings(site) } else { Vec::new() },
    };
    firewall::tables(site.desired, &ground, record)
}

/// What a chain of iptables that drops all else has to let through.
pub(crate) fn accept_rules(desired: &Desired, chain: &IptablesChain) -> Vec<Rule> {
    let v6 = chain.protocol == Family::Ip6;
    match (desired.network.firewall, chain.way) {
        (FirewallUse::Warn | FirewallUse::Ignore, _) => Vec::new(),
        (FirewallUse::Integrate, Way::Forward) => firewall::accept_rules(desired, v6),
        (FirewallUse::Integrate, Way::Input) => firewall::service_rules(&desired.network, v6),
        (FirewallUse::Integrate, Way::Output) => firewall::telling_rules(&desired.network, v6),
    }
}

/// Before Linux 5.19 a rule can ask for the way back to a source in no chain of kvmnet's (`nft_fib_validate`).
fn knows_sources(observed: &Observed) -> bool {
    observed.facts.links.iter().filter_map(|link| link.ipv6).any(|ipv6| ipv6.is_of_5_19)
}

/// The same of one that was found, as far as it is known.
fn lan_mac(site: &Site, ledger: &Ledger) -> Option<Mac> {
    let link = taken_nic(site).or(site.bridge());
    kept_mac(site, ledger).or(link.and_then(|link| link.mac))
}

/// The MAC that a bridge of kvmnet's own will have; that of one that was found can change with its ports.
fn kept_mac(site: &Site, ledger: &Ledger) -> Option<Mac> {
    if !site.made {
        return None;
    }
    let gives_back = site.old.is_some_and(|old| old.nic.is_some()) && ledger.nic.is_none();
    match (taken_nic(site), site.bridge()) {
        (Some(nic), _) => nic.mac,
        (None, Some(bridge)) if !gives_back => bridge.mac,
        _ => Some(Mac::of_bridge(&site.desired.network.bridge)),
    }
}
