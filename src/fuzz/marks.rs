//! Records: the text of an interface's alias, or of the comments in a set, which anybody with rights over the network may
//! have written.

use crate::model::{Claim, Facts, Forward, IfName, Ledger, TapRecord};

/// Any text as a record.
pub(super) fn marks(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    if let Some(ledger) = Ledger::parse(text) {
        network(&ledger, text);
    }
    if let Some(ledger) = crate::firewall::ledger_in(text) {
        network(&ledger, text);
    }
    if let Ok(claim) = text.parse::<Claim>() {
        assert_eq!(claim.to_string(), text);
    }
    if let Ok(forward) = text.parse::<Forward>() {
        assert_eq!(forward.to_string().parse(), Ok(forward), "{text:?}");
        assert!(forward.first <= forward.last);
    }
    if let Some(record) = TapRecord::parse(text) {
        assert_eq!(TapRecord::parse(&record.to_string()).as_ref(), Some(&record), "{text:?}");
        assert!(record.changed.len() <= text.len());
        let fitting = record.clone().fitting();
        assert!(fitting.is_none_or(|fitting| fitting.to_string().len() <= crate::model::ledger::MAX_LEN));
    }
}

fn network(ledger: &Ledger, text: &str) {
    let whole = ledger.to_string();
    assert_eq!(Ledger::parse(&whole).as_ref(), Some(ledger), "what is written is read again: {text:?}");
    assert!(ledger.entries().len() <= text.len());
    if let Some(short) = ledger.short() {
        assert!(short.len() <= crate::model::ledger::MAX_LEN, "{short:?}");
        let short = Ledger::parse(&short).unwrap();
        assert!(short.changed.iter().all(|changed| ledger.changed.contains(changed)), "{text:?}");
    }
    let bridge = IfName::new("br0").unwrap();
    let facts = Facts::default();
    let believed = ledger.clone().believed(&bridge, &facts);
    assert_eq!(believed.clone().believed(&bridge, &facts), believed);
    assert!(believed.changed.iter().all(|changed| ledger.changed.contains(changed)));
    let alone = believed.clone().without_bridge(&bridge);
    assert!(!alone.made && alone.addresses.is_empty());
    let both = believed.clone().with_copy(Some(ledger.clone()));
    assert!(both.changed.len() <= 2 * ledger.changed.len());
}
