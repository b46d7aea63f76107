//! A guest's own filter, on its tap.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step, word};
use crate::model::{IfName, Program, bytecode};
use crate::netlink::message::Message;
use crate::netlink::route::filter;

/// Puts a filter there, another one in its place, or takes it off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestFilterChange {
    pub tap: IfName,
    pub from: Option<Program>,
    pub to: Option<Program>,
}

impl Change for GuestFilterChange {
    fn kind(&self) -> &'static str {
        if self.to.is_some() { "put-guest-filter" } else { "delete-guest-filter" }
    }

    fn deed(&self) -> String {
        match self.to {
            Some(_) => format!("put the filter of the guest's own addresses on {}", self.tap),
            None => format!("take the filter of the guest's own addresses off {}", self.tap),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tap = word(&self.tap);
        match &self.to {
            Some(program) => write!(
                f,
                "tc filter replace dev {tap} ingress pref 2 handle 1 protocol all {}",
                bytecode(program)
            ),
            None => write!(f, "tc filter del dev {tap} ingress pref 2"),
        }
    }

    fn inverse(&self) -> Option<Step> {
        Some(Self { tap: self.tap, from: self.to.clone(), to: self.from.clone() }.into())
    }

    fn message(&self, numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        let index = numbers(&self.tap)?;
        Ok(Some(match &self.to {
            Some(program) => filter::put_guest(index, program),
            None => filter::delete_guest(index),
        }))
    }

    /// It is gone, or the place for filters is, or the tap.
    fn forgives(&self, errno: Errno) -> bool {
        self.to.is_none() && matches!(errno, Errno::ENOENT | Errno::EINVAL | Errno::ENODEV)
    }
}
