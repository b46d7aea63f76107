//! An interface name that the kernel takes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest name, IFNAMSIZ - 1 (`include/uapi/linux/if.h`).
pub const MAX_LEN: usize = 15;

/// A valid interface name: 1 to 15 bytes, no `/`, no `:`, no white space, not `.` or `..`
/// (`dev_valid_name` in `net/core/dev.c`), and no control character, because names are printed.
///
/// It is as small as in the kernel and copied as freely: names are most of what a plan consists of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName {
    bytes: [u8; MAX_LEN],
    length: u8,
}

/// Why a text is no interface name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadName {
    /// Nothing there.
    #[error("an interface name cannot be empty")]
    Empty,
    /// More than 15 bytes. QEMU cuts longer ones silently, so two VMs may end up with one name.
    #[error("{0:?} is {1} bytes long, an interface name has at most {MAX_LEN}")]
    TooLong(String, usize),
    /// A character no interface name has.
    #[error("{0:?} is no interface name: {1:?} is not allowed in one")]
    Character(String, char),
    /// `.` or `..`, which are directories under /proc/sys.
    #[error("{0:?} is no interface name")]
    Dots(String),
}

impl IfName {
    /// What the kernel calls an interface that is still to come (`net.ipv4.conf.default`); no real one has this name
    /// (`sysctl_dev_name_is_allowed`).
    pub const DEFAULT: IfName = IfName { bytes: *b"default\0\0\0\0\0\0\0\0", length: 7 };

    /// Checks `name`.
    pub fn new(name: &str) -> Result<Self, BadName> {
        if name.is_empty() {
            return Err(BadName::Empty);
        }
        if name.len() > MAX_LEN {
            return Err(BadName::TooLong(name.to_owned(), name.len()));
        }
        let forbidden = |c: &char| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control();
        if let Some(c) = name.chars().find(forbidden) {
            return Err(BadName::Character(name.to_owned(), c));
        }
        if matches!(name, "." | "..") {
            return Err(BadName::Dots(name.to_owned()));
        }
        let mut bytes = [0; MAX_LEN];
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        Ok(Self { bytes, length: name.len() as u8 })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // It was made from a text of this length.
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl FromStr for IfName {
    type Err = BadName;
    fn from_str(name: &str) -> Result<Self, BadName> {
        Self::new(name)
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_kernel_takes() {
        assert_eq!(IfName::new("default"), Ok(IfName::DEFAULT));
        for name in ["vif0.0", "br0", "a", "fifteen-bytes-x", "br-lab", "..."] {
            assert_eq!(IfName::new(name).map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refuses_the_rest() {
        assert_eq!(IfName::new(""), Err(BadName::Empty));
        assert!(matches!(IfName::new("sixteen-bytes-xx"), Err(BadName::TooLong(_, 16))));
        for (name, c) in [("a/b", '/'), ("eth0:1", ':'), ("a b", ' '), ("a\n", '\n'), ("a\u{1b}", '\u{1b}')] {
            assert_eq!(IfName::new(name), Err(BadName::Character(name.to_owned(), c)));
        }
        assert!(matches!(IfName::new(".."), Err(BadName::Dots(_))));
    }
}
