//! All that stands, for people who look.

use std::borrow::Cow;
use std::io;

use ipnet::IpNet;

use crate::desired::Desired;
use crate::feature;
use crate::model::{Network, Question};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::observed::Observed;

impl Observed {
    /// Reads all interfaces, the default routes and those that concern `nets`, the host's own addresses, what the bridges have
    /// learned, and every network of kvmnet's. Without `nft` only networks are found whose bridge is there.
    pub fn survey(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl, nets: &[IpNet]) -> io::Result<Self> {
        let mut observed = Self::tables(nft.as_deref_mut(), &[])?;
        observed.ask_about_everybody(nft.as_deref_mut(), rtnl)?;
        observed.ask_about_mappings(nft, rtnl, |_| true)?;
        observed.ask_about_deaf()?;
        let mut questions: Vec<Question> =
            [false, true].map(|v6| Question::Ways { v6, nets: nets.to_vec() }).into();
        questions.push(Question::Own);
        rtnl.ask(&questions, &mut observed.facts)?;
        rtnl.resolve_nexthops(&mut observed.facts.ways)?;
        observed.find_stations();
        Ok(observed)
    }

    /// Reads what a guest on `network` would depend on now: one that is on it already, where there is one.
    pub fn of_network(
        &self,
        nft: Option<&mut Nft>,
        rtnl: &mut Rtnl,
        network: Network,
    ) -> io::Result<(Desired, Self)> {
        let guest = self.taps_on(&network.bridge).find(|tap| tap.is_attached());
        let tap = guest.map(|tap| tap.name);
        let desired = Desired { tap, ..Desired::without_guest(network) };
        let mut observed = Self::for_up(nft, rtnl, &desired)?;
        observed.facts.ways.clone_from(&self.facts.ways);
        observed.stations.extend(&self.stations);
        self.facts.links.iter().for_each(|link| observed.facts.add_link(link.clone()));
        observed.facts.asked.push(Question::Links);
        // The guest is there, and keeps its network.
        observed.besides = None;
        observed.work_out();
        // Where no address is free, the plan says so.
        let resolved = feature::resolved(&desired, &observed).map(Cow::into_owned);
        Ok((resolved.unwrap_or(desired), observed))
    }
}
