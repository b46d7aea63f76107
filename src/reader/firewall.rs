//! The chains and rules of others, as far as they decide about guests' packets.

use std::io;

use crate::desired::Desired;
use crate::feature;
use crate::foreign::{self, Firewall, LegacyFilter};
use crate::model::FirewallUse;
use crate::model::foreign::ForeignChain;
use crate::netlink::nft::Nft;
use crate::observed::Observed;
use crate::xtables::{self, Filter};

impl Firewall {
    /// Reads all chains, and the rules beside those that decide and that `matter`. Those of nf_tables only where it can be read.
    pub fn read(nft: Option<&mut Nft>, matters: impl Fn(&ForeignChain) -> bool) -> io::Result<Self> {
        let mut firewall = Self { legacy: legacy(), ..Self::default() };
        let Some(nft) = nft else { return Ok(firewall) };
        firewall.chains = nft.chains()?;
        firewall.chains.retain(|chain| !chain.decides() || matters(chain));
        // The kernel tells chains table by table.
        let mut tables: Vec<_> = firewall.deciding().map(|chain| (chain.protocol, &chain.table)).collect();
        tables.dedup();
        let rules = tables.into_iter().map(|(protocol, table)| nft.rules(protocol, table));
        firewall.rules = rules.collect::<io::Result<Vec<_>>>()?.concat();
        Ok(firewall)
    }

    /// What keeps guests of a network from what its mode promises. On a host without other tables only whether iptables-legacy has
    /// any is asked.
    pub(crate) fn of_network(
        nft: Option<&mut Nft>,
        desired: &Desired,
        observed: &Observed,
    ) -> io::Result<Vec<String>> {
        let is_opened = |chain: &ForeignChain| foreign::opens(observed, chain, &desired.network);
        let is_left = desired.network.firewall != FirewallUse::Integrate;
        let has_chains = observed.has_other_tables
            || is_left && (observed.firewalld || !observed.iptables_chains.is_empty());
        let firewall = Self::read(nft.filter(|_| has_chains), |chain| !is_opened(chain))?;
        let resolved = feature::resolved(desired, observed);
        Ok(foreign::blocked(&firewall, resolved.as_deref().unwrap_or(desired), observed))
    }
}

/// Those of iptables-legacy are apart from nf_tables.
fn legacy() -> Vec<LegacyFilter> {
    let used = [false, true].into_iter().filter(|v6| xtables::is_used(*v6));
    used.map(|v6| LegacyFilter { v6, firewall: legacy_filter(v6) }).collect()
}

/// Without rights it cannot be read, and whoever looks says so.
fn legacy_filter(v6: bool) -> Option<Firewall> {
    let Filter { chains, rules } = xtables::filter(v6).ok()??;
    Some(Firewall { chains, rules, legacy: Vec::new() })
}
