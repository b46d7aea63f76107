//! The host: its addresses on the network, its NIC, what it forwards.

use ipnet::IpNet;

use super::Up;
use super::bridge::LINK_SCOPE;
use crate::item::{AddressChange, Ipv6IdentityChange, LinkChange, Probe, ProbeTarget, Step};
use crate::model::ledger::Place;
use crate::model::setting::{IPV4, IPV6};
use crate::model::{AddrGen, Address, IfName, Ledger, Link, Mode, Setting};
use crate::plan::takeover;

impl<'a> Up<'a> {
    /// The host's addresses on its interface. Only those that kvmnet gave are taken away again.
    pub(super) fn addresses(&mut self) {
        let host_if = self.desired.host_if();
        let present = self.observed.addresses(host_if);
        for net in &self.desired.network.addresses {
            if !present.iter().any(|address| address.net == *net) {
                self.open.push(AddressChange::Add { link: *host_if, address: Address::plain(*net) }.into());
            }
        }
        let Some(old) = self.old else { return };
        let old_host_if = old.veth.as_ref().map_or(&self.desired.network.bridge, |veth| &veth.inner);
        let moved = old_host_if != host_if;
        let unwanted = |net: &IpNet| {
            old.addresses.contains(net) && (moved || !self.desired.network.addresses.contains(net))
        };
        if !moved || old.veth.is_none() {
            for address in
                self.observed.addresses(old_host_if).into_iter().filter(|address| unwanted(&address.net))
            {
                self.clean.push(AddressChange::Delete { link: *old_host_if, address }.into());
            }
        }
    }

