//! What is set for one network.
//!
//! In: entries of the file and of the environment. Out: for each key the entry that holds, and the values.
//! Never: knows whether the values go together.

use super::entry::Entry;
use super::file::DEFAULT_NETWORK;
use super::key::{KEYS, Key, taps};
use super::pattern::Pattern;
use crate::model::{Network, Origin};

/// A network of the file, with an entry for each key that is set or has a built-in value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    pub name: String,
    pub place: Origin,
    entries: Vec<Entry>,
}

impl Section {
    pub fn new(name: &str, place: Origin, entries: &[Entry]) -> Self {
        let built_in = KEYS.iter().filter_map(|key| built_in(key, name == DEFAULT_NETWORK)).collect();
        Self { name: name.to_owned(), place, entries: built_in }.with(entries)
    }

    /// The same with these entries over its own.
    pub fn with(&self, over: &[Entry]) -> Self {
        let held = KEYS.iter().filter_map(|key| {
            over.iter().find(|entry| entry.key == *key).or_else(|| self.entry(key)).cloned()
        });
        Self { entries: held.collect(), ..self.clone() }
    }

    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// A network with the values of the keys that are wanted, and what is always built in for the others.
    pub fn values(&self, is_wanted: impl Fn(&Key) -> bool) -> Network {
        let mut network = Network::default();
        let entries = KEYS.iter().filter_map(|key| match is_wanted(key) {
            true => self.entry(key).cloned(),
            false => built_in(key, false),
        });
        for entry in entries {
            // Its errors were reported when it was read.
            let _ = (entry.key.set)(&mut network, &entry);
        }
        network
    }

    /// Where each key that was set comes from.
    pub fn origins(&self) -> Vec<(&'static str, Origin)> {
        let origins = self.entries.iter().map(|entry| (entry.key.word, entry.place.clone()));
        origins.filter(|(_, origin)| *origin != Origin::Default).collect()
    }

    /// The patterns of its taps, and where each stands.
    pub fn patterns(&self) -> Vec<(Pattern, &Origin)> {
        let items = self.entry(&taps::KEY).map(Entry::items).unwrap_or_default();
        let patterns = items.iter().filter_map(|item| {
            let pattern = item.one(Pattern::new).ok()?;
            Some((pattern, &item.place))
        });
        patterns.collect()
    }
}

/// What is built in for `key`, in the network `default` or in any.
fn built_in(key: &'static Key, is_default: bool) -> Option<Entry> {
    let text = key.default.filter(|_| is_default || !key.is_own)?;
    Some(Entry::of_text(key, &Origin::Default, text))
}
