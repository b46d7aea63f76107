//! A port of the network's bridge.

use crate::feature::Site;
use crate::item::Step;
use crate::model::IfName;
use crate::switch;

/// Makes `port` a port of the network's bridge, unless it is one.
pub(super) fn enslave(port: &IfName, site: &Site) -> Option<Step> {
    let facts = &site.observed.facts;
    let master = facts.link(port).and_then(|link| link.master).and_then(|index| facts.link_index(index));
    if master.is_some() && master.map(|link| link.index) == site.bridge().map(|link| link.index) {
        return None;
    }
    Some(switch::attach(*port, master.map(|link| link.name), site.desired.network.bridge))
}
