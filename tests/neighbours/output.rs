//! Firewalls that do not even let the host itself send: what guests are told gets to them all the same.

use std::fs;
use std::time::Duration;

use crate::dns::Resolver;
use crate::kit::Serving;
use crate::lab::{Cli, Lab, Network, within};
use crate::neighbour::{applied, rules_of_others, type_in};
use crate::served::comes;

/// A guest that comes anew, and goes.
#[track_caller]
fn is_served(serving: &Serving, number: u8, what: &str) {
    serving.lab.detach(comes(serving, number, what));
}

/// Answers go out, and the host's questions to one resolver.
fn close_output(lab: &Lab) {
    for (program, icmp) in [("iptables", "icmp"), ("ip6tables", "ipv6-icmp")] {
        for rule in [
            "-o lo".to_owned(),
            "-m conntrack --ctstate RELATED,ESTABLISHED".to_owned(),
            format!("-o eth3 -p {icmp}"),
        ] {
            lab.host.run(&format!("{program} -A OUTPUT {rule} -j ACCEPT"));
        }
        lab.host.run(&format!("{program} -P OUTPUT DROP"));
    }
    lab.host.run("iptables -A OUTPUT -d 192.168.1.25 -p udp --dport 53 -j ACCEPT");
}

#[test]
fn iptables() {
    let serving = Serving::nat();
    let lab = &serving.lab;
    let _resolver = Resolver::start(&lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    close_output(lab);
    let rules = rules_of_others(lab);
    is_served(&serving, 1, "closed before");
    serving.assert_ends();
    assert_eq!(rules_of_others(lab), rules, "its rules are as they were");
    let all = lab.host.run("nft list ruleset");
    assert!(!all.contains("kvmnet:"), "nothing of kvmnet's is left\n{all}");
}

/// `ufw default deny outgoing`, before a guest and while one is on.
#[test]
fn ufw() {
    let serving = Serving::nat();
    let lab = &serving.lab;
    let _resolver = Resolver::start(&lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    let zero = serving.attach(7);
    lab.host.run("ufw default deny outgoing");
    lab.host.run("ufw --force enable");
    applied(lab);
    is_served(&serving, 1, "enabled");
    lab.host.run("ufw reload");
    is_served(&serving, 2, "reloaded");
    lab.host.run("ufw deny out on br0 to any port 68 proto udp");
    let three = serving.attach(3);
    assert!(!serving.try_lease_soon(&three), "what the owner denies stays denied");
    [zero, three].into_iter().for_each(|guest| lab.detach(guest));
    serving.assert_ends();
    assert!(!lab.host.run("nft list ruleset").contains("kvmnet:"), "nothing of kvmnet's is left");
}

/// What is let in and out names no interface, and what passes through is all let through.
const OWN: &str = "flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iif lo accept
        meta l4proto { icmp, ipv6-icmp } accept
        tcp dport { 22, 443 } accept
        INPUT
    }
    chain output {
        type filter hook output priority filter; policy drop;
        ct state established,related accept
        oif lo accept
        oifname eth3 accept
        OUTPUT
    }
}
";

fn load(lab: &Lab, [input, output]: [&str; 2]) {
    let rules = OWN.replace("INPUT", input).replace("OUTPUT", output);
    lab.host.enter(|| fs::write("/etc/nftables.conf", rules)).expect("a private /etc can be written");
    lab.host.run("nft -f /etc/nftables.conf");
}

/// The commands that `check` has for problems with firewalls, and what the first guest's hook says.
fn named(serving: &Serving) -> (Vec<String>, String) {
    let one = serving.lab.boot(1);
    let said = serving.lab.ifup(&one).stderr;
    let report = Cli::new(&serving.lab.host, &["check", "--json"]).run().out;
    serving.lab.detach(one);
    let report: serde_json::Value = serde_json::from_str(&report).expect("check prints JSON");
    let findings = report["findings"].as_array().into_iter().flatten();
    let problems = findings
        .filter(|one| one["severity"] == "problem" && one["kind"].as_str().unwrap().starts_with("firewall"));
    let commands = problems.flat_map(|one| one["fix"].as_array().into_iter().flatten());
    (commands.map(|command| command.as_str().unwrap().to_owned()).collect(), said)
}

