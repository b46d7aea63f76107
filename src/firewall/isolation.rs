//! Guests without the host: on a bridge whose own port is shut, nothing passes between the two.

use crate::model::IfName;
use crate::model::ruleset::{Chain, Family, Hook, Table, table_name};

pub(super) const INGRESS: &str = "ingress";
pub(super) const EGRESS: &str = "egress";

/// Everything between the bridge's own port and the host is dropped: ARP, any ethertype, multicast. It does
/// not see frames between two ports.
pub(super) fn chains(bridge: &IfName) -> Vec<Chain> {
    let chain = |name, hook| Chain { name, hook, drops: true, rules: Vec::new() };
    vec![chain(INGRESS, Hook::Ingress(*bridge)), chain(EGRESS, Hook::Egress(*bridge))]
}

/// The table as it was written with this comment.
pub fn isolation_table(bridge: &IfName, comment: &str) -> Table {
    let (name, comment) = (table_name(bridge), comment.to_owned());
    Table { family: Family::Netdev, name, comment, sets: Vec::new(), chains: chains(bridge) }
}
