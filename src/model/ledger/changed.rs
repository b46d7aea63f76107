//! The entry of a setting that was changed.

use std::fmt;

use super::Place;
use crate::model::{IfName, Setting};

/// The former value of something that kvmnet changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The interface; `all`, or `default` for every interface, those to come included, but for those that are recorded
    /// themselves.
    pub link: IfName,
    /// Its number, by which it is found under another name; 0 where it is not known.
    pub index: u32,
    pub setting: Setting,
    /// The value to put back.
    pub before: u32,
    /// Whether the machine-wide forwarding switch was on then. While it differs, somebody else has taken
    /// a decision about forwarding, and the value stays.
    pub global_forwarding: bool,
}

impl Changed {
    /// Where it was changed.
    pub fn place(&self) -> Place {
        Place { name: self.link, index: self.index }
    }

    /// Reads an entry; None where it is of another kind.
    pub(super) fn parse(entry: &str) -> Option<Self> {
        let (link, rest) = entry.rsplit_once(':')?;
        let (letter, value) = rest.split_once('=')?;
        let (value, index) = value.split_once('@').unwrap_or((value, "0"));
        let marked = value.strip_suffix('+');
        let (link, setting) = (IfName::of_kernel(link.as_bytes())?, Setting::of_letter(letter)?);
        let (before, index) = (marked.unwrap_or(value).parse().ok()?, index.parse().ok()?);
        Some(Self { link, index, setting, before, global_forwarding: marked.is_some() })
    }
}

/// `eth3:f=0@2`: the value and the interface's number, with a `+` between where the machine-wide switch was on.
impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let global = if self.global_forwarding { "+" } else { "" };
        write!(f, "{}:{}={}{global}", self.link, self.setting.letter(), self.before)?;
        if self.index != 0 { write!(f, "@{}", self.index) } else { Ok(()) }
    }
}
