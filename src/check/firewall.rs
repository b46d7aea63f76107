//! Chains of others that drop guests' packets: by their policy, or by a rule. No table of kvmnet's can open what they close:
//! one drop wins over every accept of other tables.

use super::finding::Finding;
use super::input::{CheckInput, Configured};
use super::walk::Packet;
use crate::feature;
use crate::model::foreign::{Condition, Fate, ForeignChain, ForeignRule, HookPoint};
use crate::model::iptables::USERS;
use crate::model::ruleset::Family;
use crate::model::{FirewallUse, IfName, Mode, Network};
use crate::terminal::shell_word;

/// Forward and input chains of IP, and forward chains of bridges.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let mut findings = Vec::new();
    // What is forwarded comes first: its fix is the same, or more.
    let mut chains: Vec<&ForeignChain> = input.firewall.deciding().collect();
    chains.sort_by_key(|chain| chain.point != Some(HookPoint::Forward));
    for chain in chains {
        let is_meant = |one: &&Configured| one.desired.network.firewall != FirewallUse::Ignore;
        for configured in input.configured.iter().filter(is_meant) {
            let network = &configured.desired.network;
            findings.extend(match (chain.point, chain.protocol) {
                (Some(HookPoint::Forward), Family::Bridge) => bridge_chain(input, chain, network),
                (Some(HookPoint::Forward), _) => forward_chain(input, chain, configured),
                (Some(HookPoint::Input), Family::Inet | Family::Ip | Family::Ip6) => {
                    input_chain(input, chain, network)
                }
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
    findings.extend(legacy(input));
    findings
}

/// firewalld with `FirewallBackend=iptables` has its rules where kvmnet has some, and writes them anew without these.
fn by_iptables(input: &CheckInput) -> Option<Finding> {
    let is_meant = |one: &Configured| one.desired.network.firewall == FirewallUse::Integrate;
    let chain = input.firewall.chains.iter().find(|chain| chain.name == "FORWARD_ZONES")?;
    let text = "firewalld writes its rules by iptables (FirewallBackend), and forgets those of kvmnet's when it is reloaded";
    let finding = Finding::note("firewall", text.to_owned()).at(chain).run(["kvmnet apply".to_owned()]);
    input.configured.iter().any(is_meant).then_some(finding)
}

/// Guests' packets to the outside, and back.
fn forward_chain(input: &CheckInput, chain: &ForeignChain, configured: &Configured) -> Option<Finding> {
    let Configured { desired, observed } = configured;
    let network = &desired.network;
    let (name, host_if) = (&network.name, desired.host_if());
    let families =
        || [false, true].into_iter().filter(|v6| chain.protocol.sees(*v6) && desired.forwards(*v6));
    families().next()?;
    let note = |text: String| Some(Finding::note("firewall", text).at(chain));
    if input.will_open(chain, network) {
        return note(match input.zone(chain, network) {
            Some(zone) => format!("the guests of network {name} are in the zone {zone} while it is up"),
            None => format!(
                "its policy is drop: kvmnet has rules there for the guests of network {name} while it is up"
            ),
        });
    }
    let host = || vec![host_if.to_string()];
    let uplinks = |v6| feature::uplinks(desired, observed, v6).iter().map(ToString::to_string).collect();
    let out = |v6| Packet { iif: host(), oif: uplinks(v6), v6, ..Packet::default() };
    let back = |v6| Packet { iif: uplinks(v6), oif: host(), answers: true, v6, ..Packet::default() };
    let out = families().filter_map(|v6| input.firewall.obstacle(chain, &out(v6))).max();
    let back = families().filter_map(|v6| input.firewall.obstacle(chain, &back(v6))).max();
    let text = match (out, back) {
        (None, None) if !chain.drops => return None,
        (None, None) => {
            return note(format!(
                "its policy is drop, and rules of its table accept {host_if} of network {name}: whether they come before \
                 others that drop is not known"
            ));
        }
        (Some(out), Some(back)) => {
            let what = out.max(back);
            format!("{what} drops what the guests of network {name} send out, and what comes back")
        }
        (Some(what), None) => format!("{what} drops what the guests of network {name} send out"),
        (None, Some(what)) => format!("{what} drops what comes back to the guests of network {name}"),
    };
    let commands = openings(input, chain, network, [out.is_some(), back.is_some()]);
    Some(Finding::problem("firewall", text).at(chain).run(commands))
}

/// Where ufw has what its owner lets through.
const UFW: [&str; 2] = ["ufw-user-forward", "ufw6-user-forward"];

/// firewalld has zones, and rewrites its chains.
fn firewalld(chain: &ForeignChain, host_if: &IfName) -> Option<Vec<String>> {
    let add = format!("firewall-cmd --permanent --zone=trusted --add-interface={}", shell_word(host_if));
    (chain.table == "firewalld").then(|| vec![add, "firewall-cmd --reload".to_owned()])
}

/// The commands that open a chain to what it drops, of what goes out and comes back: those of the program whose chain it is, where that is known.
fn openings(input: &CheckInput, chain: &ForeignChain, network: &Network, dropped: [bool; 2]) -> Vec<String> {
    let apply = || "kvmnet apply".to_owned();
    match (input.zone(chain, network), input.has_zones) {
        (Some(_), Some(false)) => return vec!["firewall-cmd --reload".to_owned(), apply()],
        (Some(_), _) => return vec![apply()],
        (None, _) if input.opens(chain, network).is_some() => return vec![apply()],
        (None, _) => {}
    }
    let host_if = network.host_if();
    let has = |name: &str| {
        let is_beside =
            |known: &&ForeignChain| known.table == chain.table && known.protocol == chain.protocol;
        input.firewall.chains.iter().filter(is_beside).any(|known| known.name == name)
    };
    if let Some(commands) = firewalld(chain, host_if) {
        return commands;
    }
    let of_dropped = |out_and_back: [String; 2]| {
        let ways = out_and_back.into_iter().zip(dropped);
        ways.filter(|(_, is_dropped)| *is_dropped).map(|(way, _)| way).collect()
    };
    if UFW.into_iter().any(has) {
        return of_dropped(
            ["in", "out"].map(|way| format!("ufw route allow {way} on {}", shell_word(host_if))),
        );
    }
    // Docker rewrites its own chains, and leaves this one to the administrator.
    let target = if has(USERS) { USERS } else { &chain.name };
    let answers = if network.mode == Mode::Nat { " ct state established,related" } else { "" };
    let host_if = nft_name(host_if);
    let conditions = [format!("iifname {host_if}"), format!("oifname {host_if}{answers}")];
    of_dropped(conditions.map(|condition| insert(chain, target, &condition)))
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

/// Frames between the guests of one network.
fn bridge_chain(input: &CheckInput, chain: &ForeignChain, network: &Network) -> Option<Finding> {
    if !chain.drops {
        return None;
    }
    let accepts = |rule: &ForeignRule| {
        let names = |one: &Condition| matches!(one, Condition::Iif(_, true) | Condition::Oif(_, true));
        rule.fate == Fate::Accept && rule.conditions.iter().any(names)
    };
    let text = format!("its policy drops frames between the guests of network {}", network.name);
    let finding = match input.firewall.rules_beside(chain).any(accepts) {
        true => {
            Finding::note("firewall", format!("{text}, but for those that the rules of its table accept"))
        }
        false => Finding::problem("firewall", text)
            .say(format!("let the taps through, as in: {}", insert(chain, &chain.name, "iifname 'vif*'"))),
    };
    Some(finding.at(chain))
}

/// Guests' packets to the host itself: DHCP, DNS, a shared folder.
fn input_chain(input: &CheckInput, chain: &ForeignChain, network: &Network) -> Option<Finding> {
    let host_if = network.host_if();
    let families = network.addresses.iter().map(|net| net.addr().is_ipv6());
    // It goes out by no interface.
    let (iif, oif) = (vec![host_if.to_string()], vec![String::new()]);
    let packet = |v6| Packet { iif: iif.clone(), oif: oif.clone(), v6, by_name: true, ..Packet::default() };
    let families = families.filter(|v6| chain.protocol.sees(*v6));
    let what = families.filter_map(|v6| input.firewall.obstacle(chain, &packet(v6))).max()?;
    let mut text =
        format!("{what} drops what the guests of network {} send to the host itself", network.name);
    let zone = input.zone(chain, network);
    if input.opens(chain, network).is_some() || zone.is_some() {
        text += ", but for pings and what tells them their addresses and names, which kvmnet lets in while it is up";
    }
    let finding = Finding::note("firewall-input", text).at(chain);
    if let Some(zone) = zone {
        return Some(finding.say(format!(
            "for what else they shall reach, as in: firewall-cmd --permanent --zone={zone} --add-service=nfs; firewall-cmd --reload"
        )));
    }
    let accept = || vec![insert(chain, &chain.name, &format!("iifname {}", nft_name(host_if)))];
    Some(finding.run(firewalld(chain, host_if).unwrap_or_else(accept)))
}

/// iptables-legacy keeps its rules where netlink does not show them.
fn legacy(input: &CheckInput) -> Vec<Finding> {
    let forwards = |v6: bool| input.configured.iter().any(|configured| configured.desired.forwards(v6));
    let used = input.firewall.legacy.iter().filter(|family| forwards(**family == "ip6"));
    let findings = used.map(|family| {
        let program = format!("{family}tables-legacy");
        let text = format!(
            "the table filter of {program} is in use, and whether it drops forwarded packets cannot be seen"
        );
        Finding::note("firewall-legacy", text).run([format!("{program} -S FORWARD")])
    });
    findings.collect()
}
