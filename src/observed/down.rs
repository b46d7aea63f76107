//! What taking a guest down can depend on.

use std::io;

use super::Observed;
use crate::model::IfName;
use crate::netlink::nft::Nft;
use crate::netlink::route::{Question, Rtnl};

impl Observed {
    /// Reads what taking a guest down can depend on.
    pub fn for_down(nft: Option<&mut Nft>, rtnl: &mut Rtnl, tap: &IfName) -> io::Result<Self> {
        let mut observed = Self::tables(nft, &[])?;
        let mut questions = vec![Question::Link(*tap)];
        questions.extend(observed.bridges());
        rtnl.ask(&questions, &mut observed.facts)?;
        let master = observed.facts.link(tap).and_then(|link| link.master);
        match master {
            Some(master) if observed.facts.link_index(master).is_none() => {
                rtnl.ask(&[Question::LinkIndex(master)], &mut observed.facts)?;
            }
            Some(_) => {}
            // The tap is gone, or was never attached: all that is left of its network may be a mark.
            None => rtnl.ask(&[Question::Bridges], &mut observed.facts)?,
        }
        let bridges: Vec<IfName> =
            observed.facts.links.iter().filter(|link| link.is_bridge()).map(|link| link.name).collect();
        for bridge in &bridges {
            observed.standing(bridge);
        }
        observed.match_links();
        observed.networks.retain(|standing| standing.mark.is_some() || !standing.tables.is_empty());
        let bridge = master.and_then(|master| observed.facts.link_index(master)).map(|link| link.name);
        // A tap that is on no bridge may have been on any.
        let exactly = |name: &IfName| bridge.as_ref().is_none_or(|bridge| bridge == name);
        observed.ask_about_guests(rtnl, tap, exactly)?;
        observed.ask_about_undo(rtnl, None)?;
        Ok(observed)
    }
}
