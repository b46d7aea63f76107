//! Shell patterns for the names of taps.
//!
//! In: a pattern and a name. Out: whether the pattern matches the whole name.
//! Never: knows files or directories: `/` and a leading dot are characters like any other.
//!
//! libc's `fnmatch` would not do: outside a UTF-8 locale it takes a byte for a character, it takes a malformed pattern
//! literally instead of saying so, and it cannot say whether one pattern covers another.

use super::error::Problem;

/// `*`, `?`, `[abc]`, `[a-z]`, `[!x]`, and `\` before a character that is meant itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `*`
    Any,
    /// One character: in one of these ranges (true) or in none. `?` is in none of no ranges.
    One(bool, Vec<(char, char)>),
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, Problem> {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One(false, Vec::new()),
                '[' => set(&mut rest).map_err(|wrong| Problem::new(format!("{text:?} {wrong}")))?,
                '\\' => match rest.next() {
                    Some(c) => Part::exactly(c),
                    None => return Err(Problem::new(format!("{text:?} ends with a lone backslash"))),
                },
                _ => Part::exactly(c),
            });
        }
        if parts.is_empty() {
            return Err(Problem::new("an empty pattern matches no tap"));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every name that `other` matches is one that this matches. Says no where it is not plain to see.
    pub fn covers(&self, other: &Pattern) -> bool {
        covers(&self.parts, &other.parts)
    }

    /// Whether it matches the whole of `name`.
    pub fn matches(&self, name: &str) -> bool {
        covers(&self.parts, &name.chars().map(Part::exactly).collect::<Vec<_>>())
    }
}

impl Part {
    fn exactly(c: char) -> Self {
        Part::One(true, vec![(c, c)])
    }

    /// Whether it takes every character that `other` does; one character for one.
    fn covers(&self, other: &Part) -> bool {
        match (self, other) {
            (Part::One(is_in, ranges), Part::One(true, others)) => {
                let takes = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) == *is_in;
                let few = |from: char, to: char| u32::from(to) - u32::from(from) < 256;
                others.iter().all(|(from, to)| few(*from, *to) && (*from..=*to).all(takes))
            }
            (Part::One(false, ranges), Part::One(false, _)) => ranges.is_empty() || self == other,
            _ => false,
        }
    }
}

/// Whether `parts` take all that `others` do. Only the last `*` is ever tried again, so the time is bounded by the product
/// of the lengths.
fn covers(mut parts: &[Part], mut others: &[Part]) -> bool {
    let mut last_star = None;
    loop {
        match (parts.split_first(), others.split_first()) {
            (None, None) => return true,
            (Some((Part::Any, after)), _) => {
                last_star = Some((after, others));
                parts = after;
            }
            (Some((part, after)), Some((other, rest))) if part.covers(other) => {
                (parts, others) = (after, rest)
            }
            // A dead end: let the last star take one more.
            _ => {
                let Some((after, taken)) = last_star else { return false };
                let Some((_, rest)) = taken.split_first() else { return false };
                last_star = Some((after, rest));
                (parts, others) = (after, rest);
            }
        }
    }
}

/// What follows a `[`, up to its `]`.
fn set(rest: &mut std::str::Chars<'_>) -> Result<Part, String> {
    let is_in = !rest.as_str().starts_with(['!', '^']);
    if !is_in {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let first = match rest.next() {
            // Right behind the bracket it is a character like any other.
            Some(']') if !ranges.is_empty() => return Ok(Part::One(is_in, ranges)),
            Some('[') if rest.as_str().starts_with([':', '.', '=']) => {
                return Err("has a class like [:digit:], write the characters: [0-9]".to_owned());
            }
            Some('\\') => rest.next(),
            other => other,
        };
        let last = range_end(rest.as_str());
        if last.is_some() {
            rest.nth(1);
        }
        let (Some(first), Some(last)) = (first, last.or(first)) else {
            return Err("has an unclosed [".to_owned());
        };
        if first > last {
            return Err(format!("has the range {first}-{last}, which is the wrong way round"));
        }
        ranges.push((first, last));
    }
}

/// The `z` of `-z`; a `-` right before the `]` is a character like any other.
fn range_end(rest: &str) -> Option<char> {
    rest.strip_prefix('-')?.chars().next().filter(|c| *c != ']')
}
