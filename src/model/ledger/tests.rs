#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::link::{GROUP, Ipv6Conf};
use crate::plan::tests::world::link;

#[test]
fn reads_what_it_wrote() {
    for text in [
        "kvmnet:nat default 0000002a made addr=10.0.100.3/24 eth3:f=0",
        "kvmnet:routed lab deadbeef made keep held override veth=veth1 addr=10.0.100.3/24 addr=fd00::3/64 eth3:f=0+@2 all:W=0 default:f=0 br-lan:f=0@17",
        "kvmnet:bridged default 00000000 nic=eth3@2",
        "kvmnet:bridged default 00000000 nic=eth3 own=10.1.1.1/24 mac=02:00:00:00:00:07 br0:g=7 br0:u=0 was=uplink of floor 3",
        "kvmnet:isolated a.b 00000001 made",
        "kvmnet:bridged default 00000000 nic=eth@3@0 eth@3:u=0@2",
        "kvmnet:isolated a.b 00000001 index=7 more pending",
        "kvmnet:nat default 00000000 eth3:f=0 eth3:later=2 later=yes keep=not made=7 index addr=x",
    ] {
        let ledger = Ledger::parse(text).unwrap();
        assert_eq!(ledger.to_string(), text);
        assert_eq!(Ledger::parse(&ledger.entries().join(" ")), Some(ledger));
    }
}

#[test]
fn what_it_cannot_read_is_of_a_later_version() {
    let text = "kvmnet:nat default 00000000 keep=not later=yes made addr=x held";
    let ledger = Ledger::parse(text).unwrap();
    assert_eq!(ledger.unknown, ["keep=not", "later=yes", "addr=x"]);
    assert!(ledger.made && ledger.held && !ledger.keep);
    let left = ledger.beyond().unwrap().to_string();
    assert_eq!(left, "kvmnet:nat default 00000000 keep=not later=yes addr=x");
    assert_eq!(Ledger::parse("kvmnet:nat default 00000000 made eth3:f=7").unwrap().beyond(), None);
}

/// What there is of these entries when all that could not be is left out.
fn believed(text: &str, facts: &Facts) -> String {
    let ledger = Ledger::parse(text).unwrap().believed(&IfName::new("br0").unwrap(), facts).to_string();
    ledger.split_once(" 00000000").unwrap().1.trim().to_owned()
}

#[test]
fn believes_no_more_than_kvmnet_would_have_written() {
    let bridge = Link { group: GROUP, ipv6: None, ..link(7, "br0", Some("bridge")) };
    let facts = Facts { links: vec![bridge], ..Facts::default() };
    for (entries, expected) in [
        // Values and settings that kvmnet does not know of others, and those of its own bridge.
        (
            "eth3:f=0 eth3:f=4294967295 eth3:u=0 eth3:m=1400 br0:m=1400 eth4:R=7 eth4:R=1",
            "eth3:f=0 br0:m=1400 eth4:R=1",
        ),
        ("br0:f=1 br0:q=1 br0:i=1 br0:t=0 br0:w=0 br0:u=0", "br0:f=1 br0:u=0"),
        // Others are only opened.
        ("eth3:f=1 eth3:F=1 eth3:R=2 eth4:F=0", "eth4:F=0"),
        ("eth3:f=1 eth4:F=1 default:f=0", "eth3:f=1 default:f=0"),
        ("all:W=0 all:f=0 eth3:W=0 br0:W=0 default:W=0 default:u=0 all:W=1", "all:W=0"),
        // Addresses of a mode that has any, NICs of the mode that takes one.
        ("addr=10.1.1.1/24 nic=eth4@3 eth4:u=0", "addr=10.1.1.1/24"),
        ("mac=ff:ff:ff:ff:ff:ff", ""),
        ("mac=00:00:00:00:00:00", ""),
        ("made was=kvmnet:nat x 00000000 made", "made"),
    ] {
        assert_eq!(believed(&format!("kvmnet:nat x 00000000 {entries}"), &facts), expected, "{entries}");
    }
    let entries = "addr=10.1.1.1/24 nic=eth4@3 eth4:u=0 eth4:m=1400 eth5:u=0";
    assert_eq!(believed(&format!("kvmnet:bridged x 00000000 {entries}"), &facts), "nic=eth4@3");
    let port = Link { master: Some(7), ..link(3, "eth4", None) };
    let facts = Facts { links: vec![link(7, "br0", Some("bridge")), port], ..facts };
    assert_eq!(believed("kvmnet:nat x 00000000 br0:m=1400", &Facts::default()), "", "it is gone");
    assert_eq!(believed(&format!("kvmnet:bridged x 00000000 {entries}"), &facts), "nic=eth4@3 eth4:u=0");
    assert_eq!(believed("kvmnet:bridged x 00000000 nic=br0@3 br0:m=1400", &facts), "br0:m=1400");
}

