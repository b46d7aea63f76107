//! One change of the kernel's state: prints as the command of an administrator, and knows its way back.

use std::fmt;
use std::net::IpAddr;

use crate::model::ruleset::{Family, Table};
use crate::model::{AddrGen, Address, IfName, Mac, Neighbour, Nexthop, PolicyRule, Route, Setting};

/// A neighbour that sees whether the host is still on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The interface behind which it is.
    pub link: IfName,
    /// The host's address there.
    pub source: IpAddr,
    /// The neighbour's address.
    pub target: IpAddr,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes a bridge, down, without spanning tree and forward delay.
    AddBridge {
        /// Its name.
        name: IfName,
        /// The MAC that it keeps.
        mac: Mac,
        /// Its link group.
        group: u32,
    },
    /// Makes a veth pair, down.
    AddVeth {
        /// The end that becomes a port.
        outer: IfName,
        /// The end with the host's address.
        inner: IfName,
        /// The MACs, of the outer end and of the inner.
        macs: [Mac; 2],
        /// The inner end's link group.
        group: u32,
    },
    /// Deletes an interface that kvmnet made, with all that is on it.
    DeleteLink {
        /// Its name.
        name: IfName,
    },
    /// Changes a number.
    Set {
        /// Of this interface.
        link: IfName,
        /// Which.
        setting: Setting,
        /// The value now.
        from: u32,
        /// The value then.
        to: u32,
    },
    /// Changes an interface's MAC.
    SetMac {
        /// The interface.
        link: IfName,
        /// Now.
        from: Mac,
        /// Then.
        to: Mac,
    },
    /// Changes an interface's alias.
    SetAlias {
        /// The interface.
        link: IfName,
        /// Now.
        from: String,
        /// Then.
        to: String,
    },
    /// Makes an interface a port of a bridge, or of none.
    SetMaster {
        /// The port.
        port: IfName,
        /// The bridge now.
        from: Option<IfName>,
        /// The bridge then.
        to: Option<IfName>,
    },
    /// Waits until an interface that was just set up passes packets, for a second at most.
    AwaitOperational {
        /// The interface.
        link: IfName,
    },
    /// Asks a neighbour whether it is there, to know later whether its silence means something.
    Ask(Witness),
    /// Asks again; fails where the neighbour answered before and is silent now.
    Confirm(Witness),
    /// Adds an address.
    AddAddress {
        /// To this interface.
        link: IfName,
        /// The address.
        address: Address,
    },
    /// Writes an address again that was added without duplicate address detection, to take off the flag.
    ClearNodad {
        /// On this interface.
        link: IfName,
        /// The address as it shall be.
        address: Address,
    },
    /// Deletes an address.
    DeleteAddress {
        /// From this interface.
        link: IfName,
        /// The address.
        address: Address,
    },
    /// Adds a route.
    AddRoute(Route),
    /// Deletes a route.
    DeleteRoute(Route),
    /// Puts a nexthop object, and all routes that use it, over another interface.
    MoveNexthop {
        /// As it is.
        nexthop: Nexthop,
        /// The other interface.
        to: IfName,
    },
    /// Adds a policy rule.
    AddRule(PolicyRule),
    /// Deletes a policy rule.
    DeleteRule(PolicyRule),
    /// Adds a neighbour.
    AddNeighbour(Neighbour),
    /// Deletes a neighbour.
    DeleteNeighbour(Neighbour),
    /// Adds a table.
    AddTable(Table),
    /// Puts a table in the place of the one of its name.
    ReplaceTable(Table),
    /// Deletes a table.
    DeleteTable {
        /// Its family.
        family: Family,
        /// Its name.
        name: String,
    },
    /// Everything before is done and acknowledged before anything behind begins.
    Barrier,
}

