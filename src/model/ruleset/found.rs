//! What the kernel has of kvmnet's tables.

use super::{Chain, Family, Hook, Table};

/// A table of kvmnet's that the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub family: Family,
    pub name: String,
    /// Its comment, empty where somebody wrote the table again without it.
    pub comment: String,
    /// How many objects it holds: chains, sets, …
    pub objects: u32,
    /// The record that it keeps, where that was asked for.
    pub record: Option<String>,
    /// It is switched off, and none of its chains is called.
    pub dormant: bool,
    pub chains: Vec<FoundChain>,
}

/// A chain of a table of kvmnet's that the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundChain {
    pub name: String,
    /// Where it is called from; None where that is no place, or no kind of chain, of kvmnet's.
    pub hook: Option<Hook>,
    /// Whether packets that no rule decides are dropped.
    pub drops: bool,
    /// How many rules it has, and jumps to it.
    pub uses: u32,
}

impl FoundChain {
    /// Whether it is what it was when it was written, as far as the number of its rules tells of them.
    pub fn is(&self, chain: &Chain, table: &Table) -> bool {
        self.name == chain.name
            && self.hook.as_ref() == Some(&chain.hook)
            && self.drops == chain.drops
            && self.uses as usize == table.uses(chain)
    }
}
