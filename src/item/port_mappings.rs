//! Ports of the host that lead to a guest: elements of maps in the table of its network.

use std::fmt;

use nix::errno::Errno;

use super::table::write_untold;
use super::{Change, Step};
use crate::model::ruleset::{PortMappings, Set, is_identifier};
use crate::netlink::nft;
use crate::terminal::shell_quoted;

/// A change of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortMappingsChange {
    Add(PortMappings),
    Delete(PortMappings),
}

impl PortMappingsChange {
    fn mappings(&self) -> &PortMappings {
        let (Self::Add(mappings) | Self::Delete(mappings)) = self;
        mappings
    }
}

impl Change for PortMappingsChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add(_) => "add-elements",
            Self::Delete(_) => "delete-elements",
        }
    }

    fn deed(&self) -> String {
        let PortMappings { table, owner, .. } = self.mappings();
        match self {
            Self::Add(_) => format!("lead ports to {owner} in the nftables table inet {table}"),
            Self::Delete(_) => format!("lead no port to {owner} any more in the nftables table inet {table}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PortMappings { table, sets, .. } = self.mappings();
        if !is_identifier(table) {
            return write_untold(f, &self.deed());
        }
        let word = if matches!(self, Self::Add(_)) { "add" } else { "delete" };
        let command = |set: &Set| format!("{word} element inet {table} {} {set}", set.kind.name);
        let commands: Vec<String> = sets.iter().map(command).collect();
        write!(f, "nft {}", shell_quoted(commands.join("; ")))
    }

    fn inverse(&self) -> Option<Step> {
        Some(match self.clone() {
            Self::Add(mappings) => Self::Delete(mappings).into(),
            Self::Delete(mappings) => Self::Add(mappings).into(),
        })
    }

    fn nft(&self) -> Option<nft::Change<'_>> {
        Some(match self {
            Self::Add(mappings) => nft::Change::AddElements(mappings),
            Self::Delete(mappings) => nft::Change::DeleteElements(mappings),
        })
    }

    /// They are gone, or their table with them.
    fn forgives(&self, errno: Errno) -> bool {
        matches!(self, Self::Delete(_)) && errno == Errno::ENOENT
    }
}
