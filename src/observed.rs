//! What the kernel says now, asked for as little as possible: the only reader.
//!
//! In: what is desired, or which tap leaves. Out: [`Observed`]. Never: decides or changes anything.
//!
//! Kept small by three things: interfaces are asked for by name; all of kvmnet's networks are found by one
//! dump of the (few) nftables tables; a dump of ports or routes is made only where the plan can depend on it.

use std::io;

use ipnet::IpNet;

use crate::desired::Desired;
use crate::firewall;
use crate::model::route::LOCAL;
use crate::model::ruleset::{Family, TABLE_PREFIX, table_name};
use crate::model::{Address, IfName, Link, Mark, Mode, Network, Setting, TapMark, Uplink};
use crate::netlink::nft::{Found, Nft};
use crate::netlink::route::{Facts, Question, Rtnl, Way};

/// A network that kvmnet made and that stands, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its bridge's name.
    pub bridge: IfName,
    /// Its bridge, unless somebody deleted it.
    pub link: Option<Link>,
    /// The record, from the bridge or else from the table.
    pub mark: Option<Mark>,
    /// Its tables.
    pub tables: Vec<Found>,
    /// Whether a guest other than the one at hand, or anything else that kvmnet did not put there, is a port.
    pub occupied: bool,
}

impl Standing {
    /// Whether nothing keeps it: no guest and no `keep`.
    pub fn is_dead(&self) -> bool {
        !self.occupied && !self.mark.as_ref().is_some_and(|mark| mark.keep && self.link.is_some())
    }
}

/// What the kernel says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Interfaces, addresses, routes.
    pub facts: Facts,
    /// Every network of kvmnet's.
    pub networks: Vec<Standing>,
    /// Whether the kernel has nf_tables.
    pub has_nft: bool,
}

impl Observed {
    /// The network of this bridge.
    pub fn network(&self, bridge: &IfName) -> Option<&Standing> {
        self.networks.iter().find(|standing| standing.bridge == *bridge)
    }

