//! An interface: a bridge or a veth pair that kvmnet makes, and what it has of its own, MAC and alias.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step, word};
use crate::model::link::OUTER_GROUP;
use crate::model::{IfName, Mac, ledger};
use crate::netlink::message::Message;
use crate::netlink::route::link;
use crate::terminal::shell_quoted;

/// A change of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkChange {
    /// Makes a bridge, down, without spanning tree and forward delay. It keeps its MAC.
    AddBridge { name: IfName, mac: Mac, group: u32 },
    /// Makes a veth pair, down: the outer end becomes a port, the inner one has the host's address and the link group. The
    /// MACs are in this order.
    AddVeth { outer: IfName, inner: IfName, macs: [Mac; 2], group: u32 },
    /// Deletes an interface that kvmnet made, with all that is on it.
    Delete { name: IfName },
    /// Changes its MAC.
    Mac { link: IfName, from: Mac, to: Mac },
    /// Changes its alias.
    Alias { link: IfName, from: String, to: String },
}

impl Change for LinkChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::AddBridge { .. } => "add-bridge",
            Self::AddVeth { .. } => "add-veth",
            Self::Delete { .. } => "delete-link",
            Self::Mac { .. } => "set-mac",
            Self::Alias { .. } => "set-alias",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::AddBridge { name, .. } => format!("make the bridge {name}"),
            Self::AddVeth { outer, inner, .. } => format!("make the veth pair {outer} and {inner}"),
            Self::Delete { name } => format!("delete {name}"),
            Self::Mac { link, to, .. } => format!("give {link} the MAC {to}"),
            Self::Alias { link, .. } => format!("write the record of {link}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddBridge { name, mac, group } => {
                let (name, group) = (word(name), group_words(*group));
                write!(f, "ip link add {name} address {mac}{group} type bridge stp_state 0 forward_delay 0")
            }
            Self::AddVeth { outer, inner, macs: [outer_mac, inner_mac], group } => {
                let (outer, inner, group) = (word(outer), word(inner), group_words(*group));
                write!(f, "ip link add {inner} address {inner_mac}{group}")?;
                write!(f, " type veth peer name {outer} address {outer_mac}{}", group_words(OUTER_GROUP))
            }
            Self::Delete { name } => write!(f, "ip link delete {}", word(name)),
            Self::Mac { link, to, .. } => write!(f, "ip link set {} address {to}", word(link)),
            Self::Alias { link, to, .. } => {
                write!(f, "ip link set {} alias {}", word(link), shell_quoted(to))
            }
        }
    }

    fn inverse(&self) -> Option<Step> {
        let inverse = match self.clone() {
            Self::AddBridge { name, .. } | Self::AddVeth { inner: name, .. } => Self::Delete { name },
            Self::Delete { .. } => return None,
            Self::Mac { link, from, to } => Self::Mac { link, from: to, to: from },
            Self::Alias { link, from, to } => Self::Alias { link, from: to, to: from },
        };
        Some(inverse.into())
    }

    fn deletes(&self) -> bool {
        matches!(self, Self::Delete { .. })
    }

    fn message(&self, _numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(Some(match self {
            Self::AddBridge { name, mac, group } => link::add_bridge(name, *mac, *group),
            Self::AddVeth { outer, inner, macs, group } => link::add_veth(outer, inner, *macs, *group),
            Self::Delete { name } => link::delete(name),
            Self::Mac { link, to, .. } => link::set_mac(link, *to),
            Self::Alias { link, to, .. } => link::set_alias(link, to),
        }))
    }

    fn is_there(&self, errno: Errno) -> bool {
        matches!(self, Self::AddBridge { .. } | Self::AddVeth { .. }) && errno == Errno::EEXIST
    }

    fn forgives(&self, errno: Errno) -> bool {
        match self {
            Self::Delete { .. } => errno == Errno::ENODEV,
            // A record that is taken off an interface that is gone.
            Self::Alias { to, .. } => errno == Errno::ENODEV && !to.starts_with(ledger::PREFIX),
            _ => false,
        }
    }

    fn renumbers(&self, link: &IfName) -> bool {
        match self {
            Self::AddBridge { name, .. } | Self::Delete { name } => name == link,
            Self::AddVeth { outer, inner, .. } => outer == link || inner == link,
            _ => false,
        }
    }
}

fn group_words(group: u32) -> String {
    if group == 0 { String::new() } else { format!(" group {group}") }
}
