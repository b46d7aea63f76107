//! That a guest has something for itself, which no other of its network may have at the same time.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{IfName, Mac};

/// What only one guest of a network can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    Mac(Mac),
    Address(IpAddr),
}

/// That a guest has something for itself: another name of its tap (IFLA_ALT_IFNAME), which no second interface of the
/// namespace can have, and which is gone with the tap, however that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub bridge: IfName,
    pub own: Own,
}

/// How every such name begins.
const PREFIX: &str = "kvmnet-";

/// `kvmnet-br0-525400123457`, `kvmnet-br0-10.0.100.7`
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-", self.bridge.as_str())?;
        match self.own {
            Own::Mac(Mac(bytes)) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Own::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Any other text is no claim.
impl FromStr for Claim {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (bridge, own) = text.strip_prefix(PREFIX).and_then(|text| text.rsplit_once('-')).ok_or(())?;
        let own = own.parse().map(Own::Address).or_else(|_| mac(own).map(Own::Mac).ok_or(()))?;
        let claim = Self { bridge: IfName::new(bridge).map_err(|_| ())?, own };
        // One that is written in another way would not be found by its name.
        (claim.to_string() == text).then_some(claim).ok_or(())
    }
}

/// Twelve digits.
fn mac(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    bytes?.try_into().ok().map(Mac)
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Own::Mac(mac) => mac.fmt(f),
            Own::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_claim_is_read_as_it_was_written() {
        for text in [
            "kvmnet-br0-525400123457",
            "kvmnet-br0-10.0.100.7",
            "kvmnet-br-lab-fd00:100::7",
            "kvmnet-fifteen-bytes-x-2001:db8:1111:2222:3333:4444:5555:6666",
            "kvmnet-a-1.1.1.1",
        ] {
            let claim: Claim = text.parse().unwrap();
            assert_eq!(claim.to_string(), text);
            assert!(text.len() > 15, "no name of an interface is that long, so it never takes one's place");
        }
        for text in [
            "",
            "kvmnet-",
            "kvmnet-br0",
            "kvmnet-br0-",
            "kvmnet--10.0.0.1",
            "kvmnet-br0-52540012345",
            "enp0s3",
            "kvmnet-br0-52540012345G",
            "kvmnet-br0-5254001234ab56",
            "kvmnet-br0-5254001234AB",
            "kvmnet-br0-FD00::1",
            "kvmnet-br0-+1+2+3+4+5+6",
            "kvmnet-a/b-10.0.0.1",
        ] {
            assert_eq!(text.parse::<Claim>(), Err(()), "{text}");
        }
    }
}