    /// Reads what bringing a guest up can depend on.
    pub fn for_up(nft: Option<&mut Nft>, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<Self> {
        let network = &desired.network;
        let name = table_name(&network.bridge);
        let chains: Vec<_> = firewall::chain_names(desired);
        let wanted: Vec<_> = chains.iter().map(|(family, chain)| (*family, name.as_str(), *chain)).collect();
        let mut observed = Self::tables(nft, &wanted)?;
        let mut questions = vec![Question::Link(desired.tap.clone()), Question::Link(network.bridge.clone())];
        questions.extend(
            network.veth.iter().flat_map(|veth| [&veth.outer, &veth.inner]).cloned().map(Question::Link),
        );
        if let Uplink::Named(uplinks) = &network.uplink {
            questions
                .extend(uplinks.iter().filter(|_| has_uplink(network.mode)).cloned().map(Question::Link));
        }
        questions.extend(network.addresses.iter().map(|net| Question::RouteTo(net.addr())));
        questions.extend(
            [false, true]
                .into_iter()
                .filter(|v6| desired.forwards(*v6))
                .map(|v6| Question::WideForwarding { v6 }),
        );
        questions.extend(
            observed.bridges().filter(|question| *question != Question::Link(network.bridge.clone())),
        );
        rtnl.ask(&questions, &mut observed.facts)?;
        observed.match_links(&network.bridge);
        observed.ask_about_door(rtnl, desired)?;
        observed.ask_about_uplinks(rtnl, network)?;
        let exactly = |bridge: &IfName| network.has_overrides() && *bridge == network.bridge;
        observed.ask_about_guests(rtnl, &desired.tap, exactly)?;
        observed.ask_about_undo(rtnl, Some(network))?;
        Ok(observed)
    }

    /// Reads what taking a guest down can depend on.
    pub fn for_down(nft: Option<&mut Nft>, rtnl: &mut Rtnl, tap: &IfName) -> io::Result<Self> {
        let mut observed = Self::tables(nft, &[])?;
        let mut questions = vec![Question::Link(tap.clone())];
        questions.extend(observed.bridges());
        rtnl.ask(&questions, &mut observed.facts)?;
        let master = observed.facts.link(tap).and_then(|link| link.master);
        match master {
            Some(master) if observed.facts.link_index(master).is_none() => {
                rtnl.ask(&[Question::LinkIndex(master)], &mut observed.facts)?;
            }
            Some(_) => {}
            // The tap is gone, or was never attached: all that is left of its network may be a mark.
            None => rtnl.ask(&[Question::Bridges], &mut observed.facts)?,
        }
        let bridges: Vec<IfName> = observed
            .facts
            .links
            .iter()
            .filter(|link| link.is_bridge())
            .map(|link| link.name.clone())
            .collect();
        bridges.iter().for_each(|bridge| observed.match_links(bridge));
        observed.networks.retain(|standing| standing.mark.is_some() || !standing.tables.is_empty());
        let bridge =
            master.and_then(|master| observed.facts.link_index(master)).map(|link| link.name.clone());
        // A tap that is on no bridge may have been on any.
        let exactly = |name: &IfName| bridge.as_ref().is_none_or(|bridge| bridge == name);
        observed.ask_about_guests(rtnl, tap, exactly)?;
        observed.ask_about_undo(rtnl, None)?;
        Ok(observed)
    }

    /// Finds kvmnet's networks by their tables.
    fn tables(nft: Option<&mut Nft>, wanted: &[(Family, &str, &str)]) -> io::Result<Self> {
        let Some(nft) = nft else { return Ok(Self::default()) };
        let mut observed = Self { has_nft: true, ..Self::default() };
        for found in nft.tables(wanted)? {
            let name = found.name.strip_prefix(TABLE_PREFIX).unwrap_or_default();
            // A name that no interface can have is nobody's network, and no table of ours.
            if let Ok(bridge) = IfName::new(name) {
                observed.standing(&bridge).tables.push(found);
            }
        }
        Ok(observed)
    }

    /// The network of this bridge, new where there is none yet.
    fn standing(&mut self, bridge: &IfName) -> &mut Standing {
        let known = self.networks.iter().position(|standing| standing.bridge == *bridge);
        let at = known.unwrap_or_else(|| {
            let bridge = bridge.clone();
            let empty = Standing { bridge, link: None, mark: None, tables: Vec::new(), occupied: false };
            self.networks.push(empty);
            self.networks.len() - 1
        });
        &mut self.networks[at]
    }

    fn bridges(&self) -> impl Iterator<Item = Question> + '_ {
        self.networks.iter().map(|standing| Question::Link(standing.bridge.clone()))
    }

    /// Finds the bridges of the networks, and the marks.
    fn match_links(&mut self, bridge: &IfName) {
        self.standing(bridge);
        for standing in &mut self.networks {
            standing.link = self.facts.link(&standing.bridge).filter(|link| link.is_bridge()).cloned();
            let alias = standing.link.as_ref().and_then(|link| Mark::parse(&link.alias));
            let copy = || standing.tables.iter().find_map(|table| firewall::mark_in(&table.note));
            standing.mark = alias.or_else(copy);
        }
    }

