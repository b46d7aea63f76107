//! A port of a bridge: which bridge an interface belongs to.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step, word};
use crate::model::IfName;
use crate::netlink::message::Message;
use crate::netlink::route::link;

/// Makes an interface a port of a bridge, or of none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortChange {
    pub port: IfName,
    pub from: Option<IfName>,
    pub to: Option<IfName>,
}

impl Change for PortChange {
    fn kind(&self) -> &'static str {
        "set-master"
    }

    fn deed(&self) -> String {
        match &self.to {
            Some(bridge) => format!("make {} a port of {bridge}", self.port),
            None => format!("take {} off its bridge", self.port),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = word(&self.port);
        match &self.to {
            Some(bridge) => write!(f, "ip link set {port} master {}", word(bridge)),
            None => write!(f, "ip link set {port} nomaster"),
        }
    }

    fn inverse(&self) -> Option<Step> {
        Some(Self { port: self.port, from: self.to, to: self.from }.into())
    }

    fn message(&self, numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        let master = self.to.as_ref().map_or(Ok(0), numbers)?;
        Ok(Some(link::set_master(&self.port, master)))
    }

    fn forgives(&self, errno: Errno) -> bool {
        self.to.is_none() && errno == Errno::ENODEV
    }

    fn hint(&self, errno: Errno) -> Option<&'static str> {
        match errno {
            Errno::EXFULL => Some("a bridge takes 1023 ports; spread the guests over several networks"),
            Errno::EOPNOTSUPP => Some("a Wi-Fi station cannot be bridged; use mode = \"routed\" or \"nat\""),
            Errno::EBUSY => Some(
                "a macsec, macvlan or ipvlan interface takes what it receives; name a macsec interface itself as uplink, or use mode = \"routed\" or \"nat\"",
            ),
            _ => None,
        }
    }
}
