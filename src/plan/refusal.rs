//! What the plan cannot or will not do, found before anything is touched.

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use crate::model::{IfName, Mode, Owner};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The tap is not there.
    #[error("no interface {0}")]
    NoTap(IfName),
    /// The tap's name is another kind of interface's.
    #[error("{name} is not a tap{}", kind_words(.kind))]
    NotATap {
        /// The interface.
        name: IfName,
        /// What it is.
        kind: Option<String>,
    },
    /// The bridge's name is another kind of interface's.
    #[error("{name} is not a bridge{}", kind_words(.kind))]
    NotABridge {
        /// The interface.
        name: IfName,
        /// What it is.
        kind: Option<String>,
    },
    /// An interface that kvmnet would make is there already, and not kvmnet's.
    #[error("{0} exists already and is not kvmnet's")]
    NameTaken(IfName),
    /// The host has an address on a bridge that shall be isolated.
    #[error(
        "the bridge {bridge} was there before and has the address {address}, so it is not isolated from the host"
    )]
    BridgeHasAddress {
        /// The bridge.
        bridge: IfName,
        /// Its address.
        address: IpNet,
    },
    /// The bridge is the machine's way out.
    #[error(
        "the bridge {bridge} was there before and carries the machine's default route, which mode {mode} would disturb"
    )]
    BridgeIsWayOut {
        /// The bridge.
        bridge: IfName,
        /// The mode.
        mode: Mode,
    },
    /// The uplink is not there.
    #[error("no interface {name}, the uplink of network {network} ({origin})")]
    NoUplink {
        /// The interface.
        name: IfName,
        /// The network.
        network: String,
        /// Where it is set.
        origin: String,
    },
    /// There is no default route to find the uplink by.
    #[error("no uplink: nothing carries a default route now")]
    NoDefaultRoute,
    /// The uplink cannot be a port of a bridge.
    #[error("{name} cannot be bridged: {why}")]
    Unbridgeable {
        /// The interface.
        name: IfName,
        /// The reason.
        why: &'static str,
    },
    /// The uplink is a port of another bridge.
    #[error("{name} is already a part of the {} {master}", .kind.as_deref().unwrap_or("interface"))]
    PortOfAnother {
        /// The interface.
        name: IfName,
        /// The other bridge, or what else it is a part of.
        master: String,
        /// What that is: "bridge", "bond", "team", "vrf", …
        kind: Option<String>,
    },
    /// The NIC has a route that cannot be carried to the bridge.
    #[error("{name} has a route {what}, which kvmnet cannot move to a bridge and back")]
    Uncarriable {
        /// The NIC.
        name: IfName,
        /// What is special about it.
        what: &'static str,
    },
    /// Another program keeps the NIC's addresses.
    #[error("{owner} keeps the addresses of {name} and would not know of a takeover")]
    Managed {
        /// The NIC.
        name: IfName,
        /// The program.
        owner: Owner,
    },
    /// Another interface has the address.
    #[error("the address {address} belongs to {owner} already")]
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// The interface.
        owner: String,
    },
    /// The subnet is in use.
    #[error("the subnet {subnet} collides with the route {route} over {device}")]
    SubnetTaken {
        /// The network's subnet.
        subnet: IpNet,
        /// The host's route.
        route: IpNet,
        /// The interface that it goes over.
        device: String,
    },
    /// An environment variable would change what other guests use.
    #[error("{variable} would change network {network}, which other guests are using")]
    OverrideInUse {
        /// The variable.
        variable: String,
        /// The network.
        network: String,
    },
    /// An environment variable made the network what it is, for guests that are on it.
    #[error("network {network} on {bridge} was made {mode} by KVMNET_ variables, and is in use")]
    Overridden {
        /// The network.
        network: String,
        /// Its bridge.
        bridge: IfName,
        /// What it is.
        mode: Mode,
    },
    /// The kernel has no nf_tables.
    #[error("mode {0} needs nftables, and this kernel has none")]
    NoNft(Mode),
    /// The bridge's record would be too long.
    #[error("the record of what to undo does not fit into the alias of {0}")]
    MarkTooLong(IfName),
    /// The network is in use.
    #[error("guests are on {bridge}: {}", list(.guests))]
    HasGuests {
        /// The network's bridge.
        bridge: IfName,
        /// Their taps.
        guests: Vec<IfName>,
    },
    /// Another network has the bridge.
    #[error("the bridge {bridge} belongs to network {owner}, whose guests are using it")]
    BridgeInUse {
        /// The bridge.
        bridge: IfName,
        /// The network.
        owner: String,
    },
}

