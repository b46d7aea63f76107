//! kvmnet's rules in a chain of iptables.

use std::fmt;

use nix::errno::Errno;

use super::table::write_untold;
use super::{Change, Step};
use crate::model::iptables::{AcceptRules, TABLE, comment};
use crate::model::ruleset::{Match, Rule, is_text};
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
    fn rules(&self) -> &AcceptRules {
        let (Self::Add(accept_rules) | Self::Delete { accept_rules, .. }) = self;
        accept_rules
    }

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
        let AcceptRules { protocol, chain, bridge, .. } = self.rules();
        let chain = format!("the nftables chain {protocol} {TABLE} {chain}");
        match self {
            Self::Add(_) => format!("let packets of {bridge} through {chain}"),
            Self::Delete { .. } => format!("take the rules for {bridge} out of {chain}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_sayable() {
            return write_untold(f, &self.deed());
        }
        let AcceptRules { protocol, chain, after, bridge, rules } = self.rules();
        let chain = format!("rule {protocol} {TABLE} {chain}");
        let comment = comment(bridge);
        let insert = |rule: &Rule| match after {
            Some(after) => format!("add {chain} handle {after} {rule} comment \"{comment}\""),
            None => format!("insert {chain} {rule} comment \"{comment}\""),
        };
        let delete = |handle: &u64| format!("delete {chain} handle {handle}");
        let commands: Vec<String> = match self {
            Self::Add(_) => rules.iter().rev().map(insert).collect(),
            Self::Delete { handles, .. } => handles.iter().map(delete).collect(),
        };
        write!(f, "nft {}", shell_quoted(commands.join("; ")))
    }

    fn inverse(&self) -> Option<Step> {
        let inverse = match self.clone() {
            Self::Add(accept_rules) => Self::Delete { accept_rules, handles: Vec::new() },
            Self::Delete { accept_rules, .. } => Self::Add(accept_rules),
        };
        Some(inverse.into())
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
