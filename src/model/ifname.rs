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

/// Why a text is not an interface name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadName {
    /// Nothing there.
    #[error("an interface name cannot be empty")]
    Empty,
    /// More than 15 bytes. QEMU cuts longer ones silently, so two VMs may end up with one name.
    #[error("{0:?} is {1} bytes long, an interface name has at most {MAX_LEN}")]
    TooLong(String, usize),
    /// A character no interface name has.
    #[error("{0:?} is not an interface name: {1:?} is not allowed in one")]
    Character(String, char),
    /// `.` or `..`, which are directories under /proc/sys.
    #[error("{0:?} is not an interface name")]
    Dots(String),
}

impl IfName {
    /// What the kernel calls an interface that is still to come (`net.ipv4.conf.default`); no real one has this name
    /// (`sysctl_dev_name_is_allowed`).
    pub const DEFAULT: IfName = IfName { bytes: *b"default\0\0\0\0\0\0\0\0", length: 7 };

    /// What the kernel calls all interfaces together, or the machine (`net.ipv6.conf.all`).
    pub const ALL: IfName = IfName { bytes: *b"all\0\0\0\0\0\0\0\0\0\0\0\0", length: 3 };

    /// A tap whose number the kernel chooses.
    pub const NEW_TAP: IfName = IfName { bytes: *b"kvm%d\0\0\0\0\0\0\0\0\0\0", length: 5 };

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

    /// A name that an interface has: the kernel takes more than a person may write, and none of them may be overlooked.
    pub fn of_kernel(name: &[u8]) -> Option<Self> {
        let name = name.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
        let mut bytes = [0; MAX_LEN];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self { bytes, length: name.len() as u8 })
    }

    /// The name as the kernel has it.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The name as text; of one that is not UTF-8, the part that is.
    pub fn as_str(&self) -> &str {
        self.as_bytes().utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }
}

/// The interface that is still to come.
impl Default for IfName {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl AsRef<[u8]> for IfName {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
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
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
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

    /// Whatever an interface is called, it is there.
    #[test]
    fn knows_every_name_of_the_kernel() {
        assert_eq!(IfName::of_kernel(b"eth3\0"), IfName::new("eth3").ok());
        let odd = IfName::of_kernel(b"a\x1b\xff").map(|name| (name.as_bytes().to_vec(), name.to_string()));
        assert_eq!(odd, Some((b"a\x1b\xff".to_vec(), "a\u{1b}\u{fffd}".to_owned())));
        assert_ne!(IfName::of_kernel(b"a\xff"), IfName::of_kernel(b"a\xfe"));
        assert_eq!(
            [IfName::of_kernel(b""), IfName::of_kernel(b"\0"), IfName::of_kernel(&[b'a'; 16])],
            [None; 3]
        );
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