/// Some of many.
fn list(names: &[IfName]) -> String {
    let mut words: Vec<String> = names.iter().take(5).map(IfName::to_string).collect();
    if names.len() > words.len() {
        words.push(format!("and {} more", names.len() - words.len()));
    }
    words.join(", ")
}

const NO_BRIDGE: &str = "use mode = \"nat\", or mode = \"routed\", which need no bridge over the uplink";

fn kind_words(kind: &Option<String>) -> String {
    kind.as_ref().map_or_else(String::new, |kind| format!(" but a {kind}"))
}

impl Refusal {
    /// The way out.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Refusal::NoTap(name) => {
                format!("QEMU makes the tap itself; to try a hook by hand: ip tuntap add {name} mode tap")
            }
            Refusal::NotATap { .. } => "give the name of a QEMU tap, as in -nic tap,ifname=vif0.0".to_owned(),
            Refusal::NotABridge { .. } => "set `bridge` to another name".to_owned(),
            Refusal::NameTaken(name) => format!("set `veth` to another name, or delete {name} with ip link"),
            Refusal::BridgeHasAddress { .. } | Refusal::BridgeInUse { .. } => {
                "set `bridge` to a name that is not in use, and kvmnet makes it".to_owned()
            }
            Refusal::BridgeIsWayOut { .. } => {
                "set `bridge` to a name that is not in use, or mode = \"bridged\" to join that LAN".to_owned()
            }
            Refusal::NoUplink { .. } => "`ip -br link` lists the interfaces".to_owned(),
            Refusal::NoDefaultRoute => "name the interface: uplink = \"eth0\"".to_owned(),
            Refusal::Unbridgeable { .. } => NO_BRIDGE.to_owned(),
            Refusal::PortOfAnother { master, kind, .. } => match kind.as_deref() {
                Some("bridge") => format!("set bridge = \"{master}\" to use that one"),
                Some("bond" | "team") => {
                    format!("set uplink = \"{master}\", which can be bridged as a whole")
                }
                _ => NO_BRIDGE.to_owned(),
            },
            Refusal::Uncarriable { .. } => {
                "use mode = \"routed\" or \"nat\", or simplify the route".to_owned()
            }
            Refusal::Managed { name, owner } => managed_hint(name, *owner),
            Refusal::AddressTaken { .. } | Refusal::SubnetTaken { .. } => {
                "set `address` to a subnet that nothing else uses, such as 10.213.77.1/24".to_owned()
            }
            Refusal::HasGuests { .. } => {
                "stop them first; --force takes the network away from them".to_owned()
            }
            Refusal::OverrideInUse { .. } => {
                "stop those guests first, or choose another network with KVMNET_NETWORK".to_owned()
            }
            Refusal::Overridden { .. } => {
                "stop its guests first, or give them a bridge of their own with KVMNET_BRIDGE; `kvmnet apply` brings it to the file while they run"
                    .to_owned()
            }
            Refusal::NoNft(_) => {
                "load it with `modprobe nf_tables`, or build the kernel with CONFIG_NF_TABLES".to_owned()
            }
            Refusal::MarkTooLong(_) => {
                "give the network fewer addresses and uplinks, or a shorter name".to_owned()
            }
        })
    }
}

/// How the owner itself can make the bridge, which kvmnet then uses as it is; docs/dhcp.md has each in full.
fn managed_hint(nic: &IfName, owner: Owner) -> String {
    let way = match owner {
        Owner::Networkd => {
            format!("give networkd a br0.netdev (Kind=bridge) and {nic} a .network with Bridge=br0")
        }
        Owner::NetworkManager => format!(
            "nmcli connection add type bridge con-name br0 ifname br0; nmcli connection add type ethernet ifname {nic} master br0"
        ),
        Owner::NetworkManagerExternal => {
            return format!(
                "let it be: unmanaged-devices=interface-name:{nic} under [keyfile] in /etc/NetworkManager/conf.d"
            );
        }
        Owner::Dhclient | Owner::Dhcpcd | Owner::Udhcpc => {
            format!(
                "make the bridge first (ip link add br0 type bridge; ip link set {nic} master br0) and start {owner} on br0"
            )
        }
    };
    format!("{way}; bridge = \"br0\" then uses that one. Or, at your risk, uplink_managed = \"take\"")
}
