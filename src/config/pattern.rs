//! Shell patterns for the names of taps.
//!
//! In: a pattern and a name. Out: whether the pattern fits the whole name.
//! Never: knows files or directories: `/` and a leading dot are characters like any other.

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
    /// `?`
    One,
    Exactly(char),
    /// `[...]`: whether it is `[!...]`, and the first and last character of each range.
    Set(bool, Vec<(char, char)>),
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, Problem> {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                '[' => set(&mut rest).map_err(|wrong| Problem::new(format!("{text:?} {wrong}")))?,
                '\\' => match rest.next() {
                    Some(c) => Part::Exactly(c),
                    None => return Err(Problem::new(format!("{text:?} ends in the middle of \\x"))),
                },
                _ => Part::Exactly(c),
            });
        }
        if parts.is_empty() {
            return Err(Problem::new("an empty pattern fits no tap"));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every name that `other` fits is one that this fits. Says no where it is not plain to see.
    pub fn covers(&self, other: &Pattern) -> bool {
        covers(&self.parts, &other.parts)
    }

    /// Whether it fits the whole of `name`. Only the last `*` is ever tried again, so the time is bounded by
    /// the product of the lengths.
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.parts.as_slice();
        let mut rest = name.chars();
        let mut last_star = None;
        loop {
            match parts.split_first() {
                None if rest.as_str().is_empty() => return true,
                Some((Part::Any, after)) => {
                    last_star = Some((after, rest.clone()));
                    parts = after;
                    continue;
                }
                Some((part, after)) if rest.clone().next().is_some_and(|c| part.fits(c)) => {
                    rest.next();
                    parts = after;
                    continue;
                }
                _ => {}
            }
            // A dead end: let the last star take one character more.
            let Some((after, taken)) = last_star.as_mut() else { return false };
            if taken.next().is_none() {
                return false;
            }
            parts = after;
            rest = taken.clone();
        }
    }
}

impl Part {
    /// Whether it takes every character that `other` does; one character for one.
    fn covers(&self, other: &Part) -> bool {
        match (self, other) {
            (_, Part::Any) => false,
            (Part::One, _) => true,
            (_, Part::Exactly(c)) => self.fits(*c),
            (Part::Set(false, _), Part::Set(false, ranges)) => {
                let all = ranges.iter().flat_map(|(first, last)| *first..=*last);
                all.take(256).all(|c| self.fits(c))
                    && ranges.iter().all(|(first, last)| u32::from(*last) - u32::from(*first) < 256)
            }
            _ => self == other,
        }
    }

    fn fits(&self, c: char) -> bool {
        match self {
            Part::Any | Part::One => true,
            Part::Exactly(exactly) => *exactly == c,
            Part::Set(inverted, ranges) => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *inverted
            }
        }
    }
}

fn covers(parts: &[Part], others: &[Part]) -> bool {
    match (parts.split_first(), others.split_first()) {
        (None, None) => true,
        (Some((Part::Any, after)), _) => {
            covers(after, others) || others.split_first().is_some_and(|(_, rest)| covers(parts, rest))
        }
        (Some((part, after)), Some((other, rest))) => part.covers(other) && covers(after, rest),
        _ => false,
    }
}

/// What follows a `[`, up to its `]`.
fn set(rest: &mut std::str::Chars<'_>) -> Result<Part, String> {
    let inverted = rest.as_str().starts_with(['!', '^']);
    if inverted {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let first = match rest.next() {
            // Right behind the bracket it is a character like any other.
            Some(']') if !ranges.is_empty() => return Ok(Part::Set(inverted, ranges)),
            Some('[') if rest.as_str().starts_with([':', '.', '=']) => {
                return Err("has a class like [:digit:], write the characters: [0-9]".to_owned());
            }
            Some('\\') => rest.next(),
            other => other,
        };
        let last = match (first, range_end(rest.as_str())) {
            (_, Some(last)) => {
                rest.nth(1);
                Some(last)
            }
            (first, None) => first,
        };
        let (Some(first), Some(last)) = (first, last) else { return Err("has a [ without its ]".to_owned()) };
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
