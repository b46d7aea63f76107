//! Whether a guest has a filter: what its configuration says, in a word for the record on its tap.

use std::fmt;
use std::str::FromStr;

/// Whether a guest has a filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filtering {
    pub is_on: bool,
    /// Whether its frames may have a VLAN tag.
    pub tags: bool,
    /// Whether that was said of this guest alone, and not in the file: who has no environment of the guest's follows it.
    pub is_own: bool,
}

impl Filtering {
    /// Whether there is anything to be written down.
    pub fn is_default(self) -> bool {
        !self.is_on && !self.is_own
    }
}

/// What says that it was said of this guest alone.
const OWN: &str = "own-";

impl FromStr for Filtering {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (word, is_own) = text.strip_prefix(OWN).map_or((text, false), |word| (word, true));
        let (is_on, tags) = match word {
            "off" => (false, false),
            "on" => (true, false),
            "tags" => (true, true),
            _ => return Err(()),
        };
        Ok(Self { is_on, tags, is_own })
    }
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match (self.is_on, self.tags) {
            (false, _) => "off",
            (true, false) => "on",
            (true, true) => "tags",
        };
        write!(f, "{}{word}", if self.is_own { OWN } else { "" })
    }
}
