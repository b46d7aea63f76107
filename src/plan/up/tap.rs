//! The guest's tap.

use super::Up;
use crate::model::{AddrGen, Setting, TapMark};
use crate::plan::Step;

impl Up<'_> {
    /// The tap: what is to be put back on one that stays is written on it first; up comes last.
    pub(super) fn tap(&mut self) {
        let tap = self.desired.tap.and_then(|tap| self.observed.facts.link(&tap));
        let Some(tap) = tap else { return };
        let name = &tap.name;
        let mtu = self.taken_nic().or(self.bridge_link()).map_or(tap.mtu, |link| link.mtu);
        let mode = tap.addr_gen.map(|now| (u32::from(now.0), u32::from(AddrGen::NONE.0)));
        if TapMark::parse(&tap.alias).is_none() {
            let persistent = tap.tun.as_ref().is_some_and(|tun| tun.persistent);
            let mark = TapMark {
                mtu: Some(tap.mtu).filter(|now| persistent && *now != mtu),
                addr_gen: mode.filter(|(now, to)| persistent && now != to).map(|(now, _)| now),
                alias: tap.alias.clone(),
            };
            self.open.push(Step::SetAlias { link: *name, from: tap.alias.clone(), to: mark.to_string() });
        }
        let mut set = |setting, from, to| {
            if from != to {
                self.open.push(Step::Set { link: *name, setting, from, to });
            }
        };
        // The MTU first: a smaller one would pull the bridge's down (`br_mtu_auto_adjust`).
        set(Setting::Mtu, tap.mtu, mtu);
        if let Some((from, to)) = mode {
            set(Setting::AddrGen, from, to);
        }
        self.enslave(name);
        if !tap.up {
            self.open.push(Step::Set { link: *name, setting: Setting::Up, from: 0, to: 1 });
        }
    }
}
