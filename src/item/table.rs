//! An nftables table of kvmnet's own.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Step};
use crate::model::ruleset::{Family, Table, is_identifier};
use crate::netlink::nft;
use crate::terminal::{printable, shell_quoted, shell_word};

/// A change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableChange {
    Add(Table),
    /// Puts a table in the place of the one of its name.
    Replace(Table),
    /// Deletes a table that is known well enough to be written again.
    Remove(Table),
    Delete {
        family: Family,
        name: String,
    },
}

impl TableChange {
    fn name(&self) -> (Family, &str) {
        match self {
            Self::Add(table) | Self::Replace(table) | Self::Remove(table) => (table.family, &table.name),
            Self::Delete { family, name } => (*family, name),
        }
    }

    /// Whether it writes a table of this family.
    pub fn writes(&self, family: Family) -> bool {
        matches!(self, Self::Add(table) | Self::Replace(table) if table.family == family)
    }

    /// `nft` takes fewer names than the kernel, which the hooks tell themselves.
    fn is_sayable(&self) -> bool {
        match self {
            Self::Add(table) | Self::Replace(table) => table.is_sayable(),
            Self::Remove(_) | Self::Delete { .. } => is_identifier(self.name().1),
        }
    }
}

impl Change for TableChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add(_) => "add-table",
            Self::Replace(_) => "replace-table",
            Self::Remove(_) | Self::Delete { .. } => "delete-table",
        }
    }

    fn deed(&self) -> String {
        let (family, name) = self.name();
        match self {
            Self::Add(_) | Self::Replace(_) => format!("write the nftables table {family} {name}"),
            Self::Remove(_) | Self::Delete { .. } => format!("delete the nftables table {family} {name}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (family, name) = self.name();
        match self {
            _ if !self.is_sayable() => write_untold(f, &self.deed()),
            Self::Add(table) => write!(f, "nft {}", shell_quoted(text(table, f))),
            Self::Replace(table) => {
                let between = if f.alternate() { '\n' } else { ' ' };
                let text = format!("delete table {family} {name};{between}{}", text(table, f));
                write!(f, "nft {}", shell_quoted(text))
            }
            Self::Remove(_) | Self::Delete { .. } => {
                write!(f, "nft delete table {family} {}", shell_word(name))
            }
        }
    }

    fn inverse(&self) -> Option<Step> {
        match self.clone() {
            Self::Add(Table { family, name, .. }) => Some(Self::Delete { family, name }.into()),
            Self::Remove(table) => Some(Self::Add(table).into()),
            Self::Replace(_) | Self::Delete { .. } => None,
        }
    }

    fn deletes(&self) -> bool {
        matches!(self, Self::Delete { .. })
    }

    fn is_final(&self) -> bool {
        matches!(self, Self::Delete { .. } | Self::Replace(_))
    }

    fn nft(&self) -> Option<nft::Change<'_>> {
        let (family, name) = self.name();
        Some(match self {
            Self::Add(table) => nft::Change::Add(table),
            Self::Replace(table) => nft::Change::Replace(table),
            Self::Remove(_) | Self::Delete { .. } => nft::Change::Delete(family, name),
        })
    }

    fn is_there(&self, errno: Errno) -> bool {
        matches!(self, Self::Add(_)) && errno == Errno::EEXIST
    }

    fn forgives(&self, errno: Errno) -> bool {
        matches!(self, Self::Remove(_) | Self::Delete { .. }) && errno == Errno::ENOENT
    }

    fn hint(&self, errno: Errno) -> Option<&'static str> {
        let is_unknown = matches!(errno, Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT);
        (is_unknown && matches!(self, Self::Add(_) | Self::Replace(_))).then_some(
            "this kernel lacks a part of nftables: inet and netdev tables, NAT, fib, for isolated networks egress (Linux 5.16), and for `filter` bridge tables with dynamic sets",
        )
    }
}

fn text(table: &Table, f: &fmt::Formatter<'_>) -> String {
    if f.alternate() { format!("{table:#}") } else { table.to_string() }
}

/// In the place of a command that there is not.
pub(super) fn write_untold(f: &mut fmt::Formatter<'_>, deed: &str) -> fmt::Result {
    write!(f, "# {}; nft cannot be told, as it does not take the name", printable(deed))
}
