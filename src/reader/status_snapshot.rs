//! The whole machine at one glance: for a person who looks, not for a plan.

use std::collections::HashMap;
use std::io;

use ipnet::IpNet;

use super::template;
use crate::foreign::Firewall;
use crate::model::facts::{Bytes, NeighbourEntry};
use crate::model::foreign::ForeignRule;
use crate::model::ruleset::Family;
use crate::model::{IfName, Question};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::observed::Observed;

/// What the kernel says of every network and every guest.
#[derive(Debug, Default)]
pub struct StatusSnapshot {
    /// All interfaces and addresses, who is behind the ports of bridges, kvmnet's networks, and the default routes where a network leaves by them.
    pub observed: Observed,
    /// What each interface has counted, by its number.
    pub bytes: HashMap<u32, Bytes>,
    /// Who was met on the links of the machine.
    pub neighbours: Vec<NeighbourEntry>,
    /// What the rules of a network that forwards say of the ways out, by its bridge.
    pub exits: HashMap<IfName, Vec<ForeignRule>>,
    /// What others drop. On a host without their chains it is not asked for.
    pub firewall: Firewall,
}

impl StatusSnapshot {
    /// Asks each question once: dumps of tables, interfaces, addresses, forwarding databases and neighbours, and the
    /// rules of those networks that forward.
    pub fn read(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl) -> io::Result<Self> {
        let mut snapshot = Self { observed: Observed::tables(nft.as_deref_mut(), &[])?, ..Self::default() };
        snapshot.bytes = snapshot.observed.ask_about_everybody(nft.as_deref_mut(), rtnl)?;
        snapshot.observed.facts.addresses = rtnl.all_addresses()?;
        snapshot.observed.facts.asked.push(Question::Addresses(0));
        snapshot.ask_about_default()?;
        snapshot.neighbours = rtnl.all_neighbours()?;
        snapshot.ask_about_routes(rtnl)?;
        snapshot.observed.ask_about_mappings(nft.as_deref_mut(), rtnl, |_| true)?;
        snapshot.ask_about_egress(nft.as_deref_mut(), rtnl)?;
        let Observed { has_other_tables, firewalld, iptables_chains, .. } = &snapshot.observed;
        let has_chains = *has_other_tables || *firewalld || !iptables_chains.is_empty();
        snapshot.firewall = Firewall::read(nft.filter(|_| has_chains), |_| true)?;
        Ok(snapshot)
    }

    /// What interfaces to come will have, where a network has set that.
    fn ask_about_default(&mut self) -> io::Result<()> {
        let facts = &mut self.observed.facts;
        let changed = self.observed.networks.iter().filter_map(|instance| instance.ledger.as_ref());
        if changed.flat_map(|ledger| &ledger.changed).any(|changed| changed.link == IfName::DEFAULT) {
            facts.links.push(template::interface()?);
        }
        Ok(())
    }

    /// The routes that concern the networks' subnets.
    fn ask_about_routes(&mut self, rtnl: &mut Rtnl) -> io::Result<()> {
        let nets: Vec<IpNet> = self.observed.ledgers().flat_map(|ledger| ledger.addresses.clone()).collect();
        let of_family = |v6| nets.iter().filter(move |net| net.addr().is_ipv6() == v6).copied().collect();
        let questions = [false, true].map(|v6| Question::Ways { v6, nets: of_family(v6) });
        let is_asked = |ways: &Question| !matches!(ways, Question::Ways { nets, .. } if nets.is_empty());
        rtnl.ask(&questions.into_iter().filter(is_asked).collect::<Vec<_>>(), &mut self.observed.facts)?;
        rtnl.resolve_nexthops(&mut self.observed.facts.ways)
    }

    fn ask_about_egress(&mut self, nft: Option<&mut Nft>, rtnl: &mut Rtnl) -> io::Result<()> {
        let mut leaves_by_routes = false;
        if let Some(nft) = nft {
            for instance in &self.observed.networks {
                let forwards = instance.ledger.as_ref().is_some_and(|ledger| ledger.mode.forwards());
                let Some(table) =
                    instance.tables.iter().find(|table| forwards && table.family == Family::Inet)
                else {
                    continue;
                };
                let exits = nft.rules(Family::Inet, &table.name)?;
                let host_if =
                    instance.ledger.as_ref().and_then(|ledger| ledger.veth.as_ref()).map(|veth| veth.inner);
                let host_if = host_if.unwrap_or(instance.bridge);
                leaves_by_routes |= exits.iter().all(|exit| exit.oif().is_none_or(|name| name == host_if));
                self.exits.insert(instance.bridge, exits);
            }
        }
        let mut questions: Vec<Question> = [false, true].map(|v6| Question::WideForwarding { v6 }).into();
        questions.push(Question::FreshForwarding);
        rtnl.ask(&questions, &mut self.observed.facts)?;
        if !leaves_by_routes {
            return Ok(());
        }
        [false, true].into_iter().try_for_each(|v6| self.observed.ask_about_defaults(rtnl, v6))?;
        rtnl.resolve_nexthops(&mut self.observed.facts.ways)
    }
}
