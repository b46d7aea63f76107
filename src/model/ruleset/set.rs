//! Sets, whose elements change without their table.

use std::fmt;

use super::Family;
use super::words::is_comment;

/// A number with a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub key: u32,
    /// What `nft` shows behind it.
    pub comment: String,
}

/// A set of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub name: &'static str,
    pub elements: Vec<Element>,
}

/// All that is in one set, now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    pub family: Family,
    pub table: String,
    pub from: Set,
    pub to: Set,
}

/// A comment that cannot be written is left out.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match is_comment(&self.comment) {
            true => write!(f, "{} comment \"{}\"", self.key, self.comment),
            false => write!(f, "{}", self.key),
        }
    }
}

/// As `nft add element` takes it.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements: Vec<String> = self.elements.iter().map(ToString::to_string).collect();
        write!(f, "{{ {} }}", elements.join(", "))
    }
}
