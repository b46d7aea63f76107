//! The commands that open a chain, in the words of the program whose chain it is.

use super::Firewall;
use crate::model::foreign::ForeignChain;
use crate::model::iptables::{self, USERS, Way};
use crate::model::port::{DHCP4, DHCP4_CLIENT, DHCP6, DHCP6_CLIENT, DNS};
use crate::model::ruleset::Family;
use crate::model::{IfName, Mode, Network};
use crate::terminal::shell_word;

/// A chain that is to be opened, with what is beside it.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    pub firewall: &'a Firewall,
    pub chain: &'a ForeignChain,
    /// Whether it is iptables-legacy's.
    pub legacy: bool,
}

/// What finds neighbours, and announces a router.
const NEIGHBOURS: &str = "'{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }'";

/// Where ufw has what its owner lets through.
const UFW: [&str; 2] = ["ufw-user-forward", "ufw6-user-forward"];

impl Opening<'_> {
    /// For what passes through, of what goes out and of what comes back that which is dropped.
    pub fn forward(self, network: &Network, dropped: [bool; 2]) -> Vec<String> {
        let host_if = network.host_if();
        if let Some(commands) = firewalld(self.chain, host_if) {
            return commands;
        }
        let of_dropped = |out_and_back: [String; 2]| {
            let ways = out_and_back.into_iter().zip(dropped);
            ways.filter(|(_, is_dropped)| *is_dropped).map(|(way, _)| way).collect()
        };
        if UFW.into_iter().any(|name| self.has(name)) {
            return of_dropped(
                ["in", "out"].map(|way| format!("ufw route allow {way} on {}", shell_word(host_if))),
            );
        }
        // Docker rewrites its own chains, and leaves this one to the administrator.
        let target = if self.has(USERS) { USERS } else { &self.chain.name };
        let is_nat = network.mode == Mode::Nat;
        of_dropped([self.accept(target, host_if, false, false), self.accept(target, host_if, true, is_nat)])
    }

    /// For what comes in to the host itself.
    pub fn input(self, host_if: &IfName) -> Vec<String> {
        let accept = || vec![self.accept(&self.chain.name, host_if, false, false)];
        firewalld(self.chain, host_if).unwrap_or_else(accept)
    }

    /// For what guests ask the host to be told their addresses and names.
    pub fn asked(self, network: &Network) -> Vec<String> {
        let host_if = network.host_if();
        let dhcp = self.families(network).map(|v6| if v6 { DHCP6 } else { DHCP4 });
        let udp: Vec<u16> = dhcp.chain([DNS]).collect();
        let commands = || {
            [("udp", &udp[..]), ("tcp", &[DNS])]
                .map(|(protocol, ports)| self.accept_ports(host_if, false, protocol, ports))
        };
        firewalld(self.chain, host_if).unwrap_or_else(|| commands().into())
    }

    /// For what they are told.
    pub fn told(self, network: &Network) -> Vec<String> {
        let host_if = network.host_if();
        let ports: Vec<u16> =
            self.families(network).map(|v6| if v6 { DHCP6_CLIENT } else { DHCP4_CLIENT }).collect();
        let mut commands = vec![self.accept_ports(host_if, true, "udp", &ports)];
        // The router's announcements, and what finds neighbours.
        if self.families(network).any(|v6| v6) {
            commands.push(match self.iptables() {
                Some(program) => {
                    format!("{program} -I OUTPUT -o {} -p ipv6-icmp -j ACCEPT", shell_word(host_if))
                }
                None => {
                    let what = format!("oifname {} icmpv6 type {NEIGHBOURS}", nft_name(host_if));
                    insert(self.chain, &self.chain.name, &what)
                }
            });
        }
        commands
    }

    /// The families of a network's addresses that the chain sees, each once.
    fn families(self, network: &Network) -> impl Iterator<Item = bool> {
        let has = |v6: bool| network.addresses.iter().any(|net| net.addr().is_ipv6() == v6);
        [false, true].into_iter().filter(move |v6| self.chain.protocol.sees(*v6) && has(*v6))
    }

    fn accept_ports(self, host_if: &IfName, goes_out: bool, protocol: &str, ports: &[u16]) -> String {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let chain = &self.chain.name;
        if let Some(program) = self.iptables() {
            let (way, name) = (if goes_out { "-o" } else { "-i" }, shell_word(host_if));
            return format!(
                "{program} -I {chain} {way} {name} -p {protocol} -m multiport --dports {} -j ACCEPT",
                ports.join(",")
            );
        }
        let way = if goes_out { "oifname" } else { "iifname" };
        let ports = shell_word(format!("{{ {} }}", ports.join(", ")));
        insert(self.chain, chain, &format!("{way} {} {protocol} dport {ports}", nft_name(host_if)))
    }

    /// For frames that pass from port to port.
    pub fn taps(self) -> String {
        insert(self.chain, &self.chain.name, "iifname 'vif*'")
    }

    /// For what comes in by an interface, or goes out by it, if it is an answer or in any case.
    fn accept(self, target: &str, host_if: &IfName, goes_out: bool, answers: bool) -> String {
        if let Some(program) = self.iptables() {
            let way = if goes_out { "-o" } else { "-i" };
            let answers = if answers { " -m conntrack --ctstate ESTABLISHED,RELATED" } else { "" };
            let target = shell_word(target);
            return format!("{program} -I {target} {way} {}{answers} -j ACCEPT", shell_word(host_if));
        }
        let way = if goes_out { "oifname" } else { "iifname" };
        let answers = if answers { " ct state established,related" } else { "" };
        insert(self.chain, target, &format!("{way} {}{answers}", nft_name(host_if)))
    }

    /// Who shows the chain.
    pub fn program(self) -> &'static str {
        if self.chain.protocol == Family::Ip6 { "ip6tables-legacy" } else { "iptables-legacy" }
    }

    /// The chain, in words.
    pub fn name(self) -> String {
        let ForeignChain { protocol, table, name, .. } = self.chain;
        match self.legacy {
            true => format!("chain {name} of {}", self.program()),
            false => format!("chain {protocol} {table} {name}"),
        }
    }

    /// The program whose words a rule there has to be in: iptables cannot print, nor save, a chain in which there are others.
    fn iptables(self) -> Option<&'static str> {
        let ForeignChain { protocol, table, name, .. } = self.chain;
        let is_its = table == iptables::TABLE && Way::ALL.into_iter().any(|way| way.chain() == name);
        match (self.legacy, protocol) {
            (true, _) => Some(self.program()),
            (false, Family::Ip) if is_its => Some("iptables"),
            (false, Family::Ip6) if is_its => Some("ip6tables"),
            _ => None,
        }
    }

    fn has(self, name: &str) -> bool {
        let ForeignChain { protocol, table, .. } = self.chain;
        let is_it = |known: &ForeignChain| {
            (known.protocol, &known.table, known.name.as_str()) == (*protocol, table, name)
        };
        // Of iptables-legacy only the rules are known by chains that others jump to.
        self.firewall.chains.iter().any(is_it)
            || self.legacy && self.firewall.rules.iter().any(|rule| rule.chain == name)
    }
}

/// firewalld has zones, and rewrites its chains.
fn firewalld(chain: &ForeignChain, host_if: &IfName) -> Option<Vec<String>> {
    let add = format!("firewall-cmd --permanent --zone=trusted --add-interface={}", shell_word(host_if));
    (chain.table == "firewalld").then(|| vec![add, "firewall-cmd --reload".to_owned()])
}

fn insert(chain: &ForeignChain, target: &str, condition: &str) -> String {
    let (table, target) = (shell_word(&chain.table), shell_word(target));
    format!("nft insert rule {} {table} {target} {condition} accept", chain.protocol)
}

/// An interface's name as `nft` takes it from a shell: in quotes, unless it is a plain word.
fn nft_name(name: &IfName) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let text = name.as_str();
    match text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain) {
        true => text.to_owned(),
        false => shell_word(format!("\"{text}\"")),
    }
}
