//! The record is written before what it records, and an entry goes after what it records is undone.

use super::{Difference, Transaction};
use crate::model::ledger::MAX_ENTRIES;
use crate::model::{Changed, Ledger};
use crate::switch;

impl Difference<'_> {
    /// The record can be written.
    pub(super) fn has_room(&self) -> bool {
        self.ledger.short().is_some()
            && (self.ledger.fits() || self.site.observed.has_nft())
            && self.ledger.entries().len() <= MAX_ENTRIES
    }

    /// Puts the parts in order. While something old is still to be taken away, both records hold.
    pub(super) fn transactions(mut self) -> [Transaction; 2] {
        let bridge = self.site.desired.network.bridge;
        let now = self.site.bridge().map(|link| link.alias.clone()).unwrap_or_default();
        let last = self.ledger.short().unwrap_or_default();
        let mut both = self.both();
        let tables = self.tables(&both);
        // Until its copy is written, the bridge says so: a run that is cut off in between is made up for by the next.
        both.pending = !self.found_tables().has_copy(&both);
        let first = both.short().unwrap_or_else(|| last.clone());
        both.pending = false;
        let copy = self.found_tables().replace_copy(Some(&both), &self.ledger);
        let mut steps = self.make;
        if first != now {
            let after_birth = usize::from(steps.first().is_some_and(switch::is_made_by));
            steps.insert(after_birth, switch::write_record(bridge, now, first.clone()));
        }
        steps.extend(tables);
        steps.extend(self.open);
        let mut clean = self.clean;
        let at_last = if clean.is_empty() { &mut steps } else { &mut clean };
        if both != self.ledger && self.site.observed.has_nft() {
            at_last.push(copy);
        }
        if last != first {
            at_last.push(switch::write_record(bridge, first, last));
        }
        let title = match self.site.desired.tap {
            Some(tap) => format!("attach {tap} to {bridge}"),
            None => format!("bring {bridge} up"),
        };
        [
            Transaction { title, steps, cleans: None },
            Transaction {
                title: format!("take away what {bridge} no longer needs"),
                steps: clean,
                cleans: Some(bridge),
            },
        ]
    }

    /// The record, with what the former one says of settings besides.
    fn both(&self) -> Ledger {
        let mut both = self.ledger.clone();
        let former = self.site.old.iter().flat_map(|old| &old.changed);
        let is_kept = |changed: &&Changed| {
            let mut kept = self.ledger.changed.iter();
            kept.any(|known| known.setting == changed.setting && changed.place().is_of(known))
        };
        both.changed.extend(former.filter(|changed| !is_kept(changed)).cloned());
        both
    }
}
