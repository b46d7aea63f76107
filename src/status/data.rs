//! What `kvmnet status` knows, as `--json` prints it: docs/status.md explains each field, docs/status.schema.json is its
//! form.

use serde::Serialize;

/// Every network, and who is on it.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Those that are up, then those that are only configured.
    pub(super) networks: Vec<Network>,
    /// Taps that kvmnet attached, and that are on none of its bridges now.
    pub(super) strays: Vec<Guest>,
    /// What could not be seen, and what is wrong with the configuration.
    pub(super) notes: Vec<String>,
}

/// None, here and below, is what is not there or cannot be seen.
#[derive(Debug, Default, Serialize)]
pub(super) struct Network {
    pub name: String,
    pub state: State,
    pub mode: Option<String>,
    pub bridge: String,
    pub bridge_made: Option<bool>,
    #[serde(rename = "door")]
    pub host_if: String,
    pub addresses: Vec<String>,
    pub addresses_by: Option<AddressesBy>,
    /// What guests reach of the host, as the configuration says.
    pub host_access: Option<String>,
    pub uplinks: Option<Vec<String>>,
    pub uplinks_by: Option<UplinksBy>,
    pub dhcp: Option<Dhcp>,
    pub forwarding: Forwarding,
    pub nat: Option<Vec<Nat>>,
    pub keep: bool,
    pub configuration: Configuration,
    pub changes: Vec<Change>,
    pub guests: Vec<Guest>,
    pub other_ports: Vec<String>,
    pub problems: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Up,
    Down,
    /// Its bridge is gone; something else is left.
    Remains,
    #[default]
    NotUp,
}

/// Where the host's addresses come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AddressesBy {
    /// kvmnet chose what was free.
    Choice,
    Configuration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UplinksBy {
    Port,
    Name,
    DefaultRoute,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Forwarding {
    pub ipv4: bool,
    pub ipv6: bool,
}

/// What guests are told.
#[derive(Debug, Serialize)]
pub(super) struct Dhcp {
    pub domain: String,
    /// Who serves it.
    pub process: Option<u32>,
    #[serde(skip)]
    pub has_dnsmasq: bool,
    pub leases: Vec<Lease>,
}

#[derive(Debug, Serialize)]
pub(super) struct Lease {
    pub address: String,
    pub mac: Option<String>,
    pub name: Option<String>,
    /// In seconds since 1970; 0 is without end.
    pub until: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Nat {
    pub kind: NatKind,
    pub to: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NatKind {
    Masquerade,
    Snat,
}

/// How a network that is up compares with the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Configuration {
    #[default]
    Same,
    /// The file was changed since, or (in records of earlier versions) a variable changed the network.
    Differs,
    /// The environment of a guest changed the network.
    Overridden,
    Absent,
    /// The file cannot be read, or the network has no record.
    Unknown,
}

/// Something that kvmnet changed on the machine.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub kind: ChangeKind,
    pub what: String,
    pub interface: Option<String>,
    pub before: Option<String>,
    pub now: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ChangeKind {
    Link,
    Table,
    /// An address that the host was given.
    Address,
    /// An address that moved; `before` and `now` are interfaces.
    Moved,
    /// An interface that became a port; `now` is the bridge.
    Port,
    Setting,
    Mac,
}

/// A tap, and who is behind it.
#[derive(Debug, Serialize)]
pub(super) struct Guest {
    pub tap: String,
    pub bridge: Option<String>,
    /// The VM's name as its command line says, else the program's.
    pub vm: Option<String>,
    /// What it is called on its network.
    pub name: Option<String>,
    pub processes: Vec<Process>,
    pub link: LinkState,
    pub persistent: bool,
    pub attached: bool,
    /// Its port passes nothing to other such ports.
    pub isolated: bool,
    pub macs: Vec<String>,
    pub mac_count: usize,
    pub mac_given: Option<String>,
    pub addresses: Vec<String>,
    pub address_count: usize,
    /// Those that no other guest gets.
    pub kept_addresses: Vec<String>,
    /// Whether it can send with its own MACs and addresses only; and whether its frames may have VLAN tags then.
    pub filter: bool,
    pub vlan_tags: bool,
    pub forwards: Vec<Forward>,
    pub same_mac_as: Vec<String>,
    pub guest_received_bytes: u64,
    pub guest_sent_bytes: u64,
}

/// Ports of the host that lead to a guest.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Forward {
    pub protocol: String,
    /// None is every address of the host's of that family.
    pub listen: Option<String>,
    pub first: u16,
    pub last: u16,
    pub to_address: String,
    /// For the first; the others follow it.
    pub to_port: u16,
}

#[derive(Debug, Serialize)]
pub(super) struct Process {
    pub pid: u32,
    pub program: String,
    /// In another network namespace, where it may have another tap of this name.
    pub elsewhere: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LinkState {
    Up,
    NoProcess,
    Down,
}
