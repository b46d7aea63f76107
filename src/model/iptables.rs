//! The chains of iptables, whose last word no table of kvmnet's can overrule: it has a few rules of its own there, which a
//! comment tells from those of others.

use super::IfName;
use super::foreign::ForeignChain;
use super::ruleset::{Family, Rule};

/// The table that iptables has.
pub const TABLE: &str = "filter";
/// All that it has.
pub const TABLES: [&str; 5] = [TABLE, "mangle", "nat", "raw", "security"];
/// Its chain for packets that pass through.
pub const FORWARD: &str = "FORWARD";
/// Its chain for packets that are for the host itself.
pub const INPUT: &str = "INPUT";
/// Its chain for packets of the host's own.
pub const OUTPUT: &str = "OUTPUT";
/// Where Docker, which writes its other chains anew, leaves room for others: of what passes through.
pub const USERS: &str = "DOCKER-USER";
/// Where ufw has what its owner has decided. It leaves the rules of others in the base chains alone (MANAGE_BUILTINS in
/// /etc/default/ufw), and takes these chains away only when the machine starts anew.
const UFW: [&str; 6] = [
    "ufw-before-forward",
    "ufw6-before-forward",
    "ufw-before-input",
    "ufw6-before-input",
    "ufw-before-output",
    "ufw6-before-output",
];

/// What a base chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Packets that pass through.
    Forward,
    /// Packets that are for the host itself.
    Input,
    /// Packets of its own.
    Output,
}

/// A base chain of `ip filter` or `ip6 filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IptablesChain {
    pub protocol: Family,
    pub way: Way,
    /// Whether packets that no rule decides are dropped: by the policy, or by the last rule.
    pub drops: bool,
    /// Where rules of others belong.
    pub chain: &'static str,
    /// The number of the rule there that those of kvmnet come after ([`last_decision`]); none: they come first.
    pub after: Option<u64>,
    /// kvmnet's rules there, and those in the base chain itself.
    pub rules: Vec<AcceptRule>,
}

impl IptablesChain {
    /// Whether this is the chain, and one that asks for rules.
    pub fn is(&self, chain: &ForeignChain) -> bool {
        self.drops
            && chain.protocol == self.protocol
            && chain.table == TABLE
            && chain.name == self.way.chain()
    }
}

impl Way {
    pub const ALL: [Self; 3] = [Way::Forward, Way::Input, Way::Output];

    /// The name of the base chain.
    pub fn chain(self) -> &'static str {
        match self {
            Way::Forward => FORWARD,
            Way::Input => INPUT,
            Way::Output => OUTPUT,
        }
    }
}

/// The number of the rule of this chain that kvmnet's come after: what the owner has decided holds, and what is said of all
/// packets behind that (a jump, REJECT, Docker's RETURN) comes after kvmnet's. Those that come before it are marked.
pub fn last_decision(rules: &mut [ChainRule]) -> Option<u64> {
    let is_ufws = |rule: &ChainRule| rule.jump.as_deref().is_some_and(|chain| UFW.contains(&chain));
    let is_decision = |rule: &ChainRule| rule.is_decision && rule.own.is_none();
    // What is behind the last word about all packets is never asked.
    let end = rules.iter().position(|rule| rule.last_word.is_some()).unwrap_or(rules.len());
    let at = rules.iter().position(is_ufws).or_else(|| rules[..end].iter().rposition(is_decision))?;
    let (before, rest) = rules.split_at_mut(at);
    before.iter_mut().filter_map(|rule| rule.own.as_mut()).for_each(|own| own.is_early = true);
    rest.first().map(|rule| rule.handle)
}

/// Whether a chain with this policy drops packets that no rule decides. One that is jumped to may drop them before an ACCEPT of all.
pub fn drops_the_rest(policy: bool, rules: &[ChainRule]) -> bool {
    let end = rules.iter().position(|rule| rule.last_word.is_some()).unwrap_or(rules.len());
    match rules.get(end).and_then(|rule| rule.last_word) {
        Some(LastWord::Drop) => true,
        Some(LastWord::Accept) => policy && rules[..end].iter().any(|rule| rule.jump.is_some()),
        Some(LastWord::Other) | None => policy,
    }
}

/// What becomes of all packets that come to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastWord {
    Accept,
    Drop,
    /// They go to where the chain was called from, or to another chain for good.
    Other,
}

/// A rule in a chain of iptables, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRule {
    /// Its number there.
    pub handle: u64,
    /// The chain that it always jumps to.
    pub jump: Option<String>,
    /// Whether it decides, or has another chain decide, of some packets and not of all.
    pub is_decision: bool,
    /// What it says of all packets; none comes to the rules behind it then.
    pub last_word: Option<LastWord>,
    /// Where it is one of kvmnet's.
    pub own: Option<AcceptRule>,
}

/// A rule of kvmnet's in a chain of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptRule {
    pub chain: String,
    /// Its number there.
    pub handle: u64,
    /// The bridge of its network, as its comment says.
    pub bridge: IfName,
    /// Whether its owner's chain has decisions behind it that come first.
    pub is_early: bool,
    pub rule: Rule,
}

/// Rules in a chain of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptRules {
    pub protocol: Family,
    pub chain: String,
    /// The number of the rule that they come after; none: they are the first.
    pub after: Option<u64>,
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
