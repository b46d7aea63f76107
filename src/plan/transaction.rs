//! A plan as a list of transactions. One that fails is taken back as a whole, and nothing that was finished before it.

use std::fmt;

use super::Step;
use crate::model::IfName;
use crate::terminal::printable;

/// What is done in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan(pub Vec<Transaction>);

/// Steps that are all done, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// What it does, for a person: "take br0 down".
    pub title: String,
    /// In order.
    pub steps: Vec<Step>,
    /// The bridge of a network that it cleans up. Where that fails, the network is left standing: what remains of it is
    /// not begun, all else goes on.
    pub cleans: Option<IfName>,
}

impl Plan {
    /// Adds a transaction that must succeed, unless there is nothing to do.
    pub fn must(&mut self, title: String, steps: Vec<Step>) {
        self.add(Transaction { title, steps, cleans: None });
    }

    /// Adds transactions, but for those with nothing to do.
    pub fn extend(&mut self, transactions: impl IntoIterator<Item = Transaction>) {
        transactions.into_iter().for_each(|transaction| self.add(transaction));
    }

    fn add(&mut self, transaction: Transaction) {
        if transaction.steps.iter().any(|step| *step != Step::BARRIER) {
            self.0.push(transaction);
        }
    }

    /// The clean-ups that it begins with.
    pub fn sweep(&self) -> Plan {
        Plan(self.0.iter().take_while(|transaction| transaction.cleans.is_some()).cloned().collect())
    }

    /// All but the clean-ups of the networks of these bridges.
    pub fn without(mut self, bridges: &[IfName]) -> Plan {
        self.0.retain(|transaction| transaction.cleans.is_none_or(|bridge| !bridges.contains(&bridge)));
        self
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.0.iter().flat_map(|transaction| &transaction.steps)
    }

    /// Whether a network begins, ends or becomes another.
    pub fn writes_tables(&self) -> bool {
        self.steps().any(|step| matches!(step, Step::Table(_)))
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Leaves out those steps that `is_wanted` does not want.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&Step) -> bool) {
        let transactions = std::mem::take(&mut self.0);
        self.extend(transactions.into_iter().map(|mut transaction| {
            transaction.steps.retain(&mut is_wanted);
            transaction
        }));
    }
}

/// As commands, under the title of each transaction where there are several.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for transaction in &self.0 {
            if self.0.len() > 1 {
                writeln!(f, "# {}", printable(&transaction.title))?;
            }
            let mut steps = transaction.steps.iter().filter(|step| **step != Step::BARRIER);
            steps.try_for_each(|step| writeln!(f, "{step:#}"))?;
        }
        Ok(())
    }
}
