//! The way out: which interfaces carry a default route. One answer for all who ask.

use super::Observed;
use crate::model::facts::Way;
use crate::model::route::MAIN;
use crate::model::{IfName, Link};
use crate::sorted::sorted_by_key;

impl Observed {
    /// The default routes of a family, or of both, best first: those of the main table if it has any, IPv4 before IPv6, the
    /// lowest metric first.
    pub fn defaults(&self, v6: Option<bool>) -> Vec<&Way> {
        let is_wanted = |way: &&Way| way.destination.is_none() && v6.is_none_or(|v6| way.v6 == v6);
        let mut ways: Vec<&Way> = self.facts.ways.iter().filter(is_wanted).collect();
        let main: Vec<&Way> = ways.iter().copied().filter(|way| way.table == MAIN).collect();
        if !main.is_empty() {
            ways = main;
        }
        sorted_by_key(ways, |way| (way.v6, way.metric))
    }

    /// The interfaces that carry them, best first.
    pub fn default_devices(&self, v6: Option<bool>) -> Vec<u32> {
        let mut devices: Vec<u32> = Vec::new();
        for device in self.defaults(v6).into_iter().flat_map(|way| way.devices.iter().copied()) {
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
        devices
    }

    /// The best of them that can be a port of a bridge, or is a bridge, which is the LAN's; else the best.
    pub fn way_out(&self, bridge: Option<&IfName>) -> Option<&Link> {
        let devices = self.default_devices(None);
        let links = || devices.iter().filter_map(|device| self.facts.link_index(*device));
        links().find(|link| self.is_way_out(link, bridge)).or_else(|| links().next())
    }

    /// Whether it can be a port of `bridge`, or is a bridge.
    pub fn is_way_out(&self, link: &Link, bridge: Option<&IfName>) -> bool {
        let can_be = link.unbridgeable().is_none() && !self.stations.contains(&link.index);
        can_be || link.is_bridge() || bridge == Some(&link.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::Facts;

    fn way(table: u32, metric: u32, device: u32, v6: bool) -> Way {
        Way {
            destination: None,
            v6,
            table,
            kind: 1,
            protocol: 3,
            metric,
            devices: vec![device],
            nexthop: None,
        }
    }

    /// The main table first, then IPv4, then the lowest metric; another table only where main has none.
    #[test]
    fn the_best_is_the_first() {
        let devices = |ways: &[Way], v6: Option<bool>| {
            let facts = Facts { ways: ways.to_vec(), ..Facts::default() };
            Observed { facts, ..Observed::default() }.default_devices(v6)
        };
        let ways =
            [way(100, 0, 1, false), way(254, 5, 2, true), way(254, 700, 3, false), way(254, 70, 4, false)];
        assert_eq!(devices(&ways, None), [4, 3, 2]);
        assert_eq!(devices(&ways, Some(true)), [2]);
        assert_eq!(devices(&ways[..1], None), [1]);
        assert_eq!(devices(&ways[..1], Some(true)), [0; 0]);
    }
}
