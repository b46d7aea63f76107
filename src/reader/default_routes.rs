//! The default routes, and which of their interfaces no bridge can have.

use std::io;

use super::station;
use crate::model::Question;
use crate::netlink::route::Rtnl;
use crate::observed::Observed;

impl Observed {
    /// The default routes of a family. Costs the same however many routes there are, where the main table has one. A dump tells
    /// of them as well.
    pub(super) fn ask_about_defaults(&mut self, rtnl: &mut Rtnl, v6: bool) -> io::Result<()> {
        let is_dump = |question: &Question| matches!(question, Question::Ways { v6: of, .. } if *of == v6);
        if !self.facts.asked.iter().any(is_dump) {
            self.facts.ways.extend(rtnl.defaults(v6)?);
        }
        Ok(())
    }

    /// Which of them are Wi-Fi stations.
    pub(super) fn find_stations(&mut self) {
        let devices = self.default_devices(None);
        let links = devices.iter().filter_map(|device| self.facts.link_index(*device));
        self.stations = links.filter(|link| station::is_station(link)).map(|link| link.index).collect();
    }
}
