//! What taking guests and networks down can depend on.

use std::io;

use crate::model::{Filter, IfName, Link, Question, TapRecord};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::network::Instance;
use crate::observed::Observed;

impl Observed {
    /// Reads what taking a guest down can depend on.
    pub fn for_down(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl, tap: &IfName) -> io::Result<Self> {
        let mut observed = Self { besides: Some(*tap), ..Self::tables(nft.as_deref_mut(), &[])? };
        let mut questions = vec![Question::Link(*tap)];
        questions.extend(observed.bridges());
        rtnl.ask(&questions, &mut observed.facts)?;
        let master = observed.facts.link(tap).and_then(|link| link.master);
        match master {
            Some(master) if observed.facts.link_index(master).is_none() => {
                rtnl.ask(&[Question::LinkIndex(master)], &mut observed.facts)?;
            }
            Some(_) => {}
            // The tap is gone, or was never attached: all that is left of its network may be a record.
            None => rtnl.ask(&[Question::Bridges], &mut observed.facts)?,
        }
        observed.ask_about_guards(rtnl, |link| link.name == *tap)?;
        observed.ask_about_records(nft.as_deref_mut())?;
        observed.work_out();
        observed.ask_about_nics(rtnl)?;
        let bridge = master.and_then(|master| observed.facts.link_index(master)).map(|link| link.name);
        // A tap that is on no bridge may have been on any.
        let exactly = |name: &IfName| bridge.as_ref().is_none_or(|bridge| bridge == name);
        observed.ask_about_guests(rtnl, exactly)?;
        observed.ask_about_undo(rtnl, Instance::is_unused)?;
        // Where the tap is gone, the ports that led to it are in any network.
        let is_led = |one: &Instance| bridge.is_none_or(|bridge| bridge == one.bridge) || one.is_unused();
        observed.ask_about_mappings(nft, rtnl, is_led)?;
        Ok(observed)
    }

    /// The filters of taps that get back what they had.
    fn ask_about_guards(&mut self, rtnl: &mut Rtnl, which: impl Fn(&Link) -> bool) -> io::Result<()> {
        let is_guarded =
            |link: &&Link| TapRecord::parse(&link.alias).is_some_and(|record| !record.changed.is_empty());
        let taps = self.facts.links.iter().filter(|link| link.is_tap() && which(link)).filter(is_guarded);
        let questions: Vec<_> = taps.flat_map(guards).collect();
        rtnl.ask(&questions, &mut self.facts)
    }

    /// Reads every network, and what the undo of those depends on that nothing keeps.
    pub fn for_sweep(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl) -> io::Result<Self> {
        let mut observed = Self::of_networks(nft.as_deref_mut(), rtnl)?;
        observed.ask_about_guests(rtnl, |_| true)?;
        observed.ask_about_undo(rtnl, Instance::is_unused)?;
        observed.ask_about_mappings(nft, rtnl, |_| true)?;
        Ok(observed)
    }

    /// Reads what taking the network of `bridge` down depends on, with all its guests, which are among the facts.
    pub fn for_network_down(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl, bridge: &IfName) -> io::Result<Self> {
        let mut observed = Self::of_networks(nft.as_deref_mut(), rtnl)?;
        observed.ask_about_guests(rtnl, |_| true)?;
        if let Some(index) = observed.facts.bridge(bridge).map(|link| link.index) {
            rtnl.ask(&[Question::Ports(index)], &mut observed.facts)?;
            observed.ask_about_guards(rtnl, |link| link.master == Some(index))?;
        }
        observed.work_out();
        observed.ask_about_undo(rtnl, |instance| instance.is_unused() || instance.bridge == *bridge)?;
        observed.ask_about_mappings(nft, rtnl, |one| one.is_unused() || one.bridge == *bridge)?;
        Ok(observed)
    }

    /// Finds every network, by its tables and by the record of its bridge.
    pub fn of_networks(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl) -> io::Result<Self> {
        let mut observed = Self::tables(nft.as_deref_mut(), &[])?;
        rtnl.ask(&[Question::Bridges], &mut observed.facts)?;
        observed.ask_about_records(nft)?;
        observed.work_out();
        observed.ask_about_nics(rtnl)?;
        Ok(observed)
    }
}

/// The filter that every guest has, and its own.
fn guards(tap: &Link) -> Vec<Question> {
    let has_own = TapRecord::parse(&tap.alias).is_some_and(|record| record.filter.is_some());
    let own = has_own.then_some(Question::GuestFilter(tap.index));
    [Question::Filter(tap.index, Filter::Tap)].into_iter().chain(own).collect()
}
