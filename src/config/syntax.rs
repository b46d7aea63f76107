//! What the TOML parser says, in words for people who do not know TOML.
//!
//! In: the text and the parser's complaints. Out: one error for each line concerned.
//! Never: guesses a value: a hint is for a person to type.

use super::entry::{Entry, Shape, flag_meant};
use super::error::{ConfigError, Problem};
use super::key::{self, Form, Key};
use super::source::Source;
use super::value::Value;

/// What people put around a value: the right quotes, and those of a word processor.
const QUOTES: [char; 8] = ['"', '\'', '“', '”', '„', '‘', '’', '`'];

/// The errors of a text that is not TOML.
pub(super) fn errors(source: &Source<'_>, complaints: &[toml::de::Error]) -> Vec<ConfigError> {
    let mut spans: Vec<_> = complaints.iter().map(|c| (c.span().unwrap_or_default(), c.message())).collect();
    spans.sort_by_key(|(span, _)| span.start);
    // The parser reports one slip more than once.
    spans.dedup_by_key(|(span, _)| source.line(span.start).1);
    let errors = spans.into_iter().map(|(span, message)| {
        let (line, start) = source.line(span.start);
        if let Some(bare) = Bare::find(line, start).filter(|bare| bare.is_about(span.start)) {
            return bare.error(source);
        }
        if let Some(error) = comment(line, start, source).or_else(|| unclosed(line, start, source)) {
            return error;
        }
        let found = source.piece(span.clone());
        let problem = Problem::new(match (message, found) {
            ("duplicate key", _) => format!("duplicate key {found:?}"),
            (_, "") => format!("not valid TOML: {message}"),
            _ => format!("not valid TOML at {found:?}: {message}"),
        });
        ConfigError::new(source.place(span.start), problem)
    });
    errors.collect()
}

/// A comment as other languages write it.
fn comment(line: &str, start: usize, source: &Source<'_>) -> Option<ConfigError> {
    let text = line.trim_start();
    let sign = ["//", ";", "--"].into_iter().find(|sign| text.starts_with(sign))?;
    let problem = Problem::new(format!("a line cannot begin with {sign}"));
    let place = source.place(start + line.len() - text.len());
    Some(ConfigError::new(place, problem.hint("a comment begins with #")))
}

/// A text that begins with a quote, and ends with the line.
fn unclosed(line: &str, start: usize, source: &Source<'_>) -> Option<ConfigError> {
    let (before, value) = line.split_once('=')?;
    let key = Key::of_word(before.trim())?;
    let text = value.trim();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let word = text.strip_prefix(quote).filter(|rest| !rest.contains(quote))?;
    let at = start + before.len() + 1 + value.len() - value.trim_start().len();
    let problem = Problem::new("the text has no closing quote");
    let problem = problem.hint(format!("write {} = {quote}{word}{quote}", before.trim()));
    Some(ConfigError::of_key(key, source.place(at), problem))
}

/// A line like `mode = nat` or `mode: "nat"`, the usual mistakes of whoever writes TOML for the first time.
struct Bare<'a> {
    key: &'a str,
    key_offset: usize,
    separator: char,
    value: &'a str,
    value_offset: usize,
}

impl<'a> Bare<'a> {
    fn find(line: &'a str, line_offset: usize) -> Option<Self> {
        let (before, after) = line.split_once(['=', ':'])?;
        let separator = line.get(before.len()..)?.chars().next()?;
        let key = before.trim().rsplit('.').next()?;
        let value = after.split('#').next()?.trim();
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if key.is_empty()
            || !key.chars().all(word)
            || value.starts_with('{')
            || value.contains(char::is_control)
        {
            return None;
        }
        let bare = Self {
            key,
            key_offset: line_offset + before.trim_end().len() - key.len(),
            separator,
            value,
            value_offset: line_offset + before.len() + 1 + after.len() - after.trim_start().len(),
        };
        (separator == ':' || bare.lacks_quotes()).then_some(bare)
    }

    /// Whether a complaint about the byte at `offset` is one about the value, and not about the key before
    /// it.
    fn is_about(&self, offset: usize) -> bool {
        offset >= self.key_offset + self.key.len()
    }

    fn lacks_quotes(&self) -> bool {
        let mut words = self.words();
        match self.value.starts_with('[') {
            true => words.any(|word| !word.starts_with(['"', '\''])),
            false => words.next().is_none_or(|word| !word.starts_with(['"', '\''])),
        }
    }

    /// The items of the value, if it is a list.
    fn words(&self) -> impl Iterator<Item = &'a str> {
        let words = self.value.split(|c: char| matches!(c, ',' | '[' | ']') || c.is_whitespace());
        words.filter(|word| !word.is_empty())
    }

    fn error(&self, source: &Source<'_>) -> ConfigError {
        let Some(key) = Key::of_word(self.key) else {
            return ConfigError::new(source.place(self.key_offset), key::unknown(self.key));
        };
        let place = source.place(self.value_offset);
        let entry = Entry { key, place, shape: Shape::Bare(self.value.to_owned()) };
        let problem = match self.separator {
            ':' => Problem::new("expected = behind the key, found :"),
            _ => entry.unexpected(),
        };
        entry.error(match self.corrected(key) {
            Some(value) => problem.hint(format!("write {} = {value}", self.key)),
            None => problem,
        })
    }

    /// The value as TOML has it.
    fn corrected(&self, key: &Key) -> Option<Value> {
        let bare = |word: &'a str| word.trim_matches(QUOTES);
        match key.form {
            Form::Flag => flag_meant(bare(self.value)).map(Value::Flag),
            Form::List => Some(Value::list(self.words().map(bare))).filter(|_| self.words().next().is_some()),
            Form::Text => Some(Value::text(bare(self.value))).filter(|_| !self.value.is_empty()),
        }
    }
}