/// A bridge that is known, with or without the marks that kvmnet gives one.
#[test]
fn a_bridge_that_kvmnet_did_not_make_was_not_made_by_it() {
    let br0 = link(7, "br0", Some("bridge"));
    let eth4 = Link { mac: Some(Mac([2, 0, 0, 0, 0, 9])), ..link(3, "eth4", None) };
    let with = |bridge: Link, nic: Link| Facts { links: vec![bridge, nic], ..Facts::default() };
    let of_name = Some(Mac::of_bridge(&br0.name));
    let made = |bridge: Link, nic: &Link| {
        believed("kvmnet:bridged x 00000000 made nic=eth4@3", &with(bridge, nic.clone()))
    };
    let other = Link { mac: Some(Mac([2, 0, 0, 0, 0, 1])), ..br0.clone() };
    assert_eq!(made(other.clone(), &eth4), "");
    assert_eq!(made(Link { mac: of_name, ..br0.clone() }, &eth4), "made");
    assert_eq!(made(Link { mac: eth4.mac, ..br0.clone() }, &eth4), "made nic=eth4@3");
    assert_eq!(made(other.clone(), &Link { master: Some(7), ..eth4.clone() }), "nic=eth4@3");
    assert_eq!(made(Link { group: GROUP, ..other }, &eth4), "made");
    let wide = "kvmnet:nat x 00000000 all:W=0";
    let ipv6 = br0.ipv6.map(|ipv6| Ipv6Conf { force_forwarding: Some(0), ..ipv6 });
    assert_eq!(believed(wide, &with(Link { ipv6, ..br0 }, eth4)), "", "this kernel needs no switch for all");
}

#[test]
fn counts_are_bounded() {
    let text = format!("kvmnet:nat x 00000000{}", " eth3:f=0".repeat(100_000));
    assert_eq!(Ledger::parse(&text).unwrap().changed.len(), MAX_ENTRIES);
}

#[test]
fn takes_nothing_else_for_a_record() {
    for text in [
        "",
        "kvmnet:",
        "kvmnet:nat",
        "kvmnet:natt default 00000000",
        "my bridge",
        "kvmnet:nat x zz",
        "kvmnet:nat  00000000",
        "kvmnet:nat a\x1b[2J 00000000",
    ] {
        assert_eq!(Ledger::parse(text), None, "{text}");
    }
}

/// 64 uplinks of both families and 64 addresses: the short form fits, and the entries say all.
#[test]
fn has_room() {
    let mut ledger = Ledger::parse("kvmnet:nat default 00000000 made").unwrap();
    for number in 0..64 {
        let link = IfName::new(&format!("enp{number}s0f1np1")).unwrap();
        for setting in [Setting::Forwarding, Setting::ForceForwarding] {
            let changed = Changed { link, index: 7, setting, before: 0, global_forwarding: false };
            ledger.changed.push(changed);
        }
        ledger.addresses.push(format!("fd00:{number:x}::3/64").parse().unwrap());
    }
    let short = ledger.short().unwrap();
    assert!(short.len() <= MAX_LEN && !ledger.fits(), "{short}");
    let short = Ledger::parse(&short).unwrap();
    assert!(short.more && short.made);
    ledger.alias = "uplink of floor 3".to_owned();
    let entries = ledger.entries();
    assert_eq!(entries.len(), 2 + 128 + 64 + 1);
    assert_eq!(entries.last().unwrap(), "was=uplink of floor 3");
    assert_eq!(Ledger::parse(&entries.join(" ")), Some(ledger));
}

/// The short form of a copy that was not written yet has what the copy has not.
#[test]
fn a_short_form_and_its_copy_make_a_whole() {
    let ledger = |text| Ledger::parse(text).unwrap();
    let short = ledger("kvmnet:nat x 00000001 made more eth3:f=0 eth4:f=0");
    let copy = ledger("kvmnet:nat x 00000002 made addr=10.1.1.1/24 eth3:f=0 eth5:f=0");
    let whole = ledger("kvmnet:nat x 00000002 made addr=10.1.1.1/24 eth3:f=0 eth5:f=0 eth4:f=0");
    assert_eq!(short.clone().with_copy(Some(copy)), whole);
    assert_eq!(short.clone().with_copy(None), short);
}
