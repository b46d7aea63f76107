//! A guest comes.

use ipnet::IpNet;

use super::{Refusal, Step, check, forwarding, takeover, undo};
use crate::desired::Desired;
use crate::firewall;
use crate::model::address::Address;
use crate::model::ruleset::Table;
use crate::model::{AddrGen, IfName, Link, Mark, Mode, Saved, Setting, TapMark};
use crate::netlink::nft::Found;
use crate::observed::{Observed, Standing};

/// The steps that make `desired` true.
pub fn up(desired: &Desired, observed: &Observed) -> Result<Vec<Step>, Refusal> {
    check::check(desired, observed)?;
    let mut steps = undo::dead_networks(Some(&desired.network.bridge), observed);
    let mut up = Up::new(desired, observed);
    up.bridge();
    up.pair();
    up.router_advertisements();
    up.forwarding();
    up.addresses();
    up.nic();
    up.tap();
    up.leftovers();
    if !up.mark.fits() {
        return Err(Refusal::MarkTooLong(desired.network.bridge.clone()));
    }
    steps.extend(up.finish());
    Ok(steps)
}

/// The plan as it grows: in each part the steps have an order, and the parts have one.
struct Up<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    standing: Option<&'a Standing>,
    /// The mark that is there.
    old: Option<&'a Mark>,
    /// The mark that shall be there.
    mark: Mark,
    /// Makes interfaces and closes doors; comes before the tables.
    make: Vec<Step>,
    /// Opens doors and sets up; comes after the tables.
    open: Vec<Step>,
    /// Takes away what is no longer wanted; comes last.
    clean: Vec<Step>,
}

