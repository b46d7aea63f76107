//! Connections of a guest that is gone.

use std::fmt;
use std::net::IpAddr;

use super::{Change, Transport};

/// Ends the connections that this address answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutFlows {
    pub to: IpAddr,
}

impl Change for CutFlows {
    fn kind(&self) -> &'static str {
        "cut-flows"
    }

    fn deed(&self) -> String {
        format!("end the connections to {}", self.to)
    }

    /// `conntrack` fails where there is none.
    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.to.is_ipv6() { "ipv6" } else { "ipv4" };
        write!(f, "conntrack -D -f {family} --reply-src {} || true", self.to)
    }

    fn transport(&self) -> Transport {
        Transport::Flows
    }
}
