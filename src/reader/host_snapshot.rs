//! What a network that is yet to be configured has to keep away from, and where it could go out.

use std::io;

use ipnet::IpNet;

use super::{address_manager, station};
use crate::model::{IfName, Link, Question};
use crate::netlink::route::Rtnl;
use crate::observed::Observed;
use crate::subnet;

/// The machine around a network that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostSnapshot {
    /// Routes (the host's own addresses among them), the bridges, and the interfaces that carry a route; kvmnet's
    /// networks; of the uplink, the program that keeps its addresses and whether it is a Wi-Fi station.
    pub observed: Observed,
    /// The interface with the default route.
    pub uplink: Option<Link>,
}

impl HostSnapshot {
    /// Reads them. `names` are those that the network's bridge could have.
    pub fn read(rtnl: &mut Rtnl, names: &[IfName]) -> io::Result<Self> {
        let mut observed = Observed::default();
        let mut questions: Vec<Question> = names.iter().copied().map(Question::Link).collect();
        questions.extend([Question::Bridges, Question::Own]);
        let nets = subnet::POOL.map(IpNet::V4).into();
        questions.extend([Question::Ways { v6: false, nets }, Question::Ways { v6: true, nets: Vec::new() }]);
        rtnl.ask(&questions, &mut observed.facts)?;
        observed.work_out();
        rtnl.resolve_nexthops(&mut observed.facts.ways)?;
        observed.ask_about_devices(rtnl)?;
        observed.find_stations();
        let uplink = observed.nic_out();
        if let Some(uplink) = &uplink {
            let mut questions = vec![Question::Addresses(uplink.index)];
            questions.extend(uplink.master.map(Question::LinkIndex));
            rtnl.ask(&questions, &mut observed.facts)?;
            observed.owner = address_manager::of(uplink, &observed.facts.addresses_of(uplink.index));
            observed.stations.extend(station::is_station(uplink).then_some(uplink.index));
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
        let taken = self.networks.iter().filter_map(|instance| instance.ledger.as_ref()?.nic());
        let questions = devices.into_iter().map(Question::LinkIndex).chain(taken.map(Question::Link));
        rtnl.ask(&questions.collect::<Vec<_>>(), &mut self.facts)
    }

    /// The NIC with the default route; the one behind a bridge of kvmnet's.
    fn nic_out(&self) -> Option<Link> {
        let link = self.way_out(None)?;
        let nic = self.network(&link.name).and_then(|instance| instance.ledger.as_ref()?.nic());
        nic.and_then(|nic| self.facts.link(&nic)).or(Some(link)).cloned()
    }
}