impl<'a> Up<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        let network = &desired.network;
        let standing = observed.network(&network.bridge);
        let old = standing.and_then(|standing| standing.mark.as_ref());
        let link = observed.facts.link(&network.bridge);
        let mark = Mark {
            mode: network.mode,
            network: network.name.clone(),
            digest: network.digest(),
            made: link.is_none() || old.is_some_and(|old| old.made),
            keep: network.keep,
            veth: network.veth.clone(),
            nic: None,
            addresses: network.addresses.clone(),
            own: old.map(|old| old.own.clone()).unwrap_or_default(),
            mac: old.and_then(|old| old.mac),
            saved: Vec::new(),
            alias: match (old, link) {
                (Some(old), _) => old.alias.clone(),
                (None, Some(link)) => link.alias.clone(),
                (None, None) => String::new(),
            },
        };
        Self { desired, observed, standing, old, mark, make: Vec::new(), open: Vec::new(), clean: Vec::new() }
    }

    fn bridge_link(&self) -> Option<&'a Link> {
        self.observed.facts.link(&self.desired.network.bridge)
    }

    /// Wants a setting; the step where it differs, with its former value in the mark where the interface stays.
    fn want(&mut self, link: &IfName, setting: Setting, to: u32) -> Option<Step> {
        let now = self.observed.value(link, setting);
        let made_by_us = (*link == self.desired.network.bridge && self.mark.made)
            || self
                .desired
                .network
                .veth
                .as_ref()
                .is_some_and(|veth| veth.outer == *link || veth.inner == *link);
        if !made_by_us {
            self.remember(link, setting, now, to);
        }
        let step = Step::Set { link: link.clone(), setting, from: now.unwrap_or_default(), to };
        (now != Some(to)).then_some(step)
    }

    /// Saves a value before its first change. What another network changed has its former value there.
    fn remember(&mut self, link: &IfName, setting: Setting, now: Option<u32>, to: u32) {
        let marks = self.old.into_iter().chain(self.observed.networks.iter().filter_map(|s| s.mark.as_ref()));
        let known = marks.filter_map(|mark| mark.saved(link, setting)).next().cloned();
        let wide = if setting == Setting::Forwarding {
            self.observed.facts.wide4
        } else {
            self.observed.facts.wide6
        };
        let fresh = now.filter(|now| *now != to).map(|before| {
            let wide = setting.forwards() && wide;
            Saved { link: link.clone(), setting, before, wide }
        });
        self.mark.saved.extend(known.or(fresh));
    }

    /// The bridge with its closed or open door.
    fn bridge(&mut self) {
        let Desired { network, closed, addr_gen, .. } = self.desired;
        let bridge = &network.bridge;
        let door_is_bridge = network.veth.is_none();
        let group = if door_is_bridge { self.desired.group } else { 0 };
        match self.bridge_link() {
            None => {
                let mac = self.taken_nic().and_then(|nic| nic.mac).unwrap_or(self.desired.bridge_mac);
                self.make.push(Step::AddBridge { name: bridge.clone(), mac, group });
            }
            Some(link) if self.mark.made || group != 0 => {
                let step = self.want(bridge, Setting::Group, group).filter(|_| link.group != group);
                self.make.extend(step);
            }
            Some(_) => {}
        }
        let has_ipv6 = self.observed.value(&self.desired.tap, Setting::AddrGen).is_some();
        let fresh = self.bridge_link().is_none();
        if has_ipv6 && (*addr_gen == AddrGen::NONE || (self.mark.made && !fresh)) {
            let step = self.want(bridge, Setting::AddrGen, u32::from(addr_gen.0));
            self.make.extend(step);
        }
        if *closed {
            self.close(bridge);
        } else if self.was_closed() {
            self.reopen(bridge);
        }
        let step = self.want(bridge, Setting::Up, 1);
        self.open.extend(step);
    }

    /// A guest must not become the host's router by announcing itself (RFC 4861, router advertisements).
    /// In bridged mode the LAN's routers may; a bridge of another mode before gets what a new interface has.
    fn router_advertisements(&mut self) {
        let door = self.desired.door();
        let new = self.observed.value(&self.desired.tap, Setting::AcceptRa);
        let now = self.observed.value(door, Setting::AcceptRa);
        let wanted = match self.desired.network.mode {
            Mode::Isolated => None,
            Mode::Bridged => new.filter(|_| now == Some(0)),
            _ => Some(0),
        };
        if let (Some(to), Some(_), true) =
            (wanted, new, self.mark.made || self.desired.network.veth.is_some())
        {
            let step = self.want(door, Setting::AcceptRa, to);
            self.open.extend(step);
        }
    }

    /// The second lock, should the table be gone or the bridge have another name: no ARP answer, nothing
    /// forwarded, no source believed, no link-local address.
    fn close(&mut self, bridge: &IfName) {
        for (setting, value) in [(Setting::ArpIgnore, 8), (Setting::RpFilter, 1), (Setting::Forwarding, 0)] {
            let step = self.want(bridge, setting, value);
            self.make.extend(step);
        }
        let own = self.observed.addresses(bridge).into_iter().filter(|address| address.scope == LINK_SCOPE);
        let made = self.mark.made;
        self.make.extend(
            own.filter(|_| made).map(|address| Step::DeleteAddress { link: bridge.clone(), address }),
        );
    }

    fn was_closed(&self) -> bool {
        let closed = |mark: &&Mark| mark.made && (mark.mode == Mode::Isolated || mark.veth.is_some());
        self.bridge_link().is_some() && self.old.filter(closed).is_some()
    }

    /// A bridge that was made closed gets the values that a new interface has; the tap is one.
    fn reopen(&mut self, bridge: &IfName) {
        for setting in [Setting::ArpIgnore, Setting::RpFilter] {
            let value = self.observed.value(&self.desired.tap, setting).unwrap_or_default();
            let step = self.want(bridge, setting, value);
            self.open.extend(step);
        }
    }

    /// The veth pair through which the host joins, where one is wanted; the former one goes.
    fn pair(&mut self) {
        let Desired { network, .. } = self.desired;
        if let Some(old) = self.old.filter(|old| old.veth.is_some() && old.veth != network.veth) {
            self.clean.extend(undo::pair(old, self.observed));
        }
        let Some(veth) = &network.veth else { return };
        let (outer, inner) = (&veth.outer, &veth.inner);
        if self.observed.facts.link(inner).is_none() {
            let mac = crate::model::Mac::of_bridge(inner);
            let (outer, inner) = (outer.clone(), inner.clone());
            self.make.push(Step::AddVeth { outer, inner, mac, group: self.desired.group });
        } else {
            let step = self.want(inner, Setting::Group, self.desired.group);
            self.make.extend(step);
        }
        let has_ipv6 = self.observed.value(&self.desired.tap, Setting::AddrGen).is_some();
        let step = self.want(outer, Setting::AddrGen, u32::from(AddrGen::NONE.0)).filter(|_| has_ipv6);
        self.make.extend(step);
        self.enslave(outer);
        for end in [outer, inner] {
            let step = self.want(end, Setting::Up, 1);
            self.open.extend(step);
        }
    }

    /// Makes `port` a port of the bridge, unless it is one.
    fn enslave(&mut self, port: &IfName) {
        let facts = &self.observed.facts;
        let master = facts.link(port).and_then(|link| link.master).and_then(|index| facts.link_index(index));
        if master.is_some() && master.map(|link| link.index) == self.bridge_link().map(|link| link.index) {
            return;
        }
        let to = Some(self.desired.network.bridge.clone());
        self.open.push(Step::SetMaster {
            port: port.clone(),
            from: master.map(|link| link.name.clone()),
            to,
        });
    }

    fn forwarding(&mut self) {
        for (link, setting, value) in forwarding::wanted(self.desired, self.observed) {
            let step = self.want(&link, setting, value);
            self.open.extend(step);
        }
    }

    /// The host's addresses on the door. Only those that kvmnet gave are taken away again.
    fn addresses(&mut self) {
        let door = self.desired.door();
        let present = self.observed.addresses(door);
        for net in &self.desired.network.addresses {
            if !present.iter().any(|address| address.net == *net) {
                self.open.push(Step::AddAddress { link: door.clone(), address: Address::plain(*net) });
            }
        }
        let Some(old) = self.old else { return };
        let old_door = old.veth.as_ref().map_or(&self.desired.network.bridge, |veth| &veth.inner);
        let moved = old_door != door;
        let unwanted = |net: &IpNet| {
            old.addresses.contains(net) && (moved || !self.desired.network.addresses.contains(net))
        };
        if !moved || old.veth.is_none() {
            for address in
                self.observed.addresses(old_door).into_iter().filter(|address| unwanted(&address.net))
            {
                self.clean.push(Step::DeleteAddress { link: old_door.clone(), address });
            }
        }
    }

    /// The NIC that is to be taken over now.
    fn taken_nic(&self) -> Option<&'a Link> {
        let network = &self.desired.network;
        let nic = self.observed.nic(network).filter(|_| network.mode == Mode::Bridged)?;
        (nic.master.is_none() && nic.name != network.bridge).then_some(nic)
    }

    /// The NIC as a port, with what it has on the bridge; a former one goes back.
    fn nic(&mut self) {
        let bridge = &self.desired.network.bridge;
        let taken = self.taken_nic();
        let former = self.old.and_then(|old| old.nic.as_ref());
        let stays = self.desired.network.mode == Mode::Bridged && taken.is_none();
        if let Some(old) =
            self.old.filter(|_| former.is_some() && !stays && former != taken.map(|nic| &nic.name))
        {
            let mut steps = takeover::give_back(old, bridge, self.observed);
            let mac = self.bridge_link().and_then(|link| link.mac);
            if let (Some(from), true) = (mac, self.mark.made) {
                steps.push(Step::SetMac { link: bridge.clone(), from, to: self.desired.bridge_mac });
            }
            // Before the addresses of another mode come to the bridge.
            steps.append(&mut self.open);
            self.open = steps;
        }
        self.mark.nic = taken.map(|nic| nic.name.clone()).or_else(|| former.filter(|_| stays).cloned());
        let Some(nic) = taken else { return };
        if self.old.is_none() && self.bridge_link().is_some() {
            self.mark.own = self.observed.addresses(bridge).iter().map(|address| address.net).collect();
        }
        self.lend_mac(nic);
        let (link, setting, value) = takeover::wanted(nic);
        let step = self.want(&link, setting, value);
        self.open.extend(step);
        self.open.extend(takeover::take(nic, bridge, self.observed));
    }

    /// A bridge that is there already gets the NIC's MAC, which the machines of the LAN know.
    fn lend_mac(&mut self, nic: &Link) {
        let Some(link) = self.bridge_link() else { return };
        if let (Some(from), Some(to)) = (link.mac, nic.mac) {
            if from != to {
                self.mark.mac = self.mark.mac.or(Some(from)).filter(|_| !self.mark.made);
                self.open.push(Step::SetMac { link: link.name.clone(), from, to });
            }
        }
    }

    /// The tap: what is to be put back on one that stays is written on it first; up comes last.
    fn tap(&mut self) {
        let Some(tap) = self.observed.facts.link(&self.desired.tap) else { return };
        let name = &tap.name;
        let mtu = self.taken_nic().or(self.bridge_link()).map_or(tap.mtu, |link| link.mtu);
        let mode = tap.addr_gen.map(|now| (u32::from(now.0), u32::from(AddrGen::NONE.0)));
        if TapMark::parse(&tap.alias).is_none() {
            let persistent = tap.tun.as_ref().is_some_and(|tun| tun.persistent);
            let mark = TapMark {
                mtu: Some(tap.mtu).filter(|now| persistent && *now != mtu),
                addr_gen: mode.filter(|(now, to)| persistent && now != to).map(|(now, _)| now),
                alias: tap.alias.clone(),
            };
            self.open.push(Step::SetAlias {
                link: name.clone(),
                from: tap.alias.clone(),
                to: mark.to_string(),
            });
        }
        let mut set = |setting, from, to| {
            if from != to {
                self.open.push(Step::Set { link: name.clone(), setting, from, to });
            }
        };
        // The MTU first: a smaller one would pull the bridge's down (`br_mtu_auto_adjust`).
        set(Setting::Mtu, tap.mtu, mtu);
        if let Some((from, to)) = mode {
            set(Setting::AddrGen, from, to);
        }
        self.enslave(name);
        if !tap.up {
            self.open.push(Step::Set { link: name.clone(), setting: Setting::Up, from: 0, to: 1 });
        }
    }

    /// What the former configuration changed and this one does not need.
    fn leftovers(&mut self) {
        let Some(old) = self.old else { return };
        let is_left = |saved: &&Saved| self.mark.saved(&saved.link, saved.setting).is_none();
        let bridge = &self.desired.network.bridge;
        let others: Vec<&Mark> = self
            .observed
            .networks
            .iter()
            .filter(|s| s.bridge != *bridge)
            .filter_map(|s| s.mark.as_ref())
            .collect();
        let left: Vec<&Saved> = old.saved.iter().filter(is_left).collect();
        self.clean.extend(undo::settings(left.into_iter(), &others, self.observed));
        let forwards = self.desired.network.mode.forwards();
        if old.made && old.mode.forwards() && !forwards && self.bridge_link().is_some() {
            let wide = u32::from(self.observed.facts.wide4);
            let step = self.want(bridge, Setting::Forwarding, wide).filter(|_| old.veth.is_none());
            self.clean.extend(step);
        }
    }

    /// The tables that are missing, differ, or are no longer wanted.
    fn tables(&mut self) -> Vec<Step> {
        if !self.observed.has_nft {
            return Vec::new();
        }
        let leaks = forwarding::leaks(self.desired, self.observed, &self.mark);
        let wanted = firewall::tables(self.desired, &leaks, &self.mark);
        let found: &[Found] = self.standing.map_or(&[], |standing| &standing.tables);
        let unwanted = found.iter().filter(|found| !wanted.iter().any(|table| table.family == found.family));
        let delete = |found: &Found| Step::DeleteTable { family: found.family, name: found.name.clone() };
        self.clean.extend(unwanted.map(delete));
        wanted
            .into_iter()
            .filter_map(|table| match found.iter().find(|found| found.family == table.family) {
                None => Some(Step::AddTable(table)),
                Some(found) if is_whole(found, &table) => None,
                Some(_) => Some(Step::ReplaceTable(table)),
            })
            .collect()
    }

    /// Puts the parts in order. While something old is still to be taken away, both marks hold.
    fn finish(mut self) -> Vec<Step> {
        let tables = self.tables();
        let bridge = self.desired.network.bridge.clone();
        let now = self.bridge_link().map(|link| link.alias.clone()).unwrap_or_default();
        let last = self.mark.to_string();
        let mut both = self.mark.clone();
        let left = self.old.iter().flat_map(|old| &old.saved);
        both.saved
            .extend(left.filter(|saved| self.mark.saved(&saved.link, saved.setting).is_none()).cloned());
        let first = if both.fits() { both.to_string() } else { last.clone() };
        let mut steps = self.make;
        if first != now {
            let after_birth = usize::from(matches!(steps.first(), Some(Step::AddBridge { .. })));
            let step = Step::SetAlias { link: bridge.clone(), from: now, to: first.clone() };
            steps.insert(after_birth, step);
        }
        steps.extend(tables);
        steps.extend(self.open);
        if !self.clean.is_empty() {
            steps.push(Step::Barrier);
            steps.extend(self.clean);
        }
        if last != first {
            steps.push(Step::SetAlias { link: bridge, from: first, to: last });
        }
        steps
    }
}

/// RT_SCOPE_LINK.
const LINK_SCOPE: u8 = 253;

/// Whether a table is what it was when it was written: its note, its chains and the number of their rules.
fn is_whole(found: &Found, table: &Table) -> bool {
    let same_rules = |chain: &crate::model::ruleset::Chain| {
        found.chains.iter().any(|(name, rules)| name == chain.name && *rules as usize == chain.rules.len())
    };
    found.note == table.note
        && found.objects as usize == table.chains.len()
        && table.chains.iter().all(same_rules)
}
