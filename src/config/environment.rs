//! What the environment says.
//!
//! In: the variables whose names begin with `KVMNET_`. Out: the settings that go over those of the file, and
//! which file and which network are wanted. Never: ignores such a variable: `KVMNET_MDOE=isolated` must not
//! end on a NAT.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::entry::{Entry, items};
use super::error::{ConfigError, Problem, nearest};
use super::key::{KEYS, Key};
use crate::model::Origin;

const PREFIX: &str = "KVMNET_";

/// The `KVMNET_` variables, without the prefix. One whose value is empty counts as not set: that is how a
/// person takes one back for a single command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

/// What they mean.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Overrides {
    /// The file to read.
    pub config: Option<String>,
    /// The network to take.
    pub network: Option<String>,
    pub entries: Vec<Entry>,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// Those of `variables` that concern kvmnet. Of two with one name the first counts, as with `getenv`.
    pub fn new<N: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut ours = BTreeMap::new();
        for (name, value) in variables {
            if let Some(word) = name.into().as_bytes().strip_prefix(PREFIX.as_bytes()) {
                ours.entry(String::from_utf8_lossy(word).into_owned()).or_insert(value.into());
            }
        }
        Self { variables: ours }
    }

    /// Their whole names.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.variables.keys().map(|word| format!("{PREFIX}{word}"))
    }

    /// Reads them all, and all that is wrong with them.
    pub(super) fn read(&self) -> (Overrides, Vec<ConfigError>) {
        let mut overrides = Overrides::default();
        let mut errors = Vec::new();
        for (word, value) in &self.variables {
            match value.to_str() {
                Some(value) => errors.extend(overrides.take(word, value)),
                None => errors.push(Problem::new("the value is not UTF-8").at(variable(word))),
            }
        }
        (overrides, errors)
    }
}

impl Overrides {
    /// Takes a variable; what is wrong with it.
    fn take(&mut self, word: &str, value: &str) -> Vec<ConfigError> {
        let given = (!value.is_empty()).then(|| value.to_owned());
        match (word, KEYS.iter().copied().find(|key| key.variable().as_deref() == Some(word))) {
            ("CONFIG", _) => self.config = given,
            ("NETWORK", _) => self.network = given,
            (_, Some(key)) if items(value).next().is_some() => {
                let entry = Entry::of_text(key, &variable(word), value);
                let errors = entry.errors();
                self.entries.push(entry);
                return errors;
            }
            (_, Some(_)) => {}
            (_, None) => return vec![unknown(word).at(variable(word))],
        }
        Vec::new()
    }
}

pub(super) fn variable(word: &str) -> Origin {
    Origin::Environment(format!("{PREFIX}{word}"))
}

fn unknown(word: &str) -> Problem {
    let problem = Problem::new("unknown variable");
    if let Some(hint) = Key::of_word(&word.to_ascii_lowercase()).and_then(|key| key.not_in_environment) {
        return problem.hint(hint);
    }
    let mut known: Vec<String> = KEYS.iter().filter_map(|key| key.variable()).collect();
    known.extend(["CONFIG".to_owned(), "NETWORK".to_owned()]);
    problem.hint(match nearest(word, known.iter().map(String::as_str)) {
        Some(known) => format!("did you mean {PREFIX}{known}?"),
        None => format!("{PREFIX} is followed by one of {}", known.join(", ")),
    })
}
