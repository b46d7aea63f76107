//! What bringing a guest up can depend on.

use std::io;

use ipnet::IpNet;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::{Observed, fresh, owner, station};
use crate::desired::Desired;
use crate::firewall;
use crate::model::facts::Way;
use crate::model::route::LOCAL;
use crate::model::ruleset::table_name;
use crate::model::{Address, Filter, IfName, Ledger, Link, Mode, Network, Question, TapRecord, Uplink};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::network::Instance;

impl Observed {
    /// Reads what bringing a guest up can depend on.
    pub fn for_up(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<Self> {
        let network = &desired.network;
        let name = table_name(&network.bridge);
        let chains: Vec<_> = firewall::chain_names(desired);
        let wanted: Vec<_> = chains.iter().map(|(family, chain)| (*family, name.as_str(), *chain)).collect();
        let mut observed = Self { besides: desired.tap, ..Self::tables(nft.as_deref_mut(), &wanted)? };
        let mut questions = vec![Question::Link(network.bridge)];
        match desired.tap {
            Some(tap) => questions.push(Question::Link(tap)),
            None => observed.facts.links.push(fresh::interface()?),
        }
        questions.extend(
            network.veth.iter().flat_map(|veth| [&veth.outer, &veth.inner]).cloned().map(Question::Link),
        );
        if let Uplink::Named(uplinks) = &network.uplink {
            questions
                .extend(uplinks.iter().filter(|_| has_uplink(network.mode)).cloned().map(Question::Link));
        }
        questions.extend(network.addresses.iter().map(|net| Question::RouteTo(net.addr())));
        // Not only where the network forwards: what was found must be known to be given back.
        questions.extend([false, true].map(|v6| Question::WideForwarding { v6 }));
        if desired.forwards(false) && network.uplink == Uplink::DefaultRoute {
            questions.push(Question::FreshForwarding);
        }
        let bridges = observed.bridges().into_iter();
        questions.extend(bridges.filter(|question| *question != Question::Link(network.bridge)));
        rtnl.ask(&questions, &mut observed.facts)?;
        if desired.tap_to_come && desired.tap.is_some_and(|tap| observed.facts.link(&tap).is_none()) {
            observed.facts.links.push(fresh::interface()?);
        }
        observed.ask_about_master(rtnl, desired)?;
        observed.is_proc_fixed = observed.hears_announcements(desired) && is_proc_fixed();
        observed.ask_about_records(nft)?;
        observed.work_out();
        observed.ask_about_nics(rtnl)?;
        observed.ask_about_everywhere(rtnl, desired)?;
        let own = observed.network(&network.bridge).and_then(|instance| instance.ledger.clone());
        observed.ask_about_changed(rtnl, own.iter())?;
        observed.ask_about_found(rtnl, network)?;
        observed.ask_about_persistent_tap(rtnl, desired)?;
        observed.ask_about_door(rtnl, desired)?;
        observed.ask_about_uplinks(rtnl, network)?;
        let overridden = |ledger: &Ledger| ledger.overridden && ledger.digest != network.digest;
        let instance = observed.network(&network.bridge);
        let matters = network.has_overrides()
            || instance.and_then(|instance| instance.ledger.as_ref()).is_some_and(overridden);
        // The one that the tap is on has its carrier from the very guest that leaves.
        let left = observed.tap_on(desired).map(|bridge| bridge.name);
        let exactly = |bridge: &IfName| {
            if *bridge == network.bridge { matters } else { left == Some(*bridge) }
        };
        observed.ask_about_guests(rtnl, exactly)?;
        let is_changed = |ledger: &Ledger| ledger.digest != network.digest;
        observed.ask_about_undo(rtnl, |instance| match instance.bridge == network.bridge {
            true => instance.ledger.as_ref().is_some_and(is_changed),
            false => instance.is_unused(),
        })?;
        Ok(observed)
    }

    /// The addresses of a tap that somebody made and that is yet to be attached: QEMU's own has none.
    fn ask_about_persistent_tap(&mut self, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<()> {
        let tap = desired.tap.and_then(|tap| self.facts.link(&tap));
        let is_new = |tap: &&Link| {
            tap.tun.as_ref().is_some_and(|tun| tun.persistent) && TapRecord::parse(&tap.alias).is_none()
        };
        let questions: Vec<Question> =
            tap.filter(is_new).map(|tap| Question::Addresses(tap.index)).into_iter().collect();
        rtnl.ask(&questions, &mut self.facts)
    }

    /// What a bridge has that was there before kvmnet: whose it is.
    fn ask_about_found(&mut self, rtnl: &mut Rtnl, network: &Network) -> io::Result<()> {
        let is_settled = |ledger: &Ledger| ledger.made || ledger.digest == network.digest;
        let ledger = self.network(&network.bridge).and_then(Instance::ledger_of_bridge);
        let there = self.facts.link(&network.bridge).filter(|_| !ledger.is_some_and(is_settled));
        let Some(bridge) = there.map(|link| link.index) else { return Ok(()) };
        rtnl.ask(&[Question::Addresses(bridge), Question::Ports(bridge)], &mut self.facts)
    }

    /// The addresses of the host's interface; where one is missing, what it could collide with.
    fn ask_about_door(&mut self, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<()> {
        let network = &desired.network;
        let instance = self.network(&network.bridge);
        let is_changed = |ledger: &Ledger| !ledger.made && ledger.digest != network.digest;
        let adopts = self.facts.link(&network.bridge).is_some()
            && instance.and_then(Instance::ledger_of_bridge).is_none_or(is_changed);
        let settled =
            instance.and_then(|s| s.ledger.as_ref()).is_some_and(|ledger| ledger.digest == network.digest);
        if let Some(host_if) = self.facts.link(desired.host_if()).map(|link| link.index) {
            let is_known = adopts && *desired.host_if() == network.bridge;
            if !(is_known || settled && self.has_local_routes(network, host_if)) {
                rtnl.ask(&[Question::Addresses(host_if)], &mut self.facts)?;
            }
        }
        let present = self.addresses(desired.host_if());
        let is_missing = |net: &&IpNet| !present.iter().any(|has| has.net == **net);
        let missing: Vec<&IpNet> = network.addresses.iter().filter(is_missing).collect();
        let mut questions = self.about_filters(desired);
        let mut families = Vec::new();
        for v6 in [false, true] {
            let nets: Vec<IpNet> =
                missing.iter().filter(|net| net.addr().is_ipv6() == v6).map(|net| **net).collect();
            let is_router = self.facts.wide(v6);
            let carries = network.uplink == Uplink::DefaultRoute && desired.forwards(v6) && is_router;
            // A dump tells of the default routes as well.
            if nets.is_empty() {
                families.extend((carries || adopts).then_some(v6));
            } else {
                questions.push(Question::Ways { v6, nets });
            }
        }
        rtnl.ask(&questions, &mut self.facts)?;
        self.ask_about_defaults(rtnl, &families)?;
        self.ask_about_owners(rtnl, network)
    }

    /// The bridge that the tap is a port of.
    fn tap_on(&self, desired: &Desired) -> Option<&Link> {
        let master = self.facts.link(desired.tap.as_ref()?)?.master?;
        self.facts.link_index(master)
    }

    /// What the tap is a port of, if that is no bridge that was asked for.
    fn ask_about_master(&mut self, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<()> {
        let master = desired.tap.and_then(|tap| self.facts.link(&tap)?.master);
        let unknown = master.filter(|master| self.facts.link_index(*master).is_none());
        rtnl.ask(&unknown.map(Question::LinkIndex).into_iter().collect::<Vec<_>>(), &mut self.facts)
    }

    /// The filters of the tap and of a bridge that is closed, or was: those that kvmnet may have put there, and, on what is
    /// new to it and may outlive it, the place for them.
    fn about_filters(&self, desired: &Desired) -> Vec<Question> {
        let mut questions = Vec::new();
        if let Some(tap) = desired.tap.and_then(|tap| self.facts.link(&tap)).filter(|tap| tap.index != 0) {
            let is_known = TapRecord::parse(&tap.alias).is_some();
            let stays = tap.tun.as_ref().is_some_and(|tun| tun.persistent);
            questions.extend((stays && !is_known).then_some(Question::Clsact(tap.index)));
            questions.extend((stays || is_known).then_some(Question::Filter(tap.index, Filter::Tap)));
        }
        if let Some(bridge) = self.facts.link(&desired.network.bridge) {
            let ledger = self.network(&bridge.name).and_then(|instance| instance.ledger.as_ref());
            let was_closed = ledger.is_some_and(Ledger::is_closed);
            if desired.network.is_closed() || was_closed {
                questions.extend((!was_closed).then_some(Question::Clsact(bridge.index)));
                let filters = [Filter::Ingress, Filter::Egress];
                questions.extend(filters.map(|filter| Question::Filter(bridge.index, filter)));
            }
        }
        if let Some(host_if) = self.facts.link(desired.host_if()).filter(|_| self.is_proc_fixed) {
            questions.push(Question::Filter(host_if.index, Filter::Announcements));
        }
        questions
    }

    /// Whether the host's interface takes router advertisements of guests, or would, once it is made.
    fn hears_announcements(&self, desired: &Desired) -> bool {
        let host_if = self.facts.link(desired.host_if()).or_else(|| self.facts.link(desired.new_interface()));
        let accepts = host_if.and_then(|host_if| host_if.ipv6).is_some_and(|ipv6| ipv6.accept_ra != 0);
        accepts && !matches!(desired.network.mode, Mode::Isolated | Mode::Bridged)
    }

    /// Whether the host's addresses are on its interface, as the routes of the table `local` say: a get for each
    /// instead of a dump. They are then among the facts.
    fn has_local_routes(&mut self, network: &Network, host_if: u32) -> bool {
        let is_there = |net: &IpNet| {
            let is_host =
                |way: &Way| way.destination.is_some_and(|to| to.addr() == net.addr()) && way.kind == LOCAL;
            self.facts.matched.iter().any(|way| is_host(way) && way.devices == [host_if])
        };
        if !network.addresses.iter().all(is_there) {
            return false;
        }
        self.facts.addresses.extend(network.addresses.iter().map(|net| (host_if, Address::plain(*net))));
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

    /// What the named uplinks are ports of; in bridged mode, what the NIC has.
    fn ask_about_uplinks(&mut self, rtnl: &mut Rtnl, network: &Network) -> io::Result<()> {
        let mut questions = Vec::new();
        if let Uplink::Named(uplinks) = &network.uplink {
            let masters = uplinks.iter().filter_map(|name| self.facts.link(name)?.master);
            questions
                .extend(masters.filter(|at| self.facts.link_index(*at).is_none()).map(Question::LinkIndex));
        }
        rtnl.ask(&questions, &mut self.facts)?;
        if network.mode != Mode::Bridged {
            return Ok(());
        }
        let taken = self.network(&network.bridge).and_then(|s| s.ledger.as_ref()?.nic());
        let unknown: Vec<_> = taken.iter().filter(|nic| self.facts.link(nic).is_none()).cloned().collect();
        rtnl.ask(&unknown.into_iter().map(Question::Link).collect::<Vec<_>>(), &mut self.facts)?;
        let is_taken = taken.is_some_and(|nic| self.facts.link(&nic).is_some());
        if network.uplink == Uplink::DefaultRoute && !is_taken {
            self.ask_about_way_out(rtnl, &network.bridge)?;
        }
        let Some(nic) = self.nic(network).cloned() else { return Ok(()) };
        match nic.master {
            None if nic.is_bridge() => Ok(()),
            None => {
                self.ask_about_baggage(rtnl, &nic)?;
                if let Some(bridge) = self.facts.link(&network.bridge).cloned() {
                    self.ask_about_baggage(rtnl, &bridge)?;
                }
                self.owner = owner::of(&nic, &self.facts.addresses_of(nic.index));
                self.is_station = station::is_station(&nic);
                Ok(())
            }
            Some(_) if taken.as_ref() == Some(&nic.name) => {
                // Usually nothing: all that it had is on the bridge, unless the takeover was cut short.
                rtnl.ask(&[Question::Addresses(nic.index)], &mut self.facts)?;
                let ledger = self.network(&network.bridge).and_then(|instance| instance.ledger.as_ref());
                if !ledger.is_some_and(|ledger| self.has_baggage(&nic.name, ledger)) {
                    return Ok(());
                }
                self.ask_about_baggage(rtnl, &nic)?;
                self.ask_about_neighbours(rtnl, &network.bridge)
            }
            Some(master) => rtnl.ask(&[Question::LinkIndex(master)], &mut self.facts),
        }
    }
}

/// Whether /proc/sys is mounted read-only.
pub fn is_proc_fixed() -> bool {
    statvfs("/proc/sys").is_ok_and(|about| about.flags().contains(FsFlags::ST_RDONLY))
}

fn has_uplink(mode: Mode) -> bool {
    mode.forwards() || mode == Mode::Bridged
}
