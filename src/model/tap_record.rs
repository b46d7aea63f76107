//! The record on a guest's tap: that kvmnet attached it, and what it changed on it, for a tap that outlives its guest.

use std::fmt;

use super::ledger::{MAX_LEN, was};
use super::{IfName, Mac, Setting};

/// How every such alias begins.
const PREFIX: &str = "kvmnet:tap";

/// The ifalias of an attached tap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TapRecord {
    /// The bridge that it was attached to; None in records of versions that did not say.
    pub bridge: Option<IfName>,
    /// What was changed, in that order, with its former value.
    pub changed: Vec<(Setting, u32)>,
    pub mac: Option<Mac>,
    /// Its former alias.
    pub alias: String,
}

impl TapRecord {
    /// Reads the alias of a tap; None where kvmnet did not attach it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        let (words, alias) = text.split_once(" was=").unwrap_or((text, ""));
        let mut record = TapRecord { alias: alias.to_owned(), ..Self::default() };
        for word in words.split_whitespace() {
            match word.split_once('=')? {
                ("on", name) => record.bridge = Some(IfName::new(name).ok()?),
                ("mac", value) => record.mac = Some(value.parse().ok()?),
                (name, value) => {
                    let (setting, before) = (setting(name)?, value.parse().ok()?);
                    record.changed.extend(Some((setting, before)).filter(|_| setting.takes(before)));
                }
            }
        }
        Some(record)
    }

    /// The former value of a setting that was changed.
    pub fn before(&self, setting: Setting) -> Option<u32> {
        self.changed.iter().find(|(known, _)| *known == setting).map(|(_, before)| *before)
    }

    /// Saves the value of a setting before its first change.
    pub fn save(&mut self, setting: Setting, before: u32) {
        if self.before(setting).is_none() {
            self.changed.push((setting, before));
        }
    }

    /// Whether the record fits where it is kept.
    pub fn fits(&self) -> bool {
        self.to_string().len() <= MAX_LEN
    }
}

/// Two have had a whole word from the first version on.
const WORDS: [(Setting, &str); 2] = [(Setting::Mtu, "mtu"), (Setting::AddrGen, "gen")];

fn word(setting: Setting) -> &'static str {
    let found = WORDS.iter().find(|(known, _)| *known == setting);
    found.map_or_else(|| setting.letter(), |(_, word)| word)
}

fn setting(name: &str) -> Option<Setting> {
    let found = WORDS.iter().find(|(_, word)| *word == name);
    found.map(|(setting, _)| *setting).or_else(|| Setting::of_letter(name))
}

impl fmt::Display for TapRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries = vec![PREFIX.to_owned()];
        entries.extend(self.bridge.map(|bridge| format!("on={bridge}")));
        entries.extend(self.changed.iter().map(|(setting, before)| format!("{}={before}", word(*setting))));
        entries.extend(self.mac.map(|mac| format!("mac={mac}")));
        entries.extend(was(&self.alias));
        f.write_str(&entries.join(" "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for text in [
            "kvmnet:tap",
            "kvmnet:tap on=br-lab gen=0",
            "kvmnet:tap mtu=9000 gen=0 was=the web server",
            "kvmnet:tap was=x",
            "kvmnet:tap gen=0 a=0 r=2 q=0 t=0 d=0 mac=02:00:00:00:00:07",
        ] {
            assert_eq!(TapRecord::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(TapRecord::parse("kvmnet:nat default 00000000"), None);
        assert_eq!(TapRecord::parse("web server"), None);
    }

    #[test]
    fn knows_when_it_does_not_fit() {
        let record = |length| TapRecord { alias: "x".repeat(length), ..TapRecord::default() };
        assert!(record(MAX_LEN - PREFIX.len() - 5).fits());
        assert!(!record(MAX_LEN - PREFIX.len() - 4).fits());
    }
}
