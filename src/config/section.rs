//! What is set for one network.
//!
//! In: entries of the file and of the environment. Out: for each key the entry that holds, and the network that they make.
//! Never: knows whether the values go together.

use super::entry::Entry;
use super::file::DEFAULT_NETWORK;
use super::key::{KEYS, Key, taps};
use super::pattern::Pattern;
use crate::model::{IfName, Network, Origin, fnv1a};

/// A network of the file, with an entry for each key that is set or has a built-in value.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub place: Origin,
    entries: Vec<Entry>,
    /// Made of what its mode uses, and yet to be checked.
    pub network: Network,
    /// The interfaces that kvmnet makes for it, each with its key.
    pub interfaces: Vec<(&'static Key, IfName)>,
}

impl Section {
    pub fn new(name: &str, place: Origin, entries: &[Entry]) -> Self {
        let held = KEYS
            .iter()
            .filter_map(|key| find(entries, key).cloned().or_else(|| built_in(key, name == DEFAULT_NETWORK)));
        Self::of(name, place, held.collect())
    }

    /// The same with these entries over its own.
    pub fn with(&self, over: &[Entry]) -> Self {
        let held = KEYS.iter().filter_map(|key| find(over, key).or_else(|| self.entry(key)).cloned());
        Self::of(self.name(), self.place.clone(), held.collect())
    }

    fn of(name: &str, place: Origin, entries: Vec<Entry>) -> Self {
        let origins = entries.iter().map(|entry| (entry.key.word, entry.place.clone()));
        let origins = origins.filter(|(_, origin)| *origin != Origin::Default).collect();
        let variable =
            entries.iter().filter(|entry| !entry.key.is_of_guest).find_map(|entry| match &entry.place {
                Origin::Environment(name) => Some(name.clone()),
                _ => None,
            });
        let mut section = Self { place, entries, network: Network::default(), interfaces: Vec::new() };
        let network = section.values(false);
        let words: Vec<String> = KEYS.iter().filter_map(|key| (key.digest)(&network)).collect();
        let digest = (fnv1a(words.join(" ").as_bytes()) >> 32) as u32;
        section.network = Network { name: name.to_owned(), origins, digest, variable, ..network };
        let used = KEYS.iter().filter(|key| section.used(key).is_some());
        let made =
            used.flat_map(|key| (key.makes)(&section.network).into_iter().map(move |name| (*key, name)));
        section.interfaces = made.collect();
        section
    }

    pub fn name(&self) -> &str {
        &self.network.name
    }

    /// What is set, or built in, for a key.
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        find(&self.entries, key)
    }

    /// The same if the network's mode uses the key.
    pub fn used(&self, key: &Key) -> Option<&Entry> {
        self.entry(key).filter(|entry| (entry.key.is_used)(self.network.mode))
    }

    /// A network with the values of all keys, or of those that its mode uses, and what is always built in for the others.
    pub fn values(&self, all: bool) -> Network {
        let mut network = Network::default();
        for key in KEYS {
            let entry = match all || (key.is_used)(network.mode) {
                true => self.entry(key).cloned(),
                false => built_in(key, false),
            };
            // Its errors were reported when it was read.
            let _ = entry.map(|entry| (key.set)(&mut network, &entry));
        }
        network
    }

    /// The patterns of its taps, and where each stands.
    pub fn patterns(&self) -> Vec<(Pattern, &Origin)> {
        let items = self.entry(&taps::KEY).map(Entry::items).unwrap_or_default();
        let pattern = |item: &Entry| item.one(Pattern::new).ok();
        items.iter().filter_map(|item| Some((pattern(item)?, &item.place))).collect()
    }
}

/// What is built in for `key`, in the network `default` or in any.
fn built_in(key: &'static Key, is_default: bool) -> Option<Entry> {
    let text = key.default.filter(|_| is_default || !key.is_own)?;
    Some(Entry::of_text(key, &Origin::Default, text))
}

fn find<'a>(entries: &'a [Entry], key: &Key) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}
