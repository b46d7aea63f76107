//! A neighbour: what an interface knows of a machine behind it.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step};
use crate::model::{IfName, Neighbour};
use crate::netlink::message::Message;
use crate::netlink::route::neighbour;

/// A change of the neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeighbourChange {
    /// Adds one in the place of what the interface knows of its address now.
    Add {
        neighbour: Neighbour,
        before: Option<Neighbour>,
    },
    Delete(Neighbour),
}

impl Change for NeighbourChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add-neighbour",
            Self::Delete(_) => "delete-neighbour",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::Add { neighbour, .. } => format!("add the neighbour {neighbour}"),
            Self::Delete(neighbour) => format!("delete the neighbour {neighbour}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { neighbour, .. } => write!(f, "ip neigh replace {neighbour}"),
            Self::Delete(neighbour) => write!(f, "ip neigh delete {neighbour}"),
        }
    }

    fn inverse(&self) -> Option<Step> {
        let inverse = match self.clone() {
            Self::Add { neighbour, before: None } => Self::Delete(neighbour),
            Self::Add { neighbour, before: Some(before) } => {
                Self::Add { neighbour: before, before: Some(neighbour) }
            }
            Self::Delete(neighbour) => Self::Add { neighbour, before: None },
        };
        Some(inverse.into())
    }

    fn message(&self, numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(Some(match self {
            Self::Add { neighbour, .. } => neighbour::add(neighbour, numbers(&neighbour.device)?),
            Self::Delete(neighbour) => neighbour::delete(neighbour, numbers(&neighbour.device)?),
        }))
    }

    fn forgives(&self, errno: Errno) -> bool {
        matches!(self, Self::Delete(_)) && matches!(errno, Errno::ENOENT | Errno::ENODEV)
    }
}
