//! A question to a neighbour, before a takeover and after it: is the host still on the network?

use std::fmt;
use std::net::IpAddr;

use super::{Change, Transport, word};
use crate::model::IfName;

/// A neighbour that sees whether the host is still on the network: behind which interface it is, the host's address there,
/// and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeTarget {
    pub link: IfName,
    pub source: IpAddr,
    pub target: IpAddr,
}

/// A question to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Asks whether it is there, to know later whether its silence means something.
    Before(ProbeTarget),
    /// Asks again; fails where it answered before and is silent now.
    After(ProbeTarget),
}

impl Change for Probe {
    fn kind(&self) -> &'static str {
        match self {
            Self::Before(_) => "ask",
            Self::After(_) => "confirm",
        }
    }

    fn deed(&self) -> String {
        let (Self::Before(probe) | Self::After(probe)) = self;
        format!("ask {} on {}", probe.target, probe.link)
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Before(probe) | Self::After(probe)) = self;
        write!(f, "# ask {} on {} ", probe.target, word(&probe.link))?;
        f.write_str(match self {
            Self::Before(_) => "whether it is there",
            Self::After(_) => "again; all back if it answered before and does not now",
        })
    }

    fn transport(&self) -> Transport {
        Transport::None
    }
}
