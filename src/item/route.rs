//! A route.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step, ip_word};
use crate::model::{IfName, Route};
use crate::netlink::message::Message;
use crate::netlink::route::route;

/// A change of the routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteChange {
    Add(Route),
    Delete(Route),
}

impl Change for RouteChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add(_) => "add-route",
            Self::Delete(_) => "delete-route",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::Add(route) => format!("add the route {route}"),
            Self::Delete(route) => format!("delete the route {route}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(route) => write!(f, "{} route prepend {route}", ip_word(route.family)),
            Self::Delete(route) => write!(f, "{} route delete {route}", ip_word(route.family)),
        }
    }

    fn inverse(&self) -> Option<Step> {
        let inverse = match self.clone() {
            Self::Add(route) => Self::Delete(route),
            Self::Delete(route) => Self::Add(route),
        };
        Some(inverse.into())
    }

    fn message(&self, numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        let (Self::Add(route) | Self::Delete(route)) = self;
        let devices = route.hops.iter().map(|hop| numbers(&hop.device)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(match self {
            Self::Add(route) => route::add(route, &devices),
            Self::Delete(route) => route::delete(route, &devices),
        }))
    }

    fn forgives(&self, errno: Errno) -> bool {
        match self {
            Self::Add(_) => errno == Errno::EEXIST,
            Self::Delete(_) => matches!(errno, Errno::ESRCH | Errno::ENODEV),
        }
    }
}
