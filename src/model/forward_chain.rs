//! The forward chain of iptables, whose policy of drop no table of kvmnet's can overrule: it has a few rules of its own
//! there, which a comment tells from those of others.

use super::IfName;
use super::foreign::ForeignChain;
use super::ruleset::{Family, Rule};

/// The table that iptables has.
pub const TABLE: &str = "filter";
/// Its chain for packets that pass through.
pub const FORWARD: &str = "FORWARD";
/// Where Docker, which writes its other chains anew, leaves room for others.
pub const USERS: &str = "DOCKER-USER";
/// Where ufw has what its owner lets through.
pub const UFW: [&str; 2] = ["ufw-user-forward", "ufw6-user-forward"];

/// The forward chain of `ip filter` or `ip6 filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardChain {
    pub protocol: Family,
    /// Whether packets that no rule decides are dropped.
    pub drops: bool,
    /// Whether a program has its own way to let through what is forwarded, which is its owner's to use: ufw.
    pub is_managed: bool,
    /// Where rules of others belong.
    pub chain: &'static str,
    /// kvmnet's rules there.
    pub rules: Vec<AcceptRule>,
}

impl ForwardChain {
    /// Whether this is the chain, and one that asks for rules.
    pub fn is(&self, chain: &ForeignChain) -> bool {
        self.drops && chain.protocol == self.protocol && chain.table == TABLE && chain.name == FORWARD
    }
}

/// A rule of kvmnet's in a chain of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptRule {
    pub chain: String,
    /// Its number there.
    pub handle: u64,
    /// The bridge of its network, as its comment says.
    pub bridge: IfName,
    pub rule: Rule,
}

/// Rules in a chain of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptRules {
    pub protocol: Family,
    pub chain: String,
    /// The bridge of the network that they are for.
    pub bridge: IfName,
    pub rules: Vec<Rule>,
}

/// The comment of a network's rules.
pub fn comment(bridge: &IfName) -> String {
    format!("{}{bridge}", super::ledger::PREFIX)
}

/// The bridge that a comment names.
pub fn bridge_in(comment: &str) -> Option<IfName> {
    IfName::new(comment.strip_prefix(super::ledger::PREFIX)?).ok()
}
