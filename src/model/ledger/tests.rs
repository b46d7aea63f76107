#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn reads_what_it_wrote() {
    for text in [
        "kvmnet:nat default 0000002a made addr=10.0.100.3/24 eth3:f=0",
        "kvmnet:routed lab deadbeef made keep held override veth=veth1 addr=10.0.100.3/24 addr=fd00::3/64 eth3:f=0+@2 all:W=0 default:f=0 br-lan:f=0@17",
        "kvmnet:bridged default 00000000 nic=eth3@2",
        "kvmnet:bridged default 00000000 nic=eth3 own=10.1.1.1/24 mac=02:00:00:00:00:07 br0:g=7 br0:u=0 was=uplink of floor 3",
        "kvmnet:isolated a.b 00000001 made",
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

#[test]
fn believes_no_more_than_kvmnet_would_have_written() {
    let text =
        "kvmnet:nat x 00000000 eth3:f=0 eth3:f=4294967295 eth3:u=0 eth3:m=1400 br0:m=1400 eth4:R=7 eth4:R=1";
    let ledger = Ledger::parse(text).unwrap().believed(&IfName::new("br0").unwrap());
    let changed: Vec<String> = ledger.changed.iter().map(ToString::to_string).collect();
    assert_eq!(changed, ["eth3:f=0", "br0:m=1400", "eth4:R=1"]);
}

#[test]
fn takes_nothing_else_for_a_record() {
    for text in ["", "kvmnet:", "kvmnet:nat", "kvmnet:natt default 00000000", "my bridge", "kvmnet:nat x zz"]
    {
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