    /// The NIC that is to be taken over now, or whose takeover was cut short.
    pub(super) fn taken_nic(&self) -> Option<&'a Link> {
        let network = &self.desired.network;
        let nic = self.observed.nic(network).filter(|_| network.mode == Mode::Bridged)?;
        let is_half_taken = self
            .old
            .is_some_and(|old| old.nic() == Some(nic.name) && self.observed.has_baggage(&nic.name, old));
        ((nic.master.is_none() || is_half_taken) && nic.name != network.bridge).then_some(nic)
    }

    /// In bridged mode, the NIC that kvmnet makes or made a port.
    pub(super) fn port_nic(&self) -> Option<IfName> {
        if self.desired.network.mode != Mode::Bridged {
            return None;
        }
        self.taken_nic().map(|nic| nic.name).or_else(|| self.old.and_then(Ledger::nic))
    }

    /// The NIC as a port, with what it has on the bridge; a former one goes back.
    pub(super) fn nic(&mut self) {
        let bridge = &self.desired.network.bridge;
        let taken = self.taken_nic();
        let former = self.old.and_then(|old| old.nic);
        let stays = self.desired.network.mode == Mode::Bridged && taken.is_none();
        if let Some(old) = self
            .old
            .filter(|_| former.is_some() && !stays && former.map(|nic| nic.name) != taken.map(|nic| nic.name))
        {
            let mut steps = takeover::give_back(old, bridge, self.observed);
            let mac = self.bridge_link().and_then(|link| link.mac);
            if let (Some(from), true) = (mac, self.ledger.made) {
                steps.push(LinkChange::Mac { link: *bridge, from, to: self.desired.bridge_mac }.into());
            }
            // Before the addresses of another mode come to the bridge.
            steps.append(&mut self.open);
            self.open = steps;
        }
        self.ledger.nic = taken.map(Place::from).or_else(|| former.filter(|_| stays));
        let Some(nic) = taken else {
            self.keep_up();
            return self.identity_again();
        };
        if self.old.is_none() && self.bridge_link().is_some() {
            self.ledger.bridge_addresses =
                self.observed.addresses(bridge).iter().map(|address| address.net).collect();
        }
        self.drop_own_link_local(nic);
        self.lend_mac(nic);
        self.copy_settings(nic);
        let (link, setting, value) = takeover::wanted(nic);
        let step = self.want(&link, setting, value);
        self.open.extend(step);
        let target_of_probe = takeover::target_of_probe(&nic.name, self.observed);
        let target_of_probe =
            target_of_probe.filter(|_| self.desired.network.confirm && nic.master.is_none() && nic.carrier);
        self.open.extend(target_of_probe.map(|target_of_probe| Probe::Before(target_of_probe).into()));
        let has_identity = !self.ledger.made || (self.bridge_link().is_none() && !nic.up);
        let identity = if has_identity { Vec::new() } else { identity(nic, bridge) };
        let steps = takeover::take(nic, bridge, self.observed.owner.is_some(), identity, self.observed);
        // A bridge of our own has the NIC's.
        let like = if self.ledger.made { &nic.name } else { bridge };
        let kept = self.observed.value(like, Setting::RpFilter).unwrap_or_default();
        self.open.extend(takeover::with_loose_rp_filter(bridge, kept, self.observed, steps));
        self.open
            .extend(target_of_probe.map(|target_of_probe| {
                Probe::After(ProbeTarget { link: *bridge, ..target_of_probe }).into()
            }));
    }

    /// A bridge of another mode has a link-local address of its own, which the NIC would be given with all that is the NIC's.
    fn drop_own_link_local(&mut self, nic: &Link) {
        if !self.old.is_some_and(|old| old.made && old.nic.is_none()) {
            return;
        }
        let bridge = self.desired.network.bridge;
        let the_nics = self.observed.addresses(&nic.name);
        let mut own = self.observed.addresses(&bridge);
        own.retain(|own| own.scope == LINK_SCOPE && !the_nics.iter().any(|address| address.net == own.net));
        self.clean
            .extend(own.into_iter().map(|address| AddressChange::Delete { link: bridge, address }.into()));
    }

    /// A NIC that was set up for the guests stays so while they are there, and what it was before stays recorded.
    fn keep_up(&mut self) {
        let Some(nic) = self.ledger.nic() else { return };
        if self.former(&self.place(&nic), Setting::Up).is_some() {
            let step = self.want(&nic, Setting::Up, 1);
            self.open.extend(step);
        }
    }

    /// A bridge of kvmnet's makes addresses as its NIC does, where a takeover was cut short before that was said.
    fn identity_again(&mut self) {
        let bridge = self.desired.network.bridge;
        let nic =
            self.ledger.nic().filter(|_| self.ledger.made).and_then(|nic| self.observed.facts.link(&nic));
        let now = self.bridge_link().and_then(|bridge| bridge.addr_gen);
        if let (Some(nic), Some(AddrGen::NONE)) = (nic, now) {
            self.open.extend(identity(nic, &bridge));
        }
    }

    /// A new bridge behaves as the NIC did: source validation, ARP, redirects, router advertisements, … One that was another
    /// mode's gets what the NIC was told of IPv6.
    pub(super) fn copy_settings(&mut self, nic: &Link) {
        let bridge = self.desired.network.bridge;
        let is_fresh = self.bridge_link().is_none();
        let was_bridged = !is_fresh && self.old.is_some_and(|old| old.mode == Mode::Bridged);
        if !self.ledger.made || was_bridged {
            return;
        }
        let ipv4 = (0..IPV4.len()).map(Setting::Ipv4).filter(|_| is_fresh);
        // The first is forwarding.
        let ipv6 = (usize::from(!is_fresh)..IPV6.len()).map(Setting::Ipv6);
        for setting in ipv4.chain(ipv6) {
            let now = if is_fresh { self.new_value(setting) } else { self.observed.value(&bridge, setting) };
            let value = self.value_of_nic(nic, setting);
            // A tap that was attached before is no longer as new interfaces are.
            let shuts = setting.shuts_ipv6() && value == Some(1);
            if let Some(value) = value.filter(|_| value != now || shuts) {
                let step = self.want(&bridge, setting, value);
                self.make.extend(step);
            }
        }
        // The kernel takes it only where announcements are heeded, without which it means nothing.
        if let Some(token) = nic.token.filter(|_| nic.heeds_announcements()) {
            self.make.push(Ipv6IdentityChange::SetToken { link: bridge, token }.into());
        }
    }

    /// What the NIC has, or had before another network made it forward: the LAN is not to be forwarded for that one's sake.
    fn value_of_nic(&self, nic: &Link, setting: Setting) -> Option<u32> {
        let former = match setting {
            Setting::Ipv4(0) => self.former(&self.place(&nic.name), Setting::Forwarding),
            _ => None,
        };
        former.map(|changed| changed.before).or_else(|| self.observed.value(&nic.name, setting))
    }

    /// A bridge that is there already gets the NIC's MAC, which the machines of the LAN know.
    pub(super) fn lend_mac(&mut self, nic: &Link) {
        let Some(link) = self.bridge_link() else { return };
        if let (Some(from), Some(to)) = (link.mac, nic.mac) {
            if from != to {
                self.ledger.mac = self.ledger.mac.or(Some(from)).filter(|_| !self.ledger.made);
                self.open.push(LinkChange::Mac { link: link.name, from, to }.into());
            }
        }
    }
}

/// How the NIC makes IPv6 addresses, for a bridge that has all that were made so.
pub(super) fn identity(nic: &Link, bridge: &IfName) -> Vec<Step> {
    let Some(mode) = nic.addr_gen.filter(|mode| *mode != AddrGen::NONE) else { return Vec::new() };
    let mut steps = Vec::new();
    if mode.is_secret() {
        steps.push(Ipv6IdentityChange::CopySecret { from: nic.name, to: *bridge }.into());
    }
    let (from, to) = (u32::from(AddrGen::NONE.0), u32::from(mode.0));
    steps.push(Step::set(*bridge, Setting::AddrGen, from, to));
    steps
}
