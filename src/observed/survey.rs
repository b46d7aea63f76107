//! All that stands, for people who look.

use std::io;

use super::Observed;
use crate::desired::Desired;
use crate::model::{IfName, Link, Network, TapMark};
use crate::netlink::nft::Nft;
use crate::netlink::route::{Question, Rtnl};

impl Observed {
    /// Reads all interfaces, all routes, what the bridges have learned, and every network of kvmnet's. Without `nft`
    /// only networks are found whose bridge is there.
    pub fn survey(nft: Option<&mut Nft>, rtnl: &mut Rtnl) -> io::Result<Self> {
        let mut observed = Self::tables(nft, &[])?;
        let mut questions = vec![Question::Links, Question::Stations];
        questions.extend([false, true].map(|v6| Question::Ways { v6 }));
        rtnl.ask(&questions, &mut observed.facts)?;
        let links = &observed.facts.links;
        let bridges: Vec<IfName> =
            links.iter().filter(|link| link.is_bridge()).map(|link| link.name).collect();
        for bridge in &bridges {
            observed.standing(bridge);
        }
        observed.match_links();
        observed.networks.retain(|standing| standing.mark.is_some() || !standing.tables.is_empty());
        observed.ask_about_guests(rtnl, &IfName::DEFAULT, |_| true)?;
        Ok(observed)
    }

    /// Reads what a guest on `network` would depend on now: one that is on it already, where there is one.
    pub fn of_network(
        &self,
        nft: Option<&mut Nft>,
        rtnl: &mut Rtnl,
        network: Network,
    ) -> io::Result<(Desired, Self)> {
        let guest = self.taps_on(&network.bridge).find(|tap| TapMark::parse(&tap.alias).is_some());
        let tap = guest.map(|tap| tap.name);
        let desired = Desired { tap, ..Desired::without_guest(network) };
        let mut observed = Self::for_up(nft, rtnl, &desired)?;
        observed.facts.ways.clone_from(&self.facts.ways);
        self.facts.links.iter().for_each(|link| observed.facts.add_link(link.clone()));
        for standing in &mut observed.networks {
            let known = self.network(&standing.bridge);
            standing.occupied = known.map_or(standing.occupied, |known| known.occupied);
        }
        Ok((desired, observed))
    }

    /// The taps on a bridge.
    pub fn taps_on(&self, bridge: &IfName) -> impl Iterator<Item = &Link> {
        let index = self.facts.link(bridge).map(|bridge| bridge.index);
        let is_port = move |link: &&Link| index.is_some() && link.master == index;
        self.facts.links.iter().filter(|link| link.is_tap()).filter(is_port)
    }
}
