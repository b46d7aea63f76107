//! The elements of a set in a table of kvmnet's own.

use std::fmt;

use super::table::write_untold;
use super::{Change, Step};
use crate::model::ruleset::{Elements, is_identifier};
use crate::netlink::nft;
use crate::terminal::shell_quoted;

/// Puts elements in the place of all that are in a set, and leaves its table alone.
impl Change for Elements {
    fn kind(&self) -> &'static str {
        "replace-elements"
    }

    fn deed(&self) -> String {
        let Elements { family, table, to, .. } = self;
        format!("write the {} in the nftables table {family} {table}", to.kind.name)
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Elements { family, table, to, .. } = self;
        if !is_identifier(table) {
            return write_untold(f, &self.deed());
        }
        let set = format!("{family} {table} {}", to.kind.name);
        write!(f, "nft {}", shell_quoted(format!("flush set {set}; add element {set} {to}")))
    }

    fn inverse(&self) -> Option<Step> {
        let Elements { family, table, from, to } = self.clone();
        Some(Elements { family, table, from: to, to: from }.into())
    }

    fn nft(&self) -> Option<nft::Change<'_>> {
        Some(nft::Change::Elements(self))
    }
}