impl Step {
    /// The step that takes this one back; None where nothing is to be taken back.
    pub fn inverse(&self) -> Option<Step> {
        Some(match self.clone() {
            Step::AddBridge { name, .. } => Step::DeleteLink { name },
            Step::AddVeth { inner, .. } => Step::DeleteLink { name: inner },
            Step::Set { link, setting, from, to } => Step::Set { link, setting, from: to, to: from },
            Step::SetMac { link, from, to } => Step::SetMac { link, from: to, to: from },
            Step::SetAlias { link, from, to } => Step::SetAlias { link, from: to, to: from },
            Step::SetMaster { port, from, to } => Step::SetMaster { port, from: to, to: from },
            Step::AddAddress { link, address } => Step::DeleteAddress { link, address },
            Step::DeleteAddress { link, address } => Step::AddAddress { link, address },
            Step::AddRoute(route) => Step::DeleteRoute(route),
            Step::DeleteRoute(route) => Step::AddRoute(route),
            Step::MoveNexthop { nexthop, to } => {
                Step::MoveNexthop { to: nexthop.device, nexthop: nexthop.over(&to) }
            }
            Step::AddRule(rule) => Step::DeleteRule(rule),
            Step::DeleteRule(rule) => Step::AddRule(rule),
            Step::AddNeighbour(neighbour) => Step::DeleteNeighbour(neighbour),
            Step::DeleteNeighbour(neighbour) => Step::AddNeighbour(neighbour),
            Step::AddTable(table) => Step::DeleteTable { family: table.family, name: table.name },
            Step::DeleteLink { .. } | Step::DeleteTable { .. } | Step::ReplaceTable(_) => return None,
            Step::AwaitOperational { .. } | Step::ClearNodad { .. } | Step::Barrier => return None,
            Step::Ask(_) | Step::Confirm(_) => return None,
        })
    }

    /// Whether it cannot be taken back: what is deleted or replaced as a whole is not made again. These come last.
    pub fn is_final(&self) -> bool {
        matches!(self, Step::DeleteLink { .. } | Step::DeleteTable { .. } | Step::ReplaceTable(_))
    }

    /// What the step does, for an error that begins with "cannot".
    pub fn deed(&self) -> String {
        match self {
            Step::AddBridge { name, .. } => format!("make the bridge {name}"),
            Step::AddVeth { outer, inner, .. } => format!("make the veth pair {outer} and {inner}"),
            Step::DeleteLink { name } => format!("delete {name}"),
            Step::Set { link, setting: Setting::Up, to: 0, .. } => format!("set {link} down"),
            Step::Set { link, setting: Setting::Up, .. } => format!("set {link} up"),
            Step::Set { link, setting, to, .. } => format!("set {setting} of {link} to {to}"),
            Step::SetMac { link, to, .. } => format!("give {link} the MAC {to}"),
            Step::SetAlias { link, .. } => format!("write the mark of {link}"),
            Step::SetMaster { port, to: Some(bridge), .. } => format!("make {port} a port of {bridge}"),
            Step::SetMaster { port, .. } => format!("take {port} off its bridge"),
            Step::AwaitOperational { link } => format!("wait for {link}"),
            Step::Ask(witness) | Step::Confirm(witness) => {
                format!("ask {} on {}", witness.target, witness.link)
            }
            Step::AddAddress { link, address } | Step::ClearNodad { link, address } => {
                format!("give {link} the address {}", address.net)
            }
            Step::DeleteAddress { link, address } => format!("take the address {} off {link}", address.net),
            Step::AddRoute(route) => format!("add the route {route}"),
            Step::DeleteRoute(route) => format!("delete the route {route}"),
            Step::MoveNexthop { nexthop, to } => format!("move the nexthop {} to {to}", nexthop.id),
            Step::AddRule(rule) => format!("add the policy rule {rule}"),
            Step::DeleteRule(rule) => format!("delete the policy rule {rule}"),
            Step::AddNeighbour(neighbour) => format!("add the neighbour {neighbour}"),
            Step::DeleteNeighbour(neighbour) => format!("delete the neighbour {neighbour}"),
            Step::AddTable(table) | Step::ReplaceTable(table) => {
                format!("write the nftables table {} {}", table.family, table.name)
            }
            Step::DeleteTable { family, name } => format!("delete the nftables table {family} {name}"),
            Step::Barrier => "go on".to_owned(),
        }
    }
}

