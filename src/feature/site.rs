//! Where a network shall be, and what is there of it: what every feature is asked about.

use std::net::IpAddr;

use super::guest_identity;
use crate::desired::Desired;
use crate::model::ledger::Place;
use crate::model::{Changed, IfName, Ledger, Link, Setting, TapRecord};
use crate::observed::{Instance, Observed};

/// What is wanted, beside what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub instance: Option<&'a Instance>,
    /// The record that is there.
    pub old: Option<&'a Ledger>,
    /// Whether the bridge is kvmnet's own, or will be.
    pub made: bool,
}

impl<'a> Site<'a> {
    pub fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        let bridge = &desired.network.bridge;
        let instance = observed.network(bridge);
        let made = observed.facts.link(bridge).is_none()
            || instance.and_then(Instance::ledger_of_bridge).is_some_and(|ledger| ledger.made);
        let old = instance.and_then(|instance| instance.ledger.as_ref());
        Self { desired, observed, instance, old, made }
    }

    /// The bridge, if it is there.
    pub fn bridge(&self) -> Option<&'a Link> {
        self.observed.facts.link(&self.desired.network.bridge)
    }

    /// The bridge, if it was there before kvmnet and is not yet as the configuration says: whose it is has to be known.
    pub fn found(&self) -> Option<&'a Link> {
        let ledger = self.instance.and_then(Instance::ledger_of_bridge);
        let digest = self.desired.network.digest;
        self.bridge().filter(|_| !ledger.is_some_and(|ledger| ledger.made || ledger.digest == digest))
    }

    /// Whether an interface goes with the network, so that nothing of it is to be put back.
    pub fn is_own(&self, link: &IfName) -> bool {
        let network = &self.desired.network;
        let is_end = network.veth.as_ref().is_some_and(|veth| veth.outer == *link || veth.inner == *link);
        self.made && *link == network.bridge || is_end
    }

    /// Whether guests are told their addresses: on a bridge that was there, only where that is said.
    pub fn serves_dhcp(&self) -> bool {
        let network = &self.desired.network;
        network.serves_dhcp() && (self.made || network.dhcp.is_some())
    }

    /// The address that the guest has, of one family, as far as that is known beforehand.
    pub fn guest_address(&self, v6: bool) -> Option<IpAddr> {
        guest_identity::address(self, v6)
    }

    pub fn place(&self, link: &IfName) -> Place {
        Place { name: *link, index: self.observed.facts.link(link).map_or(0, |link| link.index) }
    }

    /// What a setting was before this network or any other changed it. A bridge that is the network's already was not changed
    /// with every other interface.
    pub fn former(&self, place: &Place, setting: Setting) -> Option<Changed> {
        let stands = self.instance.and_then(Instance::ledger_of_bridge).is_some();
        let is_own = stands && place.name == self.desired.network.bridge;
        let former = |ledger: &Ledger| match is_own {
            true => ledger.own_former(place, setting),
            false => ledger.former(place, setting),
        };
        self.old.into_iter().chain(self.observed.ledgers()).find_map(former)
    }

    /// What a setting is on an interface that was just made: on the tap, before it was guarded.
    pub fn new_value(&self, setting: Setting) -> Option<u32> {
        let is_default = !matches!(setting, Setting::Up | Setting::Group | Setting::Mtu);
        let like = self.desired.new_interface();
        let record = self.observed.facts.link(like).and_then(|tap| TapRecord::parse(&tap.alias));
        let before = record.and_then(|record| record.before(setting));
        before.or_else(|| self.observed.value(like, setting)).filter(|_| is_default)
    }
}
