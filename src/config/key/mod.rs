//! The keys, each in a file of its own.
//!
//! In: values as they are written. Out: fields of a `Network`, and back. The rest of `config` goes through [`KEYS`] and
//! knows no key by name; to add one, write its file, name it here, and give `Network` its field.

pub(crate) mod address;
mod allow_vlan_tags;
pub(crate) mod bridge;
mod confirm;
mod dhcp;
mod domain;
mod filter;
mod firewall;
mod forward;
pub(crate) mod guest_address;
mod guest_mac;
mod host;
mod keep;
pub(crate) mod mode;
pub(crate) mod nat_source;
mod port_isolation;
pub(crate) mod taps;
pub(crate) mod uplink;
mod uplink_managed;
mod users;
pub(crate) mod veth;

use std::fmt;

use super::entry::Entry;
use super::error::{ConfigError, Problem};
use super::section::Section;
use super::value::Value;
use crate::model::{IfName, Mode, Network, Origin};

/// Every key, in the order of the documentation and of the digest. The mode is first: it says which others are used.
pub(crate) static KEYS: &[&Key] = &[
    &mode::KEY,
    &bridge::KEY,
    &address::KEY,
    &uplink::KEY,
    &nat_source::KEY,
    &veth::KEY,
    &keep::KEY,
    &confirm::KEY,
    &uplink_managed::KEY,
    &dhcp::KEY,
    &domain::KEY,
    &port_isolation::KEY,
    &host::KEY,
    &guest_mac::KEY,
    &guest_address::KEY,
    &forward::KEY,
    &filter::KEY,
    &allow_vlan_tags::KEY,
    &firewall::KEY,
    &users::KEY,
    &taps::KEY,
];

/// All that the rest of `config` has to know of a key.
pub(crate) struct Key {
    pub word: &'static str,
    /// Its meaning in the README's table, which a test compares.
    #[cfg(test)]
    pub(super) meaning: &'static str,
    pub(super) form: Form,
    /// What holds where it is not set, as it would be written in the environment.
    pub(super) default: Option<&'static str>,
    /// Whether that is for the network `default` alone: one with a name has to say its own.
    pub(super) is_own: bool,
    /// What to do instead of setting it at the top of the file, where that is wrong.
    pub(super) not_at_top: Option<&'static str>,
    /// The same for the environment.
    pub(super) not_in_environment: Option<&'static str>,
    /// Whether it is about one guest, or who may start one, and the network is the same with any value.
    pub(super) is_of_guest: bool,
    /// Whether a mode uses it. It may be set in the others all the same.
    pub(super) is_used: fn(Mode) -> bool,
    /// Takes a value, if it is right, into its field of the network.
    pub(super) set: fn(&mut Network, &Entry) -> Result<(), Vec<ConfigError>>,
    pub(super) get: fn(&Network) -> Option<Value>,
    /// What a running guest would notice of it. Marks on bridges hold a digest of these words: they never change, and a new
    /// key gives None as long as it has its default.
    pub(super) digest: fn(&Network) -> Option<String>,
    /// The interfaces that kvmnet makes for it.
    pub(super) makes: fn(&Network) -> Vec<IfName>,
    /// What it must be to the other keys of its network, and to the networks before it in the file.
    pub(super) check: fn(&Section, &[Section]) -> Vec<ConfigError>,
}

/// What its value is in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Flag,
    Text,
    /// One text or several.
    List,
}

/// What most keys have in common.
const PLAIN: Key = Key {
    word: "",
    #[cfg(test)]
    meaning: "",
    form: Form::Text,
    default: None,
    is_own: false,
    not_at_top: None,
    not_in_environment: None,
    is_of_guest: false,
    is_used: |_| true,
    set: |_, _| Ok(()),
    get: |_| None,
    digest: |_| None,
    makes: |_| Vec::new(),
    check: |_, _| Vec::new(),
};

impl Key {
    pub(super) fn of_word(word: &str) -> Option<&'static Key> {
        KEYS.iter().copied().find(|key| key.word == word)
    }

    /// Its variable, without the prefix; None where it has none.
    pub(super) fn variable(&self) -> Option<String> {
        self.not_in_environment.is_none().then(|| self.word.to_ascii_uppercase())
    }

    /// What a value of it is, in an error.
    pub(super) fn expected(&self) -> &'static str {
        if self.form == Form::Flag { "true or false" } else { "a text in quotes" }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

/// What is wrong with `word` in the place of a key.
pub(super) fn unknown(word: &str) -> Problem {
    let words: Vec<&str> = KEYS.iter().map(|key| key.word).collect();
    let problem = Problem::new(format!("unknown key {word:?}"));
    problem
        .hint(format!("the keys are: {}", words.join(", ")))
        .did_you_mean(word, words.into_iter().chain(["network"]))
}
