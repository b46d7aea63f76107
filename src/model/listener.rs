//! A program of the host that listens on a port.

use std::fmt;
use std::net::SocketAddr;

use super::{PortMapping, Protocol};

/// A socket that takes what comes to a port, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub protocol: Protocol,
    /// An unspecified address is all of its family.
    pub address: SocketAddr,
    /// One of IPv6 that takes no IPv4.
    pub v6_only: bool,
    /// The number of the socket, by which its process is found.
    pub inode: u32,
    /// The program's name and process, where that is known.
    pub program: Option<(String, u32)>,
}

impl Listener {
    /// Whether it would no longer get what is forwarded.
    pub fn loses_to(&self, mapping: &PortMapping) -> bool {
        let ip = self.address.ip();
        let takes_both = ip.is_unspecified() && ip.is_ipv6() && !self.v6_only;
        let same_family = takes_both || ip.to_canonical().is_ipv6() == mapping.to.is_ipv6();
        let same_address =
            ip.is_unspecified() || mapping.listen.is_none_or(|listen| listen == ip.to_canonical());
        self.protocol == mapping.protocol
            && self.address.port() == mapping.port
            && same_family
            && same_address
    }
}

/// `sshd (pid 812) listens on 0.0.0.0:22`
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some((name, pid)) => write!(f, "{name} (pid {pid}) listens on ")?,
            None => f.write_str("a program listens on ")?,
        }
        if self.protocol == Protocol::Udp {
            f.write_str("udp ")?;
        }
        write!(f, "{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::Owner;

    fn loses(listener: &str, v6_only: bool, forward: &str, guest: &str) -> bool {
        let address = listener.parse().unwrap();
        let listener = Listener { protocol: Protocol::Tcp, address, v6_only, inode: 7, program: None };
        let owner = Owner { tap: "vif0.0".to_owned(), index: 3 };
        let mappings = PortMapping::of(&forward.parse().unwrap(), guest.parse().unwrap(), &owner);
        mappings.iter().any(|mapping| listener.loses_to(mapping))
    }

    #[test]
    fn only_who_would_lose_packets_is_in_the_way() {
        assert!(loses("0.0.0.0:22", false, "22:22", "10.0.0.1"));
        assert!(loses("127.0.0.1:22", false, "22:22", "10.0.0.1"));
        assert!(loses("0.0.0.0:22", false, "192.168.1.230:22:22", "10.0.0.1"));
        assert!(!loses("127.0.0.1:22", false, "192.168.1.230:22:22", "10.0.0.1"));
        assert!(!loses("0.0.0.0:22", false, "23:22", "10.0.0.1"));
        assert!(!loses("0.0.0.0:22", false, "udp/22:22", "10.0.0.1"));
        assert!(!loses("0.0.0.0:22", false, "22:22", "fd00::1"));
        assert!(loses("[::]:22", false, "22:22", "10.0.0.1"));
        assert!(!loses("[::]:22", true, "22:22", "10.0.0.1"));
        assert!(loses("[::ffff:127.0.0.1]:22", false, "22:22", "10.0.0.1"));
        assert!(!loses("[::1]:22", false, "22:22", "10.0.0.1"));
    }

    #[test]
    fn says_who_listens_where() {
        let (protocol, address) = (Protocol::Udp, "[::]:53".parse().unwrap());
        let program = Some(("dnsmasq".to_owned(), 812));
        let listener = Listener { protocol, address, v6_only: false, inode: 7, program };
        assert_eq!(listener.to_string(), "dnsmasq (pid 812) listens on udp [::]:53");
    }
}
