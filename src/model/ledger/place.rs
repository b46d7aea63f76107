//! An interface by which it is found again under another name.

use std::fmt;
use std::str::FromStr;

use super::Changed;
use crate::model::{IfName, Link};

/// An interface by its name and its number, which is 0 where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub name: IfName,
    /// Its number.
    pub index: u32,
}

impl Place {
    /// Whether this is the interface that was changed.
    pub fn is_of(&self, changed: &Changed) -> bool {
        match (self.index, changed.index) {
            (now, then) if now != 0 && now == then => true,
            // One that was made anew under the name.
            _ => self.name == changed.link,
        }
    }
}

impl From<&Link> for Place {
    fn from(link: &Link) -> Self {
        Self { name: link.name, index: link.index }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbered = text.rsplit_once('@').and_then(|(name, index)| Some((name, index.parse().ok()?)));
        let (name, index) = numbered.unwrap_or((text, 0));
        Ok(Self { name: IfName::of_kernel(name.as_bytes()).ok_or(())?, index })
    }
}

/// `eth3@2`, or `eth3` in records of versions that had no number.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            // The kernel takes such a name.
            0 if !self.name.as_bytes().contains(&b'@') => write!(f, "{}", self.name),
            index => write!(f, "{}@{index}", self.name),
        }
    }
}
