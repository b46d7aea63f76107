//! The bridge and the door through which the host takes part.

use super::Up;
use crate::desired::Desired;
use crate::model::{AddrGen, IfName, Mac, Mark, Mode, Setting};
use crate::plan::{Step, undo};

impl Up<'_> {
    /// The bridge with its closed or open door.
    pub(super) fn bridge(&mut self) {
        let Desired { network, closed, addr_gen, .. } = self.desired;
        let bridge = &network.bridge;
        let door_is_bridge = network.veth.is_none();
        let group = if door_is_bridge { self.desired.group } else { 0 };
        match self.bridge_link() {
            None => {
                let mac = self.taken_nic().and_then(|nic| nic.mac).unwrap_or(self.desired.bridge_mac);
                self.make.push(Step::AddBridge { name: *bridge, mac, group });
            }
            Some(link) if self.mark.made || group != 0 => {
                let step = self.want(bridge, Setting::Group, group).filter(|_| link.group != group);
                self.make.extend(step);
            }
            Some(_) => {}
        }
        let has_ipv6 = self.observed.value(self.desired.new_interface(), Setting::AddrGen).is_some();
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
    pub(super) fn router_advertisements(&mut self) {
        let door = self.desired.door();
        let new = self.new_value(Setting::AcceptRa);
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
            self.make.extend(step);
        }
    }

    /// The second lock, should the table be gone or the bridge have another name: no ARP answer, nothing
    /// forwarded, no source believed, no link-local address.
    pub(super) fn close(&mut self, bridge: &IfName) {
        for (setting, value) in [(Setting::ArpIgnore, 8), (Setting::RpFilter, 1), (Setting::Forwarding, 0)] {
            let step = self.want(bridge, setting, value);
            self.make.extend(step);
        }
        let own = self.observed.addresses(bridge).into_iter().filter(|address| address.scope == LINK_SCOPE);
        let made = self.mark.made;
        self.make.extend(own.filter(|_| made).map(|address| Step::DeleteAddress { link: *bridge, address }));
    }

    pub(super) fn was_closed(&self) -> bool {
        let closed = |mark: &&Mark| mark.made && (mark.mode == Mode::Isolated || mark.veth.is_some());
        self.bridge_link().is_some() && self.old.filter(closed).is_some()
    }

    /// A bridge that was made closed gets the values that a new interface has; the tap is one.
    pub(super) fn reopen(&mut self, bridge: &IfName) {
        for setting in [Setting::ArpIgnore, Setting::RpFilter] {
            let value = self.new_value(setting).unwrap_or_default();
            let step = self.want(bridge, setting, value);
            self.open.extend(step);
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
            self.make.push(Step::AddVeth { outer, inner, macs, group: self.desired.group });
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
        self.open.push(Step::SetMaster { port: *port, from: master.map(|link| link.name), to });
    }
}

/// RT_SCOPE_LINK.
const LINK_SCOPE: u8 = 253;
