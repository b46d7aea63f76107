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
    spans.dedup_by_key(|(span, _)| source.offset(source.line(span.start)));
    let errors = spans.into_iter().map(|(span, message)| {
        let line = source.line(span.start);
        // A complaint about the value, and not about the key before it.
        let is_of_value = |bare: &Bare<'_>| span.start >= source.offset(bare.key) + bare.key.len();
        if let Some(bare) = Bare::find(line).filter(is_of_value) {
            return bare.error(source);
        }
        if let Some(error) = comment(line, source).or_else(|| unclosed(line, source)) {
            return error;
        }
        let found = source.piece(span.clone());
        let problem = Problem::new(match (message, found) {
            ("duplicate key", _) => format!("duplicate key {found:?}"),
            (_, "") => format!("not valid TOML: {message}"),
            _ => format!("not valid TOML at {found:?}: {message}"),
        });
        problem.at(source.place(span.start))
    });
    errors.collect()
}

/// A comment as other languages write it.
fn comment(line: &str, source: &Source<'_>) -> Option<ConfigError> {
    let text = line.trim_start();
    let sign = ["//", ";", "--"].into_iter().find(|sign| text.starts_with(sign))?;
    let problem = Problem::new(format!("a line cannot begin with {sign}"));
    Some(problem.hint("a comment begins with #").at(source.place_of(text)))
}

/// A text that begins with a quote, and ends with the line.
fn unclosed(line: &str, source: &Source<'_>) -> Option<ConfigError> {
    let (word, value) = line.split_once('=')?;
    let (word, text) = (word.trim(), value.trim());
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let open = text.strip_prefix(quote).filter(|rest| !rest.contains(quote))?;
    let problem = Problem::new("the text has no closing quote");
    let problem = problem.hint(format!("write {word} = {quote}{open}{quote}"));
    Some(problem.of_key(Key::of_word(word)?, &source.place_of(text)))
}

/// A line like `mode = nat` or `mode: "nat"`, the usual mistakes of whoever writes TOML for the first time.
struct Bare<'a> {
    key: &'a str,
    separator: char,
    /// All behind the separator and the spaces behind that.
    rest: &'a str,
    value: &'a str,
}

impl<'a> Bare<'a> {
    fn find(line: &'a str) -> Option<Self> {
        let separator = line.chars().find(|c| matches!(c, '=' | ':'))?;
        let (before, after) = line.split_once(separator)?;
        let key = before.trim().rsplit('.').next()?;
        let value = after.split('#').next()?.trim();
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_key = !key.is_empty() && key.chars().all(word);
        let is_bare = !value.starts_with('{') && !value.contains(char::is_control);
        let bare = Self { key, separator, rest: after.trim_start(), value };
        (is_key && is_bare && (separator == ':' || bare.lacks_quotes())).then_some(bare)
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
            return key::unknown(self.key).at(source.place_of(self.key));
        };
        let place = source.place_of(self.rest);
        let entry = Entry { key, place, shape: Shape::Bare(self.value.to_owned()) };
        let problem = match self.separator {
            ':' => Problem::new("expected = behind the key, found :"),
            _ => entry.unexpected(),
        };
        let corrected = self.corrected(key);
        entry.error(problem.hint_if(corrected.map(|value| format!("write {} = {value}", self.key))))
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
