//! Chains of others that drop what no rule accepts. No table of kvmnet's can open what they close: one drop wins over
//! every accept of other tables. Whether a rule of theirs drops or rejects is not judged.

use super::finding::Finding;
use super::networks::word;
use super::seen::{Configured, Seen};
use crate::model::foreign::{ForeignChain, Point, Protocol};
use crate::model::{IfName, Mode, Network};
use crate::terminal::shell_word;

/// Forward and input chains of IP, and forward chains of bridges.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    for chain in seen.firewall.dropping() {
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
    findings.extend(legacy(seen));
    findings
}

/// Guests' packets to the outside, and back.
fn forwarded(seen: &Seen, chain: &ForeignChain, Configured { desired, .. }: &Configured) -> Option<Finding> {
    let network = &desired.network;
    if ![false, true].iter().any(|v6| chain.protocol.sees(*v6) && desired.forwards(*v6)) {
        return None;
    }
    let (out, back) = seen.firewall.lets_through(chain, network.door());
    let door = network.door();
    let name = &network.name;
    if out && back {
        let text = format!(
            "its policy is drop, and rules of its table accept {door} of network {name}: whether they come before \
             others that drop is not known"
        );
        return Some(Finding::note("firewall", text).at(chain));
    }
    let what = match (out, back) {
        (false, false) => "its policy drops what the guests of network {} send out, and what comes back",
        (false, true) => "its policy drops what the guests of network {} send out",
        (true, _) => "its policy drops what comes back to the guests of network {}",
    };
    let finding = Finding::problem("firewall", what.replace("{}", name)).at(chain);
    Some(finding.run(openings(seen, chain, network, out, back)))
}

/// The commands that open a chain: those of the program whose chain it is, where that is known.
fn openings(seen: &Seen, chain: &ForeignChain, network: &Network, out: bool, back: bool) -> Vec<String> {
    let door = network.door();
    let has = |name: &str| {
        let mut chains = seen.firewall.chains.iter();
        chains
            .any(|known| known.table == chain.table && known.protocol == chain.protocol && known.name == name)
    };
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
    let rules = seen.firewall.passages.iter();
    let mut rules = rules.filter(|rule| rule.protocol == chain.protocol && rule.table == chain.table);
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
    if !met || accepted {
        return None;
    }
    let text =
        format!("its policy drops what the guests of network {} send to the host itself", network.name);
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
