//! The guest's tap, and its guard: what climbs up on the tap itself meets nothing that is done to the bridge, so it is
//! stopped on the tap, before that is up.

use super::Up;
use crate::item::{LinkChange, Step};
use crate::model::ledger::Place;
use crate::model::{AddrGen, Filter, Link, Mac, Setting, TapRecord};
use crate::plan::Refusal;

/// All that a port can be told to treat as any other group: a pause frame (01) is nobody's but the link's.
const EVERY_GROUP: u32 = 0xfffd;

impl Up<'_> {
    /// The tap: what is to be put back on one that stays is written on it first; up comes last.
    pub(super) fn tap(&mut self) -> Result<(), Refusal> {
        let tap = self.desired.tap.and_then(|tap| self.observed.facts.link(&tap));
        let Some(tap) = tap else { return Ok(()) };
        let name = tap.name;
        let known = TapRecord::parse(&tap.alias);
        let is_new = known.is_none();
        let mut record =
            known.unwrap_or_else(|| TapRecord { alias: tap.alias.clone(), ..TapRecord::default() });
        record.bridge = Some(self.desired.network.bridge);
        let mut steps = Vec::new();
        for (setting, to) in self.guard(tap) {
            let from = self.observed.value(&name, setting).unwrap_or_default();
            if from != to {
                // The MTU of a guest that is on may be its owner's will; and what a network set everywhere, it takes back.
                if setting != Setting::Mtu || is_new {
                    let place = Place { name, index: tap.index };
                    record.save(setting, self.former(&place, setting).map_or(from, |changed| changed.before));
                }
                steps.push(Step::set(name, setting, from, to));
            }
        }
        if let Some((from, to)) = self.harmless_mac(tap) {
            record.mac = record.mac.or(Some(from));
            steps.push(LinkChange::Mac { link: name, from, to }.into());
        }
        if !record.fits() {
            return Err(Refusal::TapAliasTooLong(name));
        }
        let alias = record.to_string();
        if alias != tap.alias {
            self.open.push(LinkChange::Alias { link: name, from: tap.alias.clone(), to: alias }.into());
        }
        self.open.extend(steps);
        let is_port = self.is_port(tap);
        // On its way from one bridge to another it is nowhere for a moment.
        let moves = !is_port && tap.master.is_some();
        if tap.up && moves {
            self.open.push(Step::set(name, Setting::Up, 1, 0));
        }
        self.enslave(&name);
        let mask = self.observed.value(&name, Setting::GroupFwdMask).filter(|_| is_port).unwrap_or_default();
        if mask != EVERY_GROUP {
            self.open.push(Step::set(name, Setting::GroupFwdMask, mask, EVERY_GROUP));
        }
        if !tap.up || moves {
            self.open.push(Step::set(name, Setting::Up, 0, 1));
        }
        Ok(())
    }

    /// What is set on the tap, in order: no ARP answer, no source believed, nothing forwarded, no IPv6, and the filter
    /// that lets nothing come this far. The MTU first: a smaller one would pull the bridge's down (`br_mtu_auto_adjust`).
    fn guard(&self, tap: &Link) -> Vec<(Setting, u32)> {
        let mtu = self.taken_nic().or(self.bridge_link()).map_or(tap.mtu, |link| link.mtu);
        let mut guard = vec![(Setting::Mtu, mtu)];
        guard.extend(tap.addr_gen.map(|_| (Setting::AddrGen, u32::from(AddrGen::NONE.0))));
        guard.extend([(Setting::ArpIgnore, 8), (Setting::RpFilter, 1), (Setting::Forwarding, 0)]);
        guard.extend([(Setting::Clsact, 1), (Setting::Filter(Filter::Tap), 1)]);
        guard.extend(tap.ipv6.map(|_| (Setting::DisableIpv6, 1)));
        guard
    }

    /// A bridge that was found may have the lowest MAC among its ports: a tap's must not be that (libvirt's taps begin
    /// with fe, too).
    fn harmless_mac(&self, tap: &Link) -> Option<(Mac, Mac)> {
        let from = tap.mac.filter(|_| !self.ledger.made)?;
        let Mac([first, b, c, d, e, f]) = from;
        (first != 0xfe).then_some((from, Mac([0xfe, b, c, d, e, f])))
    }

    fn is_port(&self, tap: &Link) -> bool {
        tap.master.is_some() && tap.master == self.bridge_link().map(|bridge| bridge.index)
    }
}
