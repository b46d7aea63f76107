//! Any words as the command line of a VM.

#![allow(clippy::unwrap_used, reason = "a panic is how a case is found")]

use crate::model::{IfName, is_label};

/// As /proc/PID/cmdline has it: a NUL behind each word.
pub(crate) fn command_line(data: &[u8]) {
    let words: Vec<String> =
        data.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let taps = [(3, "vif0.0"), (4, "vif0.0"), (9, "tap0"), (33, "vnet1")];
    let taps = taps.map(|(file, name)| (file, IfName::new(name).unwrap()));
    for (tap, _) in super::macs(&words, &taps) {
        assert!(taps.iter().any(|(_, known)| *known == tap));
    }
    assert!(super::macs(&words, &[]).is_empty());
    for (_, tap) in &taps {
        let identity = super::identity(&words, &taps, tap);
        assert!(identity.name.iter().all(|name| is_label(name)) && identity.macs.len() <= 8);
        assert!(!identity.macs.iter().any(|mac| mac.is_group()));
    }
    assert!(!super::program(&words).contains('/'));
    assert_ne!(super::name(&words).as_deref(), Some(""));
}
