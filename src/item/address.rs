//! An address of an interface.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step, word};
use crate::model::address::flag;
use crate::model::{Address, IfName};
use crate::netlink::message::Message;
use crate::netlink::route::address;

/// A change of an interface's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressChange {
    Add {
        link: IfName,
        address: Address,
    },
    /// Writes an address again that was added without duplicate address detection, to take off the flag.
    ClearNodad {
        link: IfName,
        address: Address,
    },
    Delete {
        link: IfName,
        address: Address,
    },
}

impl Change for AddressChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add-address",
            Self::ClearNodad { .. } => "clear-nodad",
            Self::Delete { .. } => "delete-address",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::Add { link, address } | Self::ClearNodad { link, address } => {
                format!("give {link} the address {}", address.net)
            }
            Self::Delete { link, address } => format!("take the address {} off {link}", address.net),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { link, address } => write_address(f, "add", link, address),
            Self::ClearNodad { link, address } => write_address(f, "change", link, address),
            Self::Delete { link, address } => {
                write!(f, "ip addr delete {} dev {}", address.name(), word(link))
            }
        }
    }

    fn inverse(&self) -> Option<Step> {
        match self.clone() {
            Self::Add { link, address } => Some(Self::Delete { link, address }.into()),
            Self::ClearNodad { .. } => None,
            Self::Delete { link, address } => Some(Self::Add { link, address }.into()),
        }
    }

    fn message(&self, numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(Some(match self {
            Self::Add { link, address } => address::add(address, numbers(link)?),
            Self::ClearNodad { link, address } => address::replace(address, numbers(link)?),
            Self::Delete { link, address } => address::delete(address, numbers(link)?),
        }))
    }

    fn forgives(&self, errno: Errno) -> bool {
        match self {
            Self::Add { .. } => errno == Errno::EEXIST,
            Self::ClearNodad { .. } => false,
            Self::Delete { .. } => matches!(errno, Errno::EADDRNOTAVAIL | Errno::ENODEV),
        }
    }
}

/// Who made an address is told where `ip` has a word for it, as it has since 6.2.
fn write_address(f: &mut fmt::Formatter<'_>, deed: &str, link: &IfName, address: &Address) -> fmt::Result {
    let command = format!("ip addr {deed} {address} dev {}", word(link));
    match address.protocol {
        0 => f.write_str(&command),
        protocol => write!(f, "{command} proto {protocol} 2>/dev/null || {command}"),
    }
}

/// Adds an address that was in use elsewhere. An IPv6 address that was unique there is so here: no second detection, and no
/// trace of that. One that was not in use is to be looked for first.
pub fn add_address(address: &Address, link: IfName) -> Vec<Step> {
    let was_detected =
        address.net.addr().is_ipv6() && address.flags & flag::NODAD == 0 && !address.is_tentative();
    let mut first = address.clone();
    if !was_detected {
        return vec![AddressChange::Add { link, address: first }.into()];
    }
    first.flags |= flag::NODAD;
    let address = address.clone();
    vec![
        AddressChange::Add { link, address: first }.into(),
        AddressChange::ClearNodad { link, address }.into(),
    ]
}
