//! Chains of others that drop guests' packets: by their policy, or by a rule. No table of kvmnet's can open what they close:
//! one drop wins over every accept of other tables.

use super::finding::Finding;
use super::input::{CheckInput, Configured};
use crate::foreign::{self, LegacyFilter, Opening};
use crate::model::foreign::HookPoint;
use crate::model::ruleset::Family;
use crate::model::{FirewallUse, Network};
use crate::terminal::shell_word;

/// Forward and input chains of IP, and forward chains of bridges.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let mut findings = Vec::new();
    // What is forwarded comes first: its fix is the same, or more.
    let mut openings: Vec<Opening> = input.firewall.openings().collect();
    openings.sort_by_key(|one| (one.legacy, one.chain.point != Some(HookPoint::Forward)));
    for opening in openings {
        let is_meant = |one: &&Configured| one.desired.network.firewall != FirewallUse::Ignore;
        for configured in input.configured.iter().filter(is_meant) {
            let network = &configured.desired.network;
            findings.extend(match (opening.chain.point, opening.chain.protocol) {
                (Some(HookPoint::Forward), Family::Bridge) => bridge_chain(opening, network),
                (_, Family::Bridge) => None,
                (Some(HookPoint::Forward), _) => forward_chain(input, opening, configured),
                (Some(HookPoint::Input), _) => input_chain(input, opening, network),
                (Some(HookPoint::Output), _) => output_chain(input, opening, network),
                _ => None,
            });
        }
    }
    // What opens one chain may open another.
    let mut fixes = Vec::new();
    findings.retain(|finding| {
        let is_new = finding.fix.is_none() || !fixes.contains(&finding.fix);
        fixes.push(finding.fix.clone());
        is_new
    });
    findings.extend(by_iptables(input));
    findings.extend(unread(input));
    findings
}

/// firewalld with `FirewallBackend=iptables` has its rules where kvmnet has some, and writes them anew without these.
fn by_iptables(input: &CheckInput) -> Option<Finding> {
    let is_meant = |one: &Configured| one.desired.network.firewall == FirewallUse::Integrate;
    let chain = input.firewall.chains.iter().find(|chain| chain.name == "FORWARD_ZONES")?;
    let text = "firewalld writes its rules by iptables (FirewallBackend), and forgets those of kvmnet's when it is reloaded";
    let finding = Finding::note("firewall", text).at(chain).run(["kvmnet apply".to_owned()]);
    input.configured.iter().any(is_meant).then_some(finding)
}

