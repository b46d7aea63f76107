//! What a network that is yet to be configured has to keep away from, and where it could go out.

use std::io;

use super::{Observed, owner, station};
use crate::model::facts::Way;
use crate::model::route::MAIN;
use crate::model::{IfName, Link};
use crate::netlink::route::{Question, Rtnl};

/// The machine around a network that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Routes (the host's own addresses among them), the bridges, and the interfaces that carry a route; kvmnet's
    /// networks; of the uplink, the program that keeps its addresses and whether it is a Wi-Fi station.
    pub observed: Observed,
    /// The interface with the default route.
    pub uplink: Option<Link>,
}

impl Surroundings {
    /// Reads them. `names` are those that the network's bridge could have.
    pub fn read(rtnl: &mut Rtnl, names: &[IfName]) -> io::Result<Self> {
        let mut observed = Observed::default();
        let mut questions: Vec<Question> = names.iter().copied().map(Question::Link).collect();
        questions.extend([Question::Bridges, Question::Own]);
        questions.extend([false, true].map(|v6| Question::Ways { v6 }));
        rtnl.ask(&questions, &mut observed.facts)?;
        observed.find_networks();
        observed.ask_about_devices(rtnl)?;
        let uplink = observed.way_out();
        if let Some(uplink) = &uplink {
            let mut questions = vec![Question::Addresses(uplink.index)];
            questions.extend(uplink.master.map(Question::LinkIndex));
            rtnl.ask(&questions, &mut observed.facts)?;
            observed.owner = owner::of(uplink, &observed.facts.addresses_of(uplink.index));
            observed.is_station = station::is_station(uplink);
        }
        Ok(Self { observed, uplink })
    }
}

impl Observed {
    /// Asks for the interfaces that routes go over, and for those that the networks took over.
    fn ask_about_devices(&mut self, rtnl: &mut Rtnl) -> io::Result<()> {
        let mut devices: Vec<u32> =
            self.facts.ways.iter().flat_map(|way| way.devices.iter().copied()).collect();
        devices.sort_unstable();
        devices.dedup();
        devices.retain(|device| self.facts.link_index(*device).is_none());
        let taken = self.networks.iter().filter_map(|standing| standing.mark.as_ref()?.nic);
        let questions = devices.into_iter().map(Question::LinkIndex).chain(taken.map(Question::Link));
        rtnl.ask(&questions.collect::<Vec<_>>(), &mut self.facts)
    }

    /// The interface with the default route, of the main table if it has one; the NIC behind a bridge of kvmnet's.
    fn way_out(&self) -> Option<Link> {
        let mut defaults: Vec<&Way> =
            self.facts.ways.iter().filter(|way| way.destination.is_none()).collect();
        defaults.sort_by_key(|way| way.table != MAIN);
        let device = defaults.iter().find_map(|way| way.devices.first())?;
        let link = self.facts.link_index(*device)?;
        let nic = self.network(&link.name).and_then(|standing| standing.mark.as_ref()?.nic);
        nic.and_then(|nic| self.facts.link(&nic)).or(Some(link)).cloned()
    }
}
