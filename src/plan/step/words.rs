//! A step in words: what kind it is, what it does, and the command that does the same.

use std::fmt;

use super::{Step, Witness};
use crate::model::gate::{Passages, TABLE, comment};
use crate::model::ruleset::{Elements, Match, Table, is_identifier, is_text};
use crate::model::{AddrGen, Address, IfName, Setting};
use crate::terminal::{printable, shell_quoted, shell_word};

impl Step {
    /// The command that does the same, where there is one: a wait and a question have none.
    pub fn command(&self) -> Option<String> {
        let is_wait =
            matches!(self, Step::AwaitOperational { .. } | Step::AwaitAddresses { .. } | Step::Barrier);
        let is_question = matches!(self, Step::Ask(_) | Step::Confirm(_));
        (!is_wait && !is_question && self.is_sayable()).then(|| format!("{self:#}"))
    }

    /// Whether `nft` can be told. Of names it takes less than the kernel, which the hooks tell themselves.
    fn is_sayable(&self) -> bool {
        match self {
            Step::AddTable(table) | Step::ReplaceTable(table) => table.is_sayable(),
            Step::RemoveTable(Table { name, .. }) | Step::DeleteTable { name, .. } => is_identifier(name),
            Step::ReplaceElements(Elements { table, .. }) => is_identifier(table),
            Step::AddPassages(passages) => {
                let doors = passages.rules.iter().flat_map(|rule| &rule.matches);
                doors.filter_map(Match::name).all(is_text)
            }
            // The numbers of rules that are still to be made are not known.
            Step::DeletePassages { handles, .. } => !handles.is_empty(),
            _ => true,
        }
    }

    /// Its kind, in a word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Step::AddBridge { .. } => "add-bridge",
            Step::AddVeth { .. } => "add-veth",
            Step::DeleteLink { .. } => "delete-link",
            Step::Set { .. } => "set",
            Step::CopySecret { .. } => "copy-secret",
            Step::SetToken { .. } => "set-token",
            Step::SetMac { .. } => "set-mac",
            Step::SetAlias { .. } => "set-alias",
            Step::SetMaster { .. } => "set-master",
            Step::AwaitOperational { .. } => "await-operational",
            Step::AwaitAddresses { .. } => "await-addresses",
            Step::Ask(_) => "ask",
            Step::Confirm(_) => "confirm",
            Step::AddAddress { .. } => "add-address",
            Step::ClearNodad { .. } => "clear-nodad",
            Step::DeleteAddress { .. } => "delete-address",
            Step::AddRoute(_) => "add-route",
            Step::DeleteRoute(_) => "delete-route",
            Step::MoveNexthop { .. } => "move-nexthop",
            Step::AddRule(_) => "add-rule",
            Step::DeleteRule(_) => "delete-rule",
            Step::AddNeighbour { .. } => "add-neighbour",
            Step::DeleteNeighbour(_) => "delete-neighbour",
            Step::AddTable(_) => "add-table",
            Step::ReplaceTable(_) => "replace-table",
            Step::ReplaceElements(_) => "replace-elements",
            Step::RemoveTable(_) | Step::DeleteTable { .. } => "delete-table",
            Step::AddPassages(_) => "add-rule",
            Step::DeletePassages { .. } => "delete-rule",
            Step::Barrier => "barrier",
        }
    }

    /// What the step does, for an error that begins with "cannot".
    pub fn deed(&self) -> String {
        match self {
            Step::AddBridge { name, .. } => format!("make the bridge {name}"),
            Step::AddVeth { outer, inner, .. } => format!("make the veth pair {outer} and {inner}"),
            Step::DeleteLink { name } => format!("delete {name}"),
            Step::Set { link, setting: Setting::Up, to: 0, .. } => format!("set {link} down"),
            Step::Set { link, setting: Setting::Up, .. } => format!("set {link} up"),
            Step::Set { link, setting: setting @ (Setting::Clsact | Setting::Filter(_)), to, .. } => {
                let verb = if *to == 0 { "take" } else { "put" };
                format!("{verb} the {setting} {} {link}", if *to == 0 { "off" } else { "on" })
            }
            Step::Set { link, setting, to, .. } => format!("set {setting} of {link} to {to}"),
            Step::CopySecret { from, to } => format!("give {to} the secret of {from}'s IPv6 addresses"),
            Step::SetToken { link, token } => format!("give {link} the token {token}"),
            Step::SetMac { link, to, .. } => format!("give {link} the MAC {to}"),
            Step::SetAlias { link, .. } => format!("write the mark of {link}"),
            Step::SetMaster { port, to: Some(bridge), .. } => format!("make {port} a port of {bridge}"),
            Step::SetMaster { port, .. } => format!("take {port} off its bridge"),
            Step::AwaitOperational { link } => format!("wait for {link}"),
            Step::AwaitAddresses { link } => format!("wait for the addresses of {link}"),
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
            Step::AddNeighbour { neighbour, .. } => format!("add the neighbour {neighbour}"),
            Step::DeleteNeighbour(neighbour) => format!("delete the neighbour {neighbour}"),
            Step::AddTable(table) | Step::ReplaceTable(table) => {
                format!("write the nftables table {} {}", table.family, table.name)
            }
            Step::ReplaceElements(Elements { family, table, to, .. }) => {
                format!("write the {} in the nftables table {family} {table}", to.name)
            }
            Step::RemoveTable(Table { family, name, .. }) | Step::DeleteTable { family, name } => {
                format!("delete the nftables table {family} {name}")
            }
            Step::AddPassages(Passages { protocol, chain, bridge, .. }) => {
                format!("let packets of {bridge} through the nftables chain {protocol} {TABLE} {chain}")
            }
            Step::DeletePassages { passages: Passages { protocol, chain, bridge, .. }, .. } => {
                format!("take the rules for {bridge} out of the nftables chain {protocol} {TABLE} {chain}")
            }
            Step::Barrier => "go on".to_owned(),
        }
    }
}