    /// The addresses of the door; where one is missing, what it could collide with.
    fn ask_about_door(&mut self, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<()> {
        let network = &desired.network;
        let standing = self.network(&network.bridge);
        let adopts = standing.is_some_and(|standing| standing.link.is_some() && standing.mark.is_none());
        let settled =
            standing.and_then(|s| s.mark.as_ref()).is_some_and(|mark| mark.digest == network.digest());
        if let Some(door) = self.facts.link(desired.door()).map(|link| link.index) {
            if !(settled && self.has_local_routes(network, door)) {
                rtnl.ask(&[Question::Addresses(door)], &mut self.facts)?;
            }
        }
        let present = self.addresses(desired.door());
        let is_missing = |net: &&IpNet| !present.iter().any(|has| has.net == **net);
        let missing: Vec<&IpNet> = network.addresses.iter().filter(is_missing).collect();
        let mut questions = Vec::new();
        for v6 in [false, true] {
            let collides = missing.iter().any(|net| net.addr().is_ipv6() == v6);
            let carries = network.uplink == Uplink::DefaultRoute
                && (desired.forwards(v6) || network.mode == Mode::Bridged);
            if collides || carries || adopts {
                questions.push(Question::Ways { v6 });
            }
        }
        rtnl.ask(&questions, &mut self.facts)?;
        self.ask_about_owners(rtnl, network)
    }

    /// Whether the host's addresses are on the door, as the routes of the table `local` say: a get for each
    /// instead of a dump. They are then among the facts.
    fn has_local_routes(&mut self, network: &Network, door: u32) -> bool {
        let is_there = |net: &IpNet| {
            let is_host =
                |way: &Way| way.destination.is_some_and(|to| to.addr() == net.addr()) && way.kind == LOCAL;
            self.facts.matched.iter().any(|way| is_host(way) && way.devices == [door])
        };
        if !network.addresses.iter().all(is_there) {
            return false;
        }
        self.facts.addresses.extend(network.addresses.iter().map(|net| (door, Address::plain(*net))));
        true
    }

    /// Who has what the new addresses collide with.
    fn ask_about_owners(&mut self, rtnl: &mut Rtnl, network: &Network) -> io::Result<()> {
        let overlaps = |way: &&Way| {
            let nets = &mut network.addresses.iter();
            way.destination
                .is_some_and(|to| nets.any(|net| to.contains(&net.addr()) || net.contains(&to.addr())))
        };
        let ways = self.facts.ways.iter().chain(&self.facts.matched).filter(overlaps);
        let devices = ways.flat_map(|way| way.devices.iter().copied());
        let unknown: Vec<u32> = devices.filter(|device| self.facts.link_index(*device).is_none()).collect();
        let questions: Vec<_> = unknown.into_iter().map(Question::LinkIndex).collect();
        rtnl.ask(&questions, &mut self.facts)
    }

    /// The interfaces that carry default routes, where they are the uplinks; in bridged mode, what the NIC has.
    fn ask_about_uplinks(&mut self, rtnl: &mut Rtnl, network: &Network) -> io::Result<()> {
        let mut devices: Vec<u32> = self.default_devices().collect();
        devices.sort_unstable();
        devices.dedup();
        devices.retain(|index| self.facts.link_index(*index).is_none());
        let questions: Vec<_> = devices.into_iter().map(Question::LinkIndex).collect();
        rtnl.ask(&questions, &mut self.facts)?;
        if network.mode != Mode::Bridged {
            return Ok(());
        }
        match self.nic(network).cloned() {
            Some(nic) if nic.master.is_none() && !nic.is_bridge() => self.ask_about_baggage(rtnl, &nic),
            Some(nic) => {
                let master = nic.master.into_iter().map(Question::LinkIndex).collect::<Vec<_>>();
                rtnl.ask(&master, &mut self.facts)
            }
            None => Ok(()),
        }
    }

    /// The uplink of a bridged network.
    pub fn nic(&self, network: &Network) -> Option<&Link> {
        match &network.uplink {
            Uplink::Named(names) => names.first().and_then(|name| self.facts.link(name)),
            Uplink::DefaultRoute => self.default_devices().find_map(|index| self.facts.link_index(index)),
        }
    }

    /// The interfaces that carry a default route.
    pub fn default_devices(&self) -> impl Iterator<Item = u32> + '_ {
        self.facts
            .ways
            .iter()
            .filter(|way| way.destination.is_none())
            .flat_map(|way| way.devices.iter().copied())
    }

    /// What a takeover carries away from `link`.
    fn ask_about_baggage(&mut self, rtnl: &mut Rtnl, link: &Link) -> io::Result<()> {
        let (device, name) = (link.index, &link.name);
        let mut questions = vec![Question::Addresses(device)];
        for v6 in [false, true] {
            questions.push(Question::Routes { v6, device, name: name.clone() });
            questions.push(Question::Neighbours { v6, device, name: name.clone() });
        }
        rtnl.ask(&questions, &mut self.facts)
    }

    /// Which networks still have guests, apart from `tap`. Those that must be known exactly cost a dump.
    fn ask_about_guests(
        &mut self,
        rtnl: &mut Rtnl,
        tap: &IfName,
        exactly: impl Fn(&IfName) -> bool,
    ) -> io::Result<()> {
        for at in 0..self.networks.len() {
            let Some(standing) = self.networks.get(at) else { continue };
            let (Some(link), Some(mark)) = (&standing.link, &standing.mark) else { continue };
            // Without a port that has carrier a bridge has none. A pair's end, a NIC and foreign ports have it.
            let has_other_ports = mark.veth.is_some() || mark.nic.is_some() || !mark.made;
            let occupied = link.carrier
                && (!(has_other_ports || exactly(&standing.bridge))
                    || has_guests(rtnl, link.index, mark, tap)?);
            if let Some(standing) = self.networks.get_mut(at) {
                standing.occupied = occupied;
            }
        }
        Ok(())
    }

