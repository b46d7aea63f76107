//! The tables: added where they are missing, replaced where they differ.

use super::Up;
use crate::firewall::{self, Ground};
use crate::item::{Step, TableChange};
use crate::model::ruleset::{Chain, Elements, Family, Found, Set, Table, table_name};
use crate::model::{Ledger, Mac};
use crate::plan::{forward_chains, forwarding};

impl Up<'_> {
    /// The tables that are missing, differ, or are no longer wanted, with `record` as their copy.
    pub(super) fn tables(&mut self, record: &Ledger) -> Vec<Step> {
        if !self.observed.has_nft() {
            return Vec::new();
        }
        let ground = Ground {
            guards: forwarding::guards(self.desired, self.observed, &self.ledger),
            mac: self.kept_mac(),
            masters: forwarding::masters(&self.desired.network, self.observed),
            knows_sources: self.knows_sources(),
        };
        let wanted = firewall::tables(self.desired, &ground, record);
        let found: &[Found] = self.instance.map_or(&[], |instance| &instance.tables);
        let unwanted = found.iter().filter(|found| !wanted.iter().any(|table| table.family == found.family));
        // A host interface opens in one transaction with the rules that come in its place: what a takeover asks through the bridge
        // would not be answered behind a closed one.
        let (host_ifs, others): (Vec<&Found>, Vec<&Found>) =
            unwanted.partition(|found| found.family == Family::Netdev);
        let delete = |found: &Found| -> Step {
            TableChange::Delete { family: found.family, name: found.name.clone() }.into()
        };
        self.clean.extend(others.into_iter().map(delete));
        let bridge = &self.desired.network.bridge;
        let open = |found: &Found| -> Step {
            TableChange::Remove(firewall::isolation_table(bridge, &found.comment)).into()
        };
        let write = wanted.into_iter().filter_map(|table| {
            match found.iter().find(|found| found.family == table.family) {
                None => Some(TableChange::Add(table).into()),
                Some(found) if is_whole(found, &table) => {
                    let is_old = table.family == Family::Inet && !self.has_copy(record);
                    is_old.then(|| self.replace_copy(self.copy().as_ref().or(self.old), record))
                }
                Some(_) => Some(TableChange::Replace(table).into()),
            }
        });
        let forward_chains = forward_chains::open(self.desired, self.observed);
        write.chain(host_ifs.into_iter().map(open)).chain(forward_chains).collect()
    }

    /// Whether the table has this record, or has yet to be made.
    pub(super) fn has_copy(&self, record: &Ledger) -> bool {
        self.inet_table().is_none() || self.copy().as_ref() == Some(record)
    }

    /// Writes the record in the table again.
    pub(super) fn replace_copy(&self, from: Option<&Ledger>, to: &Ledger) -> Step {
        let empty = Set { name: firewall::RECORD, elements: Vec::new() };
        Step::Elements(Elements {
            family: Family::Inet,
            table: table_name(&self.desired.network.bridge),
            from: from.map_or(empty, firewall::record),
            to: firewall::record(to),
        })
    }

    /// The record in the table; None where that is not known.
    fn copy(&self) -> Option<Ledger> {
        match self.inet_table()?.record.as_deref() {
            Some(read) => Ledger::parse(read),
            // It is not read where the bridge bears all of it.
            None => Ledger::parse(&self.bridge_link()?.alias).filter(|alias| !alias.more && !alias.pending),
        }
    }

    fn inet_table(&self) -> Option<&Found> {
        self.instance?.tables.iter().find(|found| found.family == Family::Inet)
    }

    /// Before Linux 5.19 a rule can ask for the way back to a source in no chain of kvmnet's (`nft_fib_validate`).
    fn knows_sources(&self) -> bool {
        let links = &self.observed.facts.links;
        links.iter().filter_map(|link| link.ipv6).any(|ipv6| ipv6.is_of_5_19)
    }

    /// The MAC that a bridge of kvmnet's own will have; that of one that was found can change with its ports.
    fn kept_mac(&self) -> Option<Mac> {
        let lent = self.taken_nic().map(|nic| nic.mac);
        let gives_back = self.old.is_some_and(|old| old.nic.is_some()) && self.ledger.nic.is_none();
        let own = || match self.bridge_link() {
            Some(link) if !gives_back => link.mac,
            _ => Some(self.desired.bridge_mac),
        };
        lent.unwrap_or_else(own).filter(|_| self.ledger.made)
    }
}

/// Whether a table is what it was when it was written, and does something: its comment, its chains with their place and
/// policy, the number of their rules, and that it has a record.
fn is_whole(found: &Found, table: &Table) -> bool {
    let is_there = |chain: &Chain| found.chains.iter().any(|found| found.is(chain, table));
    found.comment == table.comment
        && !found.dormant
        && found.objects as usize == table.chains.len() + table.sets.len()
        && found.record.as_deref().is_none_or(|record| Ledger::parse(record).is_some())
        && table.chains.iter().all(is_there)
}
