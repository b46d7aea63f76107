//! Tables: added where they are missing, written again where they differ, deleted where nobody wants them.

use crate::firewall;
use crate::item::{Step, TableChange};
use crate::model::ruleset::{Chain, Elements, Family, Found, Hook, Set, Table, table_name};
use crate::model::{IfName, Ledger};
use crate::observed::Instance;
use crate::switch;

/// The tables of a network that are there.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub bridge: &'a IfName,
    pub instance: Option<&'a Instance>,
}

impl<'a> Tables<'a> {
    /// Those that are there.
    fn found(&self) -> &'a [Found] {
        self.instance.map_or(&[], |instance| &instance.tables)
    }

    /// What makes `wanted` of them, whose copy of the record is `record`.
    pub fn write(&self, wanted: Vec<Table>, record: &Ledger) -> Vec<Step> {
        let write = wanted.into_iter().filter_map(|table| {
            match self.found().iter().find(|found| found.family == table.family) {
                None => Some(TableChange::Add(table).into()),
                Some(found) if is_whole(found, &table) => {
                    let is_old = table.family == Family::Inet && !self.has_copy(record);
                    is_old.then(|| self.replace_copy(self.known_copy().as_ref(), record))
                }
                Some(_) => Some(TableChange::Replace(table).into()),
            }
        });
        write.collect()
    }

    /// Those that are none of `wanted`.
    pub fn unwanted(&self, wanted: &[Table]) -> impl Iterator<Item = &'a Found> {
        self.found().iter().filter(|found| !wanted.iter().any(|table| table.family == found.family))
    }

    /// Whether the table has this record, or has yet to be made.
    pub fn has_copy(&self, record: &Ledger) -> bool {
        self.inet().is_none() || self.copy().as_ref() == Some(record)
    }

    /// Writes the record in the table again.
    pub fn replace_copy(&self, from: Option<&Ledger>, to: &Ledger) -> Step {
        let empty = Set { kind: &firewall::RECORD, elements: Vec::new() };
        Step::Elements(Elements {
            family: Family::Inet,
            table: table_name(self.bridge),
            from: from.map_or(empty, firewall::record),
            to: firewall::record(to),
        })
    }

    /// The record in the table; where that is not known, what the network's is.
    fn known_copy(&self) -> Option<Ledger> {
        self.copy().or_else(|| self.instance?.ledger.clone())
    }

    /// The record in the table; None where that is not known.
    fn copy(&self) -> Option<Ledger> {
        match self.inet()?.record.as_deref() {
            Some(read) => Ledger::parse(read),
            // It is not read where the bridge bears all of it.
            None => {
                let link = self.instance?.link.as_ref()?;
                switch::record(link).filter(|alias| !alias.more && !alias.pending)
            }
        }
    }

    fn inet(&self) -> Option<&'a Found> {
        self.found().iter().find(|found| found.family == Family::Inet)
    }
}

/// Deletes a table for good.
pub(super) fn delete(found: &Found) -> Step {
    TableChange::Delete { family: found.family, name: found.name.clone() }.into()
}

/// Takes the table off that keeps a host's interface shut, in a way that can be taken back.
pub(super) fn remove(bridge: &IfName, found: &Found) -> Step {
    TableChange::Remove(firewall::isolation_table(bridge, &found.comment)).into()
}

/// Whether a table is what it was when it was written, and does something: its comment, its chains with their place and
/// policy, the number of their rules, and that it has a record.
fn is_whole(found: &Found, table: &Table) -> bool {
    // Not asked for, but counted among the objects.
    let is_counted = |chain: &Chain| match chain.hook {
        Hook::Device(_) => true,
        // It is asked for by guests with a filter alone.
        Hook::Bridging => found.chains.is_empty(),
        _ => false,
    };
    let is_there =
        |chain: &Chain| is_counted(chain) || found.chains.iter().any(|found| found.is(chain, table));
    found.comment == table.comment
        && !found.dormant
        && found.objects as usize == table.chains.len() + table.sets.len()
        && found.record.as_deref().is_none_or(|record| Ledger::parse(record).is_some())
        && table.chains.iter().all(is_there)
}
