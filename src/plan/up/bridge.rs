//! The bridge, and the interface through which the host takes part.

use super::Up;
use super::host::identity;
use crate::desired::Desired;
use crate::item::{AddressChange, LinkChange, PortChange};
use crate::model::link::lan_group;
use crate::model::{AddrGen, Filter, IfName, Ledger, Link, Mac, Mode, Setting};
use crate::plan::undo;

impl Up<'_> {
    /// The bridge, shut to the host or open.
    pub(super) fn bridge(&mut self) {
        let Desired { network, closed, .. } = self.desired;
        let bridge = &network.bridge;
        let host_if_is_bridge = network.veth.is_none();
        let group = match self.port_nic() {
            Some(nic) => lan_group(&nic),
            None if host_if_is_bridge => self.desired.group,
            None => 0,
        };
        match self.bridge_link() {
            None => {
                let mac = self.taken_nic().and_then(|nic| nic.mac).unwrap_or(self.desired.bridge_mac);
                self.make.push(LinkChange::AddBridge { name: *bridge, mac, group }.into());
            }
            Some(link) if self.ledger.made || group != 0 => {
                let step = self.want(bridge, Setting::Group, group).filter(|_| link.group != group);
                self.make.extend(step);
            }
            Some(_) => {}
        }
        self.hold_mac();
        self.bound_learning();
        self.address_generation(bridge);
        if *closed {
            self.close(bridge);
        } else if self.was_closed() {
            self.reopen(bridge);
        }
        let step = self.want(bridge, Setting::Up, 1);
        self.open.extend(step);
    }

    /// A guest can send from as many MACs as it likes, and the bridge learns each. Frames for one that it could not learn go
    /// to every port, as on a hub; so the bound is above what any network has, and a LAN has more.
    fn bound_learning(&mut self) {
        let (bridge, network) = (self.bridge_link(), &self.desired.network);
        let bound = if network.mode == Mode::Bridged { 16384 } else { 4096 };
        // One without a bound was made by an older `ip`, or is on an older kernel.
        let has_bound = |bridge: &Link| bridge.fdb_max_learned.is_some_and(|bound| bound != 0);
        if self.ledger.made && bridge.is_none_or(has_bound) {
            let step = self.want(&network.bridge, Setting::FdbMaxLearned, bound);
            self.make.extend(step);
        }
    }

    /// A bridge that was found without ports may have no MAC of its own, but its lowest port's, and 00:00:00:00:00:00 when
    /// the last one leaves. What it has is set, and no longer follows anybody. One with a port has that port's: no tap's,
    /// see [`Up::tap`].
    fn hold_mac(&mut self) {
        let Some(bridge) = self.bridge_link().filter(|_| self.old.is_none()) else { return };
        let is_port = |link: &Link| link.master == Some(bridge.index) && Some(link.name) != self.desired.tap;
        let has_port = self.observed.facts.links.iter().any(is_port);
        let mac = bridge.mac.filter(|mac| mac.0 != [0; 6] && !has_port && self.taken_nic().is_none());
        self.make.extend(mac.map(|mac| LinkChange::Mac { link: bridge.name, from: mac, to: mac }.into()));
    }

    /// How the bridge gets its link-local address. One that was found keeps its own in bridged mode; there, one of kvmnet's
    /// makes none until it has what the NIC had, and at once where the NIC is down: that one had none to give.
    fn address_generation(&mut self, bridge: &IfName) {
        let Desired { network, addr_gen, .. } = self.desired;
        let is_fresh = self.bridge_link().is_none();
        if let Some(nic) = self.taken_nic().filter(|nic| is_fresh && !nic.up) {
            return self.make.extend(identity(nic, bridge));
        }
        let is_wanted = match network.mode {
            Mode::Bridged => self.ledger.made && (is_fresh || self.taken_nic().is_some()),
            _ => *addr_gen == AddrGen::NONE || (self.ledger.made && !is_fresh),
        };
        let has_ipv6 = self.observed.value(self.desired.new_interface(), Setting::AddrGen).is_some();
        if has_ipv6 && is_wanted {
            let step = self.want(bridge, Setting::AddrGen, u32::from(addr_gen.0));
            self.make.extend(step);
        }
    }

    /// A guest must not become the host's router by announcing itself (RFC 4861, router advertisements).
    /// In bridged mode the LAN's routers may; a bridge of another mode before gets what a new interface has.
    pub(super) fn router_advertisements(&mut self) {
        let host_if = self.desired.host_if();
        let new = self.new_value(Setting::AcceptRa);
        let now = self.observed.value(host_if, Setting::AcceptRa);
        let wanted = match self.desired.network.mode {
            Mode::Isolated => None,
            Mode::Bridged => new.filter(|_| now == Some(0)),
            _ => Some(0),
        };
        let is_own = self.ledger.made || self.desired.network.veth.is_some();
        // On a LAN's bridge that was found, its owner has decided.
        let decides = is_own || (self.desired.network.mode != Mode::Bridged && !self.observed.is_proc_fixed);
        if let (Some(to), Some(_), true) = (wanted, new, decides) {
            // Where /proc/sys cannot be written, a filter does it; it goes with the host's interface.
            let filter = [(Setting::Clsact, 1), (Setting::Filter(Filter::Announcements), 1)];
            let setting = [(Setting::AcceptRa, to)];
            let settings = if self.observed.is_proc_fixed && to == 0 { &filter[..] } else { &setting[..] };
            for (setting, to) in settings {
                let step = self.want(host_if, *setting, *to);
                self.make.extend(step);
            }
        }
    }

    /// The second lock, should the table be gone or the bridge have another name: a filter that drops everything, both
    /// ways; and behind it no ARP answer, nothing forwarded, no source believed, no link-local address.
    pub(super) fn close(&mut self, bridge: &IfName) {
        for (setting, value) in CLOSED {
            let step = self.want(bridge, setting, value);
            self.make.extend(step);
        }
        let own = self.observed.addresses(bridge).into_iter().filter(|address| address.scope == LINK_SCOPE);
        let made = self.ledger.made;
        self.make.extend(
            own.filter(|_| made).map(|address| AddressChange::Delete { link: *bridge, address }.into()),
        );
    }

    /// No IPv6 on a closed bridge. Its IPv6 addresses go with it, so on a bridge that is there already this comes last, when
    /// those that kvmnet gave have been taken off in a way that can be taken back.
    pub(super) fn shut_out_ipv6(&mut self) {
        let has_ipv6 = self.observed.value(self.desired.new_interface(), Setting::DisableIpv6).is_some();
        if !self.desired.closed || !has_ipv6 {
            return;
        }
        let step = self.want(&self.desired.network.bridge, Setting::DisableIpv6, 1);
        if self.bridge_link().is_none() { self.make.extend(step) } else { self.clean.extend(step) }
    }

    pub(super) fn was_closed(&self) -> bool {
        self.bridge_link().is_some() && self.old.is_some_and(Ledger::is_closed)
    }

    /// A bridge that was made closed gets the values that a new interface has, one that was found those that it had: before
    /// anything is added to it.
    pub(super) fn reopen(&mut self, bridge: &IfName) {
        // The way back: the filters before their place, the place before the settings.
        for (setting, _) in CLOSED.into_iter().rev().chain([(Setting::DisableIpv6, 1)]) {
            let value = match self.old.filter(|_| !self.ledger.made) {
                Some(old) => old.changed(bridge, setting).map(|changed| changed.before),
                None => {
                    self.observed.value(bridge, setting).map(|_| self.new_value(setting).unwrap_or_default())
                }
            };
            let step = value.and_then(|value| self.want(bridge, setting, value));
            self.open.extend(step);
        }
    }

    /// What comes from a host-only network is forwarded nowhere, whatever becomes of its table.
    pub(super) fn forward_nothing(&mut self) {
        if self.desired.network.mode == Mode::HostOnly {
            let step = self.want(self.desired.host_if(), Setting::Forwarding, 0);
            self.make.extend(step);
            let is_open = self.new_value(Setting::ForceForwarding) == Some(1);
            let step = is_open.then(|| self.want(self.desired.host_if(), Setting::ForceForwarding, 0));
            self.make.extend(step.flatten());
        }
    }

    /// The veth pair through which the host joins, where one is wanted; the former one goes.
    pub(super) fn pair(&mut self) {
        let Desired { network, .. } = self.desired;
        if let Some(old) = self.old.filter(|old| old.veth.is_some() && old.veth != network.veth) {
            self.clean.extend(undo::pair(old, self.observed));
        }
        let Some(veth) = &network.veth else { return };
        let (outer, inner) = (&veth.outer, &veth.inner);
        if self.observed.facts.link(inner).is_none() {
            let macs = [Mac::of_bridge(outer), Mac::of_bridge(inner)];
            let (outer, inner) = (*outer, *inner);
            self.make.push(LinkChange::AddVeth { outer, inner, macs, group: self.desired.group }.into());
        } else {
            let step = self.want(inner, Setting::Group, self.desired.group);
            self.make.extend(step);
        }
        let has_ipv6 = self.observed.value(self.desired.new_interface(), Setting::AddrGen).is_some();
        let step = self.want(outer, Setting::AddrGen, u32::from(AddrGen::NONE.0)).filter(|_| has_ipv6);
        self.make.extend(step);
        self.enslave(outer);
        for end in [outer, inner] {
            let step = self.want(end, Setting::Up, 1);
            self.open.extend(step);
        }
    }

    /// Makes `port` a port of the bridge, unless it is one.
    pub(super) fn enslave(&mut self, port: &IfName) {
        let facts = &self.observed.facts;
        let master = facts.link(port).and_then(|link| link.master).and_then(|index| facts.link_index(index));
        if master.is_some() && master.map(|link| link.index) == self.bridge_link().map(|link| link.index) {
            return;
        }
        let to = Some(self.desired.network.bridge);
        self.open.push(PortChange { port: *port, from: master.map(|link| link.name), to }.into());
    }
}

/// What closes a bridge, in order.
const CLOSED: [(Setting, u32); 8] = [
    (Setting::ArpIgnore, 8),
    (Setting::RpFilter, 1),
    (Setting::Forwarding, 0),
    (Setting::AcceptLocal, 0),
    (Setting::RouteLocalnet, 0),
    (Setting::Clsact, 1),
    (Setting::Filter(Filter::Ingress), 1),
    (Setting::Filter(Filter::Egress), 1),
];

/// RT_SCOPE_LINK.
pub(super) const LINK_SCOPE: u8 = 253;
