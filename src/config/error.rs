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
#[error("{place}: {text}")]
pub struct ConfigError {
    place: Place,
    text: String,
    hint: Option<String>,
}

impl ConfigError {
    /// `problem`, found at `place`.
    pub(super) fn new(place: Place, problem: Problem) -> Self {
        let hint = problem.hint.as_deref().map(in_short);
        Self { place, text: in_short(&problem.text), hint }
    }

    /// `problem` with the value of `key`. A variable has the key in its name already.
    pub(super) fn of_key(key: &Key, place: Place, problem: Problem) -> Self {
        match place {
            Place::Variable(_) => Self::new(place, problem),
            _ => {
                let text = format!("{}: {}", key.word, problem.text);
                Self::new(place, Problem { text, ..problem })
            }
        }
    }

    /// Where it is wrong.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the file could not be opened: what it says may be right.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.place, Place::File(_)) && self.text.starts_with(CANNOT_OPEN)
    }

    /// What is wrong, without the place.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What to write instead, where that is clear.
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// All that is wrong, from top to bottom; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    first: ConfigError,
    others: Vec<ConfigError>,
}

impl ConfigErrors {
    /// `Ok` where nothing is wrong.
    pub(super) fn none_of(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        errors.sort_by_key(|error| error.place.position());
        let mut errors = errors.into_iter();
        match errors.next() {
            Some(first) => Err(Self { first, others: errors.collect() }),
            None => Ok(()),
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// What to write instead of the last, where that is clear.
    pub fn hint(&self) -> Option<String> {
        self.others.last().unwrap_or(&self.first).hint()
    }
}

/// One line for each, with its hint below, but for the last one's: whoever prints an error prints that.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<&ConfigError> = None;
        for error in self.iter() {
            match before.map(ConfigError::hint) {
                Some(Some(hint)) => write!(f, "\nhint: {hint}\n")?,
                Some(None) => f.write_str("\n")?,
                None => {}
            }
            write!(f, "{error}")?;
            before = Some(error);
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(first: ConfigError) -> Self {
        Self { first, others: Vec::new() }
    }
}

/// The first of them.
impl From<ConfigErrors> for ConfigError {
    fn from(errors: ConfigErrors) -> Self {
        errors.first
    }
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the program has it built in.
    BuiltIn,
    /// In the configuration file.
    Line {
        /// The file's path.
        path: String,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
    },
    /// The configuration file as a whole.
    File(String),
    /// An environment variable.
    Variable(String),
    /// The name by which the hook was called: `qemu-ifup-NAME`.
    HookName,
}

impl Place {
    /// The same for the rest of kvmnet.
    pub(super) fn origin(&self) -> Origin {
        match self {
            Place::BuiltIn | Place::HookName => Origin::Default,
            Place::Line { path, line, .. } => Origin::File { path: path.clone(), line: *line },
            Place::File(path) => Origin::File { path: path.clone(), line: 1 },
            Place::Variable(name) => Origin::Environment(name.clone()),
        }
    }

    pub(super) fn position(&self) -> (usize, usize) {
        match self {
            Place::Line { line, column, .. } => (*line, *column),
            _ => (0, 0),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::BuiltIn => f.write_str("built-in default"),
            Place::Line { path, line, column } => write!(f, "{}:{line}:{column}", in_short(path)),
            Place::File(path) => f.write_str(&in_short(path)),
            Place::Variable(name) => f.write_str(&in_short(name)),
            Place::HookName => f.write_str("the hook's name"),
        }
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

    /// With "did you mean", if one of `known` resembles `word`.
    pub fn did_you_mean<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, known) {
            Some(known) => self.hint(format!("did you mean {known:?}?")),
            None => self,
        }
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