/// The exact command that does the same; with `{:#}` an nft command has a line for each rule.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AddBridge { name, mac, group } => {
                let (name, group) = (word(name), group_words(*group));
                write!(f, "ip link add {name} address {mac}{group} type bridge stp_state 0 forward_delay 0")
            }
            Step::AddVeth { outer, inner, macs: [outer_mac, inner_mac], group } => {
                let (outer, inner, group) = (word(outer), word(inner), group_words(*group));
                write!(f, "ip link add {inner} address {inner_mac}{group}")?;
                write!(f, " type veth peer name {outer} address {outer_mac}")
            }
            Step::DeleteLink { name } => write!(f, "ip link delete {}", word(name)),
            Step::Set { link, setting, to, .. } => write_set(f, link, *setting, *to),
            Step::CopySecret { from, to } => {
                let [from, to] = [secret_key(from), format!("{}=", secret_key(to))].map(shell_word);
                write!(f, "sysctl -q -w {to}\"$(sysctl -n {from})\"")
            }
            Step::SetToken { link, token } => write!(f, "ip token set {token} dev {}", word(link)),
            Step::SetMac { link, to, .. } => write!(f, "ip link set {} address {to}", word(link)),
            Step::SetAlias { link, to, .. } => {
                write!(f, "ip link set {} alias {}", word(link), shell_quoted(to))
            }
            Step::SetMaster { port, to: Some(bridge), .. } => {
                write!(f, "ip link set {} master {}", word(port), word(bridge))
            }
            Step::SetMaster { port, .. } => write!(f, "ip link set {} nomaster", word(port)),
            Step::AwaitOperational { link } => write!(f, "# wait until {} is operational", word(link)),
            Step::AwaitAddresses { link } => {
                write!(f, "# wait until the addresses of {} are in use", word(link))
            }
            Step::Ask(Witness { link, target, .. }) => {
                write!(f, "# ask {target} on {} whether it is there", word(link))
            }
            Step::Confirm(Witness { link, target, .. }) => {
                let link = word(link);
                write!(f, "# ask {target} on {link} again; all back if it answered before and does not now")
            }
            Step::AddAddress { link, address } => write_address(f, "add", link, address),
            Step::ClearNodad { link, address } => write_address(f, "change", link, address),
            Step::DeleteAddress { link, address } => {
                write!(f, "ip addr delete {} dev {}", address.name(), word(link))
            }
            Step::AddRoute(route) => write!(f, "{} route prepend {route}", ip_word(route.family)),
            Step::DeleteRoute(route) => write!(f, "{} route delete {route}", ip_word(route.family)),
            Step::MoveNexthop { nexthop, to } => write!(f, "ip nexthop replace {}", nexthop.over(to)),
            Step::AddRule(rule) => write!(f, "{} rule add {rule}", ip_word(rule.header[0])),
            Step::DeleteRule(rule) => write!(f, "{} rule delete {rule}", ip_word(rule.header[0])),
            Step::AddNeighbour { neighbour, .. } => write!(f, "ip neigh replace {neighbour}"),
            Step::DeleteNeighbour(neighbour) => write!(f, "ip neigh delete {neighbour}"),
            _ if !self.is_sayable() => {
                write!(f, "# {}; nft cannot be told, as it does not take the name", printable(&self.deed()))
            }
            Step::AddTable(table) => write!(f, "nft {}", shell_quoted(written(table, f))),
            Step::ReplaceTable(table) => {
                let Table { family, name, .. } = table;
                let between = if f.alternate() { '\n' } else { ' ' };
                let text = format!("delete table {family} {name};{between}{}", written(table, f));
                write!(f, "nft {}", shell_quoted(text))
            }
            Step::ReplaceElements(Elements { family, table, to, .. }) => {
                let set = format!("{family} {table} {}", to.name);
                write!(f, "nft {}", shell_quoted(format!("flush set {set}; add element {set} {to}")))
            }
            Step::RemoveTable(Table { family, name, .. }) | Step::DeleteTable { family, name } => {
                write!(f, "nft delete table {family} {}", shell_word(name))
            }
            Step::AddPassages(Passages { protocol, chain, bridge, rules }) => {
                let comment = comment(bridge);
                let inserts = rules.iter().rev().map(|rule| {
                    format!("insert rule {protocol} {TABLE} {chain} {rule} comment \"{comment}\"")
                });
                write!(f, "nft {}", shell_quoted(inserts.collect::<Vec<_>>().join("; ")))
            }
            Step::DeletePassages { passages: Passages { protocol, chain, .. }, handles } => {
                let deletes = handles
                    .iter()
                    .map(|handle| format!("delete rule {protocol} {TABLE} {chain} handle {handle}"));
                write!(f, "nft {}", shell_quoted(deletes.collect::<Vec<_>>().join("; ")))
            }
            Step::Barrier => f.write_str("# done so far"),
        }
    }
}

