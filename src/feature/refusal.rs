//! What the plan cannot or will not do, found before anything is touched.

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use crate::config::quoted;
use crate::model::{AddressManager, Forward, IfName, Listener, Mac, Mode, Own};
use crate::subnet;
use crate::terminal::shell_word;
use crate::vmm::DEFAULT_MAC;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The tap is not there.
    #[error("no interface {0}")]
    NoTap(IfName),
    /// The tap's name is another kind of interface's.
    #[error("{name} is not a tap{}", kind_words(.kind))]
    NotATap { name: IfName, kind: Option<String> },
    /// A program works for a user whose tap it is not.
    #[error("{0} is not a tap of the user who starts this")]
    TapOfAnotherUser(IfName),
    /// The host uses the tap itself.
    #[error("{tap} has the address {address}, so the host uses it for something else")]
    TapHasAddress { tap: IfName, address: IpNet },
    /// The tap is a port of a bridge of somebody else's.
    #[error("{tap} is a port of {on}, which is not the bridge of a network of kvmnet's")]
    TapOfAnother { tap: IfName, on: String },
    /// The bridge's name is another kind of interface's.
    #[error("{name} is not a bridge{}", kind_words(.kind))]
    NotABridge { name: IfName, kind: Option<String> },
    /// The bridge's name is another name of an interface.
    #[error("{name} is another name of {link}")]
    OtherName { name: IfName, link: IfName },
    /// An interface that kvmnet would make is there already, and not kvmnet's.
    #[error("{0} exists already and is not kvmnet's")]
    NameTaken(IfName),
    /// The host has an address on a bridge that shall be isolated.
    #[error(
        "the bridge {bridge} was there before and has the address {address}, so it is not isolated from the host"
    )]
    BridgeHasAddress { bridge: IfName, address: IpNet },
    /// Another program's bridge has other addresses.
    #[error(
        "the bridge {bridge} was there before and has {}, not of this network: whoever is on it would lose the outside",
        list(.addresses)
    )]
    BridgeOfAnother { bridge: IfName, addresses: Vec<IpNet>, shares: bool },
    /// A bridge that was there leads somewhere.
    #[error(
        "the bridge {bridge} was there before and has the port {port}: guests of mode {mode} would be on the LAN behind it"
    )]
    BridgeHasPort { bridge: IfName, port: IfName, mode: Mode },
    /// Bridged: another program has the bridge for its own guests.
    #[error("the bridge {bridge} serves others: it was there before and has {has}, and {nic} is not in it")]
    BridgeServes { bridge: IfName, has: String, address: Option<IpNet>, nic: IfName },
    /// Bridged without an uplink: there is no such bridge.
    #[error("there is no bridge {bridge}, and network {network} (uplink = \"none\") makes none")]
    NoBridge { bridge: IfName, network: String },
    /// The same: its ports would be mute.
    #[error("the bridge {0} is down, so that nothing would reach the guest")]
    BridgeDown(IfName),
    /// The same: it is a network of kvmnet's.
    #[error(
        "{bridge} is the bridge of kvmnet's network {owner}, not only a bridge to put guests on (uplink = \"none\")"
    )]
    BridgeOfNetwork { bridge: IfName, owner: String },
    /// The same: its ports are not the kernel's to make.
    #[error("{0} is a bridge of Open vSwitch, whose ports only Open vSwitch makes")]
    OpenVswitch(IfName),
    /// The bridge is the machine's way out.
    #[error(
        "the bridge {bridge} was there before and carries the machine's default route, which mode {mode} would disturb"
    )]
    BridgeIsWayOut { bridge: IfName, mode: Mode },
    /// The uplink is not there.
    #[error("no interface {name}, the uplink of network {network} ({origin})")]
    NoUplink { name: IfName, network: String, origin: String },
    /// There is no default route to find the uplink by.
    #[error("no uplink: nothing carries a default route now")]
    NoDefaultRoute,
    /// The uplink cannot be a port of a bridge.
    #[error("{name} cannot be bridged: {why}")]
    Unbridgeable { name: IfName, why: &'static str },
    /// The uplink is a port of another bridge.
    #[error("{name} is already a part of the {} {master}", .kind.as_deref().unwrap_or("interface"))]
    PortOfAnother { name: IfName, master: String, kind: Option<String> },
    /// The NIC has a route that cannot be carried to the bridge.
    #[error("{name} has a route {what}, which kvmnet cannot move to a bridge and back")]
    Unmovable { name: IfName, what: &'static str },
    /// Another program keeps the NIC's addresses.
    #[error("{owner} keeps the addresses of {name} and would not know of a takeover")]
    Managed { name: IfName, owner: AddressManager },
    /// Another interface has the address.
    #[error("the address {address} belongs to {owner} already")]
    AddressTaken { address: IpAddr, owner: String },
    /// The subnet is in use.
    #[error("the subnet {subnet} collides with the route {route}")]
    SubnetTaken { subnet: IpNet, route: String },
    /// Every subnet that could be chosen is in use.
    #[error("network {network} finds no free subnet: routes lead to all that it tries, in {}", pool())]
    NoFreeSubnet { network: String },
    /// An environment variable would change what other guests use.
    #[error("{variable} would change network {network}, which other guests are using")]
    OverrideInUse { variable: String, network: String },
    /// An environment variable made the network what it is, for guests that are on it.
    #[error("network {network} on {bridge} was made {mode} by KVMNET_ variables, and is in use")]
    Overridden { network: String, bridge: IfName, mode: Mode },
    /// The kernel has no nf_tables.
    #[error("mode {0} needs nftables, and this kernel has none")]
    NoNft(Mode),
    /// The bridge's record would be too long.
    #[error("the record of what to undo does not fit into the alias of {0}")]
    RecordTooLong(IfName),
    /// The tap's record would be too long.
    #[error("the alias of {0} leaves no room for the record of what to undo")]
    TapAliasTooLong(IfName),
    /// The network is in use.
    #[error("guests are on {bridge}: {}", list(.guests))]
    HasGuests { bridge: IfName, guests: Vec<IfName> },
    /// Another guest has its MAC, or its address.
    #[error("{own} is {} of {tap}{}", own_words(.own), guest_words(.guest))]
    OfAnotherGuest { own: Own, tap: IfName, guest: Option<String> },
    /// No guest can have this address.
    #[error("{address}, the guest's address on network {network}, {why}")]
    GuestAddress { address: IpAddr, network: String, why: &'static str },
    /// A port shall lead to a guest whose address nobody knows.
    #[error("`forward` leads to no address: nothing says which one the guest on {tap} has")]
    NoGuestAddress { tap: IfName },
    /// A guest shall have a filter, and nobody says what it is to let through.
    #[error("{0} cannot have a filter: the MAC of its guest is not known")]
    NoGuestMac(IfName),
    /// A guest shall have a filter that lets it be the host.
    #[error("{mac} is the host's own MAC on {bridge}, so no guest with a filter can have it")]
    HostsMac { mac: Mac, bridge: IfName },
    /// A port shall lead to a guest that has no address of that family.
    #[error("the forward {forward} leads nowhere: the guest on {tap} has no address of that family")]
    ForwardNowhere { tap: IfName, forward: Forward },
    /// Another guest has the port.
    #[error("{port} is forwarded to {tap}{} already", guest_words(.guest))]
    PortForwarded { port: String, tap: IfName, guest: Option<String> },
    /// A program of the host has the port.
    #[error("{listener}, which is to be forwarded")]
    PortInUse { listener: Box<Listener>, port: u16 },
    /// The guests of the network need the port.
    #[error("{mapping} is where guests of the network ask for addresses or names")]
    PortOfServer { mapping: String, port: u16 },
    /// Another network has the bridge.
    #[error("the bridge {bridge} belongs to network {owner}, whose guests are using it")]
    BridgeInUse { bridge: IfName, owner: String },
}

/// Where subnets are chosen.
fn pool() -> String {
    list(&subnet::POOL)
}

/// Some of many.
fn list(names: &[impl ToString]) -> String {
    let mut words: Vec<String> = names.iter().take(5).map(ToString::to_string).collect();
    if names.len() > words.len() {
        words.push(format!("and {} more", names.len() - words.len()));
    }
    words.join(", ")
}

const NEW_BRIDGE: &str = "set `bridge` to a name that is not in use, and kvmnet makes it";

const NO_SUCH_BRIDGE: &str = "set `bridge` to one that is there (`ip -br link show type bridge`), or mode = \"nat\", and kvmnet makes one; \
                              libvirt's comes with: virsh net-start default";

/// A line of the configuration.
fn address_line(addresses: &[IpNet]) -> String {
    match addresses {
        [one] => format!("address = \"{one}\""),
        many => {
            let words: Vec<String> = many.iter().map(|net| format!("\"{net}\"")).collect();
            format!("address = [{}]", words.join(", "))
        }
    }
}

const NO_BRIDGE: &str = "use mode = \"nat\", or mode = \"routed\", which need no bridge over the uplink";

fn own_words(own: &Own) -> &'static str {
    match own {
        Own::Mac(_) => "the MAC",
        Own::Address(_) => "the address",
    }
}

fn guest_words(name: &Option<String>) -> String {
    name.as_ref().map_or_else(String::new, |name| format!(" ({name})"))
}

fn kind_words(kind: &Option<String>) -> String {
    kind.as_ref().map_or_else(String::new, |kind| format!(" but a {kind}"))
}

impl Refusal {
    /// The way out.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Refusal::NoTap(name) => {
                format!("QEMU makes the tap itself; by hand: kvmnet attach --create {}", shell_word(name))
            }
            Refusal::NotATap { .. } => "give the name of a QEMU tap, as in -nic tap,ifname=vif0.0".to_owned(),
            Refusal::TapOfAnotherUser(name) => format!(
                "root makes one for them: kvmnet attach --create --user NAME {}; kvmnet-bridge-helper needs none",
                shell_word(name)
            ),
            Refusal::TapHasAddress { tap, .. } => {
                format!("a guest's tap has none: ip addr flush dev {}, or another tap", shell_word(tap))
            }
            Refusal::TapOfAnother { tap, .. } => {
                format!("to take it off there: ip link set {} nomaster", shell_word(tap))
            }
            Refusal::NotABridge { .. } | Refusal::OtherName { .. } => "set `bridge` to another name".to_owned(),
            Refusal::NameTaken(name) => format!("set `veth` to another name, or: ip link delete {}", shell_word(name)),
            Refusal::BridgeHasAddress { .. } | Refusal::BridgeInUse { .. } => NEW_BRIDGE.to_owned(),
            Refusal::BridgeOfAnother { addresses, shares: true, .. } => {
                format!("{} is to be with them; or {NEW_BRIDGE}", address_line(addresses))
            }
            Refusal::BridgeServes { address: Some(address), .. } => {
                let line = address_line(&[*address]);
                format!("mode = \"nat\" and {line} is to be with them; or {NEW_BRIDGE}")
            }
            Refusal::BridgeOfAnother { .. } | Refusal::BridgeServes { .. } => NEW_BRIDGE.to_owned(),
            Refusal::NoBridge { .. } => NO_SUCH_BRIDGE.to_owned(),
            Refusal::BridgeDown(bridge) => format!("ip link set {} up", shell_word(bridge)),
            Refusal::BridgeOfNetwork { owner, .. } => format!(
                "give the guest that network, with KVMNET_NETWORK={word} or by its `taps`; or end it: kvmnet down {word}",
                word = shell_word(owner)
            ),
            Refusal::OpenVswitch(bridge) => format!(
                "have QEMU run a script of your own (script=…) with: ovs-vsctl add-port {} \"$1\"",
                shell_word(bridge)
            ),
            Refusal::BridgeHasPort { port, .. } => {
                let port = quoted(port.as_str());
                format!("{NEW_BRIDGE}; or mode = \"bridged\", uplink = {port} to join that LAN")
            }
            Refusal::BridgeIsWayOut { .. } => {
                format!("{NEW_BRIDGE}; or mode = \"bridged\", uplink = \"auto\" to join that LAN")
            }
            Refusal::NoUplink { .. } => "`ip -br link` lists the interfaces".to_owned(),
            Refusal::NoDefaultRoute => {
                "write the NIC's name instead of \"auto\"; `ip -br link` lists the interfaces".to_owned()
            }
            Refusal::Unbridgeable { .. } => NO_BRIDGE.to_owned(),
            Refusal::PortOfAnother { master, kind, .. } => match kind.as_deref() {
                Some("bridge") => format!("set bridge = {} to use that one", quoted(master)),
                Some("bond" | "team") => {
                    format!("set uplink = {}, which can be bridged as a whole", quoted(master))
                }
                _ => NO_BRIDGE.to_owned(),
            },
            Refusal::Unmovable { .. } => {
                "use mode = \"routed\" or \"nat\", or simplify the route".to_owned()
            }
            Refusal::Managed { name, owner } => managed_hint(name, *owner),
            Refusal::AddressTaken { .. } | Refusal::SubnetTaken { .. } => {
                "set `address` to a subnet that nothing else uses, such as 10.213.77.1/24, or to \"auto\"".to_owned()
            }
            Refusal::NoFreeSubnet { .. } => {
                "set `address` to a subnet that nothing else uses; `ip route show table all` lists the routes".to_owned()
            }
            Refusal::HasGuests { .. } => {
                "stop them first; --force takes the network away from them".to_owned()
            }
            Refusal::OfAnotherGuest { own: Own::Mac(mac), .. } => {
                let gives = if *mac == DEFAULT_MAC { ", as QEMU gives the same one to all" } else { "" };
                format!("give this guest a MAC of its own{gives}: mac=52:54:00:… after -nic tap,… or -device …")
            }
            Refusal::OfAnotherGuest { own: Own::Address(_), .. } => {
                "set `guest_address` to one that is free; `kvmnet status` shows whose are taken".to_owned()
            }
            Refusal::GuestAddress { .. } => {
                "set `guest_address` to another address of the network; `kvmnet status` shows its subnets".to_owned()
            }
            Refusal::ForwardNowhere { .. } => {
                "set `guest_address` to one of that family, too, in a subnet of the network".to_owned()
            }
            Refusal::PortForwarded { .. } => {
                "take another port in `forward`; `kvmnet status` shows which lead where".to_owned()
            }
            Refusal::PortInUse { port, .. } => format!(
                "take another port in `forward`, or name an address that it does not listen on: \"ADDRESS:{port}:…\""
            ),
            Refusal::PortOfServer { port, .. } => format!(
                "take another port in `forward`, or name an address of the host outside the network: \"ADDRESS:{port}:…\""
            ),
            Refusal::NoGuestMac(_) => {
                "set `guest_mac`; QEMU's command line says the MAC by itself, where QEMU runs the hook".to_owned()
            }
            Refusal::HostsMac { .. } => {
                "give the guest a MAC of its own: -device …,mac=52:54:00:…, and `guest_mac`".to_owned()
            }
            Refusal::NoGuestAddress { .. } => {
                "set `guest_address`, or `guest_mac` on a network with DHCP; QEMU's command line says the MAC by itself"
                    .to_owned()
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
            Refusal::TapAliasTooLong(name) => {
                format!("give it a shorter one: ip link set {} alias ''", shell_word(name))
            }
            Refusal::RecordTooLong(_) => {
                "give the network fewer addresses and uplinks, or a shorter name".to_owned()
            }
        })
    }
}

/// How the owner itself can make the bridge, which kvmnet then uses as it is; docs/dhcp.md has each in full.
fn managed_hint(nic: &IfName, owner: AddressManager) -> String {
    let nic = shell_word(nic);
    let way = match owner {
        AddressManager::Networkd => {
            format!("give networkd a br0.netdev (Kind=bridge) and {nic} a .network with Bridge=br0")
        }
        AddressManager::NetworkManager => format!(
            "nmcli connection add type bridge con-name br0 ifname br0; nmcli connection add type ethernet ifname {nic} master br0"
        ),
        AddressManager::NetworkManagerExternal => {
            return format!(
                "let it be: unmanaged-devices=interface-name:{nic} under [keyfile] in /etc/NetworkManager/conf.d"
            );
        }
        AddressManager::Dhclient | AddressManager::Dhcpcd | AddressManager::Udhcpc => {
            format!(
                "on the console (over SSH it ends the session) put {nic} into a bridge br0 and start {owner} on that; docs/dhcp.md has what outlives a reboot"
            )
        }
    };
    format!("{way}; bridge = \"br0\" then uses that one. Or, at your risk, uplink_managed = \"take\"")
}