/// The exact command that does the same.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AddBridge { name, mac, group } => {
                write!(f, "ip link add {name} address {mac}{} type bridge", group_words(*group))?;
                f.write_str(" stp_state 0 forward_delay 0")
            }
            Step::AddVeth { outer, inner, macs: [outer_mac, inner_mac], group } => {
                write!(f, "ip link add {inner} address {inner_mac}{}", group_words(*group))?;
                write!(f, " type veth peer name {outer} address {outer_mac}")
            }
            Step::DeleteLink { name } => write!(f, "ip link delete {name}"),
            Step::Set { link, setting, to, .. } => write_set(f, link, *setting, *to),
            Step::SetMac { link, to, .. } => write!(f, "ip link set {link} address {to}"),
            Step::SetAlias { link, to, .. } => write!(f, "ip link set {link} alias {}", quoted(to)),
            Step::SetMaster { port, to: Some(bridge), .. } => write!(f, "ip link set {port} master {bridge}"),
            Step::SetMaster { port, .. } => write!(f, "ip link set {port} nomaster"),
            Step::AwaitOperational { link } => write!(f, "# wait until {link} is operational"),
            Step::Ask(Witness { link, target, .. }) => {
                write!(f, "# ask {target} on {link} whether it is there")
            }
            Step::Confirm(Witness { link, target, .. }) => {
                write!(f, "# ask {target} on {link} again; all back if it answered before and does not now")
            }
            Step::AddAddress { link, address } => write!(f, "ip addr add {address} dev {link}"),
            Step::ClearNodad { link, address } => write!(f, "ip addr change {address} dev {link}"),
            Step::DeleteAddress { link, address } => write!(f, "ip addr delete {} dev {link}", address.net),
            Step::AddRoute(route) => write!(f, "{} route prepend {route}", ip_word(route.family)),
            Step::DeleteRoute(route) => write!(f, "{} route delete {route}", ip_word(route.family)),
            Step::MoveNexthop { nexthop, to } => write!(f, "ip nexthop replace {}", nexthop.over(to)),
            Step::AddRule(rule) => write!(f, "{} rule add {rule}", ip_word(rule.header[0])),
            Step::DeleteRule(rule) => write!(f, "{} rule delete {rule}", ip_word(rule.header[0])),
            Step::AddNeighbour(neighbour) => write!(f, "ip neigh replace {neighbour}"),
            Step::DeleteNeighbour(neighbour) => write!(f, "ip neigh delete {neighbour}"),
            Step::AddTable(table) => write!(f, "nft {}", quoted(&table.to_string())),
            Step::ReplaceTable(table) => {
                let Table { family, name, .. } = table;
                write!(f, "nft {}", quoted(&format!("delete table {family} {name}; {table}")))
            }
            Step::DeleteTable { family, name } => write!(f, "nft delete table {family} {name}"),
            Step::Barrier => f.write_str("# done so far"),
        }
    }
}

fn group_words(group: u32) -> String {
    if group == 0 { String::new() } else { format!(" group {group}") }
}

fn write_set(f: &mut fmt::Formatter<'_>, link: &IfName, setting: Setting, value: u32) -> fmt::Result {
    match setting {
        Setting::Up => write!(f, "ip link set {link} {}", if value == 0 { "down" } else { "up" }),
        Setting::Mtu => write!(f, "ip link set {link} mtu {value}"),
        Setting::Group => write!(f, "ip link set {link} group {value}"),
        Setting::AddrGen => write!(f, "ip link set {link} addrgenmode {}", AddrGen(value as u8)),
        // With slashes, because an interface's name may have dots.
        _ => write!(f, "sysctl -q -w {}={value}", setting.key(link)),
    }
}

fn ip_word(family: u8) -> &'static str {
    if i32::from(family) == nix::libc::AF_INET6 { "ip -6" } else { "ip -4" }
}

/// In quotes for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
