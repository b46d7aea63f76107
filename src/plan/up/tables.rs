//! The tables: added where they are missing, replaced where they differ.

use super::Up;
use crate::firewall::{self, Ground};
use crate::model::ruleset::Found;
use crate::model::ruleset::{Chain, Family, Rule, Table, Verdict};
use crate::model::{Mac, Mark};
use crate::plan::{Step, forwarding, gates};

impl Up<'_> {
    /// The tables that are missing, differ, or are no longer wanted.
    pub(super) fn tables(&mut self, mark: &Mark) -> Vec<Step> {
        if !self.observed.has_nft {
            return Vec::new();
        }
        let ground = Ground {
            leaks: forwarding::leaks(self.desired, self.observed, mark),
            mac: self.kept_mac(),
            masters: forwarding::masters(&self.desired.network, self.observed),
            knows_sources: self.knows_sources(),
        };
        let wanted = firewall::tables(self.desired, &ground, mark);
        let found: &[Found] = self.standing.map_or(&[], |standing| &standing.tables);
        let unwanted = found.iter().filter(|found| !wanted.iter().any(|table| table.family == found.family));
        // A door opens in one transaction with the rules that come in its place: what a takeover asks through the bridge
        // would not be answered behind a closed one.
        let (doors, others): (Vec<&Found>, Vec<&Found>) =
            unwanted.partition(|found| found.family == Family::Netdev);
        let delete = |found: &Found| Step::DeleteTable { family: found.family, name: found.name.clone() };
        self.clean.extend(others.into_iter().map(delete));
        let bridge = &self.desired.network.bridge;
        let open = |found: &Found| Step::RemoveTable(firewall::door_table(bridge, &found.note));
        let write = wanted.into_iter().filter_map(|table| {
            match found.iter().find(|found| found.family == table.family) {
                None => Some(Step::AddTable(table)),
                Some(found) if is_whole(found, &table) => None,
                Some(_) => Some(Step::ReplaceTable(table)),
            }
        });
        let gates = gates::open(self.desired, self.observed);
        write.chain(doors.into_iter().map(open)).chain(gates).collect()
    }

    /// Before Linux 5.19 a rule can ask for the way back to a source in no chain of kvmnet's (`nft_fib_validate`).
    fn knows_sources(&self) -> bool {
        let links = &self.observed.facts.links;
        links.iter().filter_map(|link| link.ipv6).any(|ipv6| ipv6.is_of_5_19)
    }

    /// The MAC that a bridge of kvmnet's own will have; that of one that was found can change with its ports.
    fn kept_mac(&self) -> Option<Mac> {
        let lent = self.taken_nic().map(|nic| nic.mac);
        let gives_back = self.old.is_some_and(|old| old.nic.is_some()) && self.mark.nic.is_none();
        let own = || match self.bridge_link() {
            Some(link) if !gives_back => link.mac,
            _ => Some(self.desired.bridge_mac),
        };
        lent.unwrap_or_else(own).filter(|_| self.mark.made)
    }
}

/// Whether a table is what it was when it was written, and does something: its note, its chains with their place and
/// policy, and the number of their rules.
fn is_whole(found: &Found, table: &Table) -> bool {
    let same_rules = |chain: &Chain| {
        if chain.name == firewall::RECORD {
            return found.record == chain.rules.iter().map(remark).collect::<String>();
        }
        found.chains.iter().any(|found| found.is(chain, table))
    };
    found.note == table.note
        && !found.dormant
        && found.objects as usize == table.chains.len()
        && table.chains.iter().all(same_rules)
}

fn remark(rule: &Rule) -> &str {
    match &rule.verdict {
        Verdict::Remark(text) => text,
        _ => "",
    }
}
