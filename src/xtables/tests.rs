//! Tables that a kernel had, as iptables-legacy and ip6tables-legacy had written them.

use super::fuzz::of;
use super::parse::Filter;
use crate::model::foreign::{Condition, Fate, ForeignRule, HookPoint, NamePattern};
use crate::model::ruleset::Family;

const TABLES: [(&[u8], bool); 2] = [
    (include_bytes!("../../tests/corpus/legacy/ipv4"), false),
    (include_bytes!("../../tests/corpus/legacy/ipv6"), true),
];

fn name(text: &str, open: bool) -> NamePattern {
    NamePattern { text: text.to_owned(), open }
}

fn rules(found: &Filter, chain: &str) -> Vec<(Vec<Condition>, Fate)> {
    let rules = found.rules.iter().filter(|rule| rule.chain == chain);
    rules.map(|ForeignRule { conditions, fate, .. }| (conditions.clone(), fate.clone())).collect()
}

#[test]
fn all_that_matters_is_read() {
    for (table, v6) in TABLES {
        let found = of(table, v6).unwrap_or_default();
        let chains: Vec<_> =
            found.chains.iter().map(|chain| (chain.name.as_str(), chain.point, chain.drops)).collect();
        assert_eq!(
            chains,
            [
                ("INPUT", Some(HookPoint::Input), false),
                ("FORWARD", Some(HookPoint::Forward), true),
                ("OUTPUT", Some(HookPoint::Output), false)
            ]
        );
        let family = if v6 { Family::Ip6 } else { Family::Ip };
        assert!(found.chains.iter().all(|chain| chain.protocol == family));
        assert_eq!(rules(&found, "INPUT"), [(vec![Condition::Iif(name("lo", false), true)], Fate::Accept)]);
        let guests = |comes_back| Fate::Go("GUESTS".to_owned(), comes_back);
        let (vir, eth0) =
            (Condition::Iif(name("vir", true), true), Condition::Oif(name("eth0", false), true));
        let forward = [
            (vec![Condition::StateIn], Fate::Accept),
            (vec![vir, eth0], guests(true)),
            (vec![Condition::Oif(name("br1", false), false)], Fate::None),
            (vec![Condition::Iif(name("br7", false), true)], guests(false)),
            (vec![], Fate::Drop),
        ];
        assert_eq!(rules(&found, "FORWARD"), forward);
        let of_guests = [
            (vec![Condition::Protocol(6), Condition::Service], Fate::Drop),
            (vec![Condition::Other], Fate::Return),
            (vec![], Fate::Drop),
            (vec![], Fate::Return),
        ];
        assert_eq!(rules(&found, "GUESTS"), of_guests);
    }
}

#[test]
fn what_is_cut_off_is_not_read() {
    for (table, v6) in TABLES {
        for length in 0..table.len() {
            // One that ends between two entries has lost the policies that come later, or chains.
            let _ends = of(&table[..length], v6);
        }
        assert_eq!(of(&table[..table.len() - 1], v6), None);
        assert_eq!(of(&table[..60], v6), None);
        assert_eq!(of(table, !v6), None, "the other family has other entries");
    }
}

#[test]
fn an_entry_that_lies_is_no_end() {
    for (table, v6) in TABLES {
        for at in 40..table.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut lies = table.to_vec();
                lies[at] = byte;
                let _read = of(&lies, v6);
            }
        }
    }
}
