//! Settings that are the same for every interface, those to come included: guests without `uplink` go by whatever the
//! routes say, and that can be any.

use std::io;

use super::{Observed, fresh};
use crate::desired::Desired;
use crate::model::{IfName, Ledger, Question, Setting, Uplink};
use crate::netlink::route::Rtnl;

impl Observed {
    /// What `desired` wants of every interface. Nothing where the whole machine forwards already.
    pub fn everywhere(&self, desired: &Desired) -> Vec<Setting> {
        let by_routes = desired.network.uplink == Uplink::DefaultRoute;
        let mut settings = Vec::new();
        if desired.forwards(false) && by_routes && !self.facts.wide(false) {
            settings.push(Setting::Forwarding);
        }
        let has_force = self.value(desired.new_interface(), Setting::ForceForwarding).is_some();
        let is_ours =
            || self.ledgers().any(|ledger| ledger.changed(&IfName::ALL, Setting::WideForwarding6).is_some());
        match (desired.forwards(true), has_force) {
            (true, true) if by_routes && !self.facts.wide6 => settings.push(Setting::ForceForwarding),
            // A host forgets the routes that routers announced as soon as it forwards, unless accept_ra is 2.
            (true, false) if !self.facts.wide(true) || is_ours() => settings.push(Setting::AcceptRa),
            _ => {}
        }
        settings
    }

    /// Whether the record of the network says that `setting` is set everywhere, and nobody has undone it since, as far as
    /// one question tells.
    pub fn is_everywhere(&self, desired: &Desired, setting: Setting) -> bool {
        let instance = self.network(&desired.network.bridge);
        let ledger = instance.and_then(|instance| instance.ledger.as_ref());
        let closed = |v6: bool| match setting {
            Setting::Forwarding => !v6 && self.facts.fresh4 == Some(false),
            Setting::AcceptRa => v6 && !self.facts.wide(true),
            _ => false,
        };
        ledger.is_some_and(|ledger| ledger.changed(&IfName::DEFAULT, setting).is_some())
            && ![false, true].into_iter().any(closed)
    }

    /// The records of all networks.
    pub fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        self.networks.iter().filter_map(|instance| instance.ledger.as_ref())
    }

    /// All interfaces, and what those to come will be like, where not all is as it shall be. A dump.
    pub(super) fn ask_about_everywhere(&mut self, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<()> {
        let settings = self.everywhere(desired);
        if settings.into_iter().all(|setting| self.is_everywhere(desired, setting)) {
            return Ok(());
        }
        self.ask_about_all_links(rtnl)
    }

    /// The same, unconditionally.
    pub(super) fn ask_about_all_links(&mut self, rtnl: &mut Rtnl) -> io::Result<()> {
        rtnl.ask(&[Question::Links], &mut self.facts)?;
        if self.facts.link(&IfName::DEFAULT).is_none() {
            self.facts.links.push(fresh::interface()?);
        }
        Ok(())
    }
}
