//! A network as its owner wants it: checked, complete, no question left open.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::{BadName, Forward, HostAccess, IfName, Mac};
use crate::terminal::printable;

/// What a network's guests may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Guests reach each other and nothing else.
    Isolated,
    /// Guests and the host reach each other; nothing is forwarded.
    HostOnly,
    /// Forwarded between the network and the uplink, addresses unchanged.
    Routed,
    /// Forwarded with source NAT; nothing comes in uninvited.
    #[default]
    Nat,
    /// The uplink is a port of the bridge.
    Bridged,
}

impl Mode {
    /// All five, in the order of the documentation.
    pub const ALL: [Mode; 5] = [Mode::Isolated, Mode::HostOnly, Mode::Routed, Mode::Nat, Mode::Bridged];

    /// The word for it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Isolated => "isolated",
            Mode::HostOnly => "host-only",
            Mode::Routed => "routed",
            Mode::Nat => "nat",
            Mode::Bridged => "bridged",
        }
    }

    /// Whether the host has an address on the network that kvmnet gives it.
    pub fn has_host_address(self) -> bool {
        matches!(self, Mode::HostOnly | Mode::Routed | Mode::Nat)
    }

    /// Whether the host forwards between the network and its uplinks.
    pub fn forwards(self) -> bool {
        matches!(self, Mode::Routed | Mode::Nat)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The way out of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Uplink {
    /// Every interface that carries a default route ("auto", or not set).
    #[default]
    DefaultRoute,
    /// These interfaces; exactly one in bridged mode.
    Named(Vec<IfName>),
    /// Bridged: the bridge is used as it is, whatever is in it.
    None,
}

/// What is done where the firewall of another program drops guests' packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FirewallUse {
    /// A few rules let through what the mode says.
    #[default]
    Integrate,
    /// It is told of.
    Warn,
    /// Nothing.
    Ignore,
}

/// The two ends of the pair through which the host joins a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veth {
    /// `NAME.0`, a port of the bridge.
    pub outer: IfName,
    /// `NAME.1`, which carries the host's address.
    pub inner: IfName,
}

/// The pair `NAME.0`, `NAME.1`.
impl FromStr for Veth {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        Ok(Self { outer: IfName::new(&format!("{name}.0"))?, inner: IfName::new(&format!("{name}.1"))? })
    }
}

/// The name that both ends share.
impl fmt::Display for Veth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outer = self.outer.as_str();
        f.write_str(outer.strip_suffix(".0").unwrap_or(outer))
    }
}

/// Whether a network can have this name.
pub fn is_network_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=32).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Where a value of the configuration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is built in.
    Default,
    /// In the file; line and column, in characters, are counted from 1.
    #[allow(missing_docs)]
    File { path: String, line: usize, column: usize },
    /// The file as a whole.
    WholeFile(String),
    /// An environment variable.
    Environment(String),
    /// The name by which the hook was called: `qemu-ifup-NAME`.
    HookName,
    /// An argument of a command.
    Argument,
}

/// With `{:#}` a line has its column, too.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("built-in default"),
            Origin::File { path, line, column } if f.alternate() => {
                write!(f, "{}:{line}:{column}", printable(path))
            }
            Origin::File { path, line, .. } => write!(f, "{}:{line}", printable(path)),
            Origin::WholeFile(text) | Origin::Environment(text) => f.write_str(&printable(text)),
            Origin::HookName => f.write_str("the hook's name"),
            Origin::Argument => f.write_str("the command line"),
        }
    }
}

/// One network, as the configuration and the environment say; each key of the configuration fills in its field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// `default`, or the NAME of `[network.NAME]`.
    pub name: String,
    pub mode: Mode,
    pub bridge: IfName,
    /// The host's addresses on it; empty where the mode has none, and as long as they are to be found.
    pub addresses: Vec<IpNet>,
    /// Whether its addresses are any that are free.
    pub auto_address: bool,
    /// What it does not choose then: other networks of the configuration have it, or begin there.
    pub left_to_others: Vec<IpNet>,
    /// The way out; of no meaning to isolated and host-only.
    pub uplink: Uplink,
    /// nat: SNAT to this address instead of masquerade.
    pub nat_source: Option<IpAddr>,
    /// Set where the host joins through a veth pair, in a mode that can.
    pub veth: Option<Veth>,
    /// Whether the network stays when its last guest leaves.
    pub keep: bool,
    /// Bridged: whether a takeover that silences the gateway is taken back.
    pub confirm: bool,
    /// Bridged: whether a NIC is taken although another program keeps its addresses.
    pub take_managed: bool,
    /// Whether guests are told their addresses, where that is said.
    pub dhcp: Option<bool>,
    /// The DNS domain of the guests.
    pub domain: String,
    /// Whether its guests reach everybody but each other.
    pub port_isolation: bool,
    /// How much of the host itself guests reach, in a mode that forwards.
    pub host: HostAccess,
    /// What this guest's NIC has: of no other guest.
    pub guest_macs: Vec<Mac>,
    pub guest_addresses: Vec<IpAddr>,
    pub forwards: Vec<Forward>,
    /// Whether the guest is held to its own MACs and addresses; and whether its frames may have VLAN tags then.
    pub filter: bool,
    pub allow_vlan_tags: bool,
    /// What is done where the firewall of another program drops guests' packets.
    pub firewall: FirewallUse,
    /// Who may start guests on it without being root; a group has `@` in front.
    pub users: Vec<String>,
    /// Patterns of the names of its taps.
    pub taps: Vec<String>,
    /// Where each key that was set comes from, by its word; a key not listed has its default.
    pub origins: Vec<(&'static str, Origin)>,
    /// A number that differs where anything that guests could notice was written differently.
    pub digest: u32,
    /// Whether the environment has made it another network than the file says.
    pub overridden: bool,
    /// An environment variable that sets something of the network, not only of this guest.
    pub variable: Option<String>,
}

impl Network {
    /// Where the value of a key comes from.
    pub fn origin(&self, word: &str) -> &Origin {
        let found = self.origins.iter().find(|(key, _)| *key == word);
        found.map_or(&Origin::Default, |(_, origin)| origin)
    }

    /// Whether guests are told their addresses. One on a bridge of another program's may have that from there.
    pub fn serves_dhcp(&self) -> bool {
        let by_itself = self.mode == Mode::Nat && self.host != HostAccess::None;
        self.mode.has_host_address() && self.dhcp.unwrap_or(by_itself)
    }

    /// The same with each uplink under the name that `name_of` gives it.
    pub fn with_uplinks(&self, name_of: impl Fn(&IfName) -> IfName) -> Self {
        let Uplink::Named(names) = &self.uplink else { return self.clone() };
        Self { uplink: Uplink::Named(names.iter().map(name_of).collect()), ..self.clone() }
    }

    /// Whether its guests only become ports of a bridge that is there.
    pub fn is_port_only(&self) -> bool {
        self.mode == Mode::Bridged && self.uplink == Uplink::None
    }

    /// Whether every frame between the bridge's own port and the host's stack is dropped.
    pub fn is_closed(&self) -> bool {
        self.mode == Mode::Isolated || self.veth.is_some()
    }

    /// The interface through which the host takes part: the veth pair's inner end, else the bridge.
    pub fn host_if(&self) -> &IfName {
        self.veth.as_ref().map_or(&self.bridge, |veth| &veth.inner)
    }
}