/// Who made an address is told where `ip` has a word for it, as it has since 6.2.
fn write_address(f: &mut fmt::Formatter<'_>, deed: &str, link: &IfName, address: &Address) -> fmt::Result {
    let command = format!("ip addr {deed} {address} dev {}", word(link));
    match address.protocol {
        0 => f.write_str(&command),
        protocol => write!(f, "{command} proto {protocol} 2>/dev/null || {command}"),
    }
}

fn written(table: &Table, f: &fmt::Formatter<'_>) -> String {
    if f.alternate() { format!("{table:#}") } else { table.to_string() }
}

/// A name as a shell takes it.
fn word(name: &IfName) -> String {
    shell_word(name)
}

fn group_words(group: u32) -> String {
    if group == 0 { String::new() } else { format!(" group {group}") }
}

fn write_set(f: &mut fmt::Formatter<'_>, link: &IfName, setting: Setting, value: u32) -> fmt::Result {
    let name = word(link);
    match setting {
        Setting::Up => write!(f, "ip link set {name} {}", if value == 0 { "down" } else { "up" }),
        Setting::Mtu => write!(f, "ip link set {name} mtu {value}"),
        Setting::Group => write!(f, "ip link set {name} group {value}"),
        Setting::AddrGen => write!(f, "ip link set {name} addrgenmode {}", AddrGen(value as u8)),
        // An older `ip` does not know it, and an older kernel passes over it.
        Setting::FdbMaxLearned => {
            write!(f, "ip link set {name} type bridge fdb_max_learned {value} 2>/dev/null || :")
        }
        Setting::GroupFwdMask => write!(f, "ip link set {name} type bridge_slave group_fwd_mask {value:#x}"),
        Setting::Clsact => {
            write!(f, "tc qdisc {} dev {name} clsact", if value == 0 { "del" } else { "add" })
        }
        Setting::Filter(filter) => f.write_str(&filter.command(&name, value != 0)),
        // With slashes, because an interface's name may have dots.
        _ => write!(f, "sysctl -q -w {}", shell_word(format!("{}={value}", setting.key(link)))),
    }
}

/// The sysctl key of the secret that an interface makes its IPv6 addresses of (RFC 7217).
pub fn secret_key(link: &IfName) -> String {
    format!("net/ipv6/conf/{link}/stable_secret")
}

fn ip_word(family: u8) -> &'static str {
    if i32::from(family) == nix::libc::AF_INET6 { "ip -6" } else { "ip -4" }
}
