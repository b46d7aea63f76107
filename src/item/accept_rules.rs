//! kvmnet's rules in a chain of iptables.

use std::fmt;

use nix::errno::Errno;

use super::table::write_untold;
use super::{Change, Step, Transport};
use crate::model::forward_chain::{AcceptRules, TABLE, comment};
use crate::model::ruleset::{Match, is_text};
use crate::netlink::nft;
use crate::terminal::shell_quoted;

/// A change of the rules for one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptRulesChange {
    Add(AcceptRules),
    Delete {
        accept_rules: AcceptRules,
        /// The numbers of the rules, where they are known.
        handles: Vec<u64>,
    },
}

impl AcceptRulesChange {
    /// `nft` takes fewer names than the kernel, and the numbers of rules that are still to be made are not known.
    fn is_sayable(&self) -> bool {
        match self {
            Self::Add(accept_rules) => {
                let matches = accept_rules.rules.iter().flat_map(|rule| &rule.matches);
                matches.filter_map(Match::name).all(is_text)
            }
            Self::Delete { handles, .. } => !handles.is_empty(),
        }
    }
}

impl Change for AcceptRulesChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add(_) => "add-rule",
            Self::Delete { .. } => "delete-rule",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::Add(AcceptRules { protocol, chain, bridge, .. }) => {
                format!("let packets of {bridge} through the nftables chain {protocol} {TABLE} {chain}")
            }
            Self::Delete { accept_rules: AcceptRules { protocol, chain, bridge, .. }, .. } => {
                format!("take the rules for {bridge} out of the nftables chain {protocol} {TABLE} {chain}")
            }
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            _ if !self.is_sayable() => write_untold(f, &self.deed()),
            Self::Add(AcceptRules { protocol, chain, bridge, rules }) => {
                let comment = comment(bridge);
                let inserts = rules.iter().rev().map(|rule| {
                    format!("insert rule {protocol} {TABLE} {chain} {rule} comment \"{comment}\"")
                });
                write!(f, "nft {}", shell_quoted(inserts.collect::<Vec<_>>().join("; ")))
            }
            Self::Delete { accept_rules: AcceptRules { protocol, chain, .. }, handles } => {
                let deletes = handles
                    .iter()
                    .map(|handle| format!("delete rule {protocol} {TABLE} {chain} handle {handle}"));
                write!(f, "nft {}", shell_quoted(deletes.collect::<Vec<_>>().join("; ")))
            }
        }
    }

    fn inverse(&self) -> Option<Step> {
        let inverse = match self.clone() {
            Self::Add(accept_rules) => Self::Delete { accept_rules, handles: Vec::new() },
            Self::Delete { accept_rules, .. } => Self::Add(accept_rules),
        };
        Some(inverse.into())
    }

    fn transport(&self) -> Transport {
        Transport::Nft
    }

    fn nft(&self) -> Option<nft::Change<'_>> {
        Some(match self {
            Self::Add(accept_rules) => nft::Change::Insert(accept_rules),
            Self::Delete { accept_rules, handles } => nft::Change::Remove(accept_rules, handles),
        })
    }

    /// Whoever's chain it is has taken it away.
    fn forgives(&self, errno: Errno) -> bool {
        errno == Errno::ENOENT
    }
}