/// The heading for it.
fn kind(opening: Opening, kind: &'static str) -> &'static str {
    if opening.legacy { "firewall-legacy" } else { kind }
}

/// Names the program where netlink does not show the chain.
fn told(opening: Opening, text: String) -> String {
    if opening.legacy { format!("{}: {text}", opening.name()) } else { text }
}

/// Guests' packets to the outside, and back.
fn forward_chain(input: &CheckInput, opening: Opening, configured: &Configured) -> Option<Finding> {
    let Configured { desired, observed } = configured;
    let (network, chain) = (&desired.network, opening.chain);
    let (name, host_if) = (&network.name, desired.host_if());
    let dropped = foreign::forwarded(opening.firewall, chain, desired, observed)?;
    let kind = kind(opening, "firewall");
    let note = |text: String| Some(Finding::note(kind, told(opening, text)).at(chain));
    if !opening.legacy && input.will_open(chain, network) {
        return note(match input.zone(chain, network) {
            Some(zone) => format!("the guests of network {name} are in the zone {zone} while it is up"),
            None => format!(
                "its policy is drop: kvmnet has rules there for the guests of network {name} while it is up"
            ),
        });
    }
    let text = match dropped.told(name) {
        None if !chain.drops => return None,
        None => {
            return note(format!(
                "its policy is drop, and rules of its table accept {host_if} of network {name}: whether they come before \
                 others that drop is not known"
            ));
        }
        Some(text) => told(opening, text),
    };
    let text = match input.owners_zone(chain, host_if).filter(|_| input.zone(chain, network).is_some()) {
        Some(zone) => format!("{text}: {host_if} was put into the zone {zone}"),
        None => text,
    };
    let commands = openings(input, opening, network, dropped.ways());
    Some(Finding::problem(kind, text).at(chain).run(commands))
}

/// The commands that open it, by kvmnet's own hand where it can.
fn openings(input: &CheckInput, opening: Opening, network: &Network, dropped: [bool; 2]) -> Vec<String> {
    let apply = || "kvmnet apply".to_owned();
    let chain = opening.chain;
    let reload = || "firewall-cmd --reload".to_owned();
    match (input.zone(chain, network), input.owners_zone(chain, network.host_if())) {
        _ if opening.legacy => opening.forward(network, dropped),
        (Some(_), Some(zone)) => {
            let interface = shell_word(network.host_if());
            let leave = format!("firewall-cmd --permanent --zone={zone} --remove-interface={interface}");
            vec![leave, reload(), apply()]
        }
        (Some(_), None) if !input.has_firewalld_all() => vec![reload(), apply()],
        (Some(_), None) => vec![apply()],
        (None, _) if input.opens(chain, network) => vec![apply()],
        (None, _) => opening.forward(network, dropped),
    }
}

/// Frames between the guests of one network.
fn bridge_chain(opening: Opening, network: &Network) -> Option<Finding> {
    let drops = |what: &str| format!("{what} drops frames between the guests of network {}", network.name);
    let finding = match foreign::bridged(opening.firewall, opening.chain) {
        Some(what) => {
            let way_out = format!("let the taps through, as in: {}", opening.taps());
            Finding::problem("firewall", drops(&what.to_string())).say(way_out)
        }
        None if opening.chain.drops => {
            let text = drops("its policy") + ", but for those that the rules of its table accept";
            Finding::note("firewall", text)
        }
        None => return None,
    };
    Some(finding.at(opening.chain))
}

/// What the host has to send for guests to have addresses.
fn output_chain(input: &CheckInput, opening: Opening, network: &Network) -> Option<Finding> {
    let what = foreign::told(opening.firewall, opening.chain, network)?;
    let text = format!("{what} drops what tells the guests of network {} their addresses", network.name);
    let is_opened = !opening.legacy && input.opens(opening.chain, network);
    if is_opened && !input.is_up(&network.bridge) {
        return None;
    }
    let commands = if is_opened { vec!["kvmnet apply".to_owned()] } else { opening.told(network) };
    Some(Finding::problem(kind(opening, "firewall"), told(opening, text)).at(opening.chain).run(commands))
}

/// What guests ask the host for their addresses and names, where nobody lets it in.
fn dhcp_chain(opening: Opening, network: &Network) -> Option<Finding> {
    let what = foreign::asked(opening.firewall, opening.chain, network)?;
    let text = format!(
        "{what} drops what the guests of network {} ask the host for, as their addresses",
        network.name
    );
    let finding = Finding::problem(kind(opening, "firewall"), told(opening, text)).at(opening.chain);
    Some(finding.run(opening.asked(network)))
}

/// Guests' packets to the host itself: DHCP, DNS, a shared folder.
fn input_chain(input: &CheckInput, opening: Opening, network: &Network) -> Option<Finding> {
    let zone = input.zone(opening.chain, network).filter(|_| !opening.legacy);
    let owners = input.owners_zone(opening.chain, network.host_if()).filter(|_| zone.is_some());
    let integrates = input.opens(opening.chain, network) || zone.is_some();
    let is_opened = !opening.legacy && owners.is_none() && integrates;
    let dhcp = dhcp_chain(opening, network).filter(|_| !is_opened && zone.is_none());
    if dhcp.is_some() {
        return dhcp;
    }
    let what = foreign::received(opening.firewall, opening.chain, network)?;
    let mut text =
        format!("{what} drops what the guests of network {} send to the host itself", network.name);
    if is_opened {
        text += ", but for pings and what tells them their addresses and names, which kvmnet lets in while it is up";
    }
    let finding = Finding::note(kind(opening, "firewall-input"), told(opening, text)).at(opening.chain);
    if let Some(zone) = owners.or(zone) {
        return Some(finding.say(format!(
            "for what else they shall reach, as in: firewall-cmd --permanent --zone={zone} --add-service=nfs; firewall-cmd --reload"
        )));
    }
    Some(finding.run(opening.input(network.host_if())))
}

/// Tables of iptables-legacy that cannot be read: without rights, or in a form that is not known.
fn unread(input: &CheckInput) -> Vec<Finding> {
    let forwards = |v6: bool| input.configured.iter().any(|configured| configured.desired.forwards(v6));
    let is_unread = |one: &&LegacyFilter| one.firewall.is_none() && forwards(one.v6);
    let findings = input.firewall.legacy.iter().filter(is_unread).map(|one| {
        let program = if one.v6 { "ip6tables-legacy" } else { "iptables-legacy" };
        let text = format!(
            "the table filter of {program} is in use, and whether it drops forwarded packets cannot be seen"
        );
        Finding::note("firewall-legacy", text).run([format!("{program} -S FORWARD")])
    });
    findings.collect()
}
