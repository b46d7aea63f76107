//! What the lower half of an interface's IPv6 addresses is made of: a token, or a secret (RFC 7217).

use std::fmt;
use std::net::Ipv6Addr;

use super::{Change, Numbers, Transport, word};
use crate::model::IfName;
use crate::netlink::message::Message;
use crate::netlink::route::link;
use crate::terminal::shell_word;

/// Gives an interface what another one had. It is a bridge's, and goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ipv6IdentityChange {
    /// `to` makes its addresses of the secret of `from`, and from then on of it alone (`addr_gen_mode` 2).
    CopySecret { from: IfName, to: IfName },
    /// Sets the lower half of the addresses that are made of announced prefixes.
    SetToken { link: IfName, token: Ipv6Addr },
}

impl Change for Ipv6IdentityChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::CopySecret { .. } => "copy-secret",
            Self::SetToken { .. } => "set-token",
        }
    }

    fn deed(&self) -> String {
        match self {
            Self::CopySecret { from, to } => format!("give {to} the secret of {from}'s IPv6 addresses"),
            Self::SetToken { link, token } => format!("give {link} the token {token}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CopySecret { from, to } => {
                let [from, to] = [secret_key(from), format!("{}=", secret_key(to))].map(shell_word);
                write!(f, "sysctl -q -w {to}\"$(sysctl -n {from})\"")
            }
            Self::SetToken { link, token } => write!(f, "ip token set {token} dev {}", word(link)),
        }
    }

    fn transport(&self) -> Transport {
        match self {
            Self::CopySecret { .. } => Transport::File,
            Self::SetToken { .. } => Transport::Route,
        }
    }

    fn message(&self, _numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(match self {
            Self::CopySecret { .. } => None,
            Self::SetToken { link, token } => Some(link::set_token(link, *token)),
        })
    }
}

/// The sysctl key of the secret that an interface makes its IPv6 addresses of.
pub fn secret_key(link: &IfName) -> String {
    format!("net/ipv6/conf/{link}/stable_secret")
}
