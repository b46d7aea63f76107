//! A rule of policy routing.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step, ip_word};
use crate::model::{IfName, PolicyRule};
use crate::netlink::message::Message;
use crate::netlink::route::rule;

/// A change of the policy rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyRuleChange {
    Add(PolicyRule),
    Delete(PolicyRule),
}

impl Change for PolicyRuleChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add(_) => "add-rule",
            Self::Delete(_) => "delete-rule",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::Add(rule) => format!("add the policy rule {rule}"),
            Self::Delete(rule) => format!("delete the policy rule {rule}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(rule) => write!(f, "{} rule add {rule}", ip_word(rule.header[0])),
            Self::Delete(rule) => write!(f, "{} rule delete {rule}", ip_word(rule.header[0])),
        }
    }

    fn inverse(&self) -> Option<Step> {
        let inverse = match self.clone() {
            Self::Add(rule) => Self::Delete(rule),
            Self::Delete(rule) => Self::Add(rule),
        };
        Some(inverse.into())
    }

    fn message(&self, _numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(Some(match self {
            Self::Add(rule) => rule::add(rule),
            Self::Delete(rule) => rule::delete(rule),
        }))
    }

    fn forgives(&self, errno: Errno) -> bool {
        match self {
            Self::Add(_) => errno == Errno::EEXIST,
            Self::Delete(_) => errno == Errno::ENOENT,
        }
    }
}
