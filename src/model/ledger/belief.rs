//! How far a record is believed: an alias, or a table, may be anybody's. It makes kvmnet change nothing that the network it
//! tells of could not have changed, and of interfaces that are no part of that network it opens none.

use super::{Changed, Ledger, Place};
use crate::model::link::{GROUP, lan_group};
use crate::model::{Facts, IfName, Link, Mac, Mode, Setting};

impl Ledger {
    /// As far as kvmnet can have written it for the network on `bridge`. Interfaces have their names of now.
    pub fn believed(mut self, bridge: &IfName, facts: &Facts) -> Self {
        let link = facts.bridge(bridge);
        self.made &= link.is_none_or(|link| self.can_have_made(link, facts));
        let is_taken =
            |nic: &Place| facts.link(&nic.name).zip(link).is_none_or(|(nic, bridge)| is_lent(nic, bridge));
        self.nic = self.nic.filter(|nic| self.mode == Mode::Bridged && nic.name != *bridge && is_taken(nic));
        self.mac = self.mac.filter(|mac| !mac.is_group() && mac.0 != [0; 6]);
        if !self.mode.has_host_address() {
            self.addresses.clear();
        }
        let changed = std::mem::take(&mut self.changed);
        let believed = changed.iter().filter(|one| self.can_have_changed(one, &changed, bridge, facts));
        self.changed = believed.cloned().collect();
        self
    }

    /// A bridge that kvmnet makes has a MAC that is made of its name, or the NIC's; and a group, by which other networks know it.
    fn can_have_made(&self, bridge: &Link, facts: &Facts) -> bool {
        // The group tells of a NIC that nobody has asked for yet.
        let has_mac = |nic: &Place| facts.link(&nic.name).is_some_and(|nic| nic.mac == bridge.mac);
        let has_nics = self.nic.is_some_and(|nic| bridge.group == lan_group(&nic.name) || has_mac(&nic));
        bridge.mac == Some(Mac::of_bridge(&bridge.name)) || bridge.group == GROUP || has_nics
    }

    fn can_have_changed(&self, one: &Changed, all: &[Changed], bridge: &IfName, facts: &Facts) -> bool {
        let Changed { link, setting, before, .. } = *one;
        let (closed, opened) = setting.range();
        match link {
            // Newer kernels have a switch of each interface's own.
            IfName::ALL => {
                setting == Setting::WideForwarding6 && before == closed && !has_force_forwarding(facts)
            }
            IfName::DEFAULT => setting.is_of_others(),
            link if link == *bridge => facts.bridge(bridge).is_some() && setting.is_of_bridges(),
            link if self.nic() == Some(link) && setting == Setting::Up => {
                facts.link(&link).zip(facts.bridge(bridge)).is_some_and(|(nic, bridge)| is_lent(nic, bridge))
            }
            // What was open already is on record only beside what was set everywhere.
            _ => {
                let is_everywhere =
                    || all.iter().any(|all| all.link == IfName::DEFAULT && all.setting == setting);
                setting.is_of_others() && (before == closed || before == opened && is_everywhere())
            }
        }
    }

    /// Whether an interface that was changed is of the network on `bridge`, so that what it had is put back whatever that was.
    pub fn is_own(&self, link: &IfName, bridge: &IfName) -> bool {
        link == bridge || self.nic() == Some(*link)
    }
}

/// A NIC that was taken over is a port of the bridge, or was, and the bridge has its MAC.
fn is_lent(nic: &Link, bridge: &Link) -> bool {
    nic.master == Some(bridge.index) || nic.mac.is_some() && nic.mac == bridge.mac
}

fn has_force_forwarding(facts: &Facts) -> bool {
    facts.links.iter().any(|link| link.ipv6.is_some_and(|ipv6| ipv6.force_forwarding.is_some()))
}
