//! br_netfilter: frames between two guests of one bridge pass the IP firewall, as if they were forwarded.

use super::finding::{Finding, Place};
use super::input::CheckInput;
use crate::foreign::{Opening, Packet};
use crate::model::foreign::HookPoint;
use crate::model::{FirewallUse, Network};

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
    let problems: Vec<Finding> = on.iter().filter_map(|family| dropped(input, family)).collect();
    let first = on.first().filter(|_| problems.is_empty() && !input.configured.is_empty());
    let Some(first) = first else { return problems };
    let names: Vec<&str> = on.iter().map(|family| family.name).collect();
    let text = format!(
        "frames between the guests of one bridge pass the forward chains of the firewall ({})",
        names.join(" and ")
    );
    vec![Finding::note("br-netfilter", text).at(first.place()).run(on.iter().map(Family::switch_off))]
}

/// The first chain that drops such frames.
fn dropped(input: &CheckInput, family: &Family) -> Option<Finding> {
    let opens = |opening: Opening, network: &Network| {
        let opens =
            || input.opens(opening.chain, network) || input.has_bridge_in_zone(opening.chain, network);
        !opening.legacy && opens()
    };
    let is_dropped = |opening: Opening, network: &Network| {
        let names = vec![network.bridge.to_string()];
        let packet = Packet { iif: names.clone(), oif: names, v6: family.v6, ..Packet::default() };
        let will_open = opens(opening, network) && !input.is_up(&network.bridge);
        !will_open && opening.firewall.obstacle(opening.chain, &packet).is_some()
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
    let is_opened = networks.iter().all(|network| opens(opening, network));
    let command = if is_opened { "kvmnet apply".to_owned() } else { family.switch_off() };
    let text = format!(
        "frames between the guests of one bridge ({}) pass the {}, which drops them ({})",
        bridges.join(", "),
        opening.name(),
        family.name
    );
    Some(Finding::problem("br-netfilter", text).at(family.place()).run([command]))
}
