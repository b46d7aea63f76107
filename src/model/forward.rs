//! A port of the host that leads to a guest.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

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

impl Forward {
    /// Whether both are for the same packets.
    pub fn overlaps(&self, other: &Self) -> bool {
        let ports = self.first <= other.last && other.first <= self.last;
        let same_address = match (self.listen, other.listen) {
            (Some(one), Some(two)) => {
                let is_any = one.is_unspecified() || two.is_unspecified();
                one == two || is_any && one.is_ipv6() == two.is_ipv6()
            }
            _ => true,
        };
        self.protocol == other.protocol && ports && same_address
    }
}

/// Reads what [`Display`](fmt::Display) wrote.
impl FromStr for Forward {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (protocol, rest) = match text.strip_prefix("udp/") {
            Some(rest) => (Protocol::Udp, rest),
            None => (Protocol::Tcp, text),
        };
        let port = |text: &str| text.parse().ok().filter(|port| *port != 0).ok_or(());
        let (rest, to) = rest.rsplit_once(':').ok_or(())?;
        let (listen, ports) = match rest.rsplit_once(':') {
            Some((listen, ports)) => {
                let listen = listen.trim_start_matches('[').trim_end_matches(']');
                (Some(listen.parse().map_err(|_| ())?), ports)
            }
            None => (None, rest),
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let forward = Self { protocol, listen, first: port(first)?, last: port(last)?, to: port(to)? };
        if forward.first <= forward.last { Ok(forward) } else { Err(()) }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for text in ["2222:22", "udp/5353:53", "127.0.0.1:8080:80", "[::]:443:443", "3000-3010:3000"] {
            assert_eq!(text.parse::<Forward>().map(|forward| forward.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "22", ":22", "0:22", "5-4:1", "x:1:2", "70000:1", "sctp/1:2"] {
            assert_eq!(text.parse::<Forward>(), Err(()), "{text:?}");
        }
    }
}
