//! What the keys of a network must be to each other, and networks to each other.
//!
//! In: the sections of the file, the environment's values included. Out: the networks, complete and apart, or all that is
//! wrong. Never: asks the kernel: whether an uplink exists is a question of `observed`.

use super::entry::Entry;
use super::error::{ConfigError, ConfigErrors, Problem};
use super::key::{KEYS, Key};
use super::section::Section;
use crate::model::{IfName, Network, Origin, fnv1a};

/// A network that is yet to be checked, made of what its mode uses.
pub(super) struct Draft<'a> {
    pub section: &'a Section,
    pub network: Network,
    /// The interfaces that kvmnet makes for it, each with its key.
    pub interfaces: Vec<(&'static Key, IfName)>,
}

/// Checks the sections, and makes the networks of them.
pub(super) fn networks(sections: &[Section]) -> Result<Vec<Network>, ConfigErrors> {
    let drafts: Vec<Draft<'_>> = sections.iter().map(Draft::new).collect();
    let mut errors = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        let (earlier, _) = drafts.split_at(index);
        errors.extend(KEYS.iter().flat_map(|key| (key.check)(draft, earlier)));
        draft.check_interfaces(earlier, &mut errors);
    }
    ConfigErrors::none_of(errors)?;
    Ok(drafts.into_iter().map(|draft| draft.network).collect())
}

impl<'a> Draft<'a> {
    fn new(section: &'a Section) -> Self {
        let mode = section.values(|_| true).mode;
        let mut network = section.values(|key| (key.is_used)(mode));
        let words: Vec<String> = KEYS.iter().filter_map(|key| (key.digest)(&network)).collect();
        network.name.clone_from(&section.name);
        network.origins = section.origins();
        network.digest = (fnv1a(words.join(" ").as_bytes()) >> 32) as u32;
        let used = KEYS.iter().copied().filter(|key| (key.is_used)(mode) && section.entry(key).is_some());
        let made = used.flat_map(|key| (key.makes)(&network).into_iter().map(move |name| (key, name)));
        let interfaces = made.collect();
        Self { section, network, interfaces }
    }

    /// What is set, or built in, for a key that the mode uses.
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.section.entry(key).filter(|entry| (entry.key.is_used)(self.network.mode))
    }

    /// For an error about another network.
    pub fn described(&self, place: &Origin) -> String {
        format!("the network {:?} ({place})", self.section.name)
    }

    /// A key that the network has to say.
    pub fn missing(&self, what: &str, hint: String) -> ConfigError {
        let problem = Problem::new(format!("the network {:?} has no {what}", self.section.name));
        problem.hint(hint).at(self.section.place.clone())
    }

    /// No interface is made for two keys, or for two networks.
    fn check_interfaces(&self, earlier: &[Draft<'_>], errors: &mut Vec<ConfigError>) {
        for (index, (key, name)) in self.interfaces.iter().enumerate() {
            let Some(entry) = self.entry(key) else { continue };
            if let Some((before, _)) = self.interfaces.iter().take(index).find(|(_, before)| before == name) {
                errors.push(entry.error(belongs_to(before, *name)));
            }
            for other in earlier {
                let theirs = other.interfaces.iter().find(|(_, taken)| taken == name);
                let Some(taken) = theirs.and_then(|(key, _)| other.entry(key)) else { continue };
                let problem =
                    Problem::new(format!("\"{name}\" belongs to {}", other.described(&taken.place)));
                errors.push(entry.error(problem.hint("each network has its own")));
            }
        }
    }
}

/// An interface that kvmnet makes for `key` in the same network.
pub(super) fn belongs_to(key: &Key, name: IfName) -> Problem {
    Problem::new(format!("\"{name}\" is an interface of this network's {} already", key.word))
}
