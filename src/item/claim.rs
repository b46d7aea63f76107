//! Another name of a tap, by which a guest has a MAC or an address for itself.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step, word};
use crate::model::{Claim, IfName};
use crate::netlink::message::Message;
use crate::netlink::route::altname;
use crate::terminal::shell_word;

/// Gives a tap such a name, or takes it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimChange {
    Add { tap: IfName, claim: Claim },
    Delete { tap: IfName, claim: Claim },
}

impl Change for ClaimChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add-altname",
            Self::Delete { .. } => "delete-altname",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::Add { tap, claim } => format!("keep {} for {tap}", claim.own),
            Self::Delete { tap, claim } => format!("free {} of {tap}", claim.own),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, tap, claim) = match self {
            Self::Add { tap, claim } => ("add", tap, claim),
            Self::Delete { tap, claim } => ("del", tap, claim),
        };
        write!(f, "ip link property {verb} dev {} altname {}", word(tap), shell_word(claim.to_string()))
    }

    fn inverse(&self) -> Option<Step> {
        Some(match *self {
            Self::Add { tap, claim } => Self::Delete { tap, claim }.into(),
            Self::Delete { tap, claim } => Self::Add { tap, claim }.into(),
        })
    }

    fn message(&self, _numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(Some(match self {
            Self::Add { tap, claim } => altname::add(tap, &claim.to_string()),
            Self::Delete { tap, claim } => altname::delete(tap, &claim.to_string()),
        }))
    }

    fn is_there(&self, errno: Errno) -> bool {
        matches!(self, Self::Add { .. }) && errno == Errno::EEXIST
    }

    /// Linux 5.5 brought them: before, `kvmnet check` finds two guests with one MAC.
    fn forgives(&self, errno: Errno) -> bool {
        match self {
            Self::Add { .. } => errno == Errno::EOPNOTSUPP,
            Self::Delete { .. } => {
                matches!(errno, Errno::EOPNOTSUPP | Errno::ENODEV | Errno::ENOENT | Errno::EINVAL)
            }
        }
    }

    fn hint(&self, errno: Errno) -> Option<&'static str> {
        (errno == Errno::EEXIST)
            .then_some("another interface got it at this moment; `kvmnet status` shows whose it is")
    }
}
