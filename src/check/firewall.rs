//! Chains of others that drop guests' packets: by their policy, or by a rule. No table of kvmnet's can open what they close:
//! one drop wins over every accept of other tables.

use super::finding::Finding;
use super::networks::word;
use super::seen::{Configured, Seen};
use super::walk::{self, Packet};
use crate::model::foreign::{Condition, Fate, ForeignChain, ForeignRule, Point, Protocol};
use crate::model::{IfName, Mode, Network};
use crate::plan;
use crate::terminal::shell_word;

/// Forward and input chains of IP, and forward chains of bridges.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    // What is forwarded comes first: its fix is the same, or more.
    let is_first = |chain: &&ForeignChain| chain.point == Some(Point::Forward);
    let (first, others): (Vec<_>, Vec<_>) = seen.firewall.deciding().partition(is_first);
    for chain in first.into_iter().chain(others) {
        for configured in &seen.configured {
            findings.extend(match (chain.point, chain.protocol) {
                (Some(Point::Forward), Protocol::Bridge) => bridged(seen, chain, &configured.desired.network),
                (Some(Point::Forward), _) => forwarded(seen, chain, configured),
                (Some(Point::Input), Protocol::Inet | Protocol::Ip | Protocol::Ip6) => {
                    input(seen, chain, &configured.desired.network)
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
    findings.extend(legacy(seen));
    findings
}

/// Guests' packets to the outside, and back.
fn forwarded(seen: &Seen, chain: &ForeignChain, configured: &Configured) -> Option<Finding> {
    let desired = &configured.desired;
    let network = &desired.network;
    if ![false, true].iter().any(|v6| chain.protocol.sees(*v6) && desired.forwards(*v6)) {
        return None;
    }
    if will_open(seen, chain, network) {
        let text = format!(
            "its policy is drop: kvmnet has rules there for the guests of network {} while it is up",
            network.name
        );
        return Some(Finding::note("firewall", text).at(chain));
    }
    let door = network.door();
    let name = &network.name;
    let ruled = rules_drop(seen, chain, configured);
    let (out, back) = match chain.drops {
        true => seen.firewall.lets_through(chain, door),
        false => (true, true),
    };
    let (out, back) = (out && !ruled[0], back && !ruled[1]);
    let what = if ruled.contains(&true) { "a rule" } else { "its policy" };
    if out && back {
        if !chain.drops {
            return None;
        }
        let text = format!(
            "its policy is drop, and rules of its table accept {door} of network {name}: whether they come before \
             others that drop is not known"
        );
        return Some(Finding::note("firewall", text).at(chain));
    }
    let text = match (out, back) {
        (false, false) => {
            format!("{what} drops what the guests of network {name} send out, and what comes back")
        }
        (false, true) => format!("{what} drops what the guests of network {name} send out"),
        (true, _) => format!("{what} drops what comes back to the guests of network {name}"),
    };
    let finding = Finding::problem("firewall", text).at(chain);
    Some(finding.run(openings(seen, chain, network, out, back)))
}

/// Whether kvmnet opens the chain by itself when the network comes up.
fn will_open(seen: &Seen, chain: &ForeignChain, network: &Network) -> bool {
    let is_up = seen.observed.network(&network.bridge).is_some_and(|standing| standing.mark.is_some());
    !is_up && seen.observed.gates.iter().any(|gate| gate.is(chain) && !gate.is_managed)
}

/// Whether rules drop for certain what guests send out, and what comes back, of either family.
fn rules_drop(seen: &Seen, chain: &ForeignChain, Configured { desired, observed }: &Configured) -> [bool; 2] {
    let families = [false, true].into_iter().filter(|v6| chain.protocol.sees(*v6) && desired.forwards(*v6));
    let mut dropped = [false; 2];
    for v6 in families {
        let door = vec![desired.door().to_string()];
        let uplinks: Vec<String> =
            plan::uplinks(desired, observed, v6).iter().map(ToString::to_string).collect();
        for (answers, is_dropped) in [false, true].into_iter().zip(&mut dropped) {
            let (iif, oif) = if answers { (&uplinks, &door) } else { (&door, &uplinks) };
            let packet = Packet { iif: iif.clone(), oif: oif.clone(), answers, v6, by_name: false };
            *is_dropped |= walk::drops(chain, seen.firewall.rules_beside(chain), &packet);
        }
    }
    dropped
}

/// firewalld has its zones, and writes its chains anew.
fn firewalld(chain: &ForeignChain, door: &IfName) -> Option<Vec<String>> {
    let add = format!("firewall-cmd --permanent --zone=trusted --add-interface={}", word(door));
    (chain.table == "firewalld").then(|| vec![add, "firewall-cmd --reload".to_owned()])
}

/// The commands that open a chain: those of the program whose chain it is, where that is known.
fn openings(seen: &Seen, chain: &ForeignChain, network: &Network, out: bool, back: bool) -> Vec<String> {
    let door = network.door();
    let has = |name: &str| {
        let mut chains = seen.firewall.chains.iter();
        chains
            .any(|known| known.table == chain.table && known.protocol == chain.protocol && known.name == name)
    };
    if let Some(commands) = firewalld(chain, door) {
        return commands;
    }
    if has("ufw-user-forward") || has("ufw6-user-forward") {
        let ways = [(out, "in"), (back, "out")].into_iter().filter(|(open, _)| !open);
        return ways.map(|(_, way)| format!("ufw route allow {way} on {}", word(door))).collect();
    }
    // Docker writes its own chains anew, and leaves this one to the administrator.
    let target = if has("DOCKER-USER") { "DOCKER-USER" } else { &chain.name };
    let insert =
        format!("nft insert rule {} {} {}", chain.protocol, shell_word(&chain.table), shell_word(target));
    let answers = if network.mode == Mode::Nat { " ct state established,related" } else { "" };
    let mut commands = Vec::new();
    if !out {
        commands.push(format!("{insert} iifname {} accept", nft_name(door)));
    }
    if !back {
        commands.push(format!("{insert} oifname {}{answers} accept", nft_name(door)));
    }
    commands
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
fn bridged(seen: &Seen, chain: &ForeignChain, network: &Network) -> Option<Finding> {
    if !chain.drops {
        return None;
    }
    let accepts = |rule: &&ForeignRule| {
        let names = |one: &Condition| matches!(one, Condition::Iif(_, true) | Condition::Oif(_, true));
        rule.fate == Fate::Accept && rule.conditions.iter().any(names)
    };
    let mut rules = seen.firewall.rules_beside(chain).filter(accepts);
    let text = format!("its policy drops frames between the guests of network {}", network.name);
    Some(
        match rules.next() {
            Some(_) => {
                Finding::note("firewall", format!("{text}, but for those that the rules of its table accept"))
            }
            None => Finding::problem("firewall", text).say(format!(
                "let the taps through, as in: nft insert rule bridge {} {} iifname 'vif*' accept",
                shell_word(&chain.table),
                shell_word(&chain.name)
            )),
        }
        .at(chain),
    )
}

/// Guests' packets to the host itself: DHCP, DNS, a shared folder.
fn input(seen: &Seen, chain: &ForeignChain, network: &Network) -> Option<Finding> {
    let met = network.addresses.iter().any(|net| chain.protocol.sees(net.addr().is_ipv6()));
    let (accepted, _) = seen.firewall.lets_through(chain, network.door());
    let families =
        network.addresses.iter().map(|net| net.addr().is_ipv6()).filter(|v6| chain.protocol.sees(*v6));
    let ruled = families.into_iter().any(|v6| {
        // Where it goes is the host: by no interface.
        let (iif, oif) = (vec![network.door().to_string()], vec![String::new()]);
        let packet = Packet { iif, oif, answers: false, v6, by_name: true };
        walk::drops(chain, seen.firewall.rules_beside(chain), &packet)
    });
    if !met || !ruled && (accepted || !chain.drops) {
        return None;
    }
    let what = if ruled { "a rule" } else { "its policy" };
    let text = format!("{what} drops what the guests of network {} send to the host itself", network.name);
    if let Some(commands) = firewalld(chain, network.door()) {
        return Some(Finding::note("firewall-input", text).at(chain).run(commands));
    }
    let command = format!(
        "nft insert rule {} {} {} iifname {} accept",
        chain.protocol,
        shell_word(&chain.table),
        shell_word(&chain.name),
        nft_name(network.door())
    );
    Some(Finding::note("firewall-input", text).at(chain).run([command]))
}

/// iptables-legacy keeps its rules where netlink does not show them.
fn legacy(seen: &Seen) -> Vec<Finding> {
    let forwards = |v6: bool| seen.configured.iter().any(|configured| configured.desired.forwards(v6));
    let used = seen.firewall.legacy.iter().filter(|family| forwards(**family == "ip6"));
    let findings = used.map(|family| {
        let program = if *family == "ip6" { "ip6tables-legacy" } else { "iptables-legacy" };
        let text = format!(
            "the table filter of {program} is in use, and whether it drops what is forwarded is not seen"
        );
        Finding::note("firewall-legacy", text).run([format!("{program} -S FORWARD")])
    });
    findings.collect()
}
