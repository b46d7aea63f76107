//! Any bytes as a table: where its hooks begin, where their policies are, and its entries.

use super::parse::{Filter, filter};

const HEAD: usize = 40;

/// Reads it as one of either family.
pub(crate) fn read(data: &[u8]) {
    for v6 in [false, true] {
        let found = of(data, v6).unwrap_or_default();
        assert!(
            found.rules.len() <= data.len() / 64 && found.chains.len() <= 3,
            "no more than it has room for"
        );
    }
}

pub(super) fn of(data: &[u8], v6: bool) -> Option<Filter> {
    let (head, entries) = data.split_at_checked(HEAD)?;
    let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    filter(entries, [0, 4, 8, 12, 16].map(number), [20, 24, 28, 32, 36].map(number), v6)
}
