//! Settings that are the same for every interface: asked for by a dump, where not all is as it shall be.

use std::io;

use super::{Observed, fresh};
use crate::desired::Desired;
use crate::feature::everywhere;
use crate::model::{IfName, Ledger, Question};
use crate::netlink::route::Rtnl;

impl Observed {
    /// The records of all networks.
    pub fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        self.networks.iter().filter_map(|instance| instance.ledger.as_ref())
    }

    /// All interfaces, and what those to come will be like, where not all is as it shall be. A dump.
    pub(super) fn ask_about_everywhere(&mut self, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<()> {
        let settings = everywhere::settings(desired, self);
        if settings.into_iter().all(|setting| everywhere::is_set(setting, desired, self)) {
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
