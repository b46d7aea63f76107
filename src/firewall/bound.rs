//! What a guest with a filter sends to all, or to groups, is bounded: each such frame is everybody's work.

use crate::model::IfName;
use crate::model::link::filter_group;
use crate::model::ruleset::{Chain, Family, Hook, Kind, Match, Rule, Set, Table, Type, Verdict, table_name};

pub(super) const BOUND: &str = "bound";

/// How much each tap has sent to all.
static RATES: Kind = Kind { name: "rates", key: &[Type::Interface], data: &[] };

/// So many frames in a second, and so many at once before that counts: half of what waits at a tap for a guest that is slow.
const RATE: u32 = 1000;
const BURST: u32 = 500;

/// The table: two rules, however many guests there are.
pub(super) fn table(bridge: &IfName) -> Table {
    let of = |kind| {
        let over = Match::Over { set: &RATES, rate: RATE, burst: BURST };
        Rule::new([kind, Match::IifGroup(filter_group(bridge)), over], Verdict::Drop)
    };
    let rules = [Match::ToAll, Match::ToGroup].map(of).into();
    let chain = Chain { name: BOUND, hook: Hook::Bridging, drops: false, rules };
    let mut table = Table {
        family: Family::Bridge,
        name: table_name(bridge),
        comment: String::new(),
        sets: vec![Set { kind: &RATES, elements: Vec::new() }],
        chains: vec![chain],
    };
    super::sign(std::slice::from_mut(&mut table));
    table
}
