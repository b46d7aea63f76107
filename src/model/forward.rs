//! A port of the host that leads to a guest.

use std::fmt;
use std::net::IpAddr;

/// The protocols that have ports, by their number (`/etc/protocols`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    Tcp = 6,
    Udp = 17,
}

/// Ports of the host, and where they lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    pub protocol: Protocol,
    /// The host's address; an unspecified one is every address of its family, and None every address of both.
    pub listen: Option<IpAddr>,
    /// The first and the last port of the host.
    pub first: u16,
    pub last: u16,
    /// The guest's port for the first one; the others follow it.
    pub to: u16,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// As it is written in the configuration; tcp goes without saying.
impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol != Protocol::Tcp {
            write!(f, "{}/", self.protocol)?;
        }
        match self.listen {
            Some(IpAddr::V4(v4)) => write!(f, "{v4}:")?,
            Some(IpAddr::V6(v6)) => write!(f, "[{v6}]:")?,
            None => {}
        }
        match self.first == self.last {
            true => write!(f, "{}:{}", self.first, self.to),
            false => write!(f, "{}-{}:{}", self.first, self.last, self.to),
        }
    }
}