/// Chains of nftables that somebody wrote are named where they keep guests from their addresses, with what opens them; and not where
/// they let that through by whatever words.
#[test]
fn nftables() {
    let serving = Serving::nat();
    let lab = &serving.lab;
    let _resolver = Resolver::start(&lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    let icmp = "meta l4proto ipv6-icmp accept; udp dport";
    for open in [
        ["udp dport { 53, 67, 547 } accept; tcp dport 53 accept", &format!("{icmp} {{ 68, 546 }} accept")],
        [
            "udp dport 67 accept; udp dport 547 accept; udp dport 53 accept",
            &format!("{icmp} 68 accept; udp dport 546 accept"),
        ],
        ["iifname br* accept", "oifname br* accept"],
        ["meta l4proto udp accept", "meta l4proto udp accept; meta l4proto ipv6-icmp accept"],
    ] {
        load(lab, open);
        assert_eq!(named(&serving), (Vec::new(), String::new()), "{open:?}");
    }
    is_served(&serving, 1, "let in and out");
    let not_from_guests = "udp dport != { 67, 547 } accept; ip saddr 192.168.1.0/24 udp dport 67 accept";
    for closed in [[not_from_guests, "udp dport { 53, 123 } accept"], ["udp dport 67 drop", "drop"]] {
        load(lab, closed);
        let (commands, said) = named(&serving);
        assert!(
            said.contains("chain inet filter input") && said.contains("chain inet filter output"),
            "{said}"
        );
        let one = lab.boot(1);
        lab.ifup(&one);
        assert!(!serving.try_lease_soon(&one), "{closed:?}");
        lab.detach(one);
        type_in(lab, &commands.join("\n"));
        assert_eq!(named(&serving), (Vec::new(), String::new()), "{closed:?}, after {commands:?}");
        is_served(&serving, 1, "as told");
    }
}

/// The same of iptables-legacy.
#[test]
fn legacy() {
    let serving = Serving::nat();
    let lab = &serving.lab;
    let _resolver = Resolver::start(&lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    for (program, icmp) in [("iptables-legacy", "icmp"), ("ip6tables-legacy", "ipv6-icmp")] {
        for (chain, way) in [("INPUT", "-i"), ("OUTPUT", "-o")] {
            for rule in [
                "-m conntrack --ctstate RELATED,ESTABLISHED",
                &format!("{way} eth3"),
                &format!("-p {icmp}"),
                "-p udp --dport 123",
            ] {
                lab.host.run(&format!("{program} -A {chain} {rule} -j ACCEPT"));
            }
            lab.host.run(&format!("{program} -P {chain} DROP"));
        }
    }
    let (commands, said) = named(&serving);
    assert!(
        said.contains("chain INPUT of iptables-legacy") && said.contains("chain OUTPUT of ip6tables-legacy"),
        "{said}"
    );
    type_in(lab, &commands.join("\n"));
    assert_eq!(named(&serving), (Vec::new(), String::new()), "after {commands:?}");
    is_served(&serving, 1, "as told");
}

/// Frames between guests, by a table for bridges.
#[test]
fn frames() {
    let lab = Lab::new(Network::ISOLATED);
    for rules in ["policy drop;", "policy drop; ether type arp accept;", "ether type arp accept; drop;"] {
        type_in(
            &lab,
            &format!(
                "nft 'table bridge own {{ chain forward {{ type filter hook forward priority 0; {rules} }}; }}'"
            ),
        );
        let one = lab.boot(1);
        let said = lab.ifup(&one).stderr;
        let command = "nft insert rule bridge own forward iifname 'vif*' accept";
        assert!(said.contains("chain bridge own forward") && said.contains(command), "{rules}: {said}");
        let two = lab.attach(2);
        lab.settle();
        let to = lab.network.guest(2).v4;
        assert!(!one.pings(&to), "{rules}");
        type_in(&lab, command);
        assert!(within(Duration::from_secs(5), || one.pings(&to)), "{rules}: as told");
        let status = Cli::new(&lab.host, &["status"]).run().ok();
        assert!(!status.contains("bridge own"), "{status}");
        [one, two].into_iter().for_each(|guest| lab.detach(guest));
        lab.host.run("nft delete table bridge own");
    }
}

/// With `firewall = "warn"`: what is told is in iptables' own words, which it prints and saves as they were typed.
#[test]
fn iptables_as_told() {
    let serving = Serving::configured(&format!("firewall = \"warn\"\n{}", Network::NAT.config()));
    let lab = &serving.lab;
    let _resolver = Resolver::start(&lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    close_output(lab);
    for (program, icmp) in [("iptables", "icmp"), ("ip6tables", "ipv6-icmp")] {
        lab.host.run(&format!("{program} -A INPUT -p {icmp} -j ACCEPT"));
        lab.host.run(&format!("{program} -P INPUT DROP"));
        lab.host.run(&format!("{program} -P FORWARD DROP"));
    }
    let (commands, said) = named(&serving);
    assert!(["INPUT", "OUTPUT", "FORWARD"].iter().all(|chain| said.contains(chain)), "{said}");
    type_in(lab, &commands.join("\n"));
    assert_eq!(named(&serving), (Vec::new(), String::new()), "after {commands:?}");
    for (list, ports) in [("iptables", "--dports 67,53"), ("ip6tables", "--dports 547,53")] {
        lab.host.run(&format!("{list} -L -n -v"));
        let saved = lab.host.run(&format!("{list}-save"));
        assert!(saved.contains(ports) && !saved.contains("incompatible"), "{saved}");
    }
    is_served(&serving, 1, "as told");
}

/// Where very many chains drop, the hook names a few.
#[test]
fn a_few_of_many() {
    let lab = Lab::new(Network::NAT);
    let tables = (0..40).map(|number| {
        format!("table inet own{number} {{ chain forward {{ type filter hook forward priority 0; policy drop; }}; }}\n")
    });
    lab.host
        .enter(|| fs::write("/run/lab/tables", tables.collect::<String>()))
        .expect("a private /run can be written");
    lab.host.run("nft -f /run/lab/tables");
    let one = lab.boot(1);
    let said = lab.ifup(&one).stderr;
    assert!(
        said.lines().count() == 9
            && said.ends_with("32 more chains drop what is of guests of network default: kvmnet check\n"),
        "{said}"
    );
    lab.detach(one);
}
