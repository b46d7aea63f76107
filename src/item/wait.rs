//! What is waited for between two changes.

use std::fmt;

use super::{Change, Transport, word};
use crate::model::IfName;

/// A wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Everything before is done and acknowledged before anything behind begins.
    Barrier,
    /// Until an interface that was just set up passes packets, for a second at most.
    Operational { link: IfName },
    /// Until the IPv6 addresses that were just added are in use, for a while at most: the kernel makes an address's local
    /// route in its own time, and takes no packet for it before (`addrconf_dad_work`).
    Addresses { link: IfName },
}

impl Change for Wait {
    fn kind(&self) -> &'static str {
        match self {
            Self::Barrier => "barrier",
            Self::Operational { .. } => "await-operational",
            Self::Addresses { .. } => "await-addresses",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::Barrier => "go on".to_owned(),
            Self::Operational { link } => format!("wait for {link}"),
            Self::Addresses { link } => format!("wait for the addresses of {link}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Barrier => f.write_str("# done so far"),
            Self::Operational { link } => write!(f, "# wait until {} is operational", word(link)),
            Self::Addresses { link } => write!(f, "# wait until the addresses of {} are in use", word(link)),
        }
    }

    fn transport(&self) -> Transport {
        Transport::None
    }
}
