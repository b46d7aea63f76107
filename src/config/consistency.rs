//! What the keys of a network must be to each other, and networks to each other.
//!
//! In: the sections of the file, the environment's values included. Out: the networks, complete and apart, or all that is
//! wrong. Never: asks the kernel: whether an uplink exists is a question of `observed`.

use super::error::{ConfigError, ConfigErrors, Problem};
use super::key::{KEYS, Key};
use super::section::Section;
use crate::model::{IfName, Network, Origin};
use crate::subnet;

/// Checks the sections, whose networks these are.
pub(super) fn networks(sections: &[Section]) -> Result<Vec<Network>, ConfigErrors> {
    let mut errors = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let (earlier, _) = sections.split_at(index);
        errors.extend(KEYS.iter().flat_map(|key| (key.check)(section, earlier)));
        section.check_interfaces(earlier, &mut errors);
    }
    ConfigErrors::none_of(errors)?;
    let mut networks: Vec<Network> = sections.iter().map(|section| section.network.clone()).collect();
    subnet::share_out(&mut networks);
    Ok(networks)
}

impl Section {
    /// For an error about another network.
    pub fn described(&self, place: &Origin) -> String {
        format!("the network {:?} ({place})", self.name())
    }

    /// A key that the network has to say.
    pub fn missing(&self, what: &str, hint: String) -> ConfigError {
        let problem = Problem::new(format!("the network {:?} has no {what}", self.name()));
        problem.hint(hint).at(self.place.clone())
    }

    /// No interface is made for two keys, or for two networks.
    fn check_interfaces(&self, earlier: &[Section], errors: &mut Vec<ConfigError>) {
        for (index, (key, name)) in self.interfaces.iter().enumerate() {
            let Some(entry) = self.used(key) else { continue };
            if let Some((before, _)) = self.interfaces.iter().take(index).find(|(_, before)| before == name) {
                errors.push(entry.error(belongs_to(before, *name)));
            }
            for other in earlier {
                let theirs = other.interfaces.iter().find(|(_, taken)| taken == name);
                let Some(taken) = theirs.and_then(|(key, _)| other.used(key)) else { continue };
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
