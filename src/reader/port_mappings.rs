//! Ports of the host that lead to guests, and who listens on them.

use std::io;

use crate::desired::Desired;
use crate::feature::{self, Site};
use crate::firewall::{LED_SETS, at_map};
use crate::holder;
use crate::model::ruleset::{Element, Family, Kind, Set, table_name};
use crate::model::{IfName, Listener, PortMapping, Protocol, Question};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::netlink::sockets::Sockets;
use crate::network::Instance;
use crate::observed::Observed;

/// Up to so many ports are asked for one by one; of more, all that there are.
const FEW: usize = 64;

impl Observed {
    /// Which of the guest's ports lead to any guest of any network, so that it costs the same beside one guest and beside many.
    pub(super) fn ask_about_own_mappings(&mut self, nft: &mut Nft, desired: &Desired) -> io::Result<()> {
        let site = Site::new(desired, self);
        let wanted = feature::mappings(&site);
        // Of what led to this tap before, all goes.
        let has_former = feature::has_former(&site);
        for bridge in self.leading_networks() {
            if wanted.len() > FEW || has_former && bridge == desired.network.bridge {
                self.ask_about_all_mappings(nft, &bridge)?;
                continue;
            }
            let found = mappings_of(nft, &bridge, &wanted)?;
            self.port_mappings.extend(found.into_iter().map(|mapping| (bridge, mapping)));
        }
        Ok(())
    }

    /// All ports that lead to guests of a network.
    pub(super) fn ask_about_all_mappings(&mut self, nft: &mut Nft, bridge: &IfName) -> io::Result<()> {
        let table = table_name(bridge);
        self.port_mappings.retain(|(on, _)| on != bridge);
        self.led_sets.retain(|(on, _)| on != bridge);
        for kind in LED_SETS {
            let elements = nft.elements(Family::Inet, &table, kind)?;
            let mappings = elements.iter().filter_map(PortMapping::read);
            self.port_mappings.extend(mappings.map(|mapping| (*bridge, mapping)));
            self.led_sets.push((*bridge, Set { kind, elements }));
        }
        Ok(())
    }

    /// The same of those that `which` wants, and the taps that they lead to.
    pub(crate) fn ask_about_mappings(
        &mut self,
        nft: Option<&mut Nft>,
        rtnl: &mut Rtnl,
        which: impl Fn(&Instance) -> bool,
    ) -> io::Result<()> {
        let Some(nft) = nft else { return Ok(()) };
        let wanted = |bridge: &IfName| self.network(bridge).is_some_and(&which);
        let bridges: Vec<IfName> = self.leading_networks().into_iter().filter(wanted).collect();
        bridges.iter().try_for_each(|bridge| self.ask_about_all_mappings(nft, bridge))?;
        let owners: Vec<Question> =
            self.port_mappings.iter().map(|(_, mapping)| feature::question(&mapping.owner)).collect();
        self.ask_new(rtnl, owners)
    }

    /// Before the rules of a network that leads ports to guests are written anew: all of these guests, by their taps' records
    /// and by the rules that are there.
    pub(crate) fn ask_about_led_guests(
        &mut self,
        nft: Option<&mut Nft>,
        rtnl: &mut Rtnl,
        bridge: &IfName,
    ) -> io::Result<()> {
        let ports = self.network(bridge).and_then(Instance::ports);
        self.ask_new(rtnl, ports)?;
        self.ask_about_mappings(nft, rtnl, |instance| instance.bridge == *bridge)
    }

    /// The bridges of networks whose rules lead ports to guests.
    fn leading_networks(&self) -> Vec<IfName> {
        let leads = |instance: &&Instance| {
            let has_table = instance.tables.iter().any(|table| table.family == Family::Inet);
            has_table && instance.ledger.as_ref().is_some_and(|ledger| ledger.forwards)
        };
        self.networks.iter().filter(leads).map(|instance| instance.bridge).collect()
    }

    /// The programs that listen where ports shall lead to the guest.
    pub(super) fn ask_about_listeners(&mut self, desired: &Desired) -> io::Result<()> {
        let wanted = feature::mappings(&Site::new(desired, self));
        self.listeners = listeners(&wanted)?;
        Ok(())
    }
}

impl Observed {
    /// The programs that listen where ports lead to guests.
    pub(super) fn ask_about_deaf(&mut self) -> io::Result<()> {
        let led: Vec<PortMapping> = self.port_mappings.iter().map(|(_, mapping)| mapping.clone()).collect();
        if !led.is_empty() {
            self.listeners = listeners(&led)?;
        }
        Ok(())
    }
}

/// Who would lose packets to these, each with its program.
fn listeners(wanted: &[PortMapping]) -> io::Result<Vec<Listener>> {
    let mut found: Vec<Listener> = Vec::new();
    let mut sockets = Sockets::open()?;
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        if wanted.iter().any(|mapping| mapping.protocol == protocol) {
            let is_wanted = |port| wanted.iter().any(|mapping| mapping.port == port);
            found.extend(sockets.listening(protocol, is_wanted)?);
        }
    }
    found.retain(|listener| wanted.iter().any(|mapping| listener.loses_to(mapping)));
    for listener in &mut found {
        listener.program = holder::of_socket(listener.inode);
    }
    Ok(found)
}

/// Those of `wanted` that are in the rules of a network, whoever they lead to, and what overlaps with them.
fn mappings_of(nft: &mut Nft, bridge: &IfName, wanted: &[PortMapping]) -> io::Result<Vec<PortMapping>> {
    let table = table_name(bridge);
    let mut keys: Vec<(&str, &Kind, Element)> = Vec::new();
    for mapping in wanted {
        let of_any = PortMapping { listen: None, ..mapping.clone() };
        let own = mapping.listen.map(|_| mapping);
        let elements = own.into_iter().chain([&of_any]).map(PortMapping::element);
        keys.extend(elements.map(|(map, element)| (table.as_str(), map, element)));
    }
    let mut found: Vec<Element> =
        nft.elements_of(Family::Inet, &keys)?.into_iter().map(|(_, element)| element).collect();
    // Of every address: those of one address as well, which are few.
    for v6 in [false, true] {
        if wanted.iter().any(|mapping| mapping.listen.is_none() && mapping.to.is_ipv6() == v6) {
            found.extend(nft.elements(Family::Inet, &table, at_map(v6))?);
        }
    }
    Ok(found.iter().filter_map(PortMapping::read).collect())
}
