//! What the environment says.
//!
//! In: the variables whose names begin with `KVMNET_`. Out: the settings that go over those of the file, and
//! which file and which network are wanted. Never: ignores such a variable: `KVMNET_MDOE=isolated` must not
//! end on a NAT.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::error::{ConfigError, ConfigErrors, Place, Problem, nearest};
use super::keys::KEYS;
use super::settings::{Settings, Shape, Written};
use crate::model::Key;

const PREFIX: &str = "KVMNET_";

/// The `KVMNET_` variables, without the prefix. One whose value is empty counts as not set: that is how a
/// person takes one back for a single command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

/// What they mean.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    /// `KVMNET_CONFIG`: the file to read.
    pub config: Option<String>,
    /// `KVMNET_NETWORK`: the network to take.
    pub network: Option<String>,
    /// The keys.
    pub settings: Settings,
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

    /// Reads them all.
    pub(super) fn overrides(&self) -> Result<Overrides, ConfigErrors> {
        let (overrides, errors) = self.overrides_and_errors();
        ConfigErrors::none_of(errors)?;
        Ok(overrides)
    }

    /// Reads them all, and all that is wrong with them.
    pub(super) fn overrides_and_errors(&self) -> (Overrides, Vec<ConfigError>) {
        let mut overrides = Overrides::default();
        let mut errors = Vec::new();
        for (word, value) in &self.variables {
            match value.to_str() {
                Some(value) => overrides.read(word, value, &mut errors),
                None => errors.push(ConfigError::new(variable(word), Problem::new("the value is not UTF-8"))),
            }
        }
        (overrides, errors)
    }
}

impl Overrides {
    fn read(&mut self, word: &str, value: &str, errors: &mut Vec<ConfigError>) {
        let given = (!value.is_empty()).then(|| value.to_owned());
        match (word, keys().find(|(_, known)| known == word)) {
            ("CONFIG", _) => self.config = given,
            ("NETWORK", _) => self.network = given,
            (_, Some((key, _))) => {
                if items(value).next().is_some() {
                    self.settings.set(&written(key, word, value), errors);
                }
            }
            (_, None) => errors.push(ConfigError::new(variable(word), unknown(word))),
        }
    }
}

/// `KVMNET_NETWORK`, of which an error may be found only later, in the file.
pub(super) fn network_variable() -> Place {
    variable("NETWORK")
}

/// `KVMNET_CONFIG`, likewise.
pub(super) fn config_variable() -> Place {
    variable("CONFIG")
}

fn variable(word: &str) -> Place {
    Place::Variable(format!("{PREFIX}{word}"))
}

/// Every key that a variable can set. `taps` is none: it only chooses among the networks of the file.
fn keys() -> impl Iterator<Item = (Key, String)> {
    let keys = KEYS.iter().filter(|(key, _)| *key != Key::Taps);
    keys.map(|(key, name)| (*key, name.to_ascii_uppercase()))
}

fn unknown(word: &str) -> Problem {
    let problem = Problem::new("kvmnet knows no such variable");
    if word == "TAPS" {
        return problem.hint("KVMNET_NETWORK=NAME chooses a network");
    }
    let mut known: Vec<String> = keys().map(|(_, word)| word).collect();
    known.extend(["CONFIG".to_owned(), "NETWORK".to_owned()]);
    match nearest(word, known.iter().map(String::as_str)) {
        Some(known) => problem.hint(format!("did you mean {PREFIX}{known}?")),
        None => problem.hint(format!("{PREFIX} is followed by one of {}", known.join(", "))),
    }
}

/// The items of a list.
fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty())
}

fn written<'a>(key: Key, word: &str, value: &'a str) -> Written<'a> {
    let text = |text| Written { key, place: variable(word), shape: Shape::Text(text) };
    match (key, value) {
        (Key::Address | Key::Uplink, _) => {
            Written { shape: Shape::List(items(value).map(text).collect()), ..text(value) }
        }
        (Key::Keep | Key::Confirm, "true" | "1" | "yes") => {
            Written { shape: Shape::Flag(true), ..text(value) }
        }
        (Key::Keep | Key::Confirm, "false" | "0" | "no") => {
            Written { shape: Shape::Flag(false), ..text(value) }
        }
        _ => text(value),
    }
}
