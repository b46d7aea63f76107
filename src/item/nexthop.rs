//! A nexthop object, which routes name by its number.

use std::fmt;

use super::{Change, Numbers, Step};
use crate::model::{IfName, Nexthop};
use crate::netlink::message::Message;
use crate::netlink::route::nexthop;

/// Puts a nexthop object, and all routes that use it, over another interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NexthopChange {
    /// As it is.
    pub nexthop: Nexthop,
    /// The other interface.
    pub to: IfName,
}

impl Change for NexthopChange {
    fn kind(&self) -> &'static str {
        "move-nexthop"
    }

    fn deed(&self) -> String {
        format!("move the nexthop {} to {}", self.nexthop.id, self.to)
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip nexthop replace {}", self.nexthop.over(&self.to))
    }

    fn inverse(&self) -> Option<Step> {
        Some(Self { nexthop: self.nexthop.over(&self.to), to: self.nexthop.device }.into())
    }

    fn message(&self, numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(Some(nexthop::replace(&self.nexthop, numbers(&self.to)?)))
    }
}
