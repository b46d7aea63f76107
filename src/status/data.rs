//! What `kvmnet status` knows, as `--json` prints it: docs/status.md explains it, docs/status.schema.json is its form.

use serde::Serialize;

/// Every network, and who is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The version of this form; 1.
    pub version: u32,
    /// Those that stand, then those that are only configured.
    pub networks: Vec<Network>,
    /// Taps that kvmnet attached, and that are on none of its bridges now.
    pub strays: Vec<Guest>,
    /// What could not be seen, and what is wrong with the configuration.
    pub notes: Vec<String>,
}

/// One network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Its name in the configuration; its bridge's where nothing tells it.
    pub name: String,
    /// What is there of it.
    pub state: State,
    /// The word of the configuration; None where nothing tells it.
    pub mode: Option<String>,
    /// Its bridge.
    pub bridge: String,
    /// Whether kvmnet made the bridge or found it; None for a bridge that is not there.
    pub bridge_made: Option<bool>,
    /// The interface through which the host takes part: the bridge, or the inner end of a veth pair.
    pub door: String,
    /// The host's addresses on it, link-local ones left out.
    pub addresses: Vec<String>,
    /// The interfaces by which it leaves; None where they cannot be seen.
    pub uplinks: Option<Vec<String>>,
    /// How they are chosen.
    pub uplinks_by: Option<UplinksBy>,
    /// Whether the host forwards for it.
    pub forwarding: Forwarding,
    /// The source NAT; None where it cannot be seen.
    pub nat: Option<Vec<Nat>>,
    /// Whether it stays when its last guest leaves.
    pub keep: bool,
    /// Whether it is what the configuration says.
    pub configuration: Configuration,
    /// What kvmnet changed on the machine for it.
    pub changes: Vec<Change>,
    /// Who is on it, in the order in which the taps were made.
    pub guests: Vec<Guest>,
    /// Ports of its bridge that are not taps and not kvmnet's.
    pub other_ports: Vec<String>,
    /// What is wrong with it, or worth knowing.
    pub problems: Vec<String>,
}

/// What is there of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its bridge is there and up.
    Up,
    /// Its bridge is there, and somebody switched it off.
    Down,
    /// Its bridge is gone; something else is left.
    Remains,
    /// It is only configured.
    NotUp,
}

/// How a network's uplinks are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UplinksBy {
    /// The NIC is a port of the bridge.
    Port,
    /// By their names.
    Name,
    /// Whatever has the default route.
    DefaultRoute,
}

/// Whether the host forwards for a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Forwarding {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

/// One kind of source NAT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nat {
    /// Which.
    pub kind: NatKind,
    /// The address that packets get; None for that of the uplink.
    pub to: Option<String>,
}

/// As whom packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatKind {
    /// With the address of the uplink.
    Masquerade,
    /// With a given one.
    Snat,
}

/// How a network that stands compares with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Configuration {
    /// It is what the file says.
    Same,
    /// The file says something else: it was changed since, or (in records of earlier versions) a variable did.
    Differs,
    /// The environment of a guest made it something else than the file says.
    Overridden,
    /// The file has no such network.
    Absent,
    /// The file cannot be read, or the network has no record.
    Unknown,
}

/// Something that kvmnet changed on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Of which kind.
    pub kind: ChangeKind,
    /// What: an interface, a table, a setting, an address.
    pub what: String,
    /// The interface that has it.
    pub interface: Option<String>,
    /// The former value; None for what was not there.
    pub before: Option<String>,
    /// The present value; None for what is gone.
    pub now: Option<String>,
}

/// Of which kind a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// An interface was made.
    Link,
    /// A table was made.
    Table,
    /// An address was given to the host.
    Address,
    /// An address moved; `before` and `now` are interfaces.
    Moved,
    /// An interface became a port; `before` and `now` are bridges.
    Port,
    /// A setting, as sysctl(8) or ip-link(8) name it.
    Setting,
    /// The MAC of a bridge that was found.
    Mac,
}

/// A tap, and who is behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guest {
    /// Its tap.
    pub tap: String,
    /// The bridge that the tap is a port of.
    pub bridge: Option<String>,
    /// The VM's name: as its command line says, else the program's; None where no process is seen,
    /// or several are that are all elsewhere.
    pub vm: Option<String>,
    /// Who has the tap open.
    pub processes: Vec<Process>,
    /// Whether it is connected.
    pub link: LinkState,
    /// Whether the tap outlives the process.
    pub persistent: bool,
    /// Whether kvmnet attached it.
    pub attached: bool,
    /// The MACs that the bridge has seen behind it, eight at most.
    pub macs: Vec<String>,
    /// How many they are in all.
    pub mac_count: usize,
    /// The MAC that QEMU's command line gives the NIC on this tap.
    pub mac_given: Option<String>,
    /// The addresses that the host has met behind these MACs, eight at most.
    pub addresses: Vec<String>,
    /// How many they are in all.
    pub address_count: usize,
    /// Taps of the same bridge whose guests have the same MAC.
    pub same_mac_as: Vec<String>,
    /// Bytes that the guest received.
    pub guest_received_bytes: u64,
    /// Bytes that the guest sent.
    pub guest_sent_bytes: u64,
}

/// A process that has a tap open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its program, without the directory.
    pub program: String,
    /// Whether it lives in another network namespace, and may therefore have another tap of this name.
    pub elsewhere: bool,
}

/// Whether a tap is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// A process has it open, and it is switched on.
    Up,
    /// No process has it open.
    NoProcess,
    /// It is switched off.
    Down,
}
