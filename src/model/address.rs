//! An address of an interface, with everything that the kernel knows of it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::carried::{number, word};
use crate::terminal::shell_word;

/// A lifetime without an end, in seconds (INFINITY_LIFE_TIME).
pub const FOREVER: u32 = u32::MAX;

/// RT_SCOPE_LINK.
pub const LINK_SCOPE: u8 = 253;

/// IFAPROT_KERNEL_LL: the kernel made it when the interface was set up.
pub const PROTOCOL_LINK_LOCAL: u8 = 3;

/// IFA_F_* (`include/uapi/linux/if_addr.h`).
pub mod flag {
    /// IPv6: no duplicate address detection.
    pub const NODAD: u32 = 0x02;
    /// IPv6: detection found that another machine has the address, which is not in use.
    pub const DADFAILED: u32 = 0x08;
    /// Not preferred as a source, though perhaps without an end.
    pub const DEPRECATED: u32 = 0x20;
    /// IPv6: detection goes on, the address is not in use yet.
    pub const TENTATIVE: u32 = 0x40;
    /// The kernel makes no route for the address's prefix.
    pub const NOPREFIXROUTE: u32 = 0x200;
    /// The kernel joins the group of machines that the address is.
    pub const MCAUTOJOIN: u32 = 0x400;
    /// What a request for IPv4 may carry.
    pub const SETTABLE4: u32 = NOPREFIXROUTE | MCAUTOJOIN;
    /// What a request for IPv6 may carry: HOMEADDRESS, MANAGETEMPADDR, and those above.
    pub const SETTABLE6: u32 = 0x10 | 0x100 | NOPREFIXROUTE | MCAUTOJOIN | NODAD;
}

/// An address as RTM_GETADDR tells it and RTM_NEWADDR takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub net: IpNet,
    /// The other end, on a point-to-point address.
    pub peer: Option<IpAddr>,
    pub broadcast: Option<Ipv4Addr>,
    /// IPv4 label, `eth0` or `eth0:1`.
    pub label: Option<String>,
    pub scope: u8,
    /// IFA_F_*: those that a request may carry, and what detection says.
    pub flags: u32,
    /// Seconds for which it is preferred as a source.
    pub preferred: u32,
    /// Seconds for which it is valid.
    pub valid: u32,
    /// Metric of the prefix's route, 0 for the default (IFA_RT_PRIORITY).
    pub metric: u32,
    /// Who made it (IFA_PROTO), 0 where the kernel does not say.
    pub protocol: u8,
}

impl Address {
    /// A plain address, as `ip addr add NET` makes it; IPv4 gets its broadcast address.
    pub fn plain(net: IpNet) -> Self {
        let broadcast = match net {
            IpNet::V4(v4) if v4.prefix_len() < 31 => Some(v4.broadcast()),
            _ => None,
        };
        // The host's address on its own bridge has no rival: detection would only delay its use.
        let flags = if net.addr().is_ipv6() { flag::NODAD } else { 0 };
        Self {
            net,
            peer: None,
            broadcast,
            label: None,
            scope: 0,
            flags,
            preferred: FOREVER,
            valid: FOREVER,
            metric: 0,
            protocol: 0,
        }
    }

    /// Whether kvmnet can have given it: it has no end, in either sense.
    pub fn is_plain(&self) -> bool {
        self.peer.is_none() && self.valid == FOREVER && self.scope == 0
    }

    /// Whether another machine has it, so that this one does not use it (RFC 4862, duplicate address detection).
    pub fn is_duplicate(&self) -> bool {
        self.flags & flag::DADFAILED != 0
    }

    /// Whether it is yet to be seen if another machine has it.
    pub fn is_tentative(&self) -> bool {
        self.flags & (flag::TENTATIVE | flag::DADFAILED) != 0
    }

    /// Whether it is an IPv6 address that is in use as soon as it is added.
    pub fn is_usable6(&self) -> bool {
        self.net.addr().is_ipv6() && self.flags & flag::NODAD != 0
    }

    /// By what `ip addr delete` finds it.
    pub fn name(&self) -> String {
        match self.peer {
            Some(peer) => format!("{} peer {peer}/{}", self.net.addr(), self.net.prefix_len()),
            None => self.net.to_string(),
        }
    }

    /// Where the route leads that the kernel makes for the address by itself; None where it makes none.
    pub fn prefix_route(&self) -> Option<IpNet> {
        let far = IpNet::new(self.peer.unwrap_or(self.net.addr()), self.net.prefix_len()).ok()?;
        (self.flags & flag::NOPREFIXROUTE == 0).then_some(far.trunc())
    }
}

/// As the arguments of `ip addr add`, without the device. Who gave the address (IFA_PROTO) is left out: the `ip` of
/// Debian 12 has no word for it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        word(f, "brd", self.broadcast)?;
        word(f, "label", self.label.as_ref().map(shell_word))?;
        word(f, "scope", (self.scope != 0).then(|| scope_name(self.scope)))?;
        let flags = [
            (flag::NODAD, "nodad"),
            (0x10, "home"),
            (0x100, "mngtmpaddr"),
            (flag::NOPREFIXROUTE, "noprefixroute"),
            (flag::MCAUTOJOIN, "autojoin"),
        ];
        for (_, word) in flags.iter().filter(|(bit, _)| self.flags & bit != 0) {
            write!(f, " {word}")?;
        }
        number(f, "metric", self.metric)?;
        word(f, "valid_lft", (self.valid != FOREVER).then_some(self.valid))?;
        word(f, "preferred_lft", (self.preferred != FOREVER).then_some(self.preferred))
    }
}

/// The word of `ip` for a scope.
pub fn scope_name(scope: u8) -> String {
    match scope {
        0 => "global".to_owned(),
        200 => "site".to_owned(),
        253 => "link".to_owned(),
        254 => "host".to_owned(),
        255 => "nowhere".to_owned(),
        other => other.to_string(),
    }
}
