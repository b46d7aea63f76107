//! Any bytes as an answer to any question.

use super::{decode, forward_chain, set, table};

/// All that is found in it.
pub(crate) fn read(reply: &[u8]) -> impl std::fmt::Debug {
    let tables = (table::parse(reply), table::parse_chain(reply), table::parse_comment(reply));
    let elements = set::parse(reply);
    assert!(elements.iter().flatten().count() <= reply.len(), "no more than it has room for");
    let rules = (decode::parse(reply), decode::parse_rule(reply));
    (tables, elements, rules, forward_chain::parse_table(reply), forward_chain::parse(reply))
}
