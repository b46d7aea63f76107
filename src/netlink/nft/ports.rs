//! Sets of ports that the rules of others ask for: NFT_MSG_GETSETELEM (`net/netfilter/nf_tables_api.c`).

use std::ops::RangeInclusive;

use super::attr::*;
use super::table::{body, family_number};
use crate::model::ruleset::Family;
use crate::netlink::message::{DUMP, Message, attributes, find, find_be32};

/// NFT_SET_ELEM_INTERVAL_END: the port behind the last one of a range.
const INTERVAL_END: u32 = 1;

/// Asks for the members of a set.
pub fn dump(family: Family, table: &str, set: &str) -> Message {
    Message::new(GETSETELEM, DUMP, &body(family_number(family), 0))
        .with(|message| message.put_str(NFTA_SET_ELEM_LIST_TABLE, table).put_str(NFTA_SET_ELEM_LIST_SET, set))
}

/// Reads one part of a dump: ports, and whether a range ends before them.
pub fn parse(reply: &[u8]) -> Option<Vec<(u16, bool)>> {
    let elements = find(reply.get(4..)?, NFTA_SET_ELEM_LIST_ELEMENTS)?;
    Some(attributes(elements).filter_map(|(_, element)| parse_element(element)).collect())
}

fn parse_element(element: &[u8]) -> Option<(u16, bool)> {
    let key = find(find(element, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE)?;
    let flags = find_be32(element, NFTA_SET_ELEM_FLAGS).unwrap_or_default();
    Some((u16::from_be_bytes(key.try_into().ok()?), flags & INTERVAL_END != 0))
}

/// The ranges that such members mean; without ends each is one port.
pub fn ranges(mut members: Vec<(u16, bool)>) -> Vec<RangeInclusive<u16>> {
    if members.iter().all(|(_, ends)| !ends) {
        return members.into_iter().map(|(port, _)| port..=port).collect();
    }
    // Where one range ends, the next may begin.
    members.sort_by_key(|(port, ends)| (*port, !ends));
    let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
    let mut first = None;
    for (port, ends) in members {
        match first.take() {
            Some(first) if ends => ranges.push(first..=port.saturating_sub(1)),
            _ if !ends => first = Some(port),
            _ => {}
        }
    }
    // The last one may go up to the end of all ports, which has no number behind it.
    ranges.extend(first.map(|first| first..=u16::MAX));
    ranges
}

/// The same ports, or all others.
pub fn where_in(mut ranges: Vec<RangeInclusive<u16>>, is_member: bool) -> Vec<RangeInclusive<u16>> {
    if is_member {
        return ranges;
    }
    ranges.sort_by_key(|range| *range.start());
    let (mut others, mut next) = (Vec::new(), Some(0));
    for range in ranges {
        let Some(first) = next else { break };
        if *range.start() > first {
            others.push(first..=range.start() - 1);
        }
        next = range.end().checked_add(1).map(|behind| behind.max(first));
    }
    others.extend(next.map(|first| first..=u16::MAX));
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_ports_or_bounds() {
        assert_eq!(ranges(vec![(67, false), (53, false)]), [67..=67, 53..=53]);
        let bounds = vec![
            (0, true),
            (53, false),
            (54, true),
            (60, false),
            (70, true),
            (70, false),
            (71, true),
            (9000, false),
        ];
        assert_eq!(ranges(bounds), [53..=53, 60..=69, 70..=70, 9000..=u16::MAX]);
        assert_eq!(where_in(vec![67..=67, 0..=53], false), [54..=66, 68..=u16::MAX]);
        assert_eq!(where_in(vec![9000..=u16::MAX, 9100..=9101], false), [0..=8999]);
    }
}
