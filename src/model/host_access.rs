//! How much of the host itself the guests of a network reach.

use std::fmt;

/// In this order each opens what the one before it does, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostAccess {
    /// Nothing but answers to what the host has opened, and what a gateway needs to be found.
    None,
    /// DHCP, DNS and ping besides.
    Services,
    /// Every address of the host, and all that listens there.
    #[default]
    All,
}

impl HostAccess {
    /// All three, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::None, Self::Services, Self::All];

    /// The word for it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Services => "services",
            Self::All => "all",
        }
    }
}

impl fmt::Display for HostAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
