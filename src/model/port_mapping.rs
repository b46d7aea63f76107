//! A port of the host that leads to a guest now, and whose guest that is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{Forward, IfName, Link, Protocol};

/// One port, as the rules have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    pub protocol: Protocol,
    /// The host's address; None is every address of the family of `to`.
    pub listen: Option<IpAddr>,
    pub port: u16,
    /// The guest's address and port.
    pub to: SocketAddr,
    pub owner: Owner,
}

/// The tap of the guest that a port leads to. One that gets its name later has another number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub tap: String,
    /// 0 where it is not known.
    pub index: u32,
}

impl PortMapping {
    /// What `forward` comes to for a guest with this address: none where it is of the other family.
    pub fn of(forward: &Forward, address: IpAddr, owner: &Owner) -> Vec<Self> {
        if forward.listen.is_some_and(|listen| listen.is_ipv6() != address.is_ipv6()) {
            return Vec::new();
        }
        let listen = forward.listen.filter(|listen| !listen.is_unspecified());
        let ports = (forward.first..=forward.last).zip(forward.to..=u16::MAX);
        let mapping = |(port, to)| Self {
            protocol: forward.protocol,
            listen,
            port,
            to: SocketAddr::new(address, to),
            owner: owner.clone(),
        };
        ports.map(mapping).collect()
    }

    /// Whether it comes of this.
    pub fn is_of(&self, forward: &Forward) -> bool {
        let family = forward.listen.is_none_or(|listen| listen.is_ipv6() == self.to.is_ipv6());
        self.protocol == forward.protocol && (forward.first..=forward.last).contains(&self.port) && family
    }

    /// Whether both would take the same packets.
    pub fn overlaps(&self, other: &Self) -> bool {
        let same_port = self.protocol == other.protocol && self.port == other.port;
        let same_family = self.to.is_ipv6() == other.to.is_ipv6();
        let same_address = self.listen.is_none() || other.listen.is_none() || self.listen == other.listen;
        same_port && same_family && same_address
    }

    /// Whether it is for packets of the host to itself by its loopback address.
    pub fn serves_loopback(&self) -> bool {
        self.listen.is_none_or(|listen| listen == loopback(self.to.is_ipv6()))
    }
}

/// The address by which a host speaks to itself.
pub fn loopback(v6: bool) -> IpAddr {
    if v6 { std::net::Ipv6Addr::LOCALHOST.into() } else { std::net::Ipv4Addr::LOCALHOST.into() }
}

impl Owner {
    pub fn of(tap: &Link) -> Self {
        Self { tap: tap.name.to_string(), index: tap.index }
    }

    /// Reads a comment; one that somebody wrote by hand may have no number.
    pub fn parse(comment: &str) -> Self {
        let numbered = comment.rsplit_once('@').and_then(|(tap, index)| Some((tap, index.parse().ok()?)));
        let (tap, index) = numbered.unwrap_or((comment, 0));
        Self { tap: tap.to_owned(), index }
    }

    /// Whether `link` is the tap.
    pub fn is(&self, link: &Link) -> bool {
        if self.index == 0 {
            self.name().is_some_and(|name| name == link.name)
        } else {
            self.index == link.index
        }
    }

    pub fn name(&self) -> Option<IfName> {
        IfName::new(&self.tap).ok()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tap)?;
        if self.index != 0 {
            write!(f, "@{}", self.index)?;
        }
        Ok(())
    }
}

/// `tcp port 2222`, with the address where it is for one.
impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.protocol, self.port)?;
        self.listen.map_or(Ok(()), |listen| write!(f, " of {listen}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mappings(text: &str, address: &str) -> Vec<PortMapping> {
        let owner = Owner { tap: "vif0.0".to_owned(), index: 3 };
        PortMapping::of(&text.parse().unwrap(), address.parse().unwrap(), &owner)
    }

    #[test]
    fn a_range_is_a_mapping_for_each_port() {
        let ports: Vec<(u16, u16)> =
            mappings("3000-3002:40", "10.0.0.1").iter().map(|one| (one.port, one.to.port())).collect();
        assert_eq!(ports, [(3000, 40), (3001, 41), (3002, 42)]);
        assert_eq!(mappings("65535:65535", "10.0.0.1").len(), 1);
        assert_eq!(mappings("[::]:443:443", "10.0.0.1"), []);
        assert_eq!(mappings("[::]:443:443", "fd00::1").len(), 1);
    }

    #[test]
    fn one_address_overlaps_with_all_of_its_family() {
        let overlap = |one: &str, other: &str, address: &str| {
            mappings(one, address)[0].overlaps(&mappings(other, address)[0])
        };
        assert!(overlap("80:80", "127.0.0.1:80:8080", "10.0.0.1"));
        assert!(!overlap("127.0.0.2:80:80", "127.0.0.1:80:80", "10.0.0.1"));
        assert!(!overlap("udp/80:80", "80:80", "10.0.0.1"));
        assert!(!mappings("80:80", "10.0.0.1")[0].overlaps(&mappings("80:80", "fd00::1")[0]));
    }

    #[test]
    fn an_owner_is_known_by_its_number() {
        let owner = Owner::parse("vif0.0@17");
        assert_eq!(
            (owner.tap.as_str(), owner.index, owner.to_string().as_str()),
            ("vif0.0", 17, "vif0.0@17")
        );
        assert_eq!(Owner::parse("a@b@7").tap, "a@b");
        assert_eq!(Owner::parse("web").to_string(), "web");
    }
}
