//! What is wrong with a configuration, where, and what to write instead.
//!
//! In: a place and a problem, found anywhere in this module. Out: one line of text, and a hint.
//! Never: lets a control character of the input through to a terminal.

use std::fmt;

use thiserror::Error;

use super::key::Key;
use crate::model::{BadName, Origin};
use crate::terminal::printable;

/// The longest text that is worth reading in one line, in characters; a longer one quotes an absurd value.
const MAX_TEXT: usize = 400;

/// How the problem of a file begins that cannot be opened.
pub(super) const CANNOT_OPEN: &str = "cannot open it";

/// One thing that is wrong: `/etc/kvmnet.conf:3:1: unknown key "uplnk"`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {text}", in_short(&format!("{place:#}")))]
pub struct ConfigError {
    pub(crate) place: Origin,
    /// Without the place.
    pub(crate) text: String,
    /// What to write instead, where that is clear.
    pub(crate) hint: Option<String>,
}

impl ConfigError {
    /// Whether the file could not be opened: what it says may be right.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self.place, Origin::WholeFile(_)) && self.text.starts_with(CANNOT_OPEN)
    }

    pub(super) fn position(&self) -> (usize, usize) {
        match self.place {
            Origin::File { line, column, .. } => (line, column),
            _ => (0, 0),
        }
    }
}

/// All that is wrong, from top to bottom; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// `Ok` where nothing is wrong.
    pub(super) fn none_of(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        errors.sort_by_key(ConfigError::position);
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// The topmost alone.
    pub(super) fn first(self) -> Self {
        Self(self.0.into_iter().take(1).collect())
    }

    /// What to write instead of the last, where that is clear.
    pub fn hint(&self) -> Option<String> {
        self.0.last()?.hint.clone()
    }
}

/// One line for each, with its hint below, but for the last one's: whoever prints an error prints that.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((last, others)) = self.0.split_last() else { return Ok(()) };
        for error in others {
            writeln!(f, "{error}")?;
            if let Some(hint) = &error.hint {
                writeln!(f, "hint: {hint}")?;
            }
        }
        write!(f, "{last}")
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// What is wrong with a value, whatever place it stands at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    text: String,
    hint: Option<String>,
}

impl Problem {
    /// Without a hint.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None }
    }

    /// With what to write instead.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With this hint, where there is one.
    pub fn hint_if(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }

    /// With "did you mean", if one of `known` resembles `word`.
    pub fn did_you_mean<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.hint_if(nearest(word, known).map(|known| format!("did you mean {known:?}?")))
    }

    /// As the error that it is at `place`.
    pub fn at(self, place: Origin) -> ConfigError {
        let hint = self.hint.as_deref().map(in_short);
        ConfigError { place, text: in_short(&self.text), hint }
    }

    /// As an error of the value of `key`. A variable has the key in its name already.
    pub fn of_key(self, key: &Key, place: &Origin) -> ConfigError {
        let text = match place {
            Origin::Environment(_) => self.text,
            _ => format!("{}: {}", key.word, self.text),
        };
        Self { text, ..self }.at(place.clone())
    }
}

impl From<BadName> for Problem {
    fn from(bad: BadName) -> Self {
        Self::new(bad.to_string())
    }
}

/// The one of `known` that `word` was probably meant to be. Not itself: a word in the wrong place.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.into_iter().filter(|known| *known != word);
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let word = plain(word);
    let length = word.chars().count();
    // Nothing that we know is as long, and to measure how far a long word is off takes long.
    if length > 64 {
        return None;
    }
    let limit = (1 + length / 5).min(length.saturating_sub(1));
    let distance = |known: &'a str| match plain(known) {
        known if length > 2 && known.starts_with(&word) => 1,
        known => strsim::osa_distance(&word, &known),
    };
    let near = known.map(|known| (distance(known), known)).filter(|(far, _)| *far <= limit);
    near.min_by_key(|(far, _)| *far).map(|(_, known)| known)
}

/// `text` for a terminal, and not all of it where that is absurdly long.
fn in_short(text: &str) -> String {
    let mut line = printable(text);
    if let Some((end, _)) = line.char_indices().nth(MAX_TEXT) {
        line.truncate(end);
        line.push('…');
    }
    line
}
