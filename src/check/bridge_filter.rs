//! br_netfilter: frames between two guests of one bridge pass the IP firewall, as if they were forwarded.

use super::finding::{Finding, Place};
use super::input::CheckInput;
use crate::firewalld;
use crate::foreign::{Opening, Packet};
use crate::model::foreign::HookPoint;
use crate::model::{FirewallUse, IfName, Mode, Network};
use crate::terminal::shell_word;

const CONFIG: &str = "/etc/firewalld/firewalld.conf";
const RELOAD: &str = "firewall-cmd --reload";

/// Packets of one family, and the setting that sends them to the firewall.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    v6: bool,
    pub setting: &'static str,
}

pub const FAMILIES: [Family; 2] = [
    Family { name: "IPv4", v6: false, setting: "bridge-nf-call-iptables" },
    Family { name: "IPv6", v6: true, setting: "bridge-nf-call-ip6tables" },
];

impl Family {
    fn place(&self) -> Place {
        Place::Sysctl(format!("net.bridge.{}", self.setting))
    }

    fn switch_off(&self) -> String {
        format!("sysctl -w {}=0", self.place())
    }
}

/// A problem for each family whose frames are dropped so; else one note.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let on = &input.bridge_filter;
    let mut problems: Vec<Finding> = on.iter().filter_map(|family| dropped(input, family)).collect();
    problems.extend(on.iter().find(|family| family.v6).and_then(|family| without_route(input, family)));
    let first = on.first().filter(|_| problems.is_empty() && !input.configured.is_empty());
    let Some(first) = first else { return problems };
    let names: Vec<&str> = on.iter().map(|family| family.name).collect();
    let text = format!(
        "frames between the guests of one bridge pass the forward chains of the firewall ({})",
        names.join(" and ")
    );
    vec![Finding::note("br-netfilter", text).at(first.place()).run(on.iter().map(Family::switch_off))]
}

/// firewalld drops IPv6 that comes by an interface to which the host has no route back: a bridge by which it does not take part.
fn without_route(input: &CheckInput, family: &Family) -> Option<Finding> {
    input.firewalld.as_ref().filter(|view| view.asks_for_routes)?;
    let has_ipv6_off = |bridge: &IfName| {
        let mut names = input.without_ipv6.iter().flatten();
        names.any(|name| name == bridge.as_str())
    };
    let has_none = |network: &Network| {
        network.is_closed() || network.mode == Mode::Bridged && has_ipv6_off(&network.bridge)
    };
    let networks = input.configured.iter().map(|one| &one.desired.network);
    let bridges: Vec<String> = networks
        .filter(|network| has_none(network) && network.firewall != FirewallUse::Ignore)
        .map(|network| network.bridge.to_string())
        .collect();
    let text = format!(
        "firewalld drops IPv6 from the guests of {}, as the host has no route back there (IPv6_rpfilter in {CONFIG})",
        bridges.join(", ")
    );
    let switch = format!("sed -i s/^IPv6_rpfilter=.*/IPv6_rpfilter=no/ {CONFIG}");
    let finding = Finding::problem("br-netfilter", text).at(family.place());
    (!bridges.is_empty()).then(|| finding.run([switch, RELOAD.to_owned()]))
}

/// The first chain that drops such frames.
fn dropped(input: &CheckInput, family: &Family) -> Option<Finding> {
    let is_dropped = |opening: Opening, network: &Network| {
        let names = vec![network.bridge.to_string()];
        let has_set = input.has_set(opening.chain, network);
        let packet = Packet { iif: names.clone(), oif: names, v6: family.v6, has_set, ..Packet::default() };
        !will_open(input, opening, network) && opening.firewall.obstacle(opening.chain, &packet).is_some()
    };
    let networks = || input.configured.iter().map(|one| &one.desired.network);
    let is_meant = |network: &&Network| network.firewall != FirewallUse::Ignore;
    let mut openings = input
        .firewall
        .openings()
        .filter(|one| one.chain.point == Some(HookPoint::Forward) && one.chain.protocol.sees(family.v6))
        .map(|one| (one, networks().filter(is_meant).filter(|network| is_dropped(one, network)).collect()));
    let (opening, networks) = openings.find(|(_, networks): &(_, Vec<&Network>)| !networks.is_empty())?;
    let bridges: Vec<String> = networks.iter().map(|network| network.bridge.to_string()).collect();
    let text = format!(
        "frames between the guests of one bridge ({}) pass the {}, which drops them ({})",
        bridges.join(", "),
        opening.name(),
        family.name
    );
    let commands = commands(input, opening, &networks).unwrap_or_else(|| vec![family.switch_off()]);
    Some(Finding::problem("br-netfilter", text).at(family.place()).run(commands))
}

/// Whether frames will pass when the network comes up.
fn will_open(input: &CheckInput, opening: Opening, network: &Network) -> bool {
    let chain = opening.chain;
    let is_told = || input.is_told_of_bridge(chain, network) && input.has_firewalld_all();
    let is_owners = || input.owners_zone(chain, &network.bridge).is_some();
    let opens = || input.opens(chain, network) || is_told() && !is_owners();
    !opening.legacy && !input.is_up(&network.bridge) && opens()
}

/// What opens the chain for frames inside the bridges of all these networks, if not the machine's switch alone.
fn commands(input: &CheckInput, opening: Opening, networks: &[&Network]) -> Option<Vec<String>> {
    let (chain, apply) = (opening.chain, || "kvmnet apply".to_owned());
    if opening.legacy || chain.table != firewalld::TABLE {
        let is_opened = !opening.legacy && networks.iter().all(|network| input.opens(chain, network));
        return is_opened.then(|| vec![apply()]);
    }
    // firewalld 2 asks no policy about what its default zone catches on both sides.
    let is_in_vain = |network: &Network| input.firewalld.is_some() && input.has_set(chain, network);
    let (mut commands, mut is_kvmnets) = (Vec::new(), false);
    for network in networks {
        match input.owners_zone(chain, &network.bridge) {
            Some(zone) => commands.push(format!("firewall-cmd --permanent --zone={zone} --add-forward")),
            None if input.is_told_of_bridge(chain, network) && !is_in_vain(network) => is_kvmnets = true,
            // Forwarding inside its default zone is for interfaces that were put there.
            None => commands.push(format!(
                "firewall-cmd --permanent --zone=\"$(firewall-cmd --get-default-zone)\" --add-interface={}",
                shell_word(network.bridge)
            )),
        }
    }
    let asks_reload = !commands.is_empty() || !input.has_firewalld_all();
    commands.extend(asks_reload.then(|| RELOAD.to_owned()));
    commands.extend(is_kvmnets.then(apply));
    Some(commands)
}
