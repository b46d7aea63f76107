//! A key as it is set, in the file or in the environment.
//!
//! In: a value as it is written, and where. Out: the field of a network that it sets, or what is wrong with it.
//! Never: knows a key by name, or compares one with another.

use super::error::{ConfigError, Problem};
use super::key::{Form, Key};
use crate::model::{Network, Origin};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub key: &'static Key,
    pub place: Origin,
    pub shape: Shape,
}

/// What kind of value it has.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Text(String),
    List(Vec<Entry>),
    Flag(bool),
    /// A number or a date, as it is written.
    Bare(String),
    Table,
}

impl Entry {
    /// A value as it is written in the environment.
    pub fn of_text(key: &'static Key, place: &Origin, text: &str) -> Self {
        let entry = |shape| Self { key, place: place.clone(), shape };
        let plain = |text: &str| entry(Shape::Text(text.to_owned()));
        match (key.form, flag(text)) {
            (Form::List, _) => entry(Shape::List(items(text).map(plain).collect())),
            (Form::Flag, Some(flag)) => entry(Shape::Flag(flag)),
            _ => plain(text),
        }
    }

    /// The items of a list; a text is a list of one.
    pub fn items(&self) -> &[Entry] {
        match &self.shape {
            Shape::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// What is wrong with it, whatever else is set.
    pub fn errors(&self) -> Vec<ConfigError> {
        (self.key.set)(&mut Network::default(), self).err().unwrap_or_default()
    }

    pub fn error(&self, problem: Problem) -> ConfigError {
        problem.of_key(self.key, &self.place)
    }

    /// The value where there is to be one text.
    pub fn one<T>(&self, parse: impl Fn(&str) -> Result<T, Problem>) -> Result<T, Vec<ConfigError>> {
        let value = match &self.shape {
            Shape::Text(text) => parse(text),
            Shape::Bare(bare) => Err(self.unexpected().hint(format!("put it in quotes: {bare:?}"))),
            _ => Err(self.unexpected()),
        };
        value.map_err(|problem| vec![self.error(problem)])
    }

    /// The values where there may be one text or a list of them.
    pub fn list<T>(&self, parse: impl Fn(&str) -> Result<T, Problem>) -> Result<Vec<T>, Vec<ConfigError>> {
        if self.items().is_empty() {
            let problem = Problem::new("the list is empty");
            return Err(vec![self.error(problem.hint("leave the key out where there is nothing to say"))]);
        }
        let mut values = Vec::new();
        let mut errors = Vec::new();
        for item in self.items() {
            match item.one(&parse) {
                Ok(value) => values.push(value),
                Err(wrong) => errors.extend(wrong),
            }
        }
        if errors.is_empty() { Ok(values) } else { Err(errors) }
    }

    pub fn flag(&self) -> Result<bool, Vec<ConfigError>> {
        let hint = match &self.shape {
            Shape::Flag(flag) => return Ok(*flag),
            Shape::Text(text) if matches!(text.as_str(), "true" | "false") => {
                Some("leave the quotes out".to_owned())
            }
            // In the environment a word that is not taken is not meant, either.
            Shape::Text(text) | Shape::Bare(text) if matches!(self.place, Origin::File { .. }) => {
                flag_meant(text).map(|meant| format!("write {} = {meant}", self.key.word))
            }
            _ => None,
        };
        Err(vec![self.error(self.unexpected().hint_if(hint))])
    }

    pub fn unexpected(&self) -> Problem {
        let found = match &self.shape {
            Shape::Text(text) => format!("{text:?}"),
            Shape::List(_) => "a list".to_owned(),
            Shape::Flag(flag) => flag.to_string(),
            Shape::Bare(text) if text.is_empty() => "nothing".to_owned(),
            Shape::Bare(text) => text.clone(),
            Shape::Table => "a table".to_owned(),
        };
        Problem::new(format!("expected {}, found {found}", self.key.expected()))
    }
}

/// The items of a list in the environment.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty())
}

/// The words for true and false in the environment.
fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

/// What a person may mean who writes `text` for true or false.
pub(super) fn flag_meant(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Some(true),
        "off" => Some(false),
        word => flag(word),
    }
}