    /// What the undo of dead networks needs, and what the change of `staying` does.
    fn ask_about_undo(&mut self, rtnl: &mut Rtnl, staying: Option<&Network>) -> io::Result<()> {
        let mut questions = Vec::new();
        let mut bridges = Vec::new();
        for standing in &self.networks {
            let Some(mark) = &standing.mark else { continue };
            let needs_undo = match staying.filter(|network| network.bridge == standing.bridge) {
                Some(network) => network.digest() != mark.digest,
                None => standing.is_dead(),
            };
            if !needs_undo {
                continue;
            }
            let mut names: Vec<&IfName> = mark.saved.iter().map(|saved| &saved.link).collect();
            names.extend(mark.veth.iter().flat_map(|veth| [&veth.outer, &veth.inner]));
            names.extend(&mark.nic);
            names.retain(|name| self.facts.link(name).is_none());
            questions.extend(names.into_iter().cloned().map(Question::Link));
            if mark.saved.iter().any(|saved| saved.setting.forwards()) {
                questions.extend([false, true].map(|v6| Question::WideForwarding { v6 }));
            }
            bridges.extend(standing.link.iter().cloned().map(|link| (link, mark.nic.is_some())));
        }
        rtnl.ask(&questions, &mut self.facts)?;
        for (bridge, has_baggage) in bridges {
            if has_baggage {
                self.ask_about_baggage(rtnl, &bridge)?;
            } else if self.facts.addresses_of(bridge.index).is_empty() {
                rtnl.ask(&[Question::Addresses(bridge.index)], &mut self.facts)?;
            }
        }
        Ok(())
    }

    /// The value of `setting` now; None where the interface is gone or has no such setting.
    pub fn value(&self, link: &IfName, setting: Setting) -> Option<u32> {
        if setting == Setting::WideForwarding6 {
            return Some(u32::from(self.facts.wide6));
        }
        let link = self.facts.link(link)?;
        match setting {
            Setting::Up => Some(u32::from(link.up)),
            Setting::Mtu => Some(link.mtu),
            Setting::Group => Some(link.group),
            Setting::AddrGen => link.addr_gen.map(|mode| u32::from(mode.0)),
            Setting::Forwarding => Some(link.ipv4.forwarding),
            Setting::RpFilter => Some(link.ipv4.rp_filter),
            Setting::ArpIgnore => Some(link.ipv4.arp_ignore),
            Setting::AcceptRa => link.ipv6.map(|ipv6| ipv6.accept_ra),
            Setting::ForceForwarding => link.ipv6.and_then(|ipv6| ipv6.force_forwarding),
            Setting::WideForwarding6 => None,
        }
    }

    /// The addresses of an interface.
    pub fn addresses(&self, link: &IfName) -> Vec<Address> {
        self.facts.link(link).map(|link| self.facts.addresses_of(link.index)).unwrap_or_default()
    }
}

fn has_uplink(mode: Mode) -> bool {
    mode.forwards() || mode == Mode::Bridged
}

/// Whether a bridge has a port that is not kvmnet's own and is alive, apart from `apart`.
fn has_guests(rtnl: &mut Rtnl, bridge: u32, mark: &Mark, apart: &IfName) -> io::Result<bool> {
    let mut ports = Facts::default();
    rtnl.ask(&[Question::Ports(bridge)], &mut ports)?;
    let is_own = |name: &IfName| {
        mark.nic.as_ref() == Some(name) || mark.veth.as_ref().is_some_and(|veth| veth.outer == *name)
    };
    Ok(ports.links.iter().any(|port| {
        let counts = match (port.is_tap(), mark.made) {
            // A tap without carrier has no process behind it. A found bridge may have taps of others.
            (true, made) => port.carrier && (made || TapMark::parse(&port.alias).is_some()),
            // Somebody put it on the bridge that kvmnet made, or it was there before.
            (false, made) => made,
        };
        counts && port.master == Some(bridge) && port.name != *apart && !is_own(&port.name)
    }))
}
